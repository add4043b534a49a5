"""What handlers share."""

import pytest

from ogp.demo.call import Loaded, RefusedError, World
from ogp.demo.generation import Engine, Timing, Turns
from ogp.demo.ledger import Ledger
from ogp.demo.models import Behaviour, Library


def make_world() -> World:
    ledger = Ledger(keep_requests=1, keep_bytes=1)
    return World(Library(["llama2"]), Loaded(), set(), Engine(ledger, Timing(), Turns(0)))


def test_model_that_is_used_is_loaded() -> None:
    world = make_world()
    world.model("LLAMA2")
    assert [model.name for model in world.loaded.listed()] == ["llama2:latest"]


def test_unloaded_model_is_no_longer_listed() -> None:
    world = make_world()
    world.model("llama2")
    world.loaded.unload("llama2")
    world.loaded.unload("never")
    assert world.loaded.listed() == []


@pytest.mark.parametrize("name", ["", "mistral"])
def test_model_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(RefusedError) as refused:
        make_world().model(name)
    assert (refused.value.status, refused.value.message) == (404, f"model '{name}' not found")


def test_refusal_may_be_worded_otherwise() -> None:
    with pytest.raises(RefusedError, match=r"no \{\} here"):
        make_world().model("{}", missing="no {} here")


def test_ordinary_model_behaves_like_demo() -> None:
    assert make_world().behaviour("llama2") == Behaviour()


def test_model_of_the_grammar_behaves_as_its_name_says() -> None:
    assert make_world().behaviour("CUT").fault == "cut"
