"""Mistral's errors: `{"object": "error", "message", "type", "param", "code"}`, and FastAPI's `{"detail": [...]}`.

Source: `httpvalidationerror` and `validationerror` of the official `mistralai` SDK; Mistral's API reference.
"""

import msgspec
from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.dialects.canon import Fault
from tidegate.dialects.openai.errors import error_object
from tidegate.dialects.openai.errors import read_error as read_openai_error


class _Detail(Struct):
    msg: str = ""
    loc: list[str | int] = []


class _Message(Struct):
    detail: str | list[_Detail] | None = None


class _Body(Struct):
    message: str | _Message | None = None
    type: str | None = None
    code: str | int | None = None
    detail: str | list[_Detail] | None = None


_decode = msgspec.json.Decoder(_Body).decode


def read_error(body: bytes) -> Fault:
    """All of its shapes, and OpenAI's, which servers behind the same paths write."""
    try:
        told = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return read_openai_error(body)
    detail = told.detail
    message = told.message
    if isinstance(message, _Message):
        message, detail = None, message.detail
    if message is None:
        message = _detail(detail)
    if not message:
        return read_openai_error(body)
    return Fault(told.type or "", str(told.code or ""), message)


def _detail(detail: str | list[_Detail] | None) -> str:
    if detail is None or isinstance(detail, str):
        return detail or ""
    return "; ".join(f"{'.'.join(map(str, one.loc))}: {one.msg}" for one in detail)


def encode_error(problem: Problem) -> bytes:
    """The body of an error answer, and of an error in a stream."""
    return msgspec.json.encode({"object": "error", **error_object(problem)})
