"""What Claude models take, by the version in their names.

Source: Anthropic's model overview, extended thinking, effort and structured outputs guides; its release notes.
Names without a version (a proxy's alias) count as the newest; models that are no Claude but are served in this
dialect (Kimi, GLM, MiniMax) take what Claude took before it chose its thinking by itself.
"""

import re
from typing import Final

Version = tuple[int, int]

_NEWEST: Final = (99, 0)
_CLASSIC: Final = (4, 5)
_VERSION: Final = re.compile(r"claude-(?:[a-z]+-)*(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")


def version_of(model: str) -> Version:
    """`claude-3-7-sonnet-20250219` → (3, 7); `anthropic/claude-opus-4.6` → (4, 6); `claude-opus-4-20250514` → (4, 0)."""
    name = model.lower()
    if "claude" not in name:
        return _CLASSIC
    found = _VERSION.search(name)
    return _NEWEST if found is None else (int(found[1]), int(found[2] or 0))


def takes_samplers(version: Version) -> bool:
    return version < (4, 7)


def takes_both_samplers(version: Version) -> bool:
    """`temperature` and `top_p` in one request."""
    return version < (4, 1) or version == _CLASSIC


def thinks(version: Version) -> bool:
    return version >= (3, 7)


def thinks_adaptively(version: Version) -> bool:
    """`thinking: {type: adaptive}` with `output_config.effort`; before that, a budget of tokens."""
    return version >= (4, 6)


def takes_budget(version: Version) -> bool:
    return (3, 7) <= version < (4, 7)


def takes_system_turns(version: Version) -> bool:
    """System messages inside the conversation; before that, at its top alone."""
    return version > (4, 7)
