"""The value types of configuration fields beyond text and numbers, and their readers from source text.

Each reader takes what was written and raises ValueError with a message that completes "…: ".
"""

import re
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from enum import Enum
from typing import Annotated, Final
from zoneinfo import ZoneInfo, available_timezones

from msgspec import Struct

from tidegate.core.money import nano_from_usd


class Notation(Enum):
    """How a scalar is written, where its Python type does not say."""

    DURATION = "duration"
    SIZE = "size"
    USD = "usd"
    TIMEZONE = "timezone"


class OneOrMany(Struct, frozen=True):
    """A list that may be written without brackets when it has one item."""


Duration = Annotated[float, Notation.DURATION]
"""Seconds; written `250ms`, `30s`, `5m`, `1h`, `7d`."""
Size = Annotated[int, Notation.SIZE]
"""Bytes; written as a whole number or `64KiB`, `32MiB`, `4GiB`, `10MB`."""
Usd = Annotated[Decimal, Notation.USD]
"""Exact: read from the source text, never through a binary float."""
Timezone = Annotated[str, Notation.TIMEZONE]
"""A name of the IANA time zone database."""

_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS: Final = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_SIZE: Final = re.compile(r"([0-9]+)\s?(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?")
_BYTES: Final = {
    None: 1,
    "B": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)},
}
_WHOLE: Final = re.compile(r"[+-]?[0-9][0-9_]*")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LONGEST_NUMBER: Final = 40


def read_duration(text: str) -> float:
    match = _DURATION.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    if match is None:
        raise ValueError(f"`{text}` is not a duration such as 250ms, 30s, 5m, 1h or 7d")
    return float(Decimal(match[1]) * _SECONDS[match[2]])


def read_size(text: str) -> int:
    match = _SIZE.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    if match is None:
        raise ValueError(f"`{text}` is not a size such as 65536, 64KiB or 32MiB")
    return int(match[1]) * _BYTES[match[2]]


def read_usd(text: str) -> Decimal:
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        raise ValueError(f"`{text}` is not an amount of USD such as 12.50")
    amount = Decimal(text)
    if amount < 0:
        raise ValueError(f"{text} USD is negative")
    nano_from_usd(amount)
    return amount


def read_timezone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ValueError, OSError, KeyError) as error:
        close = get_close_matches(text, available_timezones(), n=1)
        example = close[0] if close else "Europe/Berlin"
        raise ValueError(f"`{text}` is not a time zone such as {example}") from error
    return text


def read_integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER or not _WHOLE.fullmatch(text):
        raise ValueError(f"`{text}` is not a whole number")
    return int(text)


def read_number(text: str) -> float:
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        raise ValueError(f"`{text}` is not a number")
    try:
        return float(Decimal(text))
    except (InvalidOperation, OverflowError) as error:
        raise ValueError(f"`{text}` is not a number") from error


def read_boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"`{text}` is not `true` or `false`")
    return text == "true"
