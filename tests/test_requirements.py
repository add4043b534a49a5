"""The pinned requirements fit pyproject.toml, carry hashes and name no place to get them from."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCKED = ("core.txt", "dev.txt", "clients.txt", "llama.txt")
NPM = ROOT / "tests" / "clients"
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)(?P<rest>(?:.*\\\n)*.*)", re.M)


def text(name: str) -> str:
    return (ROOT / "requirements" / name).read_text("utf-8")


def pins(name: str) -> dict[str, str]:
    return {canonicalize_name(pin["name"]): pin["version"] for pin in PIN.finditer(text(name))}


def project() -> dict[str, dict[str, dict[str, list[str]]]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_core_pins_a_fitting_version_of_every_dependency() -> None:
    pinned = pins("core.txt")
    wanted = [Requirement(line) for line in project()["project"]["dependencies"]]
    unmet = [
        str(requirement)
        for requirement in wanted
        if not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), "0"))
    ]
    assert unmet == []


def test_dev_and_core_agree() -> None:
    core, dev = pins("core.txt"), pins("dev.txt")
    assert {
        name: version for name, version in dev.items() if core.get(name, version) != version
    } == {}


@pytest.mark.parametrize("name", ["dev", "clients", "llama"])
def test_all_that_is_asked_for_is_pinned(name: str) -> None:
    lines = text(f"{name}.in").splitlines()
    wanted = {canonicalize_name(Requirement(line).name) for line in lines if re.match(r"\w", line)}
    assert wanted - set(pins(f"{name}.txt")) == set()
    assert wanted


def test_guard_file_and_guard_extra_are_the_same() -> None:
    extra = project()["project"]["optional-dependencies"]["guard"]
    wanted = sorted(line.partition(";")[0].strip() for line in extra)
    assert sorted(f"{name}=={version}" for name, version in pins("guard.txt").items()) == wanted


@pytest.mark.parametrize("name", LOCKED)
def test_every_pin_has_hashes(name: str) -> None:
    without = [
        pin["name"] for pin in PIN.finditer(text(name)) if "--hash=sha256:" not in pin["rest"]
    ]
    assert pins(name)
    assert without == []


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").iterdir()), ids=lambda p: p.name)
def test_no_package_index_is_named(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    named = [line for line in lines if re.search(r"://|--(extra-)?index-url|--find-links", line)]
    assert named == []


def npm_packages() -> dict[str, dict[str, object]]:
    """By where they are put, what the lock file says of them; "" is our own."""
    found: dict[str, dict[str, object]] = json.loads(
        (NPM / "package-lock.json").read_text("utf-8")
    )["packages"]
    return found


def test_npm_locks_the_versions_that_are_asked_for() -> None:
    wanted = json.loads((NPM / "package.json").read_text("utf-8"))["dependencies"]
    locked = npm_packages()
    assert {name: locked[f"node_modules/{name}"]["version"] for name in wanted} == wanted


def test_every_package_of_npm_has_a_hash() -> None:
    others = {path: package for path, package in npm_packages().items() if path}
    assert [
        path
        for path, package in others.items()
        if not str(package.get("integrity", "")).startswith("sha512-")
    ] == []
    assert len(others) >= 2


@pytest.mark.parametrize("name", ["package.json", "package-lock.json"])
def test_no_registry_of_npm_is_named(name: str) -> None:
    named = re.findall(r".*(?:://|resolved|registry).*", (NPM / name).read_text("utf-8"))
    assert named == []


def test_the_clients_that_are_documented_are_those_that_are_tested() -> None:
    pinned = {**pins("clients.txt"), **pins("dev.txt")}
    npm = json.loads((NPM / "package.json").read_text("utf-8"))["dependencies"]
    rows = re.findall(
        r"^\| (Python |npm )?`([\w-]+)` \| (\d[\d.]+) \|",
        (ROOT / "docs" / "clients.md").read_text("utf-8"),
        re.M,
    )
    tested = [
        (maker, name, npm[name] if maker == "npm " else pinned[name]) for maker, name, _ in rows
    ]
    assert rows == tested
    assert len(rows) == 7
