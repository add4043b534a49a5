"""The grammar of model names, and the list of models."""

from pathlib import Path

import pytest

from ogp.demo.models import CATALOGUE, Behaviour, Library, full_name, parse_name, short_name


@pytest.mark.parametrize(
    ("name", "behaviour"),
    [
        ("demo", Behaviour()),
        ("demo:latest", Behaviour()),
        ("demo:slow", Behaviour(first_byte_s=2.0, interval_s=0.2)),
        ("demo:fast", Behaviour(first_byte_s=0.0, interval_s=0.0)),
        ("demo-tokens-40-10ms", Behaviour(tokens=40, interval_s=0.01)),
        ("demo-10ms-tokens-40", Behaviour(tokens=40, interval_s=0.01)),
        ("demo-first-500ms", Behaviour(first_byte_s=0.5)),
        ("demo-first-500ms:slow", Behaviour(first_byte_s=0.5, interval_s=0.2)),
        ("hang-prefill", Behaviour("hang-prefill")),
        ("hang-decode-after-7", Behaviour("hang-decode", after=7)),
        ("cut", Behaviour("cut")),
        ("cut-head", Behaviour("cut-head")),
        ("cut-json", Behaviour("cut-json")),
        ("cut-tokens-9-after-0", Behaviour("cut", tokens=9, after=0)),
        ("reset", Behaviour("reset")),
        ("garbage", Behaviour("garbage")),
        ("garbage-json", Behaviour("garbage-json")),
        ("error-429", Behaviour("error", status=429)),
        ("error-busy", Behaviour("error-busy")),
        ("error-in-stream", Behaviour("error-in-stream")),
        ("header-drip", Behaviour("header-drip", interval_s=0.1)),
        ("header-drip-5ms", Behaviour("header-drip", interval_s=0.005)),
        ("huge", Behaviour("huge", tokens=80)),
        ("huge-tokens-2", Behaviour("huge", tokens=2)),
    ],
)
def test_name_tells_the_behaviour(name: str, behaviour: Behaviour) -> None:
    assert parse_name(name) == behaviour


@pytest.mark.parametrize(
    "name", ["", "llama2", "demo:other", "demo-", "demo-tokens", "error-200", "demo-tokens--1"]
)
def test_other_names_tell_nothing(name: str) -> None:
    assert parse_name(name) is None


@pytest.mark.parametrize("name", CATALOGUE)
def test_whole_catalogue_is_of_the_grammar(name: str) -> None:
    assert parse_name(name) is not None


@pytest.mark.parametrize(
    ("name", "full", "short"),
    [
        ("Llama2", "llama2:latest", "llama2"),
        ("llama2:7b", "llama2:7b", "llama2:7b"),
        ("host:5000/llama2", "host:5000/llama2:latest", "host:5000/llama2"),
    ],
)
def test_names_have_a_full_and_a_short_form(name: str, full: str, short: str) -> None:
    assert (full_name(name), short_name(full)) == (full, short)


def test_names_given_are_installed_besides_the_catalogue() -> None:
    library = Library(["llama2"])
    model = library.find("LLAMA2")
    assert model is not None
    assert model.name == "llama2:latest"
    assert len(library.listed()) == len(CATALOGUE) + 1


def test_names_of_the_grammar_are_installed_but_not_listed() -> None:
    library = Library([])
    assert library.find("demo-tokens-123") is not None
    assert len(library.listed()) == len(CATALOGUE)


def test_other_names_are_not_installed() -> None:
    assert Library([]).find("llama2") is None


def test_size_of_a_model_can_be_chosen() -> None:
    library = Library([])
    library.install("llama2", 5)
    assert [model.size_bytes for model in library.listed() if "llama2" in model.name] == [5]


def test_digests_differ_between_models_and_are_hexadecimal() -> None:
    first, second = Library([]).listed()[:2]
    assert first.digest != second.digest
    assert len(bytes.fromhex(first.digest)) == 32


@pytest.mark.parametrize("name", ["demo", "demo-tokens-5"])
def test_deleted_model_is_gone_until_it_is_installed_again(name: str) -> None:
    library = Library([])
    assert library.delete(name)
    assert library.find(name) is None
    assert not library.delete(name)
    library.ensure(name)
    assert library.find(name) is not None


def test_ensuring_an_installed_model_keeps_its_size() -> None:
    library = Library([])
    library.install("llama2", 5)
    library.ensure("llama2")
    model = library.find("llama2")
    assert model is not None
    assert model.size_bytes == 5


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_behaviour_is_documented(name: str) -> None:
    behaviour = parse_name(name)
    assert behaviour is not None
    written = {"": "demo", "error": "error-NNN"}.get(behaviour.fault, behaviour.fault)
    page = Path(__file__).parents[3] / "docs" / "demo.md"
    assert f"| `{written}` |" in page.read_text("utf-8")
