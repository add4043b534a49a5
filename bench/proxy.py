"""What the proxy costs: requests per second and added latency, beside nginx, in one run.

`python -m bench.proxy [--seconds 5]`. Needs wrk and nginx (Debian packages). Absolute figures move
with the machine; read the ratios. Guards are on where the row says so.
"""

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import requests
from rich.console import Console
from rich.table import Table

from tests.support.proxy import Proxy, free_port

MODEL = "demo-tokens-32-0ms"
STREAM_MODEL = "demo-tokens-40-10ms"
PROMPT = "hello " * 150
LATENCY = re.compile(r"50%\s+([\d.]+)(us|ms|s)")
UNIT_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True, slots=True)
class Target:
    """Something that answers `/api/chat`."""

    name: str
    url: str
    token: str = "none"


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw."""

    per_second: float
    p50_ms: float


@contextmanager
def look_alike() -> Iterator[str]:
    """The scriptable upstream in a process of its own; its URL."""
    command = [sys.executable, "-m", "ogp.demo", "--port", "0", "--first-byte-ms", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


@contextmanager
def nginx(upstream: str, directory: Path) -> Iterator[str]:
    """A plain reverse proxy, buffering off, as the measure; its URL."""
    port = free_port()
    configuration = f"""
        daemon off; pid {directory}/nginx.pid; error_log {directory}/error.log;
        worker_processes 1; events {{}}
        http {{ access_log off; client_body_temp_path {directory}; proxy_temp_path {directory};
          fastcgi_temp_path {directory}; uwsgi_temp_path {directory}; scgi_temp_path {directory};
          upstream server {{ server {upstream.removeprefix("http://")}; keepalive 64; }}
          server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://server;
            proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host localhost;
            proxy_buffering off; }} }} }}"""
    file = directory / "nginx.conf"
    file.write_text(configuration)
    with subprocess.Popen(["nginx", "-c", str(file)], stderr=subprocess.DEVNULL) as process:
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def wrk(target: Target, connections: int, seconds: int, directory: Path) -> Load:
    """Ask for whole answers as fast as they come."""
    body = json.dumps(
        {"model": MODEL, "stream": False, "messages": [{"role": "user", "content": PROMPT}]}
    )
    script = directory / "request.lua"
    script.write_text(
        f'wrk.method="POST" wrk.body=[[{body}]]\n'
        f'wrk.headers["Authorization"]="Bearer {target.token}"\n'
    )
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script)]
    report = subprocess.run(
        [*command, f"{target.url}/api/chat"], capture_output=True, text=True, check=True
    ).stdout
    if "Non-2xx" in report:
        raise SystemExit(f"{target.name} refused requests:\n{report}")
    value, unit = LATENCY.findall(report)[0]
    (per_second,) = re.findall(r"Requests/sec:\s+([\d.]+)", report)
    return Load(float(per_second), float(value) * UNIT_MS[unit])


def first_token_ms(target: Target, times: int = 15) -> float:
    """Median time to the first token of a stream."""
    document = {"model": STREAM_MODEL, "messages": [{"role": "user", "content": PROMPT}]}
    taken = []
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {target.token}"
        for _ in range(times):
            started = perf_counter()
            with session.post(f"{target.url}/api/chat", json=document, stream=True) as answer:
                next(answer.iter_lines(chunk_size=1))
                taken.append(1e3 * (perf_counter() - started))
                answer.content  # noqa: B018 - read to the end, so that the connection is kept
    return statistics.median(taken)


def main() -> None:
    """Run everything and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="length of each run of wrk")
    seconds = parser.parse_args().seconds
    missing = [name for name in ("wrk", "nginx") if shutil.which(name) is None]
    if missing:
        raise SystemExit(f"missing: {', '.join(missing)}")
    off = {"guard__input_enabled": False, "guard__output_enabled": False}
    console = Console()
    table = Table(title="POST /api/chat, 1 KB prompt, 32 tokens; x = times direct")
    for head in ("target", "c", "requests/s", "p50 ms", "p50 x", "first token ms", "added ms"):
        table.add_column(head)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(look_alike())
        front = stack.enter_context(nginx(upstream, directory))
        targets = [Target("direct", upstream), Target("nginx", front)]
        for name, options in (("proxy, guards off", off), ("proxy, guards on", {})):
            home = directory / name.replace(" ", "-")
            proxy = stack.enter_context(Proxy(home, upstream, queue__parallel=64, **options))
            targets.append(Target(name, proxy.url, proxy.token))
        direct: dict[int, Load] = {}
        direct_token_ms = 0.0
        with console.status("measuring"):
            for target in targets:
                token_ms = first_token_ms(target)
                direct_token_ms = direct_token_ms or token_ms
                for connections in (1, 16):
                    load = wrk(target, connections, seconds, directory)
                    base = direct.setdefault(connections, load)
                    table.add_row(
                        target.name,
                        str(connections),
                        f"{load.per_second:.0f}",
                        f"{load.p50_ms:.2f}",
                        f"{load.p50_ms / base.p50_ms:.1f}",
                        f"{token_ms:.1f}",
                        f"{token_ms - direct_token_ms:+.2f}",
                    )
    console.print(table)


if __name__ == "__main__":
    main()
