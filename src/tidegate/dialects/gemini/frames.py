"""The two forms of a client's stream: SSE (`alt=sse`), or a JSON array that is sent element by element.

The official SDK strips exactly `data: ` from a line and takes any other line for JSON: no comment, no `event:`, no `[DONE]`.
"""

import re
from typing import Final

from tidegate.core.problem import Problem
from tidegate.dialects.gemini.errors import encode_error

ARRAY: Final = "array"
_LINE_END: Final = re.compile(rb"[\r\n]+")


class Framer:
    """One stream's."""

    def __init__(self, form: str) -> None:
        self._array = form == ARRAY
        self._begun = False

    def frame(self, data: bytes) -> bytes:
        """`data` is JSON: line ends in it are outside of strings, and so can be blanks."""
        if not self._array:
            if b"\n" in data or b"\r" in data:
                data = _LINE_END.sub(b" ", data)
            return b"data: " + data + b"\n\n"
        before = b",\n" if self._begun else b"["
        self._begun = True
        return before + data

    def end(self) -> bytes:
        if not self._array:
            return b""
        return b"]" if self._begun else b"[]"

    def problem(self, problem: Problem) -> bytes:
        """An array is not closed behind it: it must not be taken for a whole answer."""
        return self.frame(encode_error(problem))
