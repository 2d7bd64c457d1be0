"""The docstrings under the fields of a Struct: the one source of schema descriptions and of generated docs."""

import ast
import inspect
import textwrap
from functools import cache
from itertools import pairwise

from msgspec import Struct


@cache
def field_docs(struct: type[Struct]) -> dict[str, str]:
    """Attribute name → the text below it, in one line; inherited fields included."""
    docs: dict[str, str] = {}
    for owner in reversed(struct.__mro__):
        if issubclass(owner, Struct) and owner is not Struct:
            docs |= _own_docs(owner)
    return docs


def _own_docs(struct: type[Struct]) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(struct)))
    body = next(statement.body for statement in tree.body if isinstance(statement, ast.ClassDef))
    docs: dict[str, str] = {}
    for field, text in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            docs[field.target.id] = _one_line(text.value.value)
    return docs


def struct_doc(struct: type[Struct]) -> str:
    """The class's own docstring in one line, or ""."""
    return _one_line(struct.__dict__.get("__doc__") or "")


def _one_line(text: str) -> str:
    return " ".join(text.split())
