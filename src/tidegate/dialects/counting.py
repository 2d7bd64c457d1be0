"""Counting a prompt's tokens without a call of the model, where a dialect has that."""

import re
from typing import Final, Protocol, runtime_checkable

from tidegate.core.view import View

_BASE64: Final = re.compile(rb'"[A-Za-z0-9+/=]{1024,}"')
_PROMPTS: Final = (
    *("system", "messages", "tools", "toolConfig"),
    *("input", "instructions"),
    *("contents", "systemInstruction", "system_instruction", "generateContentRequest", "generate_content_request"),
)
"""Where the dialects have them."""
_MEDIA_TOKENS: Final = 1_600
"""About what an image of the usual size comes to."""


@runtime_checkable
class CountsTokens(Protocol):
    """A dialect whose clients may ask for a count; where no upstream can tell, they get an estimate."""

    def encode_count(self, tokens: int) -> bytes: ...


def estimated_tokens(view: View) -> int:
    """A quarter of the prompt's bytes; images and documents by the piece, not by their base64."""
    size = pieces = 0
    for name in _PROMPTS:
        raw = view.fields.get(name)
        if raw is not None:
            text, found = _BASE64.subn(b"", bytes(raw))
            size += len(text)
            pieces += found
    return (size >> 2) + 1 + pieces * _MEDIA_TOKENS
