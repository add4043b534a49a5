"""Imports point down: the layers and third-party homes of docs/architecture.md, enforced."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"core"}),
    frozenset({"settings"}),
    frozenset({"dialects", "storage", "state", "telemetry"}),
    frozenset({"auth", "admission", "guard", "queueing", "routing", "upstream", "audit"}),
    frozenset({"gateway"}),
    frozenset({"http", "dashboard"}),
    frozenset({"assembly"}),
    frozenset({"wsgi", "cli", "__main__", "demo"}),
)
"""Lowest first. A name is a package or a module directly under `ogp`."""

SIDEWAYS = frozenset({("__main__", "cli")})
"""`python -m ogp` is the command line by another name."""

CORE_ONLY = frozenset({"demo"})
"""Stands in for a foreign server, so that it must not share our reading of the protocol."""

LOGGING = frozenset().union(*LAYERS[2:]) - CORE_ONLY
"""Telemetry alone configures the log; whoever has a fact for an operator writes to it."""

HOMES: dict[str, frozenset[str]] = {
    "alembic": frozenset({"storage"}),
    "bcrypt": frozenset({"auth"}),
    "click": frozenset({"cli", "demo"}),
    "detect_secrets": frozenset({"guard"}),
    "falcon": frozenset({"http", "dashboard"}),
    "gunicorn": frozenset({"http"}),
    "llm_guard": frozenset({"guard"}),
    "numpy": frozenset({"guard"}),
    "onnx": frozenset({"guard"}),
    "onnxruntime": frozenset({"guard"}),
    "phonenumbers": frozenset({"guard"}),
    "presidio_analyzer": frozenset({"guard"}),
    "psutil": frozenset({"queueing", "telemetry"}),
    "pydantic": frozenset({"settings"}),
    "regex": frozenset({"guard"}),
    "requests": frozenset({"routing", "cli"}),
    "rich": frozenset({"cli"}),
    "sqlalchemy": frozenset({"storage", "auth", "audit"}),
    "structlog": LOGGING,
    "tokenizers": frozenset({"guard"}),
    "torch": frozenset({"guard"}),
    "transformers": frozenset({"guard"}),
    "urllib3": frozenset({"upstream"}),
    "yaml": frozenset({"settings"}),
    "zstandard": frozenset({"http"}),
}
"""Where a third-party package may be imported; one that is not listed may not be at all."""

ANYWHERE = frozenset({"orjson"})
"""For our own answers and log lines."""

ONE_MODULE = frozenset({"detect_secrets", "gunicorn", "llm_guard"})
"""Replaceable: a single module adapts each of them."""

HEAVY = frozenset(
    {"llm_guard", "numpy", "onnx", "onnxruntime", "phonenumbers", "presidio_analyzer", "regex"}
    | {"tokenizers", "torch", "transformers"}
)
"""Seconds and hundreds of megabytes: imported inside functions only."""


def module_name(path: Path, root: Path = ROOT) -> str:
    """`ogp/auth/users.py` -> `ogp.auth.users`, `ogp/auth/__init__.py` -> `ogp.auth`."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str, package: str) -> Iterator[str]:
    """Every module a source text imports, wherever the statement stands, as absolute names.

    Args:
        source: Python text.
        package: the package it lives in, for relative imports.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                kept = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*kept, base]).rstrip(".")
            if base == "ogp":
                yield from (f"ogp.{alias.name}" for alias in node.names)
            else:
                yield base


def part_of(module: str) -> str:
    """`ogp.auth.users` -> `auth`; the root package itself, which only holds the version, -> ``."""
    return module.partition(".")[2].partition(".")[0]


def layer_of(part: str) -> int | None:
    return next((number for number, parts in enumerate(LAYERS) if part in parts), None)


def complaint(module: str, imported: str) -> str | None:
    """Why `module` must not import `imported`, or None if it may."""
    top = imported.partition(".")[0]
    here = part_of(module)
    if top == "ogp":
        return own_complaint(here, part_of(imported))
    if top in sys.stdlib_module_names or top in ANYWHERE:
        return None
    if top not in HOMES:
        return f"{top} has no home"
    return None if here in HOMES[top] else f"{top} belongs to {', '.join(sorted(HOMES[top]))}"


def own_complaint(here: str, there: str) -> str | None:
    mine, its = layer_of(here), layer_of(there)
    if there in {"", "__version__"} or here == there or (here, there) in SIDEWAYS:
        return None
    if mine is None or its is None:
        return f"{here if mine is None else there} is in no layer"
    if here in CORE_ONLY and there != "core":
        return f"{here} may import core only"
    if its > mine:
        return f"{there} lies above {here}"
    return f"{there} lies beside {here}" if its == mine else None


def own_modules() -> list[Path]:
    return sorted((ROOT / "ogp").rglob("*.py"))


def package_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).parent.parts)


@pytest.mark.parametrize("path", own_modules(), ids=module_name)
def test_imports_point_down_and_third_parties_stay_at_home(path: Path) -> None:
    module = module_name(path)
    complaints = [
        f"{module} imports {imported}: {reason}"
        for imported in imports_of(path.read_text("utf-8"), package_of(path))
        if (reason := complaint(module, imported))
    ]
    assert complaints == []


@pytest.mark.parametrize("package", sorted(ONE_MODULE))
def test_replaceable_package_has_at_most_one_module(package: str) -> None:
    users = [
        module_name(path)
        for path in own_modules()
        if any(
            imported.partition(".")[0] == package
            for imported in imports_of(path.read_text("utf-8"), package_of(path))
        )
    ]
    assert len(users) <= 1, users


def runs_at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Statements outside functions."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            yield node
            yield from runs_at_import(node)


@pytest.mark.parametrize("path", own_modules(), ids=module_name)
def test_heavy_packages_are_imported_inside_functions_only(path: Path) -> None:
    statements = [
        node
        for node in runs_at_import(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    source = "\n".join(ast.unparse(node) for node in statements)
    tops = {name.partition(".")[0] for name in imports_of(source, package_of(path))}
    assert tops & HEAVY == set()


def test_every_part_of_the_package_is_in_a_layer() -> None:
    parts = {part_of(module_name(path)) for path in own_modules()} - {""}
    assert {part for part in parts if layer_of(part) is None} == set()


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("ogp.core.types", "ogp.settings.schema"),
        ("ogp.auth.users", "ogp.gateway"),
        ("ogp.auth.users", "ogp.audit.recorder"),
        ("ogp.storage.engine", "ogp.telemetry.logs"),
        ("ogp.demo.server", "ogp.settings.schema"),
        ("ogp.wsgi", "ogp.cli.main"),
        ("ogp.core.types", "pydantic"),
        ("ogp.auth.users", "gunicorn"),
        ("ogp.http.app", "ogp.novelty"),
    ],
)
def test_forbidden_import_is_seen(module: str, imported: str) -> None:
    assert complaint(module, imported) is not None


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("ogp.http.app", "ogp.gateway"),
        ("ogp.http.app", "ogp.core.errors"),
        ("ogp.auth.users", "ogp.auth.tokens"),
        ("ogp.cli.main", "ogp.__version__"),
        ("ogp.__main__", "ogp.cli.main"),
        ("ogp.demo.server", "ogp.core.clock"),
        ("ogp.core.types", "dataclasses"),
        ("ogp.http.app", "orjson"),
    ],
)
def test_allowed_import_passes(module: str, imported: str) -> None:
    assert complaint(module, imported) is None


def test_imports_are_found_wherever_they_stand() -> None:
    source = """
import a.b
from ogp import gateway
from . import near
from .tokens import mint
from ..core import types
def later():
    from c import d
"""
    assert list(imports_of(source, "ogp.auth")) == [
        "a.b",
        "ogp.gateway",
        "ogp.auth",
        "ogp.auth.tokens",
        "ogp.core",
        "c",
    ]
