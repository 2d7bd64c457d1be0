"""Steering of single calls: `status=503`, `fault=cut-clean`, or any field of a Behaviour, joined by `;`.

Three places, so that it passes through whatever stands in between: the header `x-sim`, the request's own
`metadata: {"sim": "..."}`, or behind a `#` in the model's name (`gpt-4.1#fault=cut-clean;tokens=5`).
"""

from typing import Any

import msgspec

from tidegate.simulator.behaviour import FAULTS, BadProfile, Behaviour, behaviour_from, read_outcome

HEADER = b"x-sim"
METADATA = "sim"
_TYPES = {field.encode_name: field.type for field in msgspec.structs.fields(Behaviour)}


def split_name(name: str) -> tuple[str, str]:
    """`gpt-4.1#tokens=5` → (`gpt-4.1`, `tokens=5`)."""
    bare, _, steering = name.partition("#")
    return bare, steering


def steer(name: str, behaviour: Behaviour, *texts: str) -> tuple[Behaviour, str]:
    """→ the behaviour for one call, and what is forced upon it: "", a fault's name or `STATUS/code`.

    Later texts win. Raises BadProfile.
    """
    fields: dict[str, Any] = {}
    forced = ""
    for text in texts:
        for setting in filter(None, (part.strip() for part in text.split(";"))):
            key, separator, value = setting.partition("=")
            if not separator:
                raise BadProfile(f"steering: `{setting}` is not key=value")
            if key == "status":
                read_outcome("steering", value)
                forced = value
            elif key == "fault":
                if value not in FAULTS:
                    raise BadProfile(f"steering: `{value}` is not a fault: {', '.join(FAULTS)}")
                forced = value
            else:
                fields[key] = _read(key, value)
    return (behaviour_from(name, fields, behaviour) if fields else behaviour), forced


def _read(key: str, value: str) -> object:
    """Numbers and flags from their texts; other texts as they are."""
    if _TYPES.get(key) in (int, bool, float, float | None):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise BadProfile(f"steering: `{value}` cannot be a `{key}`") from error
    return value
