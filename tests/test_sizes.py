"""Files and functions stay small enough to be read in one go."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("ogp", "tests", "scripts", "bench", "migrations")
FILE_LINES = 400
FUNCTION_LINES = 60
GATEWAY_LINES = 150


def sources() -> list[Path]:
    """Python and shell files that people maintain."""
    found = [*ROOT.glob("*.py"), *ROOT.glob("*.sh"), ROOT / ".ci" / "run"]
    for folder in FOLDERS:
        found += [path for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".sh"}]
    return sorted(found)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(source: str) -> Iterator[tuple[str, int]]:
    """Name and number of lines, decorators included, of every function, nested ones too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield node.name, (node.end_lineno or first) - first + 1


@pytest.mark.parametrize("path", sources(), ids=name)
def test_file_is_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) < FILE_LINES


@pytest.mark.parametrize("path", [p for p in sources() if p.suffix == ".py"], ids=name)
def test_functions_are_short(path: Path) -> None:
    long = [(what, n) for what, n in functions(path.read_text("utf-8")) if n > FUNCTION_LINES]
    assert long == []


def test_gateway_can_be_read_first() -> None:
    assert len((ROOT / "ogp" / "gateway.py").read_text("utf-8").splitlines()) < GATEWAY_LINES


def test_length_counts_decorators_and_nested_functions() -> None:
    source = "@cache\ndef outer():\n    def inner():\n        return 1\n    return inner\n"
    assert list(functions(source)) == [("outer", 5), ("inner", 2)]
