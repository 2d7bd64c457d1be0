"""Open Inference Protocol, TensorFlow Serving, TorchServe: paths, rows, what passes and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import Operation, PathTells, View
from tidegate.dialects.dialect import COUNTED, UnreadableAnswer, UnreadableRequest, UpstreamModel
from tidegate.dialects.predictive import OpenInference, TensorFlowServing, TorchServe
from tidegate.dialects.predictive.native import Predictive

OIP, TF, TORCH = OpenInference(), TensorFlowServing(), TorchServe()


def tensor(shape: object) -> bytes:
    return json.dumps({"id": "7", "inputs": [{"name": "x", "shape": shape, "datatype": "FP32", "data": [1]}]}).encode()


def read(dialect: Predictive, body: bytes, suffix: str = "") -> View:
    return dialect.read("inference", body, PathTells(model="flowers", suffix=suffix))


def refused(dialect: Predictive, body: bytes) -> Problem:
    with pytest.raises(UnreadableRequest) as caught:
        read(dialect, body)
    return caught.value.problem


@pytest.mark.parametrize(
    ("path", "operation", "model", "suffix"),
    [
        (b"/v2/models/flowers/infer", "inference", "flowers", ""),
        (b"/v2/models/my%20model/versions/3/infer", "inference", "my model", "/versions/3"),
        (b"/v2/models/flowers/generate", "generation", "flowers", ""),
        (b"/v2/models/flowers/versions/3/generate", "generation", "flowers", "/versions/3"),
        (b"/v2/models/flowers", "description", "flowers", ""),
        (b"/v2/models/flowers/versions/v1.2", "description", "flowers", "/versions/v1.2"),
        (b"/v2/models/flowers/ready", "description", "flowers", "/ready"),
    ],
)
def test_open_inference_paths(path: bytes, operation: str, model: str, suffix: str) -> None:
    assert OIP.match_path(path, b"") == (operation, PathTells(model=model, suffix=suffix))


@pytest.mark.parametrize(("verb", "operation"), [("infer", "inference"), ("generate", "generation")])
def test_open_inference_streams(verb: str, operation: Operation) -> None:
    found = OIP.match_path(f"/v2/models/flowers/versions/2/{verb}_stream".encode(), b"")
    assert found == (operation, PathTells(model="flowers", stream=True, suffix="/versions/2"))
    path = OIP.upstream_path(operation, "iris/versions/2", "", None, stream=True)
    assert path == f"/v2/models/iris/versions/2/{verb}_stream"


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b'{"text_input":"Hi","parameters":{"max_tokens":5}}', 1),
        (b'{"inputs":"Hi"}', 1),
        (b'{"inputs":[{"name":"x","shape":[2],"datatype":"BYTES","data":["a","b"]}]}', 2),
    ],
)
def test_a_text_to_go_on_from_is_a_row(body: bytes, rows: int) -> None:
    view = OIP.read("generation", body, PathTells(model="flowers", stream=True))
    assert (view.estimated_input_tokens, view.stream, view.max_output_tokens) == (rows, True, 0)
    assert OIP.encode_request(view, UpstreamModel("iris"), output_cap=None) == body


def test_a_stream_has_the_public_name_and_tells_errors() -> None:
    view = OIP.read("generation", b'{"text_input":"Hi"}', PathTells(model="flowers", stream=True))
    reader = OIP.stream_reader(view)
    told = reader.read(b'data: {"model_name":"iris","text_output":"a","error":"0.1"}\n\n')
    assert (told.bytes, told.content) == (b'data: {"model_name":"flowers","text_output":"a","error":"0.1"}\n\n', True)
    assert reader.read(b": still here\n\n").content is False
    told = reader.read(b'data: {"error":"out of memory"}\n\n')
    assert told.fault is not None
    assert told.fault.message == "out of memory"
    assert (reader.usage, reader.end_marker()) == (Usage(input=1, source="reported"), b"")
    with pytest.raises(UnreadableAnswer):
        reader.read(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    "path",
    [
        b"/v2/models/a/b/infer",
        b"/v2/models/a/versions/../infer",
        b"/v2/models/a/versions/%2e/infer",
        b"/v2/models/",
    ],
)
def test_what_is_no_open_inference_path(path: bytes) -> None:
    assert OIP.match_path(path, b"") is None


@pytest.mark.parametrize(
    ("path", "suffix"),
    [
        (b"/v1/models/flowers:predict", ":predict"),
        (b"/v1/models/flowers/versions/3:classify", "/versions/3:classify"),
        (b"/v1/models/flowers/labels/stable:regress", "/labels/stable:regress"),
    ],
)
def test_tensorflow_paths(path: bytes, suffix: str) -> None:
    assert TF.match_path(path, b"") == ("inference", PathTells(model="flowers", suffix=suffix))


def test_the_verbs_of_gemini_are_not_tensorflows() -> None:
    assert TF.match_path(b"/v1/models/gemini-2.5-pro:generateContent", b"") is None


@pytest.mark.parametrize(
    ("path", "query", "suffix"),
    [
        (b"/predictions/flowers", b"", ""),
        (b"/predictions/flowers/2.0", b"", "/2.0"),
        (b"/predictions/flowers/2.0", b"top=3&x=%20\xff", "/2.0?top=3&x=%20%FF"),
    ],
)
def test_torchserve_paths(path: bytes, query: bytes, suffix: str) -> None:
    assert TORCH.match_path(path, query) == ("prediction", PathTells(model="flowers", suffix=suffix))


@pytest.mark.parametrize("path", [b"/predictions/", b"/predictions/a/..", b"/predictions/a/1/2", b"/predictions/a/"])
def test_what_is_no_torchserve_path(path: bytes) -> None:
    assert TORCH.match_path(path, b"") is None


def test_where_it_goes_upstream() -> None:
    def at(dialect: Predictive, model: str, base: str, operation: str = "inference") -> str:
        return dialect.upstream_path(operation, model, base, None, stream=False)  # type: ignore[arg-type]

    assert at(OIP, "iris/versions/3", "/serving") == "/serving/v2/models/iris/versions/3/infer"
    assert at(OIP, "iris/ready", "/v2", "description") == "/v2/models/iris/ready"
    assert at(OIP, "a b?c", "") == "/v2/models/a%20b%3Fc/infer"
    assert at(TF, "iris:predict", "/v1") == "/v1/models/iris:predict"
    assert at(TORCH, "iris/2.0?a=b?%20", "/serve", "prediction") == "/serve/predictions/iris/2.0?a=b?%20"


@pytest.mark.parametrize(("shape", "rows"), [([3, 4], 3), ([1], 1), ([], 1)])
def test_a_row_is_along_the_first_dimension(shape: list[int], rows: int) -> None:
    view = read(OIP, tensor(shape))
    assert (view.estimated_input_tokens, view.worst_input_tokens, view.max_output_tokens) == (rows, rows, 0)


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ({"instances": [1, 2, 3]}, 3),
        ({"inputs": {"a": [1, 2], "b": [3, 4]}}, 2),
        ({"inputs": [[1], [2], [3], [4]]}, 4),
        ({"inputs": 5}, 1),
        ({"examples": [{"x": 1}, {"x": 2}]}, 2),
    ],
)
def test_rows_of_tensorflow(body: object, rows: int) -> None:
    assert read(TF, json.dumps(body).encode()).estimated_input_tokens == rows


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b"[1, 2, 3]", 3),
        (b" \n[[1, 2], [3, 4]]", 2),
        (b'{"instances": [{"data": 1}, {"data": 2}]}', 2),
        (b'{"instances": "both"}', 1),
        (b'{"data": [1, 2, 3]}', 1),
        (b"[]", 1),
        (b"", 1),
        (b"[1, 2", 1),
        (b"[" * 100_000, 1),
        (b"\x89PNG\r\n", 1),
    ],
)
def test_rows_of_torchserve_and_the_body_as_it_is(body: bytes, rows: int) -> None:
    view = TORCH.read("prediction", body, PathTells(model="flowers", suffix="/2.0", media=b"image/png"))
    assert (view.estimated_input_tokens, view.worst_input_tokens, view.max_output_tokens) == (rows, rows, 0)
    assert (view.model, view.suffix, view.media, view.body_bytes) == ("flowers", "/2.0", b"image/png", len(body))
    assert TORCH.encode_request(view, UpstreamModel("iris"), output_cap=None) == body


HEAD = b'{"inputs":[{"name":"x","shape":[3,1],"datatype":"FP16","parameters":{"binary_data_size":6}}]}'


def binary(said: bytes, body: bytes) -> View:
    tells = PathTells(model="flowers", media=b"application/octet-stream", json_bytes=said)
    return OIP.read("inference", body, tells)


@pytest.mark.parametrize(("said", "rows"), [(b"%d" % len(HEAD), 3), (b"0", 1)])
def test_binary_tensors_go_up_as_they_are_and_rows_are_read_from_the_json(said: bytes, rows: int) -> None:
    body = HEAD + b"\x00<\x00@\x00B"
    view = binary(said, body)
    assert (view.estimated_input_tokens, view.body_bytes) == (rows, len(body))
    assert view.media == b"application/octet-stream"
    assert OIP.encode_request(view, UpstreamModel("iris"), output_cap=None) == body


@pytest.mark.parametrize(
    ("said", "clause"),
    [
        (b"all", "must be a number"),
        (b"-1", "must be a number"),
        (b"9" * 19, "must be a number"),
        (b"1000", "says 1000 bytes"),
        (b"7", "are no JSON object"),
    ],
)
def test_a_wrong_length_of_json_is_refused_by_the_headers_name(said: bytes, clause: str) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        binary(said, HEAD + b"\x00<\x00@\x00B")
    problem = caught.value.problem
    assert (problem.status, problem.field) == (400, "Inference-Header-Content-Length")
    assert clause in problem.message


@pytest.mark.parametrize(
    ("dialect", "body", "field"),
    [
        (OIP, b"{}", "inputs"),
        (OIP, b'{"inputs":[]}', "inputs"),
        (OIP, b'{"inputs":{}}', "inputs"),
        (OIP, tensor([0, 4]), "inputs"),
        (OIP, tensor([-1]), "inputs"),
        (OIP, tensor([10**12]), "inputs"),
        (TF, b"{}", "instances"),
        (TF, b'{"instances":7}', "instances"),
        (TF, b'{"inputs":{}}', "inputs"),
    ],
)
def test_what_is_refused_names_the_field(dialect: Predictive, body: bytes, field: str) -> None:
    problem = refused(dialect, body)
    assert (problem.status, problem.code, problem.field) == (400, "invalid_request", field)


def test_tensors_pass_byte_for_byte_and_the_model_gets_its_public_name() -> None:
    body = b'{"id":"1","inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[1.10e3]}],"extra":null}'
    view = read(OIP, body, "/versions/3")
    assert OIP.encode_request(view, UpstreamModel("iris"), output_cap=None) == body
    assert view.suffix == "/versions/3"
    answer = OIP.read_answer("inference", b'{"model_name":"iris","outputs":[{"data":[1.10e3]}]}')
    assert answer.usage is COUNTED
    assert OIP.encode_answer(answer, view) == b'{"model_name":"flowers","outputs":[{"data":[1.10e3]}]}'


def test_a_description_has_no_body_and_no_rows() -> None:
    view = OIP.read("description", b"", PathTells(model="flowers", suffix="/ready"))
    assert view.estimated_input_tokens == 0
    assert OIP.encode_request(view, UpstreamModel("iris"), output_cap=None) == b""
    assert OIP.encode_answer(OIP.read_answer("description", b""), view) == b"{}"


def test_faults_and_problems() -> None:
    assert OIP.read_fault(404, b'{"error":"Model x not found"}').message == "Model x not found"
    assert OIP.read_fault(422, b'{"detail":[{"loc":["inputs"]}]}').message.startswith("[{")
    assert OIP.read_fault(500, b"<html>").message == ""
    told = json.loads(OIP.encode_problem(Problem(status=429, code="budget_exceeded", message="No money left.")))
    assert told == {"error": "No money left.", "code": "budget_exceeded"}


def test_faults_and_problems_of_torchserve() -> None:
    body = b'{"code":404,"type":"ModelNotFoundException","message":"Model not found: x"}'
    fault = TORCH.read_fault(404, body)
    assert (fault.type, fault.message) == ("ModelNotFoundException", "Model not found: x")
    assert TORCH.read_fault(500, b"oops").message == ""
    told = json.loads(TORCH.encode_problem(Problem(status=404, code="model_not_found", message="No model.")))
    assert told == {
        "code": 404,
        "type": "ModelNotFoundException",
        "message": "No model.",
        "reason": "model_not_found",
    }


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{"])
def test_answers_that_are_none(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        OIP.read_answer("inference", body)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(body: bytes) -> None:
    for dialect in (OIP, TF):
        try:
            read(dialect, body)
        except UnreadableRequest as error:
            assert error.problem.status == 400


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(st.sampled_from(["inputs", "instances", "shape", "name", "datatype"]), x, max_size=4)
        ),
        max_leaves=8,
    )
)
def test_arbitrary_json_is_read_or_refused(value: object) -> None:
    for name in ("inputs", "instances", "examples"):
        body = json.dumps({name: value}).encode()
        for dialect in (OIP, TF):
            try:
                assert read(dialect, body).estimated_input_tokens > 0
            except UnreadableRequest as error:
                assert error.problem.status == 400
