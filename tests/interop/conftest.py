"""The services that the SDK talks to: the simulator itself, and the gateway in front of it."""

from collections.abc import Iterator

import pytest
from tests.support.gateway import gateway_process
from tests.support.services import CLIENT_KEY, TRIALS, UPSTREAM_KEY, Service, gateway_config, provider_profile
from tests.support.simulator import SimulatorThread, simulator_thread


@pytest.fixture(scope="session")
def provider() -> Iterator[SimulatorThread]:
    """One simulated provider for all tests; `service` resets it."""
    with simulator_thread(provider_profile()) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def gateway_url(provider: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The gateway, with every model of the simulator that the tests use."""
    environment = {"SIM_KEY": UPSTREAM_KEY, "CLIENT_KEY": CLIENT_KEY}
    with gateway_process(tmp_path_factory.mktemp("gateway"), gateway_config(provider.url), env=environment) as gateway:
        yield gateway.url


@pytest.fixture(params=["simulator", "gateway"])
def service(request: pytest.FixtureRequest, provider: SimulatorThread) -> Service:
    """Each test runs against both."""
    provider.reset()
    if request.param == "simulator":
        return Service("simulator", f"{provider.url}/v1", UPSTREAM_KEY, provider)
    return Service("gateway", f"{request.getfixturevalue('gateway_url')}/v1", CLIENT_KEY, provider)


@pytest.fixture(scope="session")
def unused_trials() -> Iterator[str]:
    """Names that no test has used."""
    return iter(TRIALS)


@pytest.fixture
def trial(service: Service, unused_trials: Iterator[str]) -> str:
    """A chat model for this test alone."""
    return next(unused_trials)
