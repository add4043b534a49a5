"""Every module has its twin: `ogp/x/y.py` is tested by `tests/unit/x/test_y.py`."""

from pathlib import Path, PurePath

ROOT = Path(__file__).resolve().parents[1]


def twin(module: PurePath) -> PurePath:
    """`auth/users.py` -> `auth/test_users.py`; `__main__.py` -> `test_main.py`."""
    return module.with_name(f"test_{module.stem.strip('_')}.py")


def modules() -> set[PurePath]:
    """Our modules, relative to `ogp`; a package's own file holds only a docstring."""
    found = (ROOT / "ogp").rglob("*.py")
    return {path.relative_to(ROOT / "ogp") for path in found if path.name != "__init__.py"}


def unit_tests() -> set[PurePath]:
    found = (ROOT / "tests" / "unit").rglob("test_*.py")
    return {path.relative_to(ROOT / "tests" / "unit") for path in found}


def orphans(tests: set[PurePath], tested: set[PurePath]) -> set[PurePath]:
    """Tests of no module. `test_users_races.py` may stand beside `test_users.py` of `users.py`."""
    twins = {twin(module) for module in tested}
    return {
        test
        for test in tests
        if not any(
            test.parent == known.parent
            and (test == known or test.stem.startswith(f"{known.stem}_"))
            for known in twins
        )
    }


def test_every_module_has_its_twin() -> None:
    tests = unit_tests()
    assert sorted(str(module) for module in modules() if twin(module) not in tests) == []


def test_no_unit_test_is_left_without_a_module() -> None:
    assert sorted(str(test) for test in orphans(unit_tests(), modules())) == []


def test_only_package_files_carry_no_code() -> None:
    with_code = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "ogp").rglob("__init__.py")
        if path.parent != ROOT / "ogp" and len(path.read_text("utf-8").splitlines()) > 3
    ]
    assert with_code == []


def test_an_orphan_is_seen() -> None:
    tested = {PurePath("auth/users.py")}
    tests = {
        PurePath("auth/test_users.py"),
        PurePath("auth/test_users_races.py"),
        PurePath("auth/test_userspace.py"),
        PurePath("audit/test_users.py"),
    }
    assert orphans(tests, tested) == {
        PurePath("auth/test_userspace.py"),
        PurePath("audit/test_users.py"),
    }
