"""What the settings ask of the finder of personal data, and what is missing for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ogp.guard.classifier import is_installed
from ogp.guard.personal_data import NAME_ENTITIES, check_languages, chosen_entities
from ogp.guard.weights import missing_from
from ogp.settings.guard_schema import GuardSettings

NAME = "anonymize"
PACKAGES = ("presidio_analyzer", "phonenumbers")
HOW_TO_INSTALL = "./run_proxy.sh without --lite brings it"
HasPackage = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class AnonymizeRule:
    """What is looked for."""

    entities: tuple[str, ...]
    """By patterns."""
    names: tuple[str, ...]
    """By a model; empty without one."""
    names_off: str
    """Why no model looks for names, for people."""
    languages: tuple[str, ...]
    threshold: float
    directory: Path
    """Of the model's weights."""
    models_path: Path
    required: bool
    """False: where it cannot be loaded, texts may pass as they are."""
    timeout_s: float
    """Longest search in one text, the wait for loading and for a thread included, in seconds."""
    max_parts: int
    """Parts of one text; a longer one is refused."""


def why_off(settings: GuardSettings, has_package: HasPackage = is_installed) -> str:
    """Why nothing is replaced, for people; empty if `build_anonymizer` builds something."""
    enabled = settings.input_scanners.anonymize.enabled
    if enabled is False or not settings.input_enabled:
        return "switched off"
    missing = missing_packages(has_package)
    return f"{missing}; {HOW_TO_INSTALL}" if enabled == "auto" and missing else ""


def missing_packages(has_package: HasPackage = is_installed) -> str:
    """Which packages it lacks, for people; empty if none. Imports nothing."""
    absent = [package for package in PACKAGES if not has_package(package)]
    return f"the package {' and '.join(absent)} is not installed" if absent else ""


def names_directory(settings: GuardSettings) -> Path:
    """Where the weights for names lie, or would."""
    return settings.input_scanners.anonymize.path or settings.models.path / NAME


def rule_of(settings: GuardSettings, has_package: HasPackage = is_installed) -> AnonymizeRule:
    """What the settings ask for.

    Raises:
        ValueError: an entity or language is unknown, or `names` and `entities` contradict.
    """
    own = settings.input_scanners.anonymize
    chosen = chosen_entities(own.entities)
    check_languages(own.languages)
    names = tuple(name for name in chosen if name in NAME_ENTITIES)
    _check_names(own.names, names, is_asked=bool(own.entities))
    directory = names_directory(settings)
    names_off = "" if names else "no entity asks for it"
    if own.names is False:
        names_off = "switched off"
    elif names and own.names == "auto":
        names_off = _missing_for_names(directory, has_package)
    return AnonymizeRule(
        entities=tuple(name for name in chosen if name not in NAME_ENTITIES),
        names=() if names_off else names,
        names_off=names_off,
        languages=own.languages,
        threshold=own.threshold,
        directory=directory,
        models_path=settings.models.path,
        required=own.enabled != "optional",
        timeout_s=settings.models.timeout_s,
        max_parts=settings.models.max_windows,
    )


def _check_names(setting: bool | str, names: Sequence[str], *, is_asked: bool) -> None:
    if setting is False and is_asked and names:
        raise ValueError(
            f"guard.input_scanners.anonymize: entities ask for {names[0]}, but names is false"
        )
    if setting is True and not names:
        raise ValueError(
            "guard.input_scanners.anonymize: names is true, but entities ask for none of "
            f"{', '.join(NAME_ENTITIES)}"
        )


def _missing_for_names(directory: Path, has_package: HasPackage) -> str:
    if not has_package("tokenizers"):
        return "the package tokenizers is not installed"
    return missing_from(directory)
