"""Every case file of tests/dialect_cases: requests, whole answers, streams cut at every byte."""

import json
from functools import cache

import pytest
from tests.support.dialect_case import Case, case_id, cases, parse_usage

from tidegate.core.usage import Usage
from tidegate.dialects.registry import DIALECTS


def bare(usage: Usage | None) -> Usage | None:
    if usage is None:
        return None
    return Usage(**{name: getattr(usage, name) for name in Usage.__struct_fields__ if name != "raw"})


@pytest.mark.parametrize("case", cases("upstream-request"), ids=case_id)
def test_what_goes_upstream(case: Case) -> None:
    view, sent = case.sent()
    assert json.loads(sent) == json.loads(case.text("upstream-request"))
    dropped = case.text("dropped").decode().split() if "dropped" in case.sections else []
    assert sorted(view.dropped) == sorted(dropped)


@pytest.mark.parametrize("case", cases("problem"), ids=case_id)
def test_what_is_refused(case: Case) -> None:
    status, code, *field = case.sections["problem"].argument.split()
    problem = case.problem()
    assert (problem.status, problem.code, problem.field) == (int(status), code, field[0] if field else None)
    assert case.text("problem").decode().strip() in problem.message


@pytest.mark.parametrize("case", cases("upstream-answer"), ids=case_id)
def test_whole_answers(case: Case) -> None:
    answer, usage = case.answered()
    assert json.loads(answer) == json.loads(case.text("answer"))
    if "usage" in case.sections:
        assert bare(usage) == parse_usage(case.text("usage"))


@cache
def assert_cuts_change_nothing(dialect: str, data: bytes) -> None:
    """Wherever a stream is cut in two its frames are the same, and so is all that is made of them."""
    whole = DIALECTS[dialect].splitter().feed(data)
    for place in range(1, len(data)):
        splitter = DIALECTS[dialect].splitter()
        assert [*splitter.feed(data[:place]), *splitter.feed(data[place:])] == whole


@pytest.mark.parametrize("case", cases("upstream-stream"), ids=case_id)
def test_streams(case: Case) -> None:
    """Whole, one byte at a time, cut in two at every place."""
    data = case.text("upstream-stream")
    stream, usage, ended = case.streamed([data])
    assert stream.decode("utf-8", "backslashreplace") == case.text("stream").decode("utf-8", "backslashreplace")
    assert ended == (case.sections["stream"].argument != "cut")
    if "usage" in case.sections:
        assert bare(usage) == parse_usage(case.text("usage"))
    assert case.streamed([data[i : i + 1] for i in range(len(data))])[0] == stream
    assert_cuts_change_nothing(case.upstream.name, data)
