#!/usr/bin/env python3
"""See whether the queue of a running proxy does what docs/queue.md says. Needs Python 3.11 alone.

OGP_TOKEN=... python docs/test_concurrency.py [--url http://localhost:8080] [--model llama2]

Runs the load tests of scripts/load as well; ab and wrk are left out where they are not installed.
The token comes from OGP_TOKEN or --token-file. Exit status 1: something is not as it should be.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

LOAD = Path(__file__).resolve().parents[1] / "scripts" / "load"
ENTRY = (
    *("model", "parallel_limit", "queue_limit", "active_requests", "queued_requests"),
    *("available_slots", "queue_available", "total_processed", "total_rejected"),
    *("avg_wait_time_ms", "avg_processing_time_ms", "uptime_seconds"),
)
MEMORY = ("total_gb", "available_gb", "used_gb", "percent", "recommended_parallel")
CONCURRENCY = ("default_parallel", "default_queue_limit", "total_models", "memory")
TIMEOUT_S = 300.0
LOOK_EVERY_S = 0.05
SETTLE_S = 10.0
"""How long the counts may lag behind the answers."""


class WrongError(Exception):
    """The proxy does not do what it should; the message says how."""


class MissingError(Exception):
    """A tool is not installed."""


@dataclass(frozen=True, slots=True)
class Service:
    """The proxy under test, and the load it is given."""

    url: str
    token: str
    model: str
    requests: int
    concurrency: int

    def get(self, path: str) -> dict[str, Any]:
        """What an endpoint tells."""
        return self._ask(path, None)

    def generate(self, prompt: str) -> dict[str, Any]:
        """One answer."""
        document = {"model": self.model, "prompt": prompt, "stream": False}
        return self._ask("/api/generate", json.dumps(document).encode())

    def entry(self) -> dict[str, Any]:
        """The model's figures."""
        stats = self.get(f"/queue/stats?model={quote(self.model)}")
        (entry,) = stats["models"].values()
        found: dict[str, Any] = entry
        return found

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One of the load tests."""
        environ = {**os.environ, "OGP_TOKEN": self.token, "OGP_URL": self.url, "MODEL": self.model}
        command = [str(LOAD / script), *arguments]
        if script.endswith(".py"):
            command.insert(0, sys.executable)
        done = subprocess.run(  # noqa: S603 - our own scripts
            command, env=environ, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
        if done.returncode:
            raise WrongError(f"{script}: {(done.stderr or done.stdout).strip()[-300:]}")
        return done

    def _ask(self, path: str, body: bytes | None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        request = Request(self.url + path, data=body, headers=headers)  # noqa: S310 - the caller's own
        try:
            with urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310 - as above
                document: dict[str, Any] = json.load(response)
                return document
        except HTTPError as refusal:
            with refusal:
                told = refusal.read(500).decode(errors="replace").strip()
            raise WrongError(f"{path}: status {refusal.code}: {told}") from refusal
        except URLError as error:
            raise WrongError(f"{self.url} does not answer: {error.reason}") from error


def require(document: dict[str, Any], names: tuple[str, ...]) -> None:
    """Fail if a field is not there."""
    missing = [name for name in names if name not in document]
    if missing:
        raise WrongError(f"missing: {', '.join(missing)}")


def health(service: Service) -> str:
    """`/health` has its concurrency block."""
    block = service.get("/health")["concurrency"]
    require(block, CONCURRENCY)
    return f"{block['default_parallel']} at once, {block['default_queue_limit']} may wait"


def memory(service: Service) -> str:
    """`/queue/memory` has its fields."""
    told = service.get("/queue/memory")
    require(told, MEMORY)
    return f"{told['available_gb']} GB available, recommended {told['recommended_parallel']}"


def single(service: Service) -> str:
    """One request is answered."""
    started = time.monotonic()
    require(service.generate("Test"), ("response", "done"))
    return f"{time.monotonic() - started:.2f} s"


def statistics(service: Service) -> str:
    """`/queue/stats?model=` has the model's fields."""
    entry = service.entry()
    require(entry, ENTRY)
    return f"{entry['total_processed']} processed, {entry['total_rejected']} rejected"


def limits(service: Service) -> str:
    """Under load no limit is exceeded, and the counts are those of the answers."""
    before = service.entry()
    with watched(service) as looks:
        done = service.run(
            "asyncio_load.py",
            *("--url", service.url, "--model", service.model),
            *("--requests", str(service.requests), "--concurrency", str(service.concurrency)),
        )
    told = json.loads(done.stdout)
    for entry in looks:
        if entry["active_requests"] > entry["parallel_limit"]:
            raise WrongError(f"{entry['active_requests']} ran, {entry['parallel_limit']} may")
        if entry["queued_requests"] > entry["queue_limit"]:
            raise WrongError(f"{entry['queued_requests']} waited, {entry['queue_limit']} may")
    counted = {
        "processed": told["served"] + before["total_processed"],
        "rejected": told["refused"] + before["total_rejected"],
    }
    wait_for_counts(service, counted)
    most = max((entry["active_requests"] for entry in looks), default=0)
    return f"{told['served']} served, {told['refused']} refused, at most {most} at once"


def wait_for_counts(service: Service, counted: dict[str, int]) -> None:
    """Fail if the service does not count what was counted here."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        entry = service.entry()
        seen = {name: entry[f"total_{name}"] for name in counted}
        if seen == counted:
            return
        if time.monotonic() > deadline:
            raise WrongError(f"counted {seen} instead of {counted}; is somebody else at work?")
        time.sleep(LOOK_EVERY_S)


@contextmanager
def watched(service: Service) -> Iterator[list[dict[str, Any]]]:
    """The model's figures again and again while the body runs."""
    ending, looks = Event(), list[dict[str, Any]]()

    def look() -> None:
        with suppress(WrongError):  # whoever counts afterwards finds it, too
            while not ending.wait(LOOK_EVERY_S):
                looks.append(service.entry())

    thread = Thread(target=look)
    thread.start()
    try:
        yield looks
    finally:
        ending.set()
        thread.join()


def retries(service: Service) -> str:
    """Clients that ask again after a refusal are all served in the end."""
    count = min(service.requests, service.concurrency)
    done = service.run(
        "retry_client.py",
        *("--url", service.url, "--model", service.model),
        *("--requests", str(count), "--max-retries", "20"),
    )
    return f"{json.loads(done.stdout.splitlines()[-1])['served']} of {count} served"


def apache_bench(service: Service) -> str:
    """Every answer to Apache Bench is a success or a refusal for want of room."""
    need("ab")
    count, concurrency = service.requests, min(service.requests, service.concurrency)
    done = service.run("ab.sh", str(count), str(concurrency))
    return ", ".join(line for line in done.stdout.splitlines() if line.startswith("status "))


def wrk(service: Service) -> str:
    """The same with wrk, for two seconds."""
    need("wrk")
    return service.run("wrk.sh", "2", str(service.concurrency)).stdout.splitlines()[-1]


def need(tool: str) -> None:
    """Leave a test out where its tool is not installed."""
    if shutil.which(tool) is None:
        raise MissingError(f"{tool} is not installed")


TESTS: tuple[Callable[[Service], str], ...] = (
    health,
    memory,
    single,
    statistics,
    limits,
    retries,
    apache_bench,
    wrk,
)


def result_of(test: Callable[[Service], str], service: Service) -> tuple[str, str]:
    """A word and what is behind it."""
    try:
        return "ok", test(service)
    except MissingError as error:
        return "left out", str(error)
    except (WrongError, KeyError, ValueError, subprocess.TimeoutExpired) as error:
        return "FAILED", f"{error}"


def token_of(file: Path | None) -> str:
    """From the file, else from the environment; empty if there is none."""
    return os.environ.get("OGP_TOKEN", "") if file is None else file.read_text("ascii").strip()


def main() -> None:
    """Read the command line, run every test, print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", default=os.environ.get("OGP_URL", "http://localhost:8080"))
    parser.add_argument("--token-file", type=Path, help="without it $OGP_TOKEN is taken")
    parser.add_argument("--model", default="llama2")
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--concurrency", type=int, default=8)
    given = parser.parse_args()
    service = Service(
        given.url.rstrip("/"),
        token_of(given.token_file),
        given.model,
        given.requests,
        given.concurrency,
    )
    failed = 0
    for test in TESTS:
        word, told = result_of(test, service)
        failed += word == "FAILED"
        sys.stdout.write(f"{word:<9} {test.__name__:<13} {' '.join(told.split())}\n")
        sys.stdout.flush()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
