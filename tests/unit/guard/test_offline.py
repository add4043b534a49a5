import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ogp.guard.offline import SWITCHES, go_offline

KEPT = ("OMP_NUM_THREADS", "NLTK_DATA", "TIKTOKEN_CACHE_DIR")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SWITCHES, *KEPT):
        monkeypatch.setenv(name, "")  # so that it is restored, whatever happens to it
        monkeypatch.delenv(name)


def test_hub_and_telemetry_are_off_even_if_the_operator_had_them_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    go_offline(tmp_path)
    assert {name: os.environ[name] for name in SWITCHES} == SWITCHES


def test_other_libraries_look_below_the_models(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    go_offline(Path("models"))
    assert os.environ["NLTK_DATA"] == str(tmp_path / "models" / "nltk_data")
    assert os.environ["TIKTOKEN_CACHE_DIR"] == str(tmp_path / "models" / "tiktoken")


def test_one_thread_is_the_default_and_nothing_is_said(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    go_offline(tmp_path)
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert caplog.records == []


def test_threads_of_the_operator_are_kept_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    go_offline(tmp_path)
    assert os.environ["OMP_NUM_THREADS"] == "4"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_the_hub_library_sees_the_switch() -> None:
    program = (
        "from pathlib import Path; from ogp.guard.offline import go_offline; go_offline(Path('m'));"
        "from huggingface_hub import constants; print(constants.HF_HUB_OFFLINE)"
    )
    command = [sys.executable, "-c", program]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert shown.stdout == "True\n"


def test_modules_of_the_guard_import_nothing_heavy() -> None:
    program = (
        "import sys, ogp.guard.classifier;"
        "print(sorted({'torch', 'transformers', 'tokenizers', 'onnxruntime', 'numpy'}"
        " & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert shown.stdout == "[]\n"
