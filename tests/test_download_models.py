"""scripts/download_models.sh as an operator runs it: copies, a hub on this machine, accidents."""

import json
import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from ogp.guard.weights import check_weights
from tests.support.tiny_models import write_classifier
from tests.support.weights_script import NAME, Place, digests, names_in, sums


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tiny") / NAME
    return write_classifier(directory, verdict="INJECTION", trigger="wolf")


@pytest.fixture
def place(tmp_path: Path, tiny: Path) -> Place:
    shutil.copytree(tiny, tmp_path / "a stick" / NAME)
    return Place(tmp_path)


def test_a_directory_is_copied_with_checksums(place: Place) -> None:
    result = place.copy()
    assert (result.returncode, result.stderr) == (0, "")
    target = place.models / NAME
    assert digests(target) == digests(place.source / NAME) == sums(target)
    assert names_in(place.models) == {NAME}
    assert check_weights(target).forms == ("model.safetensors",)


def test_a_service_of_another_user_can_read_the_copy(place: Place) -> None:
    (place.source / NAME / "config.json").chmod(0o600)
    place.copy()
    for path in (place.models / NAME).iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o044 == 0o044 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0o22)
    os.umask(mask)
    return mask


def test_a_second_run_checks_and_copies_nothing(place: Place) -> None:
    place.copy()
    before = (place.models / NAME / "model.safetensors").stat()
    shutil.rmtree(place.source)
    place.source.mkdir()
    result = place.run("--to", "all models", NAME, HF_ENDPOINT="http://127.0.0.1:9")
    assert "complete" in result.stdout
    assert result.returncode == 0
    assert (place.models / NAME / "model.safetensors").stat() == before


def test_a_damaged_file_is_brought_again_and_only_that(place: Place) -> None:
    place.copy()
    target = place.models / NAME
    kept = (target / "tokenizer.json").stat().st_ino
    (target / "model.safetensors").write_bytes(b"rotten")
    result = place.copy()
    assert result.returncode == 0
    assert "brought again: model.safetensors" in result.stderr
    assert digests(target) == digests(place.source / NAME) == sums(target)
    assert (target / "tokenizer.json").stat().st_ino == kept
    assert names_in(place.models) == {NAME}


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_damaged_checksums_are_no_proof(place: Place, kept: int) -> None:
    place.copy()
    target = place.models / NAME
    lines = (target / "SHA256SUMS").read_text("utf-8").splitlines(keepends=True)
    (target / "SHA256SUMS").write_text("".join(lines[:kept]), "utf-8")
    (target / "model.safetensors").write_bytes(b"rotten")
    assert place.copy().returncode == 0
    assert digests(target) == digests(place.source / NAME) == sums(target)


def test_a_damaged_source_is_refused_and_nothing_is_installed(place: Place) -> None:
    place.copy()
    carried = place.folder / "carried"
    shutil.copytree(place.models, carried)
    (carried / NAME / "model.safetensors").write_bytes(b"rotten")
    result = place.run("--from", "carried", "--to", "new", NAME)
    assert result.returncode == 1
    assert "model.safetensors is damaged" in result.stderr
    assert not (place.folder / "new" / NAME).exists()


def test_a_repair_does_not_take_other_weights(place: Place) -> None:
    place.copy()
    target = place.models / NAME
    (target / "config.json").write_text("{}", "utf-8")
    (place.source / NAME / "config.json").write_text('{"other": 1}', "utf-8")
    result = place.copy()
    assert result.returncode == 1
    assert "another config.json" in result.stderr
    assert (target / "config.json").read_text("utf-8") == "{}"
    assert place.copy("--force", NAME).returncode == 0
    assert json.loads((target / "config.json").read_text("utf-8")) == {"other": 1}
    assert digests(target) == sums(target)


def test_force_leaves_no_model_of_the_old_weights(place: Place) -> None:
    place.copy()
    target = place.models / NAME
    (target / "model.int8.onnx").write_bytes(b"of the old ones")
    (target / "NOTES").write_text("mine", "utf-8")
    assert place.copy("--force", NAME).returncode == 0
    assert "model.int8.onnx" not in names_in(target)
    assert (target / "NOTES").read_text("utf-8") == "mine"


def test_a_damaged_file_that_was_made_here_is_told(place: Place) -> None:
    (place.source / NAME / "model.int8.onnx").write_bytes(b"x")
    place.copy()
    (place.source / NAME / "model.int8.onnx").unlink()
    (place.models / NAME / "model.int8.onnx").unlink()
    result = place.copy()
    assert result.returncode == 1
    assert "model.int8.onnx is missing or damaged" in result.stderr


HALF_A_COPY = """
case "$1" in
    *model.safetensors) head -c 1000 "$1" >"$2"; kill -KILL $PPID; exit 1 ;;
    *) exec /bin/cp "$@" ;;
esac"""


def test_a_copy_that_was_killed_is_never_seen_and_is_finished_later(place: Place) -> None:
    result = place.copy(PATH=place.tool("cp", HALF_A_COPY))
    assert result.returncode == -signal.SIGKILL
    assert not (place.models / NAME).exists()
    assert (place.models / f".{NAME}.new" / "model.safetensors.part").stat().st_size == 1000
    assert place.copy().returncode == 0
    assert digests(place.models / NAME) == digests(place.source / NAME)
    assert names_in(place.models) == {NAME}


def test_what_a_killed_copy_left_is_not_mixed_with_another_source(place: Place) -> None:
    place.copy(PATH=place.tool("cp", HALF_A_COPY))
    other = place.folder / "other"
    shutil.copytree(place.source, other)
    (other / NAME / "config.json").write_text('{"other": 1}', "utf-8")
    assert place.run("--from", "other", "--to", "all models", NAME).returncode == 0
    assert digests(place.models / NAME) == digests(other / NAME)


def test_what_changed_since_a_killed_copy_is_copied_again(place: Place) -> None:
    place.copy(PATH=place.tool("cp", HALF_A_COPY))
    (place.source / NAME / "config.json").write_text('{"newer": 1}', "utf-8")
    assert place.copy().returncode == 0
    assert digests(place.models / NAME) == digests(place.source / NAME)


MOVED_HALF = """
case "$1$2" in
    */.prompt_injection.new/model.safetensors*models/prompt_injection/*) kill -KILL $PPID ;;
    *) exec /bin/mv "$@" ;;
esac"""


def test_a_replacement_that_was_killed_is_finished_and_never_adopted(place: Place) -> None:
    place.copy()
    (place.source / NAME / "config.json").write_text('{"newer": 1}', "utf-8")
    result = place.copy("--force", NAME, PATH=place.tool("mv", MOVED_HALF))
    assert result.returncode == -signal.SIGKILL
    target = place.models / NAME
    assert not (target / "SHA256SUMS").exists()
    assert place.copy().returncode == 0
    assert digests(target) == digests(place.source / NAME) == sums(target)


def test_weights_put_there_by_hand_are_kept_and_recorded(place: Place, tiny: Path) -> None:
    shutil.copytree(tiny, place.models / NAME)
    result = place.run("--to", "all models", NAME, HF_ENDPOINT="http://127.0.0.1:9")
    assert result.returncode == 0
    assert "by hand" in result.stdout
    assert sums(place.models / NAME) == digests(tiny)


def test_a_link_to_another_disk_stays_a_link(place: Place) -> None:
    elsewhere = place.folder / "elsewhere"
    elsewhere.mkdir()
    place.models.mkdir()
    (place.models / NAME).symlink_to(elsewhere)
    assert place.copy().returncode == 0
    assert (place.models / NAME).is_symlink()
    assert digests(elsewhere) == sums(elsewhere)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_source_that_lacks_a_file_is_refused(place: Place, name: str) -> None:
    (place.source / NAME / name).unlink()
    result = place.copy()
    assert result.returncode == 1
    assert "config.json, tokenizer.json or a model is missing" in result.stderr
    assert not (place.models / NAME).exists()


def test_a_page_in_place_of_a_file_is_refused(place: Place) -> None:
    (place.source / NAME / "config.json").write_text("<html>", "utf-8")
    result = place.copy()
    assert result.returncode == 1
    assert "config.json of prompt_injection is no JSON" in result.stderr


def test_two_runs_do_not_disturb_each_other(place: Place) -> None:
    place.models.mkdir()
    lock = place.models / ".download_models.lock"
    lock.write_text(f"{os.getpid()}\n", "utf-8")
    result = place.copy()
    assert result.returncode == 1
    assert f"another run (process {os.getpid()})" in result.stderr
    assert lock.exists()


def test_a_lock_of_a_process_that_is_gone_is_taken_over(place: Place) -> None:
    place.models.mkdir()
    gone = subprocess.Popen(["true"])
    gone.wait()
    (place.models / ".download_models.lock").write_text(f"{gone.pid}\n", "utf-8")
    assert place.copy().returncode == 0
    assert names_in(place.models) == {NAME}


def write_config(place: Place, text: str) -> str:
    path = place.folder / "c.yaml"
    path.write_text(text, "utf-8")
    return str(path)


def test_the_configuration_says_what_is_brought_and_where_to(place: Place) -> None:
    own = place.folder / "own place"
    shutil.copytree(place.source / NAME, place.source / "toxicity")
    config = write_config(
        place,
        f"guard:\n  models: {{path: '{place.models}'}}\n"
        f"  input_scanners: {{prompt_injection: {{path: '{own}'}}}}\n",
    )
    result = place.run("--from", "a stick", "--config", config)
    assert (result.returncode, result.stderr) == (0, "")
    assert check_weights(own)
    assert names_in(place.models) == {"toxicity"}


def test_scanners_that_are_off_are_not_brought(place: Place) -> None:
    config = write_config(
        place,
        f"guard:\n  output_enabled: false\n  models: {{path: '{place.models}'}}\n"
        "  input_scanners: {toxicity: {enabled: false}}\n",
    )
    result = place.run("--from", "a stick", "--config", config)
    assert (result.returncode, result.stderr) == (0, "")
    assert names_in(place.models) == {NAME}


def test_what_the_source_lacks_is_told_after_the_others_were_brought(place: Place) -> None:
    result = place.run("--from", "a stick", "--config", write_config(place, "{}"), "--to", "m")
    assert result.returncode == 1
    assert "nothing was found in" in result.stderr
    assert "for: toxicity" in result.stderr
    assert check_weights(place.folder / "m" / NAME)


def test_weights_of_scanners_of_llm_guard_are_brought(place: Place) -> None:
    shutil.copytree(place.source / NAME, place.source / "gibberish")
    config = write_config(
        place,
        f"guard:\n  models: {{path: '{place.models}'}}\n  output_enabled: false\n"
        "  input_scanners: {toxicity: {enabled: false}, prompt_injection: {enabled: false}}\n"
        "  llm_guard: [{scanner: gibberish, name: nonsense, direction: input}]\n",
    )
    result = place.run("--from", "a stick", "--config", config)
    assert (result.returncode, result.stderr) == (0, "")
    assert names_in(place.models) == {"gibberish"}
    without_source = place.run("--config", config, HF_ENDPOINT="http://127.0.0.1:9")
    assert without_source.returncode == 0
    assert "gibberish is not on the list" in without_source.stderr


def test_a_bad_configuration_is_told(place: Place) -> None:
    result = place.run("--from", "a stick", "--config", write_config(place, "prot: 1"))
    assert result.returncode == 1
    assert "ogp config check" in result.stderr


def test_onnx_and_int8_are_made_and_recorded(place: Place) -> None:
    result = place.run("--from", "a stick", "--to", "all models", "--export-onnx", "--int8", NAME)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("verdicts changed: 0") == 2
    target = place.models / NAME
    assert check_weights(target).forms == ("model.int8.onnx", "model.onnx", "model.safetensors")
    assert digests(target) == sums(target)
    assert "complete" in place.copy().stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--form", "gguf"), "--form is onnx or safetensors"),
        (("--from",), "--from needs a value"),
        (("--frm", "x"), "unknown option: --frm"),
        (("nonsense",), "unknown scanner: nonsense"),
        (("--form", "onnx", "--export-onnx"), "leave out --form onnx"),
    ],
)
def test_a_wrong_call_is_told(place: Place, arguments: tuple[str, ...], told: str) -> None:
    result = place.run(*arguments)
    assert result.returncode == 1
    assert told in result.stderr


def test_help_names_every_option(place: Place) -> None:
    text = place.run("--help").stdout
    for option in ("--from", "--to", "--config", "--all", "--form", "--export-onnx", "--int8"):
        assert option in text
