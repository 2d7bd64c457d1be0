"""Invented content: prose, values for JSON schemas, token pieces. The same generator state gives the same content."""

import json
import random
import re
from collections.abc import Iterator
from typing import Any, Final, cast

_SENTENCES: Final = (
    "The tide turns twice a day, and the gate turns with it.",
    "Water that waits behind the sill weighs more than it looks.",
    "Most of the work is done before the wave arrives.",
    "A lock keeper counts every boat, the large ones and the small ones alike.",
    "What goes out must have come in; the ledger on the quay says when.",
    "In short: measure first, open slowly, and write down what passed.",
    "At spring tide the difference is about 4.5 metres, at neap tide barely 2.",
    "Nobody remembers the storms that the wall kept out.",
    "The café on the jetty opens at six and closes when the fish is gone.",
    "On the chart the channel is a thin blue line – on the water it is a road.",
    "Pilots in Kōbe call the evening current 夕潮, and trust it more than the clock.",
    "A good gate is boring to watch 🌊 and expensive to be without.",
    "If two ships ask at once, the one with less water under its keel goes first.",
    "The harbour master's rule is simple: no promise without a reserve.",
    "Rust begins where nobody looks, so look there on Mondays.",
    "Yes, the figures agree; they were added twice by different people.",
)
_TOKEN: Final = re.compile(r" ?[^\W_]{1,9}|\s|.", re.DOTALL)
_DEEPEST: Final = 12


def split_tokens(text: str) -> list[str]:
    """Pieces of about a word; joined they are the text."""
    return _TOKEN.findall(text)


_SENTENCE_TOKENS: Final = tuple(split_tokens(sentence) for sentence in _SENTENCES)


def estimate_tokens(text: bytes) -> int:
    """Four bytes are a token: near enough for prose, and the same everywhere."""
    return (len(text) + 3) // 4


def invent_prose(rng: random.Random, count: int) -> list[str]:
    """Whole sentences of at least `count` tokens."""
    tokens: list[str] = []
    left: list[list[str]] = []
    while len(tokens) < count:
        if not left:
            left = rng.sample(_SENTENCE_TOKENS, len(_SENTENCE_TOKENS))
        first, *others = left.pop()
        tokens.append(f" {first}" if tokens else first)
        tokens.extend(others)
    return tokens


def invent_tokens(rng: random.Random, count: int) -> list[str]:
    """Prose of exactly `count` tokens, wherever that ends."""
    return invent_prose(rng, count)[:count]


def invent_json(rng: random.Random, schema: dict[str, Any]) -> str:
    """A JSON text that satisfies the schema, as far as types, enums, required fields and references go."""
    return json.dumps(_value(rng, schema, schema, 0), ensure_ascii=False)


def _value(rng: random.Random, schema: object, root: dict[str, Any], depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return None
    fields = cast(dict[str, Any], schema)
    if "$ref" in fields:
        return _value(rng, _resolve(str(fields["$ref"]), root), root, depth + 1)
    if "const" in fields:
        return fields["const"]
    if fields.get("enum"):
        return rng.choice(fields["enum"])
    for union in ("anyOf", "oneOf", "allOf"):
        if fields.get(union):
            return _value(rng, fields[union][0], root, depth + 1)
    kind = fields.get("type", "object" if "properties" in fields else "string")
    if isinstance(kind, list):
        kind = next((item for item in cast(list[str], kind) if item != "null"), "null")
    if kind == "object":
        properties = fields.get("properties", {})
        return {name: _value(rng, inner, root, depth + 1) for name, inner in properties.items()}
    if kind == "array":
        count = max(int(fields.get("minItems", 0)), min(2, int(fields.get("maxItems", 2))))
        return [_value(rng, fields.get("items", {}), root, depth + 1) for _ in range(count)]
    return _scalar(rng, str(kind), fields)


def _scalar(rng: random.Random, kind: str, fields: dict[str, Any]) -> Any:
    if kind == "integer":
        low = int(fields.get("minimum", 0))
        return rng.randint(low, max(low, int(fields.get("maximum", low + 100))))
    if kind == "number":
        low = float(fields.get("minimum", 0))
        return round(rng.uniform(low, max(low, float(fields.get("maximum", low + 100)))), 2)
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "null":
        return None
    return "".join(invent_tokens(rng, 4))


def _resolve(reference: str, root: dict[str, Any]) -> object:
    found: object = root
    for part in _reference_parts(reference):
        found = cast(dict[str, Any], found).get(part) if isinstance(found, dict) else None
    return found


def _reference_parts(reference: str) -> Iterator[str]:
    """`#/$defs/City` → `$defs`, `City` (RFC 6901)."""
    for part in reference.removeprefix("#").split("/"):
        if part:
            yield part.replace("~1", "/").replace("~0", "~")
