"""Predictive models over sockets: TorchServe's opaque bodies, binary tensors, and the rows that the ledger has of them."""

import json
import struct
from collections.abc import Iterator

import httpx2
import pytest
from tests.support.canned_upstream import Canned, CannedUpstream, canned_upstream
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process
from tests.support.simulator import SimulatorThread

from tidegate.core.usage import UsageEvent

_CONFIG = """
kind: Provider
metadata: {{name: torch}}
spec: {{dialect: torchserve, baseUrl: "{url}/serve", credentials: [{{apiKey: {{env: UP_KEY}}}}]}}
---
kind: Provider
metadata: {{name: tensors}}
spec: {{dialect: oip, baseUrl: "{url}"}}
---
kind: Provider
metadata: {{name: rows}}
spec: {{dialect: tfserving, baseUrl: "{simulator}"}}
---
kind: Provider
metadata: {{name: simulated-tensors}}
spec: {{dialect: oip, baseUrl: "{simulator}"}}
---
kind: Provider
metadata: {{name: simulated-torch}}
spec: {{dialect: torchserve, baseUrl: "{simulator}"}}
---
kind: Model
metadata: {{name: flowers}}
spec:
  task: inference
  targets: [{{provider: torch, model: iris}}]
  routing: {{attempts: 2}}
  price: {{inputPerMillion: 100, perRequest: 0.001}}
---
kind: Model
metadata: {{name: shapes}}
spec:
  task: inference
  targets: [{{provider: tensors, model: inner}}]
  routing: {{attempts: 1}}
  price: {{inputPerMillion: 100}}
---
kind: Model
metadata: {{name: by-rows}}
spec: {{task: inference, targets: [{{provider: rows, model: iris}}], price: {{inputPerMillion: 100}}}}
---
kind: Model
metadata: {{name: by-tensors}}
spec: {{task: inference, targets: [{{provider: simulated-tensors, model: iris}}], price: {{inputPerMillion: 100}}}}
---
kind: Model
metadata: {{name: by-torch}}
spec: {{task: inference, targets: [{{provider: simulated-torch, model: iris}}], price: {{inputPerMillion: 100}}}}
---
kind: Model
metadata: {{name: writes}}
spec: {{task: inference, targets: [{{provider: simulated-tensors, model: writer}}], price: {{inputPerMillion: 100}}}}
---
kind: Model
metadata: {{name: talks}}
spec: {{targets: [{{provider: torch, model: iris}}]}}
---
kind: Team
metadata: {{name: science}}
spec: {{passthrough: [tensors]}}
---
kind: Consumer
metadata: {{name: lab}}
spec: {{team: science, keys: [{{value: tg-lab-predictive-key}}]}}
---
kind: Consumer
metadata: {{name: slow}}
spec: {{team: science, keys: [{{value: tg-slow-predictive-key}}], limits: {{tokensPerMinute: 4}}}}
"""
_PNG = b"\x89PNG\r\n\x1a\n\x00\xff"
_UP = "/serve/predictions/iris"


@pytest.fixture(scope="module")
def upstream() -> Iterator[CannedUpstream]:
    with canned_upstream() as one:
        yield one


@pytest.fixture(scope="module")
def gateway(
    upstream: CannedUpstream, provider: SimulatorThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("predictive")
    config = _CONFIG.format(url=upstream.url, simulator=provider.url)
    with gateway_process(folder, config, env={"UP_KEY": "up-secret"}) as one:
        yield one


def post(
    gateway: Gateway,
    path: str,
    body: bytes,
    media: str | None,
    *,
    who: str = "lab",
    headers: dict[str, str] | None = None,
) -> httpx2.Response:
    sent = {"authorization": f"Bearer tg-{who}-predictive-key", **(headers or {})}
    if media is not None:
        sent["content-type"] = media
    with httpx2.Client() as client:
        return client.post(gateway.url + path, content=body, headers=sent)


def event_of(gateway: Gateway, answer: httpx2.Response) -> UsageEvent:
    return last_event(gateway, lambda one: one.id == answer.headers["x-tidegate-decision"])


@pytest.mark.parametrize(
    ("body", "media", "rows"),
    [
        (_PNG, "image/png", 1),
        (b"[[1, 2],  [3, 4], [5, 6]]", "application/json", 3),
        (b'{"instances": [{"data": 1}, {"data": 2}]}', "application/json; charset=utf-8", 2),
        (b"data=%5B1%2C2%5D", "application/x-www-form-urlencoded", 1),
        (b"some text", None, 1),
        (b"", None, 1),
    ],
)
def test_a_body_of_any_kind_and_its_rows(
    gateway: Gateway, upstream: CannedUpstream, body: bytes, media: str | None, rows: int
) -> None:
    upstream.will(f"{_UP}/2.0?top=3", Canned("text/plain; charset=utf-8", [b"setosa"], chunked=False))
    answer = post(gateway, "/predictions/flowers/2.0?top=3", body, media)
    assert (answer.status_code, answer.content) == (200, b"setosa")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    path, headers, sent = upstream.asked[-1]
    assert path == f"{_UP}/2.0?top=3"
    assert headers.get("content-type") == media
    assert headers["authorization"] == "Bearer up-secret"
    assert sent == (json.loads(body) if media == "application/json" else body)
    event = event_of(gateway, answer)
    assert (event.operation, event.model, event.provider, event.upstream_model) == (
        "prediction",
        "flowers",
        "torch",
        "iris",
    )
    cost = 1_000_000 + rows * 100_000
    assert (event.usage.input, event.usage.output, event.usage.source, event.cost_nano) == (rows, 0, "reported", cost)
    assert float(answer.headers["x-tidegate-cost-usd"]) == pytest.approx(cost / 1e9)


@pytest.mark.parametrize("prefix", ["", "/torchserve"])
def test_what_comes_in_pieces_is_given_on_in_pieces(gateway: Gateway, upstream: CannedUpstream, prefix: str) -> None:
    upstream.will(_UP, Canned("application/octet-stream", [b"one,", b"two"]))
    answer = post(gateway, f"{prefix}/predictions/flowers", b"[1,2]", "application/json")
    assert (answer.status_code, answer.content) == (200, b"one,two")
    assert answer.headers["transfer-encoding"] == "chunked"
    event = event_of(gateway, answer)
    assert (event.outcome, event.usage.input, event.cost_nano) == ("ok", 2, 1_200_000)


@pytest.mark.parametrize("chunked", [True, False])
def test_an_empty_answer_is_one(gateway: Gateway, upstream: CannedUpstream, chunked: bool) -> None:
    upstream.will(_UP, Canned("text/plain", [], chunked=chunked))
    answer = post(gateway, "/predictions/flowers", b"x", None)
    assert (answer.status_code, answer.content) == (200, b"")
    assert event_of(gateway, answer).usage.input == 1


def test_a_cut_in_the_middle_is_seen_by_the_client_and_the_rows_are_charged(
    gateway: Gateway, upstream: CannedUpstream
) -> None:
    upstream.will(_UP, Canned("text/plain", [b"half"], cut=True))
    with pytest.raises(httpx2.RemoteProtocolError):
        post(gateway, "/predictions/flowers", b"[1,2,3]", "application/json", headers={"x-request-id": "cut-1"})
    event = last_event(gateway)
    assert (event.outcome, event.usage.input, event.cost_nano) == ("cut", 3, 1_300_000)


def test_a_whole_answer_that_breaks_off_is_asked_for_again(gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will(
        _UP,
        Canned("text/plain", [b"half"], cut=True, chunked=False),
        Canned("text/plain", [b"whole"], chunked=False),
    )
    answer = post(gateway, "/predictions/flowers", b"x", None)
    assert (answer.status_code, answer.content, answer.headers["x-tidegate-attempts"]) == (200, b"whole", "2")


def test_errors_of_the_server_pass_and_those_of_the_gateway_look_like_them(
    gateway: Gateway, upstream: CannedUpstream
) -> None:
    said = b'{\n  "code": 404,\n  "type": "ModelVersionNotFoundException",\n  "message": "Model version: 9"\n}\n'
    upstream.will(f"{_UP}/9", Canned("application/json", [said], status=404))
    answer = post(gateway, "/predictions/flowers/9", b"x", None)
    assert (answer.status_code, answer.content) == (404, said)
    assert event_of(gateway, answer).cost_nano == 0

    told = post(gateway, "/predictions/roses", b"x", None)
    assert told.status_code == 404
    assert told.json()["type"] == "ModelNotFoundException"
    assert (told.json()["code"], told.json()["reason"]) == (404, "model_not_found")
    assert post(gateway, "/predictions/flowers", b"x", None, who="nobody").json()["type"] == "InvalidKeyException"
    assert post(gateway, "/predictions/talks", b"x", None).json()["reason"] == "invalid_request"
    assert post(gateway, "/predictions/shapes", b"x", None).json()["reason"] == "unsupported_field"
    with httpx2.Client() as client:
        assert client.get(f"{gateway.url}/predictions/flowers").json()["code"] == 405


def test_rows_are_what_a_limit_of_tokens_counts(gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will(_UP, Canned("application/json", [b"[0,1,2]"], chunked=False))
    assert post(gateway, "/predictions/flowers", b"[1,2,3]", "application/json", who="slow").status_code == 200
    refused = post(gateway, "/predictions/flowers", b"[1,2,3]", "application/json", who="slow")
    assert refused.status_code == 429
    assert refused.json()["type"] == "ServiceUnavailableException"


_INFER = "/v2/models/inner/infer"
_TENSORS = b"\x00<\x00@\x00B"
_ASKS = b'{"inputs":[{"name":"x","shape":[3,1],"datatype":"FP16","parameters":{"binary_data_size":6}}]}'
_SAYS = (
    b'{"model_name":"inner","outputs":[{"name":"y","shape":[3],"datatype":"FP16","parameters":{"binary_data_size":6}}]}'
)


@pytest.mark.parametrize("name", ["Inference-Header-Content-Length", "inference-header-content-length"])
def test_binary_tensors_go_up_and_come_back(gateway: Gateway, upstream: CannedUpstream, name: str) -> None:
    """The model's public name makes the JSON of the answer longer: the header says so, and the tensors are untouched."""
    upstream.will(_INFER, Canned("application/octet-stream", [_SAYS + _TENSORS], headers={name: str(len(_SAYS))}))
    length = {name: str(len(_ASKS))}
    answer = post(gateway, "/v2/models/shapes/infer", _ASKS + _TENSORS, "application/octet-stream", headers=length)
    _, headers, body = upstream.asked[-1]
    assert body == _ASKS + _TENSORS
    assert headers["content-type"] == "application/octet-stream"
    assert headers["inference-header-content-length"] == str(len(_ASKS))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    told = int(answer.headers["inference-header-content-length"])
    assert json.loads(answer.content[:told])["model_name"] == "shapes"
    assert answer.content[told:] == _TENSORS
    event = event_of(gateway, answer)
    assert (event.operation, event.usage.input, event.cost_nano) == ("inference", 3, 300_000)


def test_a_json_request_may_be_answered_in_bytes_and_the_other_way_round(
    gateway: Gateway, upstream: CannedUpstream
) -> None:
    asks = (
        b'{"inputs":[{"name":"x","shape":[2],"datatype":"FP32","data":[1,2]}],"parameters":{"binary_data_output":true}}'
    )
    length = {"Inference-Header-Content-Length": str(len(_SAYS))}
    upstream.will(_INFER, Canned("application/octet-stream", [_SAYS + _TENSORS], headers=length))
    answer = post(gateway, "/v2/models/shapes/infer", asks, "application/json")
    assert upstream.asked[-1][1]["content-type"] == "application/json"
    assert answer.content.endswith(_TENSORS)
    upstream.will(_INFER, Canned("application/json", [b'{"model_name":"inner","outputs":[]}']))
    length = {"Inference-Header-Content-Length": str(len(_ASKS))}
    answer = post(gateway, "/v2/models/shapes/infer", _ASKS + _TENSORS, "application/octet-stream", headers=length)
    assert answer.json() == {"model_name": "shapes", "outputs": []}
    assert "inference-header-content-length" not in answer.headers


@pytest.mark.parametrize("said", ["ninety", "100000", "5"])
def test_a_wrong_length_is_refused_before_a_call(gateway: Gateway, upstream: CannedUpstream, said: str) -> None:
    asked = len(upstream.asked)
    length = {"Inference-Header-Content-Length": said}
    answer = post(gateway, "/v2/models/shapes/infer", _ASKS + _TENSORS, None, headers=length)
    assert answer.status_code == 400
    assert "Inference-Header-Content-Length" in answer.json()["error"]
    assert len(upstream.asked) == asked


@pytest.mark.parametrize("said", ["-1", "9999", "3", "0"])
def test_an_answer_whose_length_is_wrong_is_none(gateway: Gateway, upstream: CannedUpstream, said: str) -> None:
    headers = {"Inference-Header-Content-Length": said}
    upstream.will(_INFER, Canned("application/octet-stream", [_SAYS + _TENSORS], headers=headers))
    length = {"Inference-Header-Content-Length": str(len(_ASKS))}
    answer = post(gateway, "/v2/models/shapes/infer", _ASKS + _TENSORS, None, headers=length)
    assert (answer.status_code, answer.json()["code"]) == (502, "upstream_error")


_GENERATE = "/v2/models/inner/generate"


def _said(text: str) -> bytes:
    return b'data: {"model_name":"inner","model_version":"1","text_output":%b}\n\n' % json.dumps(text).encode()


def test_generated_text_whole(gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will(_GENERATE, Canned("application/json", [_said("Hello")[6:-2]]))
    asks = b'{"text_input":"Say hello","parameters":{"stream":false,"temperature":0}}'
    answer = post(gateway, "/v2/models/shapes/generate", asks, "application/json")
    assert upstream.asked[-1][2] == json.loads(asks)
    assert answer.json() == {"model_name": "shapes", "model_version": "1", "text_output": "Hello"}
    event = event_of(gateway, answer)
    assert (event.operation, event.usage.input, event.usage.output, event.cost_nano) == ("generation", 1, 0, 100_000)


@pytest.mark.parametrize("verb", ["generate_stream", "versions/2/generate_stream", "infer_stream"])
def test_answers_in_a_stream(gateway: Gateway, upstream: CannedUpstream, verb: str) -> None:
    pieces = [_said("Hel"), _said("lo")]
    upstream.will(f"/v2/models/inner/{verb}", Canned("text/event-stream; charset=utf-8", pieces))
    body = _ASKS.replace(b"[3,1]", b"[2,1]") if verb == "infer_stream" else b'{"text_input":"Say hello"}'
    answer = post(gateway, f"/v2/models/shapes/{verb}", body, "application/json")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.content == b"".join(pieces).replace(b"inner", b"shapes")
    event = event_of(gateway, answer)
    rows = 2 if verb == "infer_stream" else 1
    assert (event.outcome, event.usage.input, event.cost_nano) == ("ok", rows, rows * 100_000)


def test_an_error_in_a_stream_and_one_before_it(gateway: Gateway, upstream: CannedUpstream) -> None:
    wrong = b'data: {"error":"out of memory"}\n\n'
    upstream.will(f"{_GENERATE}_stream", Canned("text/event-stream", [_said("Hel"), wrong]))
    answer = post(gateway, "/v2/models/shapes/generate_stream", b'{"text_input":"Hi"}', "application/json")
    assert answer.content.endswith(wrong)
    assert event_of(gateway, answer).outcome == "cut"
    upstream.will(f"{_GENERATE}_stream", Canned("text/event-stream", [wrong]))
    answer = post(gateway, "/v2/models/shapes/generate_stream", b'{"text_input":"Hi"}', "application/json")
    assert answer.status_code >= 500
    assert "out of memory" in answer.json()["error"]


def test_a_stream_that_breaks_off_says_so(gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will(f"{_GENERATE}_stream", Canned("text/event-stream", [_said("Hel")], cut=True))
    answer = post(gateway, "/v2/models/shapes/generate_stream", b'{"text_input":"Hi"}', "application/json")
    assert json.loads(answer.content.split(b"data: ")[-1])["code"] == "upstream_error"
    event = event_of(gateway, answer)
    assert (event.outcome, event.usage.input, event.cost_nano) == ("cut", 1, 100_000)


def test_what_is_passed_through_has_unknown_rows_and_not_none(gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will(_INFER, Canned("application/json", [b'{"model_name":"inner","outputs":[]}']))
    answer = post(gateway, f"/passthrough/tensors{_INFER}", _ASKS, "application/json")
    assert answer.status_code == 200
    event = event_of(gateway, answer)
    assert (event.operation, event.usage.source, event.cost_nano) == ("passthrough", "unknown", None)


# Servers that check what they are sent: the simulated ones.

FLOWERS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3], [5.9, 3.0, 4.2, 1.5]]
_TENSOR = {"name": "predict", "shape": [3, 4], "datatype": "FP32"}


def asked(gateway: Gateway, path: str, body: object) -> tuple[httpx2.Response, UsageEvent]:
    answer = post(gateway, path, json.dumps(body).encode(), "application/json")
    return answer, event_of(gateway, answer)


def test_every_protocol_tells_the_same_of_the_same_rows(gateway: Gateway, provider: SimulatorThread) -> None:
    provider.reset()
    tensors, _ = asked(gateway, "/v2/models/by-tensors/infer", {"inputs": [_TENSOR | {"data": FLOWERS}]})
    kinds = tensors.json()["outputs"][0]["data"]
    for path, body, told in (
        ("/v1/models/by-rows:predict", {"instances": FLOWERS}, {"predictions": kinds}),
        ("/tfserving/v1/models/by-rows/versions/1:predict", {"inputs": FLOWERS}, {"outputs": kinds}),
        ("/predictions/by-torch", FLOWERS, kinds),
    ):
        answer, event = asked(gateway, path, body)
        assert (answer.status_code, answer.json()) == (200, told)
        assert (event.usage.input, event.cost_nano) == (3, 300_000)
    assert tensors.json()["model_name"] == "by-tensors"
    assert {call.model for call in provider.calls()} == {"iris"}


def test_bytes_of_tensors_that_a_server_reads(gateway: Gateway, provider: SimulatorThread) -> None:
    provider.reset()
    data = struct.pack("<12f", *(one for row in FLOWERS for one in row))
    asks = {"inputs": [_TENSOR | {"parameters": {"binary_data_size": len(data)}}]}
    asks |= {"outputs": [{"name": "predict", "parameters": {"binary_data": True}}]}
    head = json.dumps(asks).encode()
    length = {"Inference-Header-Content-Length": str(len(head))}
    answer = post(gateway, "/v2/models/by-tensors/infer", head + data, "application/octet-stream", headers=length)
    told = int(answer.headers["inference-header-content-length"])
    plain, _ = asked(gateway, "/v2/models/by-tensors/infer", {"inputs": [_TENSOR | {"data": FLOWERS}]})
    assert list(struct.unpack("<3q", answer.content[told:])) == plain.json()["outputs"][0]["data"]
    assert event_of(gateway, answer).usage.input == 3
    short = post(gateway, "/v2/models/by-tensors/infer", head + data[:-4], "application/octet-stream", headers=length)
    assert (short.status_code, "4 additional bytes" in short.json()["error"]) == (400, True)


def test_text_by_pieces(gateway: Gateway, provider: SimulatorThread) -> None:
    provider.reset()
    body = {"text_input": "When does the tide turn?"}
    whole, _ = asked(gateway, "/v2/models/writes/generate", body)
    stream, event = asked(gateway, "/v2/models/writes/generate_stream", body)
    told = [json.loads(one.removeprefix("data: ")) for one in stream.text.split("\n\n") if one]
    assert len(told) > 1 and {one["model_name"] for one in told} == {"writes"}
    assert "".join(one["text_output"] for one in told) == whole.json()["text_output"]
    assert (event.outcome, event.usage.input) == ("ok", 1)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v2/models/by-tensors/infer", {"inputs": [_TENSOR | {"data": FLOWERS, "shape": [4, 3]}]}, 400),
        ("/v2/models/by-tensors/versions/9/infer", {"inputs": [_TENSOR | {"data": FLOWERS}]}, 404),
        ("/v1/models/by-rows:predict", {"instances": [[1, 2, 3]]}, 400),
        ("/v1/models/by-rows:classify", {"examples": [{"predict": FLOWERS[0]}]}, 400),
        ("/predictions/by-torch/9", FLOWERS, 404),
    ],
)
def test_what_a_server_refuses_is_told_as_it_tells_it(
    gateway: Gateway, provider: SimulatorThread, path: str, body: object, status: int
) -> None:
    provider.reset()
    answer, event = asked(gateway, path, body)
    assert answer.status_code == status
    assert set(answer.json()) in ({"error"}, {"code", "type", "message"})
    assert event.cost_nano == 0
