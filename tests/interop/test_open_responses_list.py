"""The configuration of `real_open_responses` can be read: a Model for each provider."""

from pathlib import Path

from tests.interop.real_open_responses import UPSTREAMS, config

from tidegate.config.loader import load


def test_each_provider_has_a_model(tmp_path: Path) -> None:
    file = tmp_path / "tidegate.yaml"
    file.write_text(config("http://127.0.0.1:1"))
    assert [model.metadata.name for model in load(file, {}).models] == list(UPSTREAMS)
