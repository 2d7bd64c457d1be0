"""The table of well-known services: every line can be used as it stands."""

import pytest

from tidegate.config.provider import ProviderSettings
from tidegate.config.services import SERVICES, Service


def test_there_are_at_least_forty() -> None:
    assert len(SERVICES) >= 40


@pytest.mark.parametrize("service", SERVICES.values(), ids=lambda service: service.name)
def test_a_provider_by_name_alone(service: Service) -> None:
    spec = ProviderSettings(service=service.name)
    assert (spec.dialect, spec.base_url, spec.quirks) == (service.dialect, service.base_url, service.quirks)
    assert service.base_url.startswith("https://") == bool(service.key)
    assert not service.base_url.endswith("/")


def test_what_is_written_beside_it_is_kept() -> None:
    spec = ProviderSettings(service="vllm", base_url="http://gpu-1:8000/v1", quirks=("responses",))
    assert spec.base_url == "http://gpu-1:8000/v1"
    assert set(spec.quirks) == {*SERVICES["vllm"].quirks, "responses"}
