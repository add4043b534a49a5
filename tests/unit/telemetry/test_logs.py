import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from ogp.settings.schema import LoggingSettings
from ogp.telemetry.logs import TeeSink, configure_logging, open_log


class Lines:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.written.append(line)

    def flush(self) -> None:
        """Nothing is kept back."""

    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in b"".join(self.written).splitlines()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    sink = Lines()
    configure_logging(LoggingSettings(), sink=sink)
    yield sink
    structlog.reset_defaults()
    logging.getLogger().handlers = []


def test_a_line_is_one_json_object_with_its_facts(lines: Lines) -> None:
    structlog.get_logger().info("slot granted", model="llama3", wait_ms=12.4)
    (event,) = lines.events()
    assert (event["event"], event["level"]) == ("slot granted", "info")
    assert (event["model"], event["wait_ms"]) == ("llama3", 12.4)


def test_the_request_id_bound_to_the_thread_is_in_every_line(lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(request_id="9f2c"):
        structlog.get_logger().warning("slow")
    assert lines.events()[0]["request_id"] == "9f2c"


def test_quieter_levels_are_left_out(lines: Lines) -> None:
    structlog.get_logger().debug("detail")
    assert lines.events() == []


def test_what_could_break_a_line_is_escaped(lines: Lines) -> None:
    structlog.get_logger().info("odd", path="/a\r\nforged\x1b[2J\u2028x")
    (line,) = b"".join(lines.written).splitlines()
    assert b"\x1b" not in line
    assert b"\xe2\x80\xa8" not in line
    assert json.loads(line)["path"] == "/a\r\nforged\x1b[2J\u2028x"


@pytest.mark.parametrize("how", ["exception", "instance"])
def test_exceptions_show_type_and_place_but_not_their_message(lines: Lines, how: str) -> None:
    try:
        raise ValueError("the whole prompt")
    except ValueError as error:
        if how == "exception":
            structlog.get_logger().exception("scan failed")
        else:
            structlog.get_logger().error("scan failed", exc_info=error)
    (event,) = lines.events()
    assert event["exception"] == "ValueError"
    assert "test_logs.py" in str(event["frames"])
    assert "the whole prompt" not in json.dumps(event)


def test_lines_of_the_standard_library_take_the_same_form(lines: Lines) -> None:
    try:
        raise OSError("secret")
    except OSError:
        logging.getLogger("gunicorn.error").exception("worker %s", "died")
    (event,) = lines.events()
    assert (event["event"], event["logger"]) == ("worker died", "gunicorn.error")
    assert event["exception"] == "OSError"


def test_the_pool_stays_silent_about_addresses(lines: Lines) -> None:
    logging.getLogger("urllib3.connectionpool").warning("retrying http://user:pw@host/")
    assert lines.events() == []


def test_the_log_file_is_private_and_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "proxy.log"
    for text in (b"one\n", b"two\n"):
        descriptor = open_log(path)
        TeeSink([descriptor]).write(text)
        os.close(descriptor)
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_target_that_fails_does_not_keep_the_others_from_the_line(tmp_path: Path) -> None:
    broken, whole = open_log(tmp_path / "broken"), open_log(tmp_path / "whole")
    os.close(broken)
    sink = TeeSink([broken, whole])
    assert sink.write(b"line\n") == 5
    sink.flush()
    os.close(whole)
    assert (tmp_path / "whole").read_bytes() == b"line\n"


def test_without_a_sink_lines_go_to_standard_output_and_the_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "proxy.log"
    configure_logging(LoggingSettings(file=path))
    structlog.get_logger().info("started")
    structlog.reset_defaults()
    logging.getLogger().handlers = []
    assert json.loads(capfd.readouterr().out)["event"] == "started"
    assert json.loads(path.read_text())["event"] == "started"


def test_a_new_configuration_closes_the_file_of_the_one_before(tmp_path: Path) -> None:
    configure_logging(LoggingSettings(file=tmp_path / "old.log"))
    before = structlog.get_config()["logger_factory"].sink
    configure_logging(LoggingSettings(file=tmp_path / "new.log"))
    structlog.get_logger().info("hello")
    after = structlog.get_config()["logger_factory"].sink
    before.close()
    after.close()
    structlog.reset_defaults()
    logging.getLogger().handlers = []
    assert (tmp_path / "old.log").read_bytes() == b""
    assert b"hello" in (tmp_path / "new.log").read_bytes()
    after.write(b"standard output alone\n")
    assert b"alone" not in (tmp_path / "new.log").read_bytes()


def test_without_a_file_lines_go_to_standard_output_only(
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure_logging(LoggingSettings(file=None))
    structlog.get_logger().info("started")
    structlog.reset_defaults()
    logging.getLogger().handlers = []
    assert json.loads(capfd.readouterr().out)["event"] == "started"
