"""The simulator's predictive servers, each met as its documentation has it: shapes, strictness, errors, faults."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from tests.support.simulator import SimulatorThread, simulator_thread

from tidegate.simulator.behaviour import BadProfile, profile_from

TWO: dict[str, Any] = {
    "inputs": [
        {"name": "age", "datatype": "INT32", "shape": [-1]},
        {"name": "name", "datatype": "BYTES", "shape": [-1, 1]},
    ],
    "outputs": [
        {"name": "score", "datatype": "FP32", "shape": [-1, 2]},
        {"name": "kind_bytes", "datatype": "BYTES", "shape": [-1]},
    ],
    "versions": ["1", "2"],
}
ONE: dict[str, Any] = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
}
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
PACKED = struct.pack("<8f", *ROWS[0], *ROWS[1])


@pytest.fixture(scope="module")
def thread() -> Iterator[SimulatorThread]:
    models = {
        "one": {"task": "inference", "predictor": ONE},
        "two": {"task": "inference", "predictor": TWO},
        "chat": {},
    }
    writer = profile_from({}).models["writer"]
    with simulator_thread(profile_from({"models": models, "keys": {"wrong": "401"}})) as thread:
        thread.run(lambda simulator: simulator.profile.models.update(writer=writer))
        yield thread


@pytest.fixture
def url(thread: SimulatorThread) -> str:
    thread.reset()
    return thread.url


def tensor(**fields: Any) -> dict[str, Any]:
    return {"name": "x", "shape": [2, 4], "datatype": "FP32", "data": ROWS} | fields


def infer(url: str, model: str = "one", **fields: Any) -> httpx2.Response:
    return httpx2.post(f"{url}/v2/models/{model}/infer", json=fields)


# Open Inference Protocol.


def test_health_and_descriptions(url: str) -> None:
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/two/ready", "/v2/models/two/versions/1/ready"):
        answer = httpx2.get(url + path)
        assert (answer.status_code, answer.content) == (200, b"")
    assert httpx2.get(f"{url}/v2").json()["name"] == "triton"
    told = httpx2.get(f"{url}/v2/models/two").json()
    assert (told["name"], told["versions"]) == ("two", ["1", "2"])
    assert told["inputs"] == TWO["inputs"] and told["outputs"] == TWO["outputs"]


def test_tensors_as_json_and_as_bytes_say_the_same(url: str) -> None:
    told = infer(url, inputs=[tensor()], id="7").json()
    assert (told["model_name"], told["model_version"], told["id"]) == ("one", "1", "7")
    (output,) = told["outputs"]
    assert (output["name"], output["datatype"], output["shape"], len(output["data"])) == ("y", "FP32", [2, 3], 6)
    flat = infer(url, inputs=[tensor(data=ROWS[0] + ROWS[1])]).json()
    assert flat["outputs"] == told["outputs"]

    asks = {
        "inputs": [tensor(parameters={"binary_data_size": len(PACKED)})],
        "parameters": {"binary_data_output": True},
    }
    del asks["inputs"][0]["data"]  # type: ignore[index]
    head = json.dumps(asks).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = httpx2.post(f"{url}/v2/models/one/infer", content=head + PACKED, headers=headers)
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers["inference-header-content-length"])
    described = json.loads(answer.content[:length])["outputs"][0]
    assert described["parameters"] == {"binary_data_size": 24} and "data" not in described
    assert list(struct.unpack("<6f", answer.content[length:])) == output["data"]


def test_a_body_of_bytes_alone_is_one_row(url: str) -> None:
    headers = {"Inference-Header-Content-Length": "0"}
    answer = httpx2.post(f"{url}/v2/models/one/infer", content=PACKED[:16], headers=headers)
    length = int(answer.headers["inference-header-content-length"])
    first = infer(url, inputs=[tensor()]).json()["outputs"][0]["data"][:3]
    assert list(struct.unpack("<3f", answer.content[length:])) == first
    short = httpx2.post(f"{url}/v2/models/one/infer", content=PACKED[:12], headers=headers)
    assert (short.status_code, "Expected 16, got 12" in short.json()["error"]) == (400, True)


def test_several_inputs_texts_and_the_outputs_that_are_asked_for(url: str) -> None:
    age = {"name": "age", "shape": [2], "datatype": "INT32", "data": [30, 40]}
    name = {"name": "name", "shape": [2, 1], "datatype": "BYTES", "data": ["Ada", "Bob"]}
    told = infer(url, "two", inputs=[name, age], outputs=[{"name": "kind_bytes"}]).json()
    assert [(one["name"], one["shape"]) for one in told["outputs"]] == [("kind_bytes", [2])]
    assert all(isinstance(one, str) for one in told["outputs"][0]["data"])
    assert told["model_version"] == "2"
    texts = b"".join(struct.pack("<I", len(one)) + one for one in (b"Ada", b"Bob"))
    packed = {**name, "parameters": {"binary_data_size": len(texts)}}
    del packed["data"]
    wanted = {"name": "kind_bytes", "parameters": {"binary_data": True}}
    head = json.dumps({"inputs": [packed, age], "outputs": [wanted]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = httpx2.post(f"{url}/v2/models/two/versions/2/infer", content=head + texts, headers=headers)
    kinds = [one.encode() for one in told["outputs"][0]["data"]]
    assert answer.content.endswith(b"".join(struct.pack("<I", len(one)) + one for one in kinds))
    other = infer(url, "two/versions/1", inputs=[name, age]).json()
    assert other["model_version"] == "1" and other["outputs"] != told["outputs"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "object member 'inputs'"),
        ({"inputs": []}, "inputs"),
        ({"inputs": [tensor(name="z")]}, "unexpected inference input 'z' for model 'one'"),
        ({"inputs": [tensor(), tensor()]}, "already exists"),
        ({"inputs": [tensor(datatype="FP64")]}, "data-type is 'FP64', but model 'one' expects 'FP32'"),
        ({"inputs": [tensor(shape=[2, 3])]}, "Expected [-1,4], got [2,3]"),
        ({"inputs": [tensor(shape=[8])]}, "Expected [-1,4], got [8]"),
        ({"inputs": [tensor(shape=[0, 4], data=[])]}, "got [0,4]"),
        ({"inputs": [tensor(shape="2")]}, "'inputs[0].shape'"),
        ({"inputs": [tensor(shape=[3, 4])]}, "Shape does not match true shape of 'data' field"),
        ({"inputs": [tensor(data=None)]}, "'data'"),
        ({"inputs": [tensor(data=["a"] * 8)]}, "Unable to parse 'data'"),
        ({"inputs": [tensor(parameters={"binary_data_size": 32})]}, "unexpected 'data'"),
        ({"inputs": [tensor()], "outputs": [{"name": "w"}]}, "unexpected inference output 'w'"),
        ({"inputs": "x"}, "non-array as array"),
    ],
)
def test_what_triton_refuses(url: str, fields: dict[str, Any], told: str) -> None:
    answer = infer(url, **fields)
    assert answer.status_code == 400
    assert told in answer.json()["error"]


def test_what_triton_refuses_of_several_inputs_and_of_bytes(url: str) -> None:
    age = {"name": "age", "shape": [2], "datatype": "INT32", "data": [30, 40]}
    assert "expected 2 inputs but got 1" in infer(url, "two", inputs=[age]).json()["error"]
    name = {"name": "name", "shape": [1, 1], "datatype": "BYTES", "data": ["Ada"]}
    assert "batch size does not match" in infer(url, "two", inputs=[age, name]).json()["error"]
    for fraction in ([2**40], [1.5], [True]):
        error = infer(url, "two", inputs=[{**age, "shape": [1], "data": fraction}, name])
        assert error.status_code == 400
    asks = json.dumps({"inputs": [{key: value for key, value in tensor().items() if key != "data"}]}).encode()
    for length, body, told in (
        (len(asks) + 99, asks, "Header-Content-Length"),
        ("x", asks, "Header-Content-Length"),
        (len(asks), asks + PACKED, "'data'"),
    ):
        headers = {"Inference-Header-Content-Length": str(length)}
        answer = httpx2.post(f"{url}/v2/models/one/infer", content=body, headers=headers)
        assert (answer.status_code, told in answer.json()["error"]) == (400, True)


def test_unknown_models_versions_and_paths(url: str) -> None:
    for path in ("/v2/models/none", "/v2/models/chat", "/v2/models/one/versions/9"):
        answer = httpx2.get(url + path)
        assert (answer.status_code, "is not found" in answer.json()["error"]) == (404, True)
        assert httpx2.post(f"{url}{path}/infer", json={"inputs": [tensor()]}).status_code == 404
    assert httpx2.post(f"{url}/v2/models/one").status_code == 405
    assert httpx2.get(f"{url}/v2/models/one/infer").status_code == 405
    assert httpx2.get(f"{url}/v2/models/one/what").status_code == 404


def events_of(answer: httpx2.Response) -> list[Any]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [json.loads(one.removeprefix("data: ")) for one in answer.text.split("\n\n") if one]


def test_generated_text_whole_and_in_a_stream(url: str, thread: SimulatorThread) -> None:
    thread.change("writer", text="one two three")
    asked = {"text_input": "Say it", "parameters": {"temperature": 0, "stream": False}}
    whole = httpx2.post(f"{url}/v2/models/writer/generate", json=asked).json()
    assert whole == {"model_name": "writer", "model_version": "1", "text_output": "one two three"}
    asked["parameters"] = {"stream": True}
    told = events_of(httpx2.post(f"{url}/v2/models/writer/generate_stream", json=asked))
    assert len(told) > 2 and "".join(one["text_output"] for one in told) == "one two three"
    refused = httpx2.post(f"{url}/v2/models/writer/generate", json=asked)
    assert (refused.status_code, "use generate stream" in refused.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    ("model", "body", "told"),
    [
        ("writer", {}, "text_input"),
        ("writer", {"text_input": "a", "prompt": "b"}, "unexpected inference input 'prompt'"),
        ("writer", {"text_input": "a", "parameters": {"stop": ["x"]}}, "parameter 'stop' has invalid type"),
        ("one", {"text_input": "a"}, "text_input"),
    ],
)
def test_what_generate_refuses(url: str, model: str, body: dict[str, Any], told: str) -> None:
    answer = httpx2.post(f"{url}/v2/models/{model}/generate", json=body)
    assert (answer.status_code, told in answer.json()["error"]) == (400, True)


def test_inferences_in_a_stream_and_generate_of_tensors(url: str) -> None:
    whole = infer(url, inputs=[tensor()]).json()["outputs"][0]["data"]
    told = events_of(httpx2.post(f"{url}/v2/models/one/infer_stream", json={"inputs": [tensor()]}))
    assert [one["outputs"][0]["data"] for one in told] == [whole[:3], whole[3:]]
    generated = httpx2.post(f"{url}/v2/models/one/generate", json={"inputs": [tensor()]}).json()
    assert generated["outputs"][0]["data"] == whole


# TensorFlow Serving.


def predict(url: str, model: str = "one", verb: str = "predict", **fields: Any) -> httpx2.Response:
    return httpx2.post(f"{url}/v1/models/{model}:{verb}", json=fields)


def test_rows_and_columns_say_the_same(url: str) -> None:
    rows = predict(url, instances=ROWS).json()["predictions"]
    assert [len(one) for one in rows] == [3, 3]
    assert predict(url, instances=[{"x": one} for one in ROWS], signature_name="serving_default").json() == {
        "predictions": rows
    }
    assert predict(url, inputs=ROWS).json() == predict(url, inputs={"x": ROWS}).json() == {"outputs": rows}
    assert [rows[0], rows[1]] == [
        infer(url, inputs=[tensor()]).json()["outputs"][0]["data"][at : at + 3] for at in (0, 3)
    ]


def test_several_inputs_by_rows_and_columns(url: str) -> None:
    rows = [{"age": 30, "name": ["Ada"]}, {"age": 40, "name": [{"b64": "Qm9i"}]}]
    told = predict(url, "two", instances=rows).json()["predictions"]
    assert [set(one) for one in told] == [{"score", "kind_bytes"}] * 2
    assert set(told[0]["kind_bytes"]) == {"b64"}
    columns = predict(url, "two", inputs={"age": [30, 40], "name": [["Ada"], ["Bob"]]}).json()["outputs"]
    assert columns["score"] == [one["score"] for one in told]
    assert predict(url, "two/versions/1", instances=rows).json()["predictions"] != told
    assert predict(url, "two/labels/stable", instances=rows).json()["predictions"] == told


def test_classes_and_regressions(url: str) -> None:
    scores = predict(url, instances=ROWS).json()["predictions"]
    told = predict(url, verb="classify", examples=[{"x": one} for one in ROWS]).json()["result"]
    assert told == [[[str(at), score] for at, score in enumerate(row)] for row in scores]
    told = predict(url, verb="regress", examples=[{}, {}], context={"x": ROWS[0]}).json()["result"]
    assert told == [scores[0][0]] * 2


@pytest.mark.parametrize(
    ("model", "verb", "fields", "told"),
    [
        ("one", "predict", {}, "Missing 'inputs' or 'instances' key"),
        ("one", "predict", {"instances": ROWS, "inputs": ROWS}, "only one of"),
        ("one", "predict", {"instances": {}}, "Excepting 'instances' to be an list/array"),
        ("one", "predict", {"instances": []}, "No values in 'instances'"),
        ("one", "predict", {"instances": [ROWS[0], [1, 2]]}, "unexpected size: 2 at level: 1 expected size: 4"),
        ("one", "predict", {"instances": [ROWS[0], 3]}, "incorrect level"),
        ("one", "predict", {"instances": [[1, 2, 3]]}, "[1,3] vs. [?,4]"),
        ("one", "predict", {"instances": [["a", 1, 2, 3]]}, "Type: String is not of expected type: float"),
        ("one", "predict", {"instances": [{"x": ROWS[0]}, ROWS[1]]}, "Expecting object but got list at item 1"),
        ("one", "predict", {"instances": [{"z": ROWS[0]}]}, "must only have keys: x"),
        ("one", "predict", {"inputs": {"z": ROWS}}, "Missing named input: x"),
        ("one", "predict", {"instances": ROWS, "signature_name": "other"}, 'signature name: "other"'),
        ("one/labels/canary", "predict", {"instances": ROWS}, "version label: canary"),
        ("two", "predict", {"instances": [1]}, "instances is a plain list"),
        ("two", "predict", {"inputs": [1]}, "inputs is a plain value/list"),
        ("two", "predict", {"inputs": {"age": [1, 2], "name": [["a"]]}}, "Incompatible shapes"),
        ("two", "predict", {"instances": [{"age": 1.5, "name": ["a"]}]}, "expected type: int32"),
        ("two", "predict", {"instances": [{"age": 1, "name": [{"b64": "?"}]}]}, "base64"),
        ("one", "classify", {"instances": ROWS}, "examples"),
        ("one", "classify", {"examples": [{"z": 1}]}, "Feature: x"),
    ],
)
def test_what_tensorflow_serving_refuses(url: str, model: str, verb: str, fields: dict[str, Any], told: str) -> None:
    answer = predict(url, model, verb, **fields)
    assert answer.status_code == 400
    assert told in answer.json()["error"]


def test_status_and_metadata(url: str) -> None:
    status = httpx2.get(f"{url}/tfserving/v1/models/two").json()["model_version_status"]
    assert [(one["version"], one["state"]) for one in status] == [("2", "AVAILABLE"), ("1", "AVAILABLE")]
    assert len(httpx2.get(f"{url}/v1/models/two/versions/1").json()["model_version_status"]) == 1
    told = httpx2.get(f"{url}/v1/models/two/metadata").json()
    assert told["model_spec"] == {"name": "two", "signature_name": "", "version": "2"}
    signature = told["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["name"]["dtype"] == "DT_STRING"
    assert [one["size"] for one in signature["outputs"]["score"]["tensor_shape"]["dim"]] == ["-1", "2"]
    missing = httpx2.get(f"{url}/tfserving/v1/models/none")
    assert (missing.status_code, missing.json()["error"]) == (404, "Could not find any versions of model none")
    for path, servable in (("none", "Latest(none)"), ("one/versions/9", "Specific(one, 9)"), ("chat", "Latest(chat)")):
        answer = predict(url, path, instances=ROWS)
        assert (answer.status_code, answer.json()["error"]) == (404, f"Servable not found for request: {servable}")
    wrong = httpx2.get(f"{url}/v1/models/one:predict")
    assert (wrong.status_code, "Malformed request" in wrong.json()["error"]) == (400, True)


# TorchServe.


def test_bodies_of_any_kind(url: str) -> None:
    assert httpx2.get(f"{url}/ping").json() == {"status": "Healthy"}
    scores = predict(url, instances=ROWS).json()["predictions"]
    path = f"{url}/predictions/one"
    assert httpx2.post(path, json=ROWS).json() == scores
    assert httpx2.post(f"{path}/1", json={"instances": [{"data": one} for one in ROWS]}).json() == {
        "predictions": scores
    }
    image = httpx2.post(path, content=b"\x89PNG", headers={"content-type": "image/png"})
    assert sum(image.json().values()) == pytest.approx(1, abs=1e-5)
    assert image.json() != httpx2.post(path, content=b"other").json()
    assert "x-request-id" in image.headers
    told = httpx2.post(f"{url}/explanations/one", json={"instances": ROWS}).json()["explanations"]
    assert [len(one) for one in told] == [4, 4]


@pytest.mark.parametrize("body", [b"[", b"[]", b"{}", b"[[1, 2]]", b'[["a", 1, 2, 3]]', b'{"instances": 3}'])
def test_a_handler_that_fails_tells_nothing(url: str, body: bytes) -> None:
    answer = httpx2.post(f"{url}/predictions/one", content=body)
    assert (answer.status_code, answer.json()) == (
        503,
        {"code": 503, "type": "InternalServerException", "message": "Prediction failed"},
    )


def test_torchserves_errors(url: str) -> None:
    for path, status, kind in (
        ("/predictions/none", 404, "ModelNotFoundException"),
        ("/predictions/chat", 404, "ModelNotFoundException"),
        ("/predictions/one/9", 404, "ModelVersionNotFoundException"),
        ("/predictions/one/1/2", 404, "ResourceNotFoundException"),
    ):
        answer = httpx2.post(url + path, content=b"x")
        assert (answer.status_code, answer.json()["code"], answer.json()["type"]) == (status, status, kind)
    assert httpx2.delete(f"{url}/predictions/one").json()["type"] == "MethodNotAllowedException"


# All of them.

CALLS: dict[str, tuple[str, Any]] = {
    "oip": ("/v2/models/one/infer", {"inputs": [tensor()]}),
    "tfserving": ("/v1/models/one:predict", {"instances": ROWS}),
    "torchserve": ("/predictions/one", ROWS),
}


@pytest.mark.parametrize("name", CALLS)
def test_faults_errors_steering_and_the_log(url: str, thread: SimulatorThread, name: str) -> None:
    path, body = CALLS[name]
    thread.change("one", script=["503", "bad-json", "ok"])
    limited = httpx2.post(url + path, json=body)
    assert limited.status_code == 503 and b"openai" not in limited.content
    with pytest.raises(json.JSONDecodeError):
        httpx2.post(url + path, json=body).json()
    assert httpx2.post(url + path, json=body).status_code == 200
    assert httpx2.post(url + path, json=body, headers={"x-sim": "status=429"}).status_code == 429
    wrong = httpx2.post(url + path, json=body, headers={"authorization": "Bearer wrong"})
    assert wrong.status_code == 401 and b"openai" not in wrong.content
    assert [call.prompt_tokens for call in thread.calls("one") if call.status == 200 and not call.fault] == [2]


@pytest.mark.parametrize(
    ("predictor", "told"),
    [
        ({"inputs": []}, "at least one input"),
        ({"inputs": [{"name": "x", "datatype": "FLOAT", "shape": [1]}]}, "datatype"),
        ({"input": []}, "unknown field"),
    ],
)
def test_predictors_that_cannot_be(predictor: dict[str, Any], told: str) -> None:
    with pytest.raises(BadProfile, match=told):
        profile_from({"models": {"m": {"task": "inference", "predictor": predictor}}})
