"""What the documents promise is what the code has: settings, their names, error codes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ogp.core import errors
from ogp.settings import aliases
from ogp.settings.keys import Key, all_keys
from ogp.settings.load import load_settings
from ogp.settings.problems import SettingsError
from ogp.settings.redact import redact
from ogp.settings.schema import Settings

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text("utf-8")
API = (ROOT / "docs" / "api.md").read_text("utf-8")
CONFIG_FILE = ROOT / "config.yaml"
DECISION = re.compile(r" ?\(D\d+\)")


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every line of every table."""
    for line in text.splitlines():
        if line.startswith("| "):
            yield [
                cell.strip()
                for cell in re.split(r"(?<!\\)\|", line.removeprefix("|").removesuffix("|"))
            ]


ROWS = {cells[0].strip("`"): cells for cells in rows(CONFIGURATION)}
KEYS = list(all_keys().values())


def default_of(key: Key) -> object:
    value: object = redact(Settings())
    for part in key.name.split("."):
        assert isinstance(value, dict)
        value = value[part]
    return value


def meaning_of(key: Key) -> str:
    return " ".join(DECISION.sub("", key.meaning).split())


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_key_is_documented_with_default_meaning_and_what_it_takes(key: Key) -> None:
    _, default, meaning, takes, *_ = ROWS[key.name]
    assert yaml.safe_load(default.strip("`")) == default_of(key)
    assert meaning == meaning_of(key)
    assert takes == key.right


def test_the_document_names_no_key_that_does_not_exist() -> None:
    documented = {name for name, cells in ROWS.items() if len(cells) == 6 and name != "key"}
    assert documented == set(all_keys())


VARIABLES = set(aliases.ENVIRONMENT.items()) | {
    (name, key) for name, keys in aliases.ENVIRONMENT_OF_TWO.items() for key in keys
}


@pytest.mark.parametrize(
    ("names", "column"),
    [(VARIABLES, 4), (set(aliases.RENAMED.items()), 5)],
    ids=["variables", "old"],
)
def test_every_other_name_of_a_key_stands_in_its_row(
    names: set[tuple[str, str]], column: int
) -> None:
    documented = {
        (name, key) for key in all_keys() for name in re.findall(r"`([^`]+)`", ROWS[key][column])
    }
    assert documented == names


@pytest.mark.parametrize(
    "names",
    [
        aliases.LATER,
        aliases.LATER_ENVIRONMENT,
        aliases.NO_EFFECT,
        aliases.NO_EFFECT_ENVIRONMENT,
        aliases.ONE_VALUE,
        aliases.REFUSED,
        aliases.REFUSED_ENVIRONMENT,
        aliases.OBEYED_ELSEWHERE,
        aliases.MOVED_SECTIONS,
    ],
)
def test_every_foreign_name_is_documented(names: frozenset[str]) -> None:
    assert [name for name in names if f"`{name}`" not in CONFIGURATION.replace(":`", "`")] == []


def test_the_shipped_file_holds_every_key_with_its_default() -> None:
    loaded = load_settings(CONFIG_FILE, environ={}, flags={})
    assert loaded.settings == Settings()
    assert loaded.notices == ()
    assert [name for name, source in loaded.sources.items() if source == "default"] == []


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_the_shipped_file_tells_meaning_and_default_above_each_key(key: Key) -> None:
    source = load_settings(CONFIG_FILE, environ={}, flags={}).sources[key.name]
    lines = CONFIG_FILE.read_text("utf-8").splitlines()[: int(source.rsplit(":", 1)[1]) - 1]
    comment: list[str] = []
    while lines and lines[-1].lstrip().startswith("#"):
        comment.insert(0, lines.pop().strip(" #"))
    told = " ".join(comment)
    assert meaning_of(key) in told
    assert yaml.safe_load(told.rsplit("Default: ", 1)[1].split(" An entry: ")[0]) == default_of(key)


def test_the_shipped_file_shows_the_tuning_sets() -> None:
    text = CONFIG_FILE.read_text("utf-8")
    for figures in ("8 / 1024 / 300", "4 / 512 / 300", "2 / 256 / 300", "auto / 512"):
        assert figures in text


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("block", blocks(CONFIGURATION, "yaml"))
def test_every_example_of_a_file_loads(block: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(block, "utf-8")
    assert set(load_settings(path, environ={}, flags={}).sources.values()) != {"default"}


def test_the_refusals_shown_are_those_one_gets(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("server:\n  port: 010\n  prot: 1\n", "utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(path, environ={"ENABLE_INPUT_GUARD": "maybe"}, flags={})
    told = str(caught.value).replace(f"{tmp_path}/", "")
    assert blocks(CONFIGURATION, "text") == [f"{told}\n"]


def error_classes(base: type[errors.GatewayError]) -> Iterator[type[errors.GatewayError]]:
    yield base
    for child in base.__subclasses__():
        if not child.__module__.startswith("ogp."):
            continue  # another test's own
        yield from error_classes(child)


def test_every_error_code_is_documented_with_status_and_form_and_no_other() -> None:
    documented = {
        cells[0].strip("`"): (int(cells[1]), cells[2] == "bare")
        for cells in rows(API)
        if len(cells) == 5 and cells[1].isdigit()
    }
    known = {
        error.code: (error.status, error.bare_code)
        for error in error_classes(errors.GatewayError)
        if error is not errors.BlockedError
    }
    assert documented == known


def test_codes_are_listed_by_status() -> None:
    statuses = [int(cells[1]) for cells in rows(API) if len(cells) == 5 and cells[1].isdigit()]
    assert statuses == sorted(statuses)
