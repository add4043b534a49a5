"""Cache and model scanners under all their names."""

from pathlib import Path

import pytest

from ogp.settings.load import Loaded, load_content
from ogp.settings.problems import SettingsError
from ogp.settings.schema import CacheSettings

SCANNERS = """
input_scanners:
  prompt_injection: {enabled: true}
  toxicity: {enabled: true, threshold: 0.5}
"""


def loaded(text: str = "", **environ: str) -> Loaded:
    return load_content(text.encode(), "c.yaml", environ=environ, flags={})


def test_the_cache_of_an_earlier_file_is_read() -> None:
    nested = loaded("cache: {enabled: off, backend: memory, ttl: 60, max_size: 5}\n").settings
    flat = "cache_enabled: off\ncache_backend: memory\ncache_ttl: 60\ncache_size: 5\n"
    assert nested.cache == loaded(flat).settings.cache
    assert nested.cache == CacheSettings(enabled=False, backend="memory", ttl_s=60, max_entries=5)
    assert loaded("cache_size: 2000\n").settings.cache.max_entries == 2000
    environ = {"CACHE_ENABLED": "0", "CACHE_BACKEND": "memory"}
    environ |= {"CACHE_TTL": "60", "CACHE_MAX_SIZE": "5"}
    assert loaded(**environ).settings.cache == nested.cache


def test_the_models_of_an_earlier_file_are_read() -> None:
    settings = loaded("models_path: ./models\n", LLM_GUARD_DEVICE="CPU").settings.guard
    assert (settings.models.path, settings.models.device) == (Path("models"), "cpu")
    scanners = loaded(SCANNERS, LLM_GUARD_INPUT_TOXICITY="0").settings.guard.input_scanners
    assert scanners.prompt_injection.enabled is True
    assert (scanners.toxicity.enabled, scanners.toxicity.threshold) == (False, 0.5)


@pytest.mark.parametrize(
    ("text", "expected"), [("auto", "auto"), ("Optional", "optional"), ("on", True), ("no", False)]
)
def test_a_model_scanner_is_on_off_or_one_of_two_words(text: str, expected: bool | str) -> None:
    name = "guard.input_scanners.prompt_injection.enabled"
    section = f"guard: {{input_scanners: {{prompt_injection: {{enabled: {text}}}}}}}\n"
    for result in (loaded(section), loaded(LLM_GUARD_INPUT_PROMPT_INJECTION=text)):
        assert result.settings.guard.input_scanners.prompt_injection.enabled == expected
    with pytest.raises(SettingsError, match=f"{name} = maybe"):
        loaded(LLM_GUARD_INPUT_PROMPT_INJECTION="maybe")


def test_weights_for_toxicity_are_those_of_both_directions() -> None:
    guard = loaded(LLM_GUARD_TOXICITY_MODEL_PATH="/weights").settings.guard
    assert guard.input_scanners.toxicity.path == Path("/weights")
    assert guard.output_scanners.toxicity.path == Path("/weights")
