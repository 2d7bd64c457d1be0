"""The shape of the source: sizes, names, suppressions and clocks. Import rules are import-linter's (`make lint`)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tidegate"
FOLDERS = ("src", "tests", "bench", "tools")
FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "base", "v2", "new"}
WALL_CLOCKS = {
    ("time", "time"),
    ("time", "time_ns"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
}
SHAPE_RULES = ("C901", "PLR0912", "PLR0915")
"""Complexity, branches and statements of a function: nobody is exempt in the product."""


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ".work" not in path.parts:
                yield path


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def lines_of(path: Path) -> int:
    return path.read_text().count("\n")


def test_no_file_at_all_is_longer_than_600_lines() -> None:
    assert {named(path): lines_of(path) for path in python_files(*FOLDERS) if lines_of(path) > 600} == {}


def test_no_file_is_named_after_nothing() -> None:
    vague = [
        named(path)
        for path in python_files(*FOLDERS)
        if FORBIDDEN_NAMES & set(re.split(r"[_.]", path.stem))
        or FORBIDDEN_NAMES & set(path.parent.relative_to(ROOT).parts)
    ]
    assert vague == []


def test_no_class_is_named_after_nothing() -> None:
    vague = [
        f"{named(path)}: {node.name}"
        for path in python_files("src")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and re.search(r"(Manager|Helper|Util|Utils|Base)$", node.name)
    ]
    assert vague == []


def test_every_module_says_what_it_owns() -> None:
    silent = [
        named(path)
        for path in python_files("src")
        if path.read_text().strip() and ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert silent == []


def test_no_function_is_exempt_from_the_shape_rules() -> None:
    suppressed = [
        f"{named(path)}:{number}"
        for path in python_files("src", "tools")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"#\s*noqa(?!:)", line) or any(re.search(rf"#\s*noqa:.*{rule}", line) for rule in SHAPE_RULES)
    ]
    assert suppressed == []


def test_every_suppression_says_why() -> None:
    """`# noqa: RULE - reason`, `# type: ignore[rule] - reason`."""
    bare = [
        f"{named(path)}:{number}"
        for path in python_files("src")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"#\s*(noqa: [A-Z0-9, ]+|(type|pyright): ?ignore(\[[^\]]*\])?)\s*$", line)
    ]
    assert bare == []


def test_only_the_clock_reads_the_wall_clock() -> None:
    """Everything else is given the time; a reading passed as a parameter's default is such a gift."""
    reads = [
        f"{named(path)}:{node.lineno}"
        for path in python_files("src")
        if path != SOURCE / "core" / "clock.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and (node.func.value.id, node.func.attr) in WALL_CLOCKS
    ]
    assert reads == []


def test_nothing_is_left_unfinished() -> None:
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\bNotImplementedError\(\)$|raise NotImplementedError$")
    unfinished = [
        f"{named(path)}:{number}"
        for path in python_files("src")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if words.search(line)
    ]
    assert unfinished == []


@pytest.mark.parametrize("layer", sorted(path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()))
def test_each_layer_is_named_in_the_import_rules(layer: str) -> None:
    """A folder that import-linter has not heard of could import anything."""
    assert f"tidegate.{layer}" in (ROOT / "pyproject.toml").read_text()


def test_unit_tests_mirror_the_layers() -> None:
    layers = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()}
    assert {path.name for path in (ROOT / "tests" / "unit").iterdir() if path.is_dir()} - {"__pycache__"} <= layers
