"""Hints that an upstream of another dialect does not have: dropped and named, or refused where the model is strict."""

from collections.abc import Iterator

import openai
import pytest
from tests.support.gateway import gateway_process
from tests.support.services import CLIENT_KEY, UPSTREAM_KEY
from tests.support.simulator import simulator_thread

CONFIG = """
kind: Provider
metadata: {{name: claude}}
spec: {{dialect: anthropic, baseUrl: "{url}", credentials: [{{apiKey: {{env: SIM_KEY}}}}]}}
---
kind: Provider
metadata: {{name: openai}}
spec: {{dialect: openai, baseUrl: "{url}/v1", credentials: [{{apiKey: {{env: SIM_KEY}}}}]}}
---
kind: Model
metadata: {{name: lenient}}
spec: {{targets: [{{provider: claude, model: claude-sonnet-5-5}}]}}
---
kind: Model
metadata: {{name: strict}}
spec: {{strict: true, targets: [{{provider: claude, model: claude-sonnet-5-5}}]}}
---
kind: Model
metadata: {{name: strict-with-another}}
spec:
  strict: true
  targets: [{{provider: claude, model: claude-sonnet-5-5}}, {{provider: openai, model: gpt-4.1, priority: 1}}]
---
kind: Team
metadata: {{name: lab}}
---
kind: Consumer
metadata: {{name: app}}
spec: {{team: lab, keys: [{{value: {{env: CLIENT_KEY}}}}]}}
"""
HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    folder = tmp_path_factory.mktemp("hints")
    env = {"SIM_KEY": UPSTREAM_KEY, "CLIENT_KEY": CLIENT_KEY}
    with simulator_thread() as simulator, gateway_process(folder, CONFIG.format(url=simulator.url), env=env) as gateway:
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=CLIENT_KEY, max_retries=0) as made:
            yield made


def asked(client: openai.OpenAI, model: str) -> dict[str, str]:
    """The headers of an answer to a request with a seed, which Anthropic has not."""
    raw = client.chat.completions.with_raw_response.create(model=model, messages=HI, seed=7)
    return dict(raw.headers)


def test_a_dropped_hint_is_named(client: openai.OpenAI) -> None:
    headers = asked(client, "lenient")
    assert (headers["x-tidegate-dropped"], headers["x-tidegate-target"]) == ("seed", "claude/claude-sonnet-5-5")


def test_a_strict_model_refuses_it(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        asked(client, "strict")
    assert (caught.value.code, caught.value.param) == ("unsupported_field", "seed")
    assert client.chat.completions.create(model="strict", messages=HI).choices[0].message.content


def test_a_strict_model_goes_where_the_hint_is_honoured(client: openai.OpenAI) -> None:
    headers = asked(client, "strict-with-another")
    assert headers["x-tidegate-target"] == "openai/gpt-4.1"
    assert "x-tidegate-dropped" not in headers
