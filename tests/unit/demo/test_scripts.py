"""Handing scripts out."""

from ogp.demo.models import Library
from ogp.demo.script import Script
from ogp.demo.scripts import Scripts

FIRST, SECOND = Script(status=201), Script(status=202)


def make_scripts() -> tuple[Scripts, Library]:
    library = Library([])
    return Scripts(library), library


def test_scripts_are_used_in_order_and_the_last_stays() -> None:
    scripts, _ = make_scripts()
    scripts.put("llama2", [FIRST, SECOND])
    used = [scripts.for_model("llama2") for _ in range(3)]
    assert used == [FIRST, SECOND, SECOND]


def test_model_is_known_by_any_spelling_of_its_name() -> None:
    scripts, _ = make_scripts()
    scripts.put("llama2", [FIRST])
    assert scripts.for_model("LLAMA2:latest") is FIRST


def test_scripted_model_is_installed() -> None:
    scripts, library = make_scripts()
    scripts.put("llama2", [FIRST])
    assert library.find("llama2") is not None


def test_path_has_scripts_of_its_own() -> None:
    scripts, _ = make_scripts()
    scripts.put("/api/tags", [FIRST])
    assert scripts.for_path("/api/tags") is FIRST
    assert scripts.for_path("/api/ps") is None


def test_no_scripts_give_a_target_back() -> None:
    scripts, library = make_scripts()
    scripts.put("llama2", [FIRST])
    scripts.put("llama2", [])
    scripts.put("never", [])
    assert scripts.for_model("llama2") is None
    assert library.find("never") is None


def test_no_name_has_no_script() -> None:
    scripts, _ = make_scripts()
    assert scripts.for_model("") is None


def test_clear_takes_all_away_and_counts_tell_what_is_left() -> None:
    scripts, _ = make_scripts()
    scripts.put("llama2", [FIRST, SECOND])
    assert scripts.counts() == {"llama2:latest": 2}
    scripts.clear()
    assert scripts.counts() == {}
