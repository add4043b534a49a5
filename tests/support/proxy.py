"""A real proxy for tests: gunicorn in a process of its own, on loopback, over a data directory."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Self

import psutil
import requests

from ogp.auth.users import UserStore
from ogp.core.types import Role
from ogp.storage.engine import Database
from ogp.storage.migrate import migrate

ROOT = Path(__file__).resolve().parents[2]
BANNED = "violet submarine"
"""The phrase that tests forbid in both directions."""
START_TIMEOUT_S = 30.0
WAIT_S = 10.0


class Output:
    """Lines of a process, as they come. Thread-safe."""

    def __init__(self, stream: Any) -> None:
        self._changed = Condition()
        self._lines: deque[str] = deque(maxlen=20_000)
        self._ended = False
        self._stream = stream
        self._thread = Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: Any) -> None:
        for line in stream:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def text(self) -> str:
        with self._changed:
            return "".join(self._lines)

    def close(self) -> None:
        self._thread.join(WAIT_S)
        self._stream.close()

    def wait_for(self, part: str, timeout_s: float = WAIT_S, *, times: int = 1) -> None:
        def seen() -> bool:
            return sum(part in line for line in self._lines) >= times

        with self._changed:
            self._changed.wait_for(lambda: seen() or self._ended, timeout_s)
            assert seen(), f"{part!r} not seen {times} time(s) in:\n{''.join(self._lines)}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Proxy:
    """The service under test, its tokens and its database."""

    def __init__(self, directory: Path, upstream_url: str, **settings: object) -> None:
        """Prepare a data directory.

        Args:
            directory: becomes the service's working directory.
            upstream_url: where its Ollama is.
            settings: further keys, `guard__output_enabled=False` for `guard.output_enabled`.
        """
        self.directory, self.port = directory, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database_path = directory / "data" / "ogp.db"
        self._settings = {
            "server__port": self.port,
            "upstream__url": upstream_url,
            "upstream__health_interval_s": 3600,
            "queue__parallel": 4,
            **settings,
        }
        migrate(self.database_path)
        self.admin_token = self.new_token("root", Role.ADMIN)
        self.token = self.new_token("alice", Role.USER)
        self.process: subprocess.Popen[str] | None = None
        self.output: Output

    def environment(self) -> Mapping[str, str]:
        """What the service finds in its environment; nothing of the operator's own settings."""
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
        kept |= {k: v for k, v in os.environ.items() if k.startswith(("COVERAGE", "COV_"))}
        own = {f"OGP__{key.upper()}": str(value) for key, value in self._settings.items()}
        return {**kept, **own, "OGP__DATA_DIR": str(self.directory / "data")}

    @contextmanager
    def users(self) -> Iterator[UserStore]:
        """The users, as the command line reaches them while the service runs."""
        database = Database(self.database_path)
        database.start()
        try:
            yield UserStore(database)
        finally:
            database.stop()

    def new_token(self, name: str, role: Role = Role.USER) -> str:
        with self.users() as users:
            _, minted = users.create(name, role=role)
        return minted.text

    def deactivate(self, name: str) -> None:
        with self.users() as users:
            users.deactivate(name)

    def start(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py")],
            cwd=self.directory,
            env={**self.environment(), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = Output(self.process.stdout)
        workers = int(str(self._settings.get("server__workers", 1)))
        self.output.wait_for('"event":"started"', START_TIMEOUT_S, times=workers)
        # The only probe of each worker, for an hour.
        self.output.wait_for('"event":"upstream ', times=workers)
        return self

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end of the service; its exit status."""
        assert self.process is not None
        try:
            return self.process.wait(START_TIMEOUT_S)
        finally:
            self.process.kill()
            self.output.close()

    def worker(self) -> psutil.Process:
        """The one worker process."""
        assert self.process is not None
        (worker,) = psutil.Process(self.process.pid).children()
        return worker

    def workers(self) -> list[psutil.Process]:
        """All worker processes, oldest first."""
        assert self.process is not None
        return sorted(psutil.Process(self.process.pid).children(), key=lambda worker: worker.pid)

    def kill_worker(self, worker: psutil.Process | None = None) -> None:
        """kill -9, and wait for the next worker."""
        before = self.output.text().count('"event":"started"')
        (worker or self.worker()).kill()
        self.output.wait_for('"event":"started"', START_TIMEOUT_S, times=before + 1)

    def headers(self, token: str | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {token or self.token}"}

    def get(self, path: str, *, token: str | None = None, **options: Any) -> requests.Response:
        return requests.get(self.url + path, headers=self.headers(token), timeout=WAIT_S, **options)

    def post(
        self, path: str, document: object = None, *, token: str | None = None, **options: Any
    ) -> requests.Response:
        options.setdefault("timeout", WAIT_S)
        headers = {**self.headers(token), **options.pop("headers", {})}
        return requests.post(self.url + path, json=document, headers=headers, **options)

    def rows(self, where: str = "1=1") -> list[dict[str, Any]]:
        """Rows of the request log, oldest first."""
        with sqlite3.connect(f"file:{self.database_path}?mode=ro", uri=True) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute(f"SELECT * FROM request_logs WHERE {where} ORDER BY id")
            rows = [dict(row) for row in found]
        connection.close()
        return rows

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


@contextmanager
def raw_connection(proxy: Proxy, timeout_s: float = WAIT_S) -> Iterator[socket.socket]:
    """A bare TCP connection to the proxy, for what no HTTP client would send."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=timeout_s) as connection:
        yield connection
