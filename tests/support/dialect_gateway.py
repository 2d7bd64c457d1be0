"""A gateway for the SDK of one dialect: OpenAI-speaking providers behind it, and one provider of that dialect itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.gateway import Gateway, gateway_process
from tests.support.services import CLIENT_KEY, UPSTREAM_KEY, gateway_config

from tidegate.core.usage import UsageEvent
from tidegate.store.ledger import Ledger

_NATIVE = """
---
kind: Provider
metadata: {{name: native}}
spec:
  dialect: {dialect}
  baseUrl: {url}
  credentials: [{{apiKey: {{env: SIM_KEY}}}}]
---
kind: Model
metadata: {{name: "native"}}
spec:
  task: chat
  targets: [{{provider: native, model: "gpt-4.1"}}]
  routing: {{attempts: 1}}
  price: {{inputPerMillion: 1.00, cachedInputPerMillion: 0.25, outputPerMillion: 4.00}}
"""


@contextmanager
def dialect_gateway(folder: Path, provider_url: str, dialect: str, path: str = "", more: str = "") -> Iterator[Gateway]:
    """Model `native` is at a provider of `dialect`, at `provider_url` + `path`; all others as in `gateway_config`.

    `more`: further documents of the configuration, of that provider `native` perhaps.
    """
    config = gateway_config(provider_url) + _NATIVE.format(dialect=dialect, url=provider_url + path) + more
    with gateway_process(folder, config, env={"SIM_KEY": UPSTREAM_KEY, "CLIENT_KEY": CLIENT_KEY}) as gateway:
        yield gateway


def last_event(gateway: Gateway, fits: Callable[[UsageEvent], bool] = lambda event: True) -> UsageEvent:
    """The latest record in the ledger."""
    with Ledger.open(gateway.data_dir) as ledger:
        ledger.ingest()
        return max((event for event in ledger.events() if fits(event)), key=lambda event: event.time_ns)
