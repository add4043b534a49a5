"""Names and places, by tiny real models."""

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ogp.guard.device import Device
from ogp.guard.model import ModelUnavailableError
from ogp.guard.token_classifier import (
    TokenClassifier,
    Wanted,
    load_token_classifier,
    meaning_of,
    merged_names,
)
from ogp.guard.weights import read_config
from tests.support.tiny_models import write_classifier
from tests.support.tiny_ner import LABELS, Form, write_ner

CPU = Device("cpu", "test", "fp32")
GPU = Device("cuda", "test", "fp16")
ALL = Wanted(("PERSON", "LOCATION", "ORGANIZATION"), 0.4)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ner(tmp_path_factory.mktemp("models") / "anonymize")


@pytest.fixture(scope="module")
def model(tiny: Path) -> TokenClassifier:
    return load_token_classifier(tiny, CPU, ALL)


def found(
    model: TokenClassifier, text: str, start: int = 0, end: int | None = None
) -> list[tuple[str, str]]:
    names = model.find(text, start, len(text) if end is None else end)
    return [(each.label, text[each.start : each.end]) for each in names]


@pytest.mark.parametrize(
    ("label", "meaning"),
    [
        ("B-PER", "PERSON"),
        ("I-LOC", "LOCATION"),
        ("PERSON", "PERSON"),
        ("per", "PERSON"),
        ("S-ORG", "ORGANIZATION"),
        ("B_FIRSTNAME", "PERSON"),
        ("LASTNAME", "PERSON"),
        ("I-first_name", "PERSON"),
        ("CITY", "LOCATION"),
        ("ZIPCODE", "LOCATION"),
        ("COMPANYNAME", "ORGANIZATION"),
        ("GPE", "LOCATION"),
        *((label, "") for label in ("O", "B-MISC", "LABEL_0", "EMAIL", "B-", "PERCENT")),
    ],
)
def test_what_classes_of_public_models_mean(label: str, meaning: str) -> None:
    assert meaning_of(label) == meaning


@pytest.mark.parametrize("form", ["safetensors", "onnx", "onnx-int8"])
def test_names_are_found_by_every_form(tmp_path: Path, form: Form) -> None:
    model = load_token_classifier(write_ner(tmp_path, form=form), CPU, ALL)
    assert sorted(found(model, "Ada went to Paris for Acme.")) == [
        ("LOCATION", "Paris"),
        ("ORGANIZATION", "Acme"),
        ("PERSON", "Ada"),
    ]


def test_first_and_last_name_are_one(model: TokenClassifier) -> None:
    assert found(model, "It is Ada Lovelace.") == [("PERSON", "Ada Lovelace")]
    assert found(model, "Ada-Lovelace") == [("PERSON", "Ada-Lovelace")]


def test_two_names_with_a_word_between_are_two(model: TokenClassifier) -> None:
    assert found(model, "Ada and Grace") == [("PERSON", "Ada"), ("PERSON", "Grace")]


def test_plain_classes_without_scheme_do(tmp_path: Path) -> None:
    write_ner(
        tmp_path,
        labels=("O", "FIRSTNAME", "LASTNAME", "CITY"),
        names={"Ada": "FIRSTNAME", "Lovelace": "LASTNAME", "Paris": "CITY"},
    )
    model = load_token_classifier(tmp_path, CPU, ALL)
    assert sorted(found(model, "Ada Lovelace of Paris")) == [
        ("LOCATION", "Paris"),
        ("PERSON", "Ada Lovelace"),
    ]


def test_only_what_is_wanted_is_found(tiny: Path) -> None:
    model = load_token_classifier(tiny, CPU, Wanted(("LOCATION",), 0.4))
    assert found(model, "Ada in Paris") == [("LOCATION", "Paris")]


def test_a_name_that_is_not_sure_enough_is_none(tiny: Path) -> None:
    model = load_token_classifier(tiny, CPU, Wanted(("LOCATION",), 1.0))
    assert found(model, "Ada in Paris") == []


def test_no_text_has_no_names(model: TokenClassifier) -> None:
    assert found(model, "") == found(model, " \n ") == found(model, "?!") == []


@pytest.mark.parametrize("max_length", [24, 512])
def test_names_are_found_wherever_they_stand(tmp_path: Path, max_length: int) -> None:
    model = load_token_classifier(write_ner(tmp_path, max_length=max_length), CPU, ALL)
    filler = "the code is good and you write it . "
    for count in (0, 1, 3, 7, 20):
        for shift in range(4):
            text = filler * count + "to " * shift + "Ada Lovelace " + filler * 5
            names = merged_names(iter(model.find(text, 0, len(text))), text)
            assert [text[name.start : name.end] for name in names] == ["Ada Lovelace"]


def test_every_character_is_shown_to_the_model_whole(tmp_path: Path) -> None:
    """Bytes as tokens: a part of 800 characters has far more than the model sees."""
    write_ner(tmp_path, pieces="bytes", max_length=32)
    model = load_token_classifier(tmp_path, CPU, ALL)
    shown: list[str] = []
    judge = model._runtime.token_logits

    def watch(encoding: Any) -> Sequence[Sequence[float]]:
        assert len(encoding) <= 32
        shown.append(bytes_of(encoding))
        return judge(encoding)

    model._runtime.token_logits = watch
    text = "".join(chr(0x4E00 + number) for number in range(200)) + "".join(
        map(chr, range(33, 127))
    )
    model.find(text, 0, len(text))
    assert all(any(character in piece for piece in shown) for character in text)


def bytes_of(encoding: Any) -> str:
    from tokenizers.decoders import ByteLevel

    return str(ByteLevel().decode(encoding.tokens[1:-1]))


def test_one_character_that_is_too_much_is_an_error(tmp_path: Path) -> None:
    write_ner(tmp_path, pieces="bytes", max_length=5)
    model = with_rows(tmp_path, [])
    with pytest.raises(ValueError, match="one character"):
        model.find("\U0001f600", 0, 1)


class Rows:
    """A runtime with an answer of its own."""

    device, precision = "cpu", "fp32"

    def __init__(self, row: list[float]) -> None:
        self.row = row

    def token_logits(self, encoding: Any) -> Sequence[Sequence[float]]:
        return [self.row] * len(encoding)


def with_rows(directory: Path, row: list[float]) -> TokenClassifier:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    return TokenClassifier(read_config(directory), tokenizer, Rows(row), "hash", ALL)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_an_error(tiny: Path, number: float) -> None:
    model = with_rows(tiny, [number] * len(LABELS))
    with pytest.raises(ArithmeticError, match="no finite number"):
        model.find("Ada", 0, 3)
    model.warm_up()


def test_chances_of_several_classes_for_one_entity_add_up(tiny: Path) -> None:
    model = with_rows(tiny, [1.0, 0.9, 0.9, -9, -9, -9, -9, -9])
    assert [each.label for each in model.find("good", 0, 4)] == ["PERSON"]


@pytest.mark.parametrize(
    ("text", "start", "end", "names"),
    [
        ("xGood name here", 1, 15, ["name here"]),
        ("good nameless", 0, 9, ["good"]),
        ("good name", 0, 9, ["good name"]),
        ("goodname", 2, 6, []),
    ],
)
def test_a_word_that_is_cut_off_is_left_to_another_part(
    tiny: Path, text: str, start: int, end: int, names: list[str]
) -> None:
    model = with_rows(tiny, [0, 9.0, 0, 0, 0, 0, 0, 0])
    assert [text[each.start : each.end] for each in model.find(text, start, end)] == names


@pytest.mark.parametrize("text", ["McAda", "McAda2"])
def test_a_token_that_is_part_of_a_word_is_all_of_it(tmp_path: Path, text: str) -> None:
    model = load_token_classifier(write_ner(tmp_path, pieces="pieces"), CPU, ALL)
    assert found(model, f"it is {text}, or") == [("PERSON", text)]


def test_what_joins_words_is_no_letter(tiny: Path) -> None:
    text = "good_x1 it"

    class First(Rows):
        def token_logits(self, encoding: Any) -> Sequence[Sequence[float]]:
            rows = [[9.0, 0, 0, 0, 0, 0, 0, 0]] * len(encoding)
            rows[1] = [0, 9.0, 0, 0, 0, 0, 0, 0]
            return rows

    model = with_rows(tiny, [])
    model._runtime = First([])
    assert found(model, text) == [("PERSON", "good")]


def test_outputs_that_do_not_fit_are_refused(tiny: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="do not fit tokens and id2label"):
        with_rows(tiny, [0.0, 1.0]).warm_up()


def test_a_model_of_one_number_for_each_text_is_refused(tmp_path: Path) -> None:
    write_classifier(tmp_path, labels=("B-PER", "O"), form="onnx")
    with pytest.raises(ModelUnavailableError, match=f"{tmp_path}: the model fails: TypeError"):
        load_token_classifier(tmp_path, CPU, ALL)


def test_classes_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    write_ner(tmp_path, labels=("O", "MISC"), names={"Ada": "MISC"})
    with pytest.raises(ModelUnavailableError, match=r"means PERSON or LOCATION.*classes: O, MISC"):
        load_token_classifier(tmp_path, CPU, ALL)


def test_a_model_that_sees_nothing_is_refused(tiny: Path, tmp_path: Path) -> None:
    for file in tiny.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 2}', "utf-8")
    with pytest.raises(ModelUnavailableError, match="sees only 2 tokens"):
        load_token_classifier(tmp_path, CPU, ALL)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write_ner(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ModelUnavailableError, match=r"lacks tokenizer\.json"):
        load_token_classifier(tmp_path, CPU, ALL)


def test_a_broken_tokenizer_is_named(tmp_path: Path) -> None:
    write_ner(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"version": 1}), "utf-8")
    with pytest.raises(ModelUnavailableError, match=r"tokenizer\.json cannot be loaded"):
        load_token_classifier(tmp_path, CPU, ALL)


def test_a_missing_tokenizer_package_is_named(tiny: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="package tokenizers is not installed"):
        load_token_classifier(tiny, CPU, ALL, has_package=lambda name: name != "tokenizers")


def test_the_packages_that_the_weights_need_are_named(tiny: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"model\.safetensors needs the package torch"):
        load_token_classifier(tiny, CPU, ALL, has_package=lambda name: name != "torch")


def test_onnx_is_taken_on_a_cpu_and_safetensors_where_it_cannot_run(tmp_path: Path) -> None:
    write_ner(tmp_path)
    write_ner(tmp_path, form="onnx-int8")
    write_ner(tmp_path)
    assert load_token_classifier(tmp_path, CPU, ALL).describe()["precision"] == "int8"
    model = load_token_classifier(tmp_path, CPU, ALL, has_package=lambda it: it != "onnxruntime")
    assert model.describe()["precision"] == "fp32"


def test_a_gpu_takes_safetensors(tmp_path: Path) -> None:
    write_ner(tmp_path, form="onnx")
    write_ner(tmp_path)
    with pytest.raises(ModelUnavailableError, match="device cuda"):
        load_token_classifier(tmp_path, GPU, ALL)


def test_it_describes_itself_without_paths(model: TokenClassifier) -> None:
    shown = model.describe()
    assert (shown["precision"], shown["device"], len(str(shown["model"]))) == ("fp32", "cpu", 64)
    assert set(shown) == {"model", "precision", "device"}


def test_eight_threads_find_the_right_names(model: TokenClassifier) -> None:
    texts = [
        "hello Ada",
        "good code today",
        "Ada Lovelace in Paris",
        "Acme and Grace",
        "the system",
    ]
    expected = [found(model, text) for text in texts]
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)

    def is_right(number: int) -> bool:
        return found(model, texts[number % 5]) == expected[number % 5]

    try:
        with ThreadPoolExecutor(8) as callers:
            assert all(callers.map(is_right, range(600)))
    finally:
        sys.setswitchinterval(before)
