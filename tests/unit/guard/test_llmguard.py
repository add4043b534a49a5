import json
import sys
from pathlib import Path

import pytest

from ogp.guard import llmguard
from ogp.guard.device import Device
from ogp.guard.llmguard import load_llmguard
from ogp.guard.llmguard_model import ScannerFailedError
from ogp.guard.llmguard_scanners import SCANNERS
from ogp.guard.model import Model, ModelUnavailableError, Score
from tests.support.phrase_model import score_of
from tests.support.poisoned_weights import write_poisoned
from tests.support.tiny_llmguard import CASES, CPU, NLI, Case, write_encoder
from tests.support.tiny_models import Architecture, write_classifier

BY_ID = {f"{case.name}-{case.direction}": case for case in CASES}
LENGTHS = (0, 30, 150, 700)
FILLER = "hello world the of and "


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="session")
def models(root: Path) -> dict[str, Model]:
    return {name: case.load(root) for name, case in BY_ID.items()}


def risk(model: Model, text: str, prompt: str) -> Score:
    scores = [score_of(model, window, prompt) for window in model.windows(text)]
    return max(scores, key=lambda score: score.value)


def threshold(case: Case) -> float:
    default = SCANNERS[case.name].thresholds[case.direction == "output"]
    return float(case.parameters.get("threshold", default))


def bias(root: Path, **changes: object) -> Path:
    """Weights for `bias`, with another config."""
    directory = write_classifier(root / "bias", labels=("BIASED", "NEUTRAL"))
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return directory


@pytest.mark.parametrize("name", BY_ID)
def test_what_is_to_be_hit_is_hit(name: str, models: dict[str, Model]) -> None:
    case = BY_ID[name]
    assert risk(models[name], case.hit, case.prompt).value >= threshold(case)


@pytest.mark.parametrize("name", BY_ID)
def test_what_is_clean_passes(name: str, models: dict[str, Model]) -> None:
    case = BY_ID[name]
    assert risk(models[name], case.clean, case.prompt).value < threshold(case)


def test_every_scanner_of_the_table_is_tried_in_each_direction() -> None:
    tried = {(case.name, case.direction) for case in CASES}
    both = {name for name, spec in SCANNERS.items() if len(spec.directions) == 2}
    assert {name for name, _ in tried} == set(SCANNERS)
    assert {name for name in both if len({d for n, d in tried if n == name}) < 2} == {
        "ban_competitors"
    }


@pytest.mark.parametrize("words", LENGTHS)
@pytest.mark.parametrize("name", [n for n, case in BY_ID.items() if case.labels or case.write])
def test_a_hit_is_found_wherever_it_stands_in_a_long_text(
    name: str, words: int, models: dict[str, Model]
) -> None:
    case = BY_ID[name]
    text = f"{FILLER * (words // 5)}{case.hit} {FILLER * (words // 5)}"
    assert risk(models[name], text, case.prompt).value >= threshold(case)


def test_the_label_is_the_class_that_was_seen(models: dict[str, Model]) -> None:
    assert risk(models["toxicity-output"], "you stupid", "").label == "threat"


def test_a_competitor_scores_what_the_model_says(models: dict[str, Model]) -> None:
    case = BY_ID["ban_competitors-output"]
    assert risk(models["ban_competitors-output"], case.hit, "").value > 0.99


def test_facts_name_files_precision_and_settings_but_no_path(
    models: dict[str, Model], root: Path
) -> None:
    facts = models["bias-output"].describe()
    assert facts.keys() == {"llm_guard", "settings", "model", "precision", "device"}
    assert str(root) not in str(facts)


def test_other_parameters_have_other_facts(root: Path) -> None:
    case = BY_ID["ban_topics-input"]
    facts = [
        load_llmguard(case.name, "input", {"topics": [topic]}, case.weights(root), CPU).describe()
        for topic in ("war", "love")
    ]
    assert facts[0] != facts[1]


def test_scanner_without_weights_says_so(models: dict[str, Model]) -> None:
    assert models["json-output"].describe()["model"] == "none"


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        ({"0": "LABEL_0", "1": "LABEL_1"}, "labels without meaning"),
        ({"0": "biased", "1": "neutral"}, "no label 'BIASED'"),
        ({"0": "BIASED", "1": "NEUTRAL", "2": "OTHER"}, "3 labels instead of 2"),
        ({}, "labels without meaning"),
    ],
)
def test_wrong_labels_are_refused_with_the_directory(
    tmp_path: Path, labels: dict[str, str], fault: str
) -> None:
    directory = bias(tmp_path, id2label=labels)
    with pytest.raises(ModelUnavailableError) as caught:
        load_llmguard("bias", "output", {}, directory, CPU)
    assert str(directory) in str(caught.value)
    assert fault in str(caught.value)


def test_labels_that_are_there_are_named(tmp_path: Path) -> None:
    directory = bias(tmp_path, id2label={"0": "good", "1": "bad"})
    with pytest.raises(ModelUnavailableError, match="its labels: good, bad"):
        load_llmguard("bias", "output", {}, directory, CPU)


@pytest.mark.parametrize("content", ["[1]", "{", '{"id2label": {"x": "y"}}'])
def test_broken_config_is_refused(tmp_path: Path, content: str) -> None:
    directory = bias(tmp_path)
    (directory / "config.json").write_text(content)
    with pytest.raises(ModelUnavailableError, match="is broken"):
        load_llmguard("bias", "output", {}, directory, CPU)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    directory = bias(tmp_path)
    (directory / name).unlink()
    with pytest.raises(ModelUnavailableError, match=f"has no {name}"):
        load_llmguard("bias", "output", {}, directory, CPU)


@pytest.mark.parametrize("directory", [None, Path("absent")])
def test_missing_directory_is_named(directory: Path | None) -> None:
    with pytest.raises(ModelUnavailableError, match=f"there is no directory {directory}"):
        load_llmguard("bias", "output", {}, directory, CPU)


def test_weights_without_the_classifier_are_refused(tmp_path: Path) -> None:
    directory = bias(tmp_path)
    encoder = write_encoder(tmp_path / "encoder", "the") / "model.safetensors"
    encoder.replace(directory / "model.safetensors")
    with pytest.raises(ModelUnavailableError, match=r"lacks .* classifier\.bias"):
        load_llmguard("bias", "output", {}, directory, CPU)


def test_weights_that_are_no_file_of_tensors_are_refused(tmp_path: Path) -> None:
    directory = bias(tmp_path)
    (directory / "model.safetensors").write_bytes(b"\x80\x04N.")  # a pickle
    with pytest.raises(ModelUnavailableError, match=r"bias: .*: Safetensor"):
        load_llmguard("bias", "output", {}, directory, CPU)


def test_weights_that_give_no_numbers_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = bias(tmp_path) / "model.safetensors"
    tensors = load_file(path)
    save_file({name: tensor * float("nan") for name, tensor in tensors.items()}, path)
    with pytest.raises(ModelUnavailableError, match="ScannerFailedError"):
        load_llmguard("bias", "output", {}, path.parent, CPU)


@pytest.mark.parametrize("name", [name for name, case in BY_ID.items() if case.needs_weights])
def test_a_text_of_which_a_model_cannot_tell_is_an_error_and_not_clean(
    root: Path, tmp_path: Path, name: str
) -> None:
    case = BY_ID[name]
    directory = write_poisoned(case.weights(root), tmp_path / case.name)
    model = load_llmguard(case.name, case.direction, case.parameters, directory, CPU)
    risk(model, case.clean, case.prompt)
    with pytest.raises(ScannerFailedError):
        risk(model, case.hit, case.prompt)


def test_model_with_hardly_any_room_is_refused(tmp_path: Path) -> None:
    directory = write_classifier(tmp_path / "small", labels=("BIASED", "NEUTRAL"), max_length=24)
    with pytest.raises(ModelUnavailableError, match="fewer than"):
        load_llmguard("bias", "output", {}, directory, CPU)


def test_device_that_is_absent_is_an_unavailable_model(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="bias: "):
        load_llmguard("bias", "output", {}, bias(tmp_path), Device("mps", "a test", "fp32"))


def test_llm_guard_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(llmguard, "import_module", absent)
    with pytest.raises(ModelUnavailableError, match=r"json: a package is missing: pip install"):
        load_llmguard("json", "output", {}, None, CPU)


def test_wrong_parameter_is_named_before_anything_is_loaded() -> None:
    with pytest.raises(ValueError, match="ban_topics: topics must be a list"):
        load_llmguard("ban_topics", "input", {}, None, CPU)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", ["roberta", "deberta-v2"])
@pytest.mark.parametrize("name", ["ban_topics", "factual_consistency"])
def test_pairs_are_read_by_other_architectures(
    tmp_path: Path, name: str, kind: Architecture
) -> None:
    directory = write_classifier(
        tmp_path / name,
        labels=NLI,
        verdict="entailment",
        architecture=kind,  # type: ignore[arg-type]
    )
    parameters = {"topics": ["war"]} if name == "ban_topics" else {}
    model = load_llmguard(name, "output", parameters, directory, CPU)
    expected = 1.0 if name == "ban_topics" else 0.0
    assert risk(model, FILLER * 200, FILLER * 300).value == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("name", ["bias-output", "relevance-output", "ban_competitors-output"])
def test_bfloat16_is_used_where_it_can_be(root: Path, name: str) -> None:
    case = BY_ID[name]
    device = Device("cpu", "for a test", "bf16")
    model = load_llmguard(case.name, "output", case.parameters, case.weights(root), device)
    assert risk(model, case.hit, case.prompt).value >= threshold(case)
    expected = "fp32" if case.name == "relevance" else "bf16"
    assert model.describe()["precision"] == expected


def test_int8_of_the_device_means_fp32_for_torch(root: Path) -> None:
    case = BY_ID["bias-output"]
    device = Device("cpu", "for a test", "int8")
    model = load_llmguard("bias", "output", {}, case.weights(root), device)
    assert model.describe()["precision"] == "fp32"


@pytest.mark.parametrize("name", ["factual_consistency", "relevance"])
def test_scanners_that_take_no_device_are_given_one(name: str, models: dict[str, Model]) -> None:
    assert f"{name}-output" in models
    assert sys.modules[f"llm_guard.output_scanners.{name}"].device() == "cpu"  # type: ignore[attr-defined]


def test_json_gives_up_on_a_hostile_text(
    models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llmguard, "JSON_TIMEOUT_S", 0.2)
    with pytest.raises(ScannerFailedError, match="json: TimeoutError"):
        risk(models["json-output"], "{" * 20_000, "")


def test_json_that_could_be_repaired_is_not_valid(models: dict[str, Model]) -> None:
    assert risk(models["json-output"], "{'a': 1}", "").value == 1.0


def test_required_json_must_be_there() -> None:
    model = load_llmguard("json", "output", {"required_elements": 1}, None, CPU)
    assert [risk(model, text, "").value for text in ("none", '{"a": 1}')] == [1.0, 0.0]


def test_topics_are_judged_each_for_itself_unless_asked_otherwise(tmp_path: Path) -> None:
    directory = write_classifier(tmp_path / "nli", labels=NLI, verdict="not_entailment")
    topics = {"topics": ["war", "love"]}
    alone = load_llmguard("ban_topics", "input", topics, directory, CPU)
    shared = load_llmguard("ban_topics", "input", {**topics, "multi_label": False}, directory, CPU)
    assert risk(alone, "hello world", "").value < 0.01
    assert risk(shared, "hello world", "").value == pytest.approx(0.5, abs=0.01)
