"""The list of `real_frameworks` is whole: a version for each package, a session for each client."""

import re
from pathlib import Path

import pytest
from tests.interop.framework_list import CHAT_NAMES, CLIENTS, EMBEDDING_NAMES, UPSTREAMS
from tests.interop.real_frameworks import config, script_of

from tidegate.config.loader import load


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_has_versions_and_a_session(name: str) -> None:
    client = CLIENTS[name]
    pinned = re.compile(r"@?[^@=]+@\d+(\.\d+)+" if client.npm else r"[^@=]+==\d+(\.\d+)+")
    assert [package for package in client.packages if not pinned.fullmatch(package)] == []
    assert script_of(name, client).is_file()


@pytest.mark.parametrize("name", UPSTREAMS)
def test_each_provider_has_every_public_name(name: str, tmp_path: Path) -> None:
    file = tmp_path / "tidegate.yaml"
    file.write_text(config(UPSTREAMS[name], "http://127.0.0.1:1"))
    assert {model.metadata.name for model in load(file, {}).models} == {*CHAT_NAMES, *EMBEDDING_NAMES}
