"""Whatever a user can meet (commands, flags, fields, rules, metrics, error codes) is documented, and is tried by a test."""

import argparse
import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tidegate.cli.main import parser
from tidegate.compile.rules import RULES
from tidegate.config.resources import KINDS
from tidegate.config.shape import ListShape, MapShape, Shape, StructShape, fields_of
from tidegate.gateway.metrics import HELP

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "tools" / "generate_docs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def read(*paths: str) -> str:
    return "\n".join((DOCS / path).read_text() for path in paths)


def tried() -> str:
    """All tests but those of this folder, which name everything in general and nothing in particular."""
    files = [path for path in (ROOT / "tests").rglob("*.py") if "architecture" not in path.parts]
    cases = [path for path in (ROOT / "tests").rglob("*") if path.suffix in (".case", ".yaml")]
    return "\n".join(path.read_text() for path in [*files, *cases])


def commands() -> dict[str, argparse.ArgumentParser]:
    top = parser()
    return next(action.choices for action in top._actions if isinstance(action, argparse._SubParsersAction))


def flags() -> Iterator[tuple[str, str]]:
    for name, command in commands().items():
        for action in command._actions:
            if not isinstance(action, argparse._HelpAction):
                yield from ((name, flag) for flag in action.option_strings if flag.startswith("--"))


def codes() -> set[str]:
    """Every code that a Problem or a fault of the wire can carry, out of the source."""
    found: set[str] = set()
    for path in sorted((ROOT / "src" / "tidegate").rglob("*.py")):
        if "simulator" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                found |= set(_codes_of(node, node.func.id))
    return found


def _codes_of(node: ast.Call, called: str) -> Iterator[str]:
    candidates: list[ast.expr] = []
    if called == "Problem":
        candidates = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
    elif called in ("WireFault", "_bucket_problem"):
        candidates = node.args[1:2]
    for one in candidates:
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def config_keys(struct: type, seen: set[type]) -> Iterator[str]:
    if struct in seen:
        return
    seen.add(struct)
    for field in fields_of(struct):
        yield field.key
        inner: Shape | None = field.shape
        while isinstance(inner, ListShape | MapShape):
            inner = inner.item
        if isinstance(inner, StructShape):
            yield from config_keys(inner.struct, seen)


def test_generated_pages_are_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """If red: `make docs`."""
    monkeypatch.delenv("TIDEGATE_DATA_DIR", raising=False)
    assert generator().stale() == []


def test_every_field_is_explained() -> None:
    unexplained = re.findall(r"^\| `(\w+)` \|[^|]*\|[^|]*\|\s*\|$", read("configuration.md"), re.MULTILINE)
    assert unexplained == []


def test_every_option_is_explained() -> None:
    unexplained = [
        f"{name} {action.dest}"
        for name, command in commands().items()
        for action in command._actions
        if not action.help
    ]
    assert unexplained == []


def test_there_are_codes() -> None:
    assert codes() >= {
        "invalid_api_key",
        "model_not_allowed",
        "rate_limit_exceeded",
        "budget_exceeded",
        "upstream_error",
    }


def test_every_code_is_documented() -> None:
    assert sorted(code for code in codes() if f"`{code}`" not in read("reference/errors.md")) == []


def test_every_code_is_tried() -> None:
    text = tried()
    assert sorted(code for code in codes() if code not in text) == []


def test_every_metric_is_tried() -> None:
    text = tried()
    assert sorted(name for name in HELP if name not in text) == []


def test_every_command_is_tried() -> None:
    text = tried()
    assert sorted(name for name in commands() if f'"{name}"' not in text) == []


def test_every_flag_is_tried() -> None:
    text = tried()
    assert sorted({f"{name} {flag}" for name, flag in flags() if flag not in text}) == []


def test_every_configuration_key_is_tried() -> None:
    text = tried() + "\n".join(path.read_text() for path in (ROOT / "examples").glob("*.yaml"))
    keys = {key for kind in KINDS.values() for key in config_keys(kind, set())}
    assert sorted(key for key in keys if not re.search(rf"\b{key}\b", text)) == []


def test_every_rule_is_tried() -> None:
    text = tried()
    assert sorted(rule.name for rule in RULES if rule.name not in text) == []
