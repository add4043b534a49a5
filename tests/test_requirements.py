"""The pinned requirements fit pyproject.toml, carry hashes and name no place to get them from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCKED = ("core.txt", "dev.txt")
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


def test_dev_pins_every_tool() -> None:
    lines = text("dev.in").splitlines()
    tools = {canonicalize_name(line) for line in lines if line and line[0] not in "#-"}
    assert tools - set(pins("dev.txt")) == set()


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
