"""Version and beta features of Anthropic's API: named in headers there, in the body at Bedrock, which knows some betas.

Source: AnthropicBedrock of the official `anthropic` SDK; https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
and its pages on tool use and extended thinking. Bedrock refuses a call that names another.
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Raw

from tidegate.core.view import View
from tidegate.dialects.anthropic.dialect import API_VERSION
from tidegate.dialects.bedrock_invoke.messages import VERSION, betas_of
from tidegate.dialects.fields import bad_field

_AT_BEDROCK: Final = (
    "computer-use-", "context-1m-", "context-management-", "dev-full-thinking-", "effort-", "fine-grained-tool-streaming-",
    "interleaved-thinking-", "output-128k-", "token-efficient-tools-", "tool-examples-", "tool-search-tool-",
)  # fmt: skip
_BETA: Final = b"anthropic-beta"
_VERSION: Final = b"anthropic-version"
_OLD: Final = frozenset(("2023-01-01", API_VERSION.decode()))
_DATED: Final = re.compile(r"20\d\d-\d\d-\d\d")

_decode_str = msgspec.json.Decoder(str).decode


def version_of(fields: dict[str, Raw]) -> str:
    """Raises UnreadableRequest where it is none that there can be."""
    try:
        version = _decode_str(fields["anthropic_version"])
    except (msgspec.DecodeError, KeyError):
        version = ""
    if version != VERSION and _DATED.fullmatch(version) is None:
        raise bad_field(
            f"`anthropic_version` must be `{VERSION}`, or the date of a later version.", "anthropic_version"
        )
    return version


def asked_version(view: View) -> str:
    """In Bedrock's words, of a client that says it in a header, or as it would be in one."""
    headers = [(_VERSION, view.version)] if view.version else view.headers
    told = next((value.decode("latin-1") for name, value in headers if name == _VERSION), VERSION)
    return VERSION if told in _OLD else told


def bare_headers(version: str, betas: list[str]) -> tuple[tuple[bytes, bytes], ...]:
    """What Anthropic's own API wants of a body's envelope."""
    told = (_VERSION, API_VERSION if version == VERSION else version.encode())
    return (told, (_BETA, ",".join(betas).encode())) if betas else (told,)


def asked_betas(view: View, *, in_body: bool) -> list[str]:
    """What the client names, each once, in its order. Raises UnreadableRequest."""
    if in_body:
        return list(dict.fromkeys(betas_of(view.fields)))
    values = [value.decode("latin-1") for name, value in view.headers if name == _BETA]
    return list(dict.fromkeys(one for one in map(str.strip, ",".join(values).split(",")) if one))


def for_bedrock(betas: Iterable[str], dropped: list[str]) -> list[str]:
    """Those that Bedrock takes; the others' names are added to `dropped`."""
    taken: list[str] = []
    for one in betas:
        if one.startswith(_AT_BEDROCK):
            taken.append(one)
        else:
            dropped.append(f"anthropic-beta:{one}")
    return taken
