"""Ollama's errors: `{"error": "text"}`, in place of an answer and as a line of a stream."""

import msgspec

from tidegate.core.problem import Problem
from tidegate.dialects.canon import Fault
from tidegate.dialects.openai.errors import read_error

__all__ = ["Fault", "encode_error", "read_error"]


def encode_error(problem: Problem) -> bytes:
    """Its clients read `error`; the code, and the field at fault, stand beside it."""
    told = {"error": problem.message, "code": problem.code}
    if problem.field is not None:
        told["field"] = problem.field
    return msgspec.json.encode(told)
