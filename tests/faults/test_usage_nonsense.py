"""An upstream whose usage no call can have: the client is served, the reservation is charged, the budget is neither emptied
nor refunded."""

import http.client
import json
from collections.abc import Iterator

import pytest
from tests.support.canned_upstream import Canned, CannedUpstream, canned_upstream
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process
from tests.support.inspection import settled

PATH = "/v1/chat/completions"
CONFIG = """
kind: Provider
metadata: {name: odd}
spec: {dialect: openai, baseUrl: "URL/v1", credentials: [{apiKey: {env: UP_KEY}}]}
---
kind: Model
metadata: {name: m}
spec: {targets: [{provider: odd, model: m}], price: {inputPerMillion: 1.00, outputPerMillion: 4.00}}
---
kind: Team
metadata: {name: t}
---
kind: Consumer
metadata: {name: c}
spec: {team: t, keys: [{value: {env: CLIENT_KEY}}], budget: {usd: 1, period: month}}
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[CannedUpstream]:
    with canned_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(upstream: CannedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    env = {"UP_KEY": "sk-up", "CLIENT_KEY": "tg-client-of-odd"}
    with gateway_process(tmp_path_factory.mktemp("odd"), CONFIG.replace("URL", upstream.url), env=env) as gateway:
        yield gateway


def ask(gateway: Gateway) -> int:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 10})
    connection = http.client.HTTPConnection(gateway.address, timeout=10)
    try:
        connection.request("POST", PATH, body, {"authorization": "Bearer tg-client-of-odd"})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("tokens", [2**70, 2**50, -5_000_000])
def test_nonsense_is_unknown_and_costs_what_was_reserved(
    gateway: Gateway, upstream: CannedUpstream, tokens: int
) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": tokens}}
    if tokens > 0:
        usage = {"prompt_tokens": 5, "completion_tokens": tokens}
    answer = {"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}], "usage": usage}
    upstream.will(PATH, Canned("application/json", [json.dumps(answer).encode()]))
    assert ask(gateway) == 200
    assert settled(gateway)["reserved"] == 0
    event = last_event(gateway)
    assert (event.outcome, event.usage.source, event.cost_nano) == ("ok", "unknown", None)
    assert 10 * 4_000 < event.charged_nano < 10 * 4_000 + 200 * 1_000
