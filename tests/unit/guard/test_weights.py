import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ogp.guard.model import ModelUnavailableError
from ogp.guard.weights import (
    DEFAULT_MAX_TOKENS,
    MAX_CONFIG_BYTES,
    Weights,
    check_weights,
    find_weights,
    missing_from,
    model_hash,
    read_config,
)

LABELS = {"0": "SAFE", "1": "INJECTION"}


def write(directory: Path, **config: Any) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps({"id2label": LABELS, **config}))
    (directory / "tokenizer.json").write_text("{}")
    (directory / "model.onnx").write_bytes(b"weights")
    return directory


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write(tmp_path / "prompt_injection")


def test_whole_model_is_found(directory: Path) -> None:
    assert find_weights(directory) == Weights(directory, ("model.onnx",))
    assert check_weights(directory) == find_weights(directory)
    assert missing_from(directory) == ""


def test_forms_stand_in_the_order_of_speed(directory: Path) -> None:
    (directory / "model.safetensors").touch()
    (directory / "model.int8.onnx").touch()
    expected = ("model.int8.onnx", "model.onnx", "model.safetensors")
    assert check_weights(directory).forms == expected


def test_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert find_weights(tmp_path / "toxicity") is None
    with pytest.raises(ModelUnavailableError, match=f"no such directory: {tmp_path / 'toxicity'}"):
        check_weights(tmp_path / "toxicity")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.onnx"])
def test_missing_file_is_named_with_the_directory(name: str, directory: Path) -> None:
    (directory / name).unlink()
    assert find_weights(directory) is None
    with pytest.raises(ModelUnavailableError, match=rf"{directory} lacks .*{name}"):
        check_weights(directory)


def test_half_a_download_is_no_model(directory: Path) -> None:
    (directory / "model.onnx").rename(directory / "model.onnx.part")
    assert find_weights(directory) is None


def test_directory_that_cannot_be_read_is_told(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    assert missing_from(directory) == f"{directory} cannot be read: Permission denied"
    assert find_weights(directory) is None


def test_labels_stand_in_the_order_of_the_outputs(directory: Path) -> None:
    write(directory, id2label={"1": "B", "0": "A"})
    assert read_config(directory).labels == ("A", "B")


@pytest.mark.parametrize(
    ("id2label", "message"),
    [
        (None, "id2label is missing"),
        ({}, "id2label is missing"),
        ([], "id2label is missing"),
        ({"0": "A", "2": "B"}, "classes 0 to 1"),
        ({"0": "A", "1": 7}, "classes 0 to 1"),
        ({"0": "A", "1": ""}, "classes 0 to 1"),
        ({"0": "Injection", "1": "INJECTION"}, "a class twice"),
    ],
)
def test_labels_that_say_nothing_are_refused(id2label: Any, message: str, directory: Path) -> None:
    write(directory, id2label=id2label)
    with pytest.raises(ModelUnavailableError, match=rf"{directory}.*{message}"):
        read_config(directory)


@pytest.mark.parametrize(
    ("config", "tokenizer", "tokens"),
    [
        ({}, None, DEFAULT_MAX_TOKENS),
        ({"max_position_embeddings": 512, "pad_token_id": 0}, None, 511),
        ({"max_position_embeddings": 514, "pad_token_id": 1}, {"model_max_length": 512}, 512),
        ({"max_position_embeddings": 514, "pad_token_id": None}, None, 513),
        ({"max_position_embeddings": 512}, {"model_max_length": 128}, 128),
        ({"max_position_embeddings": 512}, {"model_max_length": 10**30}, 511),
        ({"max_position_embeddings": 512}, {"model_max_length": 1e30}, 511),
        ({"max_position_embeddings": 512}, {}, 511),
        ({"max_position_embeddings": -1}, {"model_max_length": True}, DEFAULT_MAX_TOKENS),
    ],
)
def test_longest_window_follows_model_and_tokenizer(
    config: dict[str, Any], tokenizer: Any, tokens: int, directory: Path
) -> None:
    write(directory, **config)
    if tokenizer is not None:
        (directory / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    assert read_config(directory).max_tokens == tokens


@pytest.mark.parametrize(
    ("problem_type", "multi"),
    [("multi_label_classification", True), ("single_label_classification", False), (None, False)],
)
def test_kind_of_problem_is_read(problem_type: Any, multi: bool, directory: Path) -> None:
    write(directory, problem_type=problem_type)
    assert read_config(directory).is_multi_label is multi


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"[]", b" " * MAX_CONFIG_BYTES + b"{}"]
)
def test_broken_config_is_told_and_not_quoted(content: bytes, directory: Path) -> None:
    (directory / "config.json").write_bytes(content)
    with pytest.raises(ModelUnavailableError, match=r"config\.json is no JSON") as caught:
        read_config(directory)
    assert len(str(caught.value)) < 300


def test_config_that_cannot_be_read_is_told(directory: Path) -> None:
    (directory / "config.json").unlink()
    with pytest.raises(ModelUnavailableError, match=r"config\.json cannot be read: No such file"):
        read_config(directory)


def hash_of(directory: Path) -> str:
    return model_hash(check_weights(directory), "model.onnx")


def test_hash_is_made_of_names_and_contents(directory: Path) -> None:
    expected = sha256()
    for name in ("config.json", "tokenizer.json", "model.onnx"):
        digest = sha256((directory / name).read_bytes()).digest()
        expected.update(f"{len(name)}:{name}:".encode() + digest)
    assert hash_of(directory) == expected.hexdigest()


@pytest.mark.parametrize(
    "name",
    ["config.json", "tokenizer.json", "tokenizer_config.json", "model.onnx", "model.onnx.data"],
)
def test_hash_changes_with_each_file_that_decides(name: str, directory: Path) -> None:
    before = hash_of(directory)
    (directory / name).write_bytes(b"other")
    assert hash_of(directory) != before


def test_hash_is_of_one_form_only(directory: Path) -> None:
    before = hash_of(directory)
    (directory / "model.safetensors").write_bytes(b"other")
    assert hash_of(directory) == before


def test_unchanged_file_is_read_once(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = hash_of(directory)

    def refuse(*_args: Any, **_options: Any) -> Any:
        pytest.fail("read again")

    monkeypatch.setattr(Path, "open", refuse)
    assert hash_of(directory) == before


def test_file_of_the_same_size_but_newer_is_read_again(directory: Path) -> None:
    before = hash_of(directory)
    path = directory / "model.onnx"
    facts = path.stat()
    path.write_bytes(b"WEIGHTS")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    assert hash_of(directory) != before


def test_file_that_cannot_be_hashed_is_told(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_options: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelUnavailableError, match=f"{directory} cannot be read: Permission"):
        hash_of(directory)
