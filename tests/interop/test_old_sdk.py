"""An old release of the official SDK: what worked for applications then works now."""

from pathlib import Path

from tests.support.old_sdk import run_with_old_sdk
from tests.support.services import Service


def test_a_session_on_an_old_release(service: Service) -> None:
    told = run_with_old_sdk(Path(__file__).with_name("old_sdk_session.py"), service.base_url, service.key)
    assert told.strip() == "1.40.0"
