"""A tree of one document → a Struct, collecting every mistake on the way instead of stopping at the first."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Any, Final

from msgspec import Struct

from tidegate.config import scalars
from tidegate.config.document import ListNode, MapNode, Node, ScalarNode
from tidegate.config.finding import Finding, Path, did_you_mean, render_path
from tidegate.config.secret import SecretMissing, read_secret
from tidegate.config.shape import ListShape, MapShape, ScalarShape, Shape, StructShape, fields_of, not_yet_keys
from tidegate.core.snapshot import SecretRef

MAX_VALUES: Final = 200_000
"""Values in one document after its aliases are expanded: a YAML bomb stops here."""

_NOUNS: Final = {
    "text": "text", "integer": "a whole number", "number": "a number", "boolean": "`true` or `false`", "choice": "text",
    "duration": "a duration such as 30s", "size": "a size such as 32MiB", "usd": "an amount of USD",
    "timezone": "a time zone", "secret": "text",
}  # fmt: skip
_PARSERS: Final[dict[str, Callable[[str], Any]]] = {
    "text": str, "integer": scalars.read_integer, "number": scalars.read_number, "boolean": scalars.read_boolean,
    "duration": scalars.read_duration, "size": scalars.read_size, "usd": scalars.read_usd,
    "timezone": scalars.read_timezone,
}  # fmt: skip
_UNQUOTED: Final = frozenset({"integer", "number", "boolean"})


class _Invalid:
    """Stands for a value whose mistakes are already among the findings."""


INVALID: Final = _Invalid()


class TooManyValues(Exception):
    """The document expands beyond MAX_VALUES."""


class Reader:
    """Reads one document of `file`; `{file: …}` paths are relative to `folder`."""

    def __init__(self, file: str, folder: FilePath, env: Mapping[str, str]) -> None:
        self.findings: list[Finding] = []
        self._file = file
        self._folder = folder
        self._env = env
        self._left = MAX_VALUES

    def read_struct(self, node: Node, struct: type[Struct], path: Path = ()) -> Any:
        """The Struct, or INVALID."""
        return self._read(node, StructShape(struct=struct), path)

    def error(self, node_or_line: Node | int, path: Path, message: str, hint: str = "") -> _Invalid:
        line = node_or_line if isinstance(node_or_line, int) else node_or_line.line
        self.findings.append(Finding(file=self._file, line=line, path=render_path(path), message=message, hint=hint))
        return INVALID

    def _read(self, node: Node, shape: Shape, path: Path) -> Any:
        self._left -= 1
        if self._left < 0:
            raise TooManyValues
        if isinstance(node, ScalarNode) and node.is_null:
            if shape.optional:
                return None
            return self.error(node, path, f"nothing is written here, expected {_noun(shape)}")
        match shape:
            case StructShape():
                return self._read_mapping_as_struct(node, shape, path)
            case ListShape():
                return self._read_list(node, shape, path)
            case MapShape():
                return self._read_map(node, shape, path)
            case ScalarShape(form="secret"):
                return self._read_secret(node, path)
            case ScalarShape():
                return self._read_scalar(node, shape, path)

    def _read_mapping_as_struct(self, node: Node, shape: StructShape, path: Path) -> Any:
        struct = shape.struct
        if not isinstance(node, MapNode):
            return self.error(node, path, f"expected a mapping with {_listed([one.key for one in fields_of(struct)])}")
        fields = {field.key: field for field in fields_of(struct)}
        values: dict[str, Any] = {}
        sound = True
        for key, child in node.entries.items():
            if key not in fields:
                self._unknown_key(node.key_lines[key], (*path, key), key, struct)
                sound = False
                continue
            value = self._read(child, fields[key].shape, (*path, key))
            sound = sound and value is not INVALID
            values[fields[key].name] = value
        for field in fields.values():
            if field.required and field.key not in node.entries:
                self.error(node, path, f"`{field.key}` is missing", f"Add `{field.key}`: {_noun(field.shape)}.")
                sound = False
        if not sound:
            return INVALID
        try:
            return struct(**values)
        except ValueError as error:
            return self.error(node, path, str(error))

    def _unknown_key(self, line: int, path: Path, key: str, struct: type[Struct]) -> None:
        if key in not_yet_keys(struct):
            self.error(line, path, *not_yet_message(f"`{key}`", "enforce"))
            return
        keys = [field.key for field in fields_of(struct)]
        self.error(line, path, "unknown key", did_you_mean(key, keys, "keys"))

    def _read_list(self, node: Node, shape: ListShape, path: Path) -> Any:
        if not isinstance(node, ListNode):
            if not shape.one_or_many:
                return self.error(node, path, "expected a list", "Write `[…]`, or one `- …` per line.")
            item = self._read(node, shape.item, path)
            return INVALID if item is INVALID else (item,)
        items = [self._read(child, shape.item, (*path, index)) for index, child in enumerate(node.items)]
        return INVALID if INVALID in items else tuple(items)

    def _read_map(self, node: Node, shape: MapShape, path: Path) -> Any:
        if not isinstance(node, MapNode):
            return self.error(node, path, "expected a mapping of names to values")
        values = {key: self._read(child, shape.item, (*path, key)) for key, child in node.entries.items()}
        return INVALID if any(value is INVALID for value in values.values()) else values

    def _read_secret(self, node: Node, path: Path) -> Any:
        if isinstance(node, MapNode):
            return self._reference(node, path)
        if isinstance(node, ScalarNode):
            return SecretRef(value=node.text)
        return self.error(node, path, "expected text, `{env: NAME}` or `{file: PATH}`")

    def _reference(self, node: MapNode, path: Path) -> SecretRef | _Invalid:
        """`{env: NAME}` or `{file: PATH}`."""
        if len(node.entries) == 1:
            ((key, value),) = node.entries.items()
            if isinstance(value, ScalarNode) and value.text:
                if key == "env":
                    return SecretRef(env=value.text)
                if key == "file":
                    return SecretRef(file=str(self._folder / value.text))
        return self.error(node, path, "expected a value, `{env: NAME}` or `{file: PATH}`")

    def _read_scalar(self, node: Node, shape: ScalarShape, path: Path) -> Any:
        if isinstance(node, MapNode):
            return self._read_referenced(node, shape, path)
        if not isinstance(node, ScalarNode):
            return self.error(node, path, f"expected {_noun(shape)}, not a list")
        if shape.form in _UNQUOTED and not node.plain:
            return self.error(node, path, f"expected {_noun(shape)}, not text", "Remove the quotes.")
        return self._from_text(node, node.text, shape, path)

    def _read_referenced(self, node: MapNode, shape: ScalarShape, path: Path) -> Any:
        """A value from outside. It may be a secret put in the wrong place, so no message quotes it."""
        reference = self._reference(node, path)
        if isinstance(reference, _Invalid):
            return INVALID
        try:
            text = read_secret(reference, self._env)
        except SecretMissing as error:
            return self.error(node, path, str(error), error.hint)
        before = len(self.findings)
        value = self._from_text(node, text, shape, path)
        if value is INVALID:
            del self.findings[before:]
            source = f"the variable {reference.env}" if reference.env else f"the file {reference.file}"
            return self.error(node, path, f"what {source} holds does not fit here: expected {_noun(shape)}")
        return value

    def _from_text(self, node: Node, text: str, shape: ScalarShape, path: Path) -> Any:
        if shape.form == "choice":
            return self._choice(node, text, shape, path)
        try:
            value = _PARSERS[shape.form](text)
        except ValueError as error:
            return self.error(node, path, str(error))
        return self._bounded(node, value, text, shape, path)

    def _choice(self, node: Node, text: str, shape: ScalarShape, path: Path) -> Any:
        if text in shape.choices:
            return text
        return self.error(node, path, f"`{text}` is not known here", did_you_mean(text, shape.choices, "values"))

    def _bounded(self, node: Node, value: Any, text: str, shape: ScalarShape, path: Path) -> Any:
        if shape.minimum is not None and value < shape.minimum:
            return self.error(node, path, f"{text} is too small", f"The least is {shape.minimum:g}.")
        if shape.maximum is not None and value > shape.maximum:
            return self.error(node, path, f"{text} is too large", f"The most is {shape.maximum:g}.")
        if shape.pattern is not None and not re.search(shape.pattern, text):
            return self.error(node, path, f"`{text}` is not allowed", f"It must match {shape.pattern}")
        return value


def not_yet_message(what: str, verb: str = "support") -> tuple[str, str]:
    """Message and hint for what the contract names and this version does not do."""
    return (
        f"this version does not {verb} {what} yet, so it refuses rather than ignores it",
        "Remove it until a version that supports it.",
    )


def _noun(shape: Shape) -> str:
    match shape:
        case ListShape():
            return "a list"
        case StructShape() | MapShape():
            return "a mapping"
        case ScalarShape():
            return f"one of {', '.join(shape.choices)}" if shape.choices else _NOUNS[shape.form]


def _listed(words: list[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
