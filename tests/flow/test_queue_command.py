"""`ogp queue` as an operator meets it: a terminal, a real service, tokens of two kinds."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import ROOT, START_TIMEOUT_S, WAIT_S, Output, Proxy

GENERATE = {"model": "held", "prompt": "Test", "stream": False}


def ogp(proxy: Proxy, *arguments: str, token: str | None = None) -> str:
    """What the command writes to standard output; it must succeed."""
    environ = {**os.environ, "OGP_URL": proxy.url, "OGP_TOKEN": token or proxy.admin_token}
    command = [sys.executable, "-m", "ogp", "queue", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True, timeout=WAIT_S
    )
    return done.stdout


@contextmanager
def on_a_terminal(
    proxy: Proxy, *arguments: str
) -> Iterator[tuple[subprocess.Popen[bytes], Output]]:
    environ = {**os.environ, "OGP_URL": proxy.url, "OGP_TOKEN": proxy.token, "COLUMNS": "150"}
    environ |= {"TERM": "xterm", "LINES": "30"}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ogp", "queue", *arguments],
        cwd=ROOT, env=environ, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    output = Output(lines_of(ours))
    try:
        yield process, output
    finally:
        process.kill()
        process.wait(WAIT_S)
        output.close()


class lines_of:  # noqa: N801 - reads as what it gives
    """Lines of a terminal until nobody writes there any more."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal

    def __iter__(self) -> Iterator[str]:
        rest = b""
        while True:
            try:
                rest += os.read(self._terminal, 65_536)
            except OSError:  # Linux: the other side has closed
                break
            *lines, rest = rest.split(b"\n")
            yield from (line.decode() for line in lines)
        yield rest.decode()

    def close(self) -> None:
        os.close(self._terminal)


def test_limits_places_and_figures_of_a_running_service(
    upstream: DemoServer, tmp_path: Path
) -> None:
    release = Event()
    upstream.script("held", Script.generate("a", hold_before_head=release))
    with Proxy(tmp_path, upstream.url) as proxy:
        told = ogp(proxy, "limits", "held", "--parallel", "1", "--max-queue", "7")
        assert told == "held: 1 at once, 7 may wait\n"
        asking = [Thread(target=proxy.post, args=("/api/generate", GENERATE)) for _ in range(2)]
        for thread in asking:
            thread.start()
        assert upstream.wait_for(lambda: upstream.active("held") == 1, WAIT_S)
        waiting = Thread(
            target=proxy.post,
            args=("/api/generate", GENERATE),
            kwargs={"headers": {"X-Request-ID": "mine"}},
        )
        waiting.start()
        with on_a_terminal(proxy, "watch", "--interval", "0.1") as (_, output):
            output.wait_for("2/7")
        place = ogp(proxy, "position", "mine", token=proxy.token)
        assert place.startswith("mine: no. ")
        release.set()
        for thread in (*asking, waiting):
            thread.join(WAIT_S)
        figures = ogp(proxy, "watch", "--once", "--model", "held", token=proxy.token)
        assert "0/7" in figures
        assert ogp(proxy, "reset", "held") == "Statistics reset for model held\n"


def test_the_watch_outlasts_a_restart_and_ctrl_c_leaves_a_usable_terminal(
    upstream: DemoServer, tmp_path: Path
) -> None:
    proxy = Proxy(tmp_path, upstream.url)
    with proxy, on_a_terminal(proxy, "watch", "--interval", "0.1") as (process, output):
        output.wait_for("No request has named a model yet.")
        proxy.stop()
        output.wait_for("asking again, the figures are old")
        proxy.start()
        proxy.post("/api/generate", {**GENERATE, "model": "demo"})
        output.wait_for("demo", START_TIMEOUT_S)
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 0
        output.wait_for("\x1b[?25h")  # the cursor
        assert "Traceback" not in output.text()
