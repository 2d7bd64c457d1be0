"""What a field takes, derived once from the Structs' annotations: the one description that the reader and the JSON
Schema share.
"""

import types
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from tidegate.config.scalars import Notation, OneOrMany
from tidegate.core.snapshot import SecretRef

Form = Literal[
    "text", "integer", "number", "boolean", "choice", "duration", "size", "usd", "timezone", "secret"
]  # fmt: skip

_PLAIN: Final[dict[Any, Form]] = {
    str: "text", int: "integer", float: "number", bool: "boolean", Decimal: "usd", SecretRef: "secret",
}  # fmt: skip


class ScalarShape(Struct, frozen=True, kw_only=True):
    """One value written as text. Bounds hold for what was read, `pattern` for what was written."""

    form: Form
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    optional: bool = False
    """null stands for "not set"; so in every shape."""


class StructShape(Struct, frozen=True, kw_only=True):
    """A mapping with known keys."""

    struct: type[Struct]
    optional: bool = False


class MapShape(Struct, frozen=True, kw_only=True):
    """A mapping with any keys."""

    item: "Shape"
    optional: bool = False


class ListShape(Struct, frozen=True, kw_only=True):
    """A list; with `one_or_many` a single item may stand for a list of one."""

    item: "Shape"
    one_or_many: bool = False
    optional: bool = False


Shape = ScalarShape | StructShape | MapShape | ListShape


class FieldShape(Struct, frozen=True, kw_only=True):
    """One key of a mapping. `name` is the attribute, `key` what is written."""

    name: str
    key: str
    shape: Shape
    required: bool
    default: Any = None
    """Of a field that is not required, as the Struct holds it."""


def _marked(annotation: Any) -> tuple[Any, list[Any]]:
    """The type inside `Annotated[…]` and `… | None`, with the marks; `None` in the marks stands for the latter."""
    marks: list[Any] = []
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            marks.extend(annotation.__metadata__)
            annotation = annotation.__origin__
        elif origin in (Union, types.UnionType):
            inner = [one for one in get_args(annotation) if one is not type(None)]
            if len(inner) != 1:
                raise TypeError(f"a field of a resource takes one type or null: {annotation}")
            marks.append(None)
            annotation = inner[0]
        else:
            return annotation, marks


def shape_of(annotation: Any) -> Shape:
    """Raises TypeError for an annotation that no shape covers: a mistake in a kind's definition."""
    plain, marks = _marked(annotation)
    optional = None in marks
    origin, arguments = get_origin(plain), get_args(plain)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        many = any(isinstance(mark, OneOrMany) for mark in marks)
        return ListShape(item=shape_of(arguments[0]), one_or_many=many, optional=optional)
    if origin is dict and arguments[0] is str:
        return MapShape(item=shape_of(arguments[1]), optional=optional)
    if plain not in _PLAIN and isinstance(plain, type) and issubclass(plain, Struct):
        return StructShape(struct=plain, optional=optional)
    return _scalar_shape(plain, marks)


def _scalar_shape(plain: Any, marks: list[Any]) -> ScalarShape:
    if get_origin(plain) is Literal:
        shape = ScalarShape(form="choice", choices=get_args(plain))
    elif plain in _PLAIN:
        shape = ScalarShape(form=_PLAIN[plain])
    else:
        raise TypeError(f"no shape for {plain!r}")
    changes: dict[str, Any] = {"optional": None in marks}
    for mark in marks:
        match mark:
            case Notation():
                changes["form"] = mark.value
            case msgspec.Meta():
                bounds = {"minimum": mark.ge, "maximum": mark.le, "pattern": mark.pattern}
                changes |= {name: bound for name, bound in bounds.items() if bound is not None}
            case _:
                pass
    return msgspec.structs.replace(shape, **changes)


@cache
def fields_of(struct: type[Struct]) -> tuple[FieldShape, ...]:
    """A Struct's keys in the order of its definition."""
    fields: list[FieldShape] = []
    for field in msgspec.structs.fields(struct):
        default = field.default
        if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        required = default is msgspec.NODEFAULT
        fields.append(
            FieldShape(
                name=field.name,
                key=field.encode_name,
                shape=shape_of(field.type),
                required=required,
                default=None if required else default,
            )
        )
    return tuple(fields)


def not_yet_keys(struct: type[Struct]) -> tuple[str, ...]:
    """Keys that the contract names for this mapping and that this version refuses by name."""
    return getattr(struct, "not_yet", ())
