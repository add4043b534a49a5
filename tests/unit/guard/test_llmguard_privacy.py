"""Nothing of a text is written or sent anywhere, whatever a scanner does."""

import logging
import socket
import tempfile
import traceback
from pathlib import Path

import pytest

from ogp.guard.llmguard_model import LLMGuardModel, ScannerFailedError, Watched
from ogp.guard.model import Model
from tests.support.phrase_model import score_of
from tests.support.tiny_llmguard import CASES

MARKER = "xyzzyplugh"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Model]]:
    root = tmp_path_factory.mktemp("weights")
    return [
        (f"{MARKER} {text}", case.load(root)) for case in CASES for text in (case.hit, case.clean)
    ]


def fail(*texts: object, **named: object) -> None:
    raise ValueError(f"{MARKER} {texts} {named}")


@pytest.mark.parametrize("broken", ["", "_part", "__enter__"])
def test_no_text_in_output_log_errors_or_temporary_files(
    models: list[tuple[str, Model]],
    broken: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    for text, model in models:
        assert isinstance(model, LLMGuardModel)
        if broken == "_part":  # while llm-guard scans
            monkeypatch.setattr(model._parts.watched, "_part", fail)
        elif broken:  # scanners without weights have no part that is called
            monkeypatch.setattr(Watched, "__enter__", fail)
        for window in model.windows(text):
            try:
                seen.append(repr(score_of(model, window, f"{MARKER} asked")))
            except ScannerFailedError as error:
                seen += traceback.format_exception(error)
    captured = capfd.readouterr()
    assert ("ValueError" in "".join(seen)) == bool(broken)
    assert MARKER not in captured.out + captured.err + caplog.text + "".join(seen)
    assert list(tmp_path.rglob("*")) == []


def test_nothing_is_asked_of_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, lambda _, *place: asked.append(place))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *place, **_: asked.append(place))
    for case in CASES:
        model = case.load(tmp_path)
        for window in model.windows(case.hit):
            score_of(model, window, case.prompt)
    assert asked == []
