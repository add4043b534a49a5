"""A real nginx in front of a server, in one process, on loopback."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.proxy import START_TIMEOUT_S, Output, free_port

PLACES = (os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")
CONFIGURATION = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {server}
        location / {{
            proxy_pass {upstream};
            {location}
        }}
    }}
}}
"""


@contextmanager
def nginx(directory: Path, upstream: str, *, server: str = "", location: str = "") -> Iterator[str]:
    """Run it; the value is its URL.

    Args:
        directory: for its files.
        upstream: what `proxy_pass` names.
        server: lines of its server.
        location: lines of its only location.
    """
    program = shutil.which("nginx", path=os.pathsep.join(PLACES))
    assert program is not None, "nginx is not installed: ./run_tests.sh says how"
    port = free_port()
    text = CONFIGURATION.format(
        directory=directory, port=port, upstream=upstream, server=server, location=location
    )
    file = directory / "nginx.conf"
    file.write_text(text, "utf-8")
    process = subprocess.Popen(
        [program, "-p", str(directory), "-c", str(file), "-e", "stderr"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output = Output(process.stdout)
    try:
        output.wait_for("event method", START_TIMEOUT_S)  # its sockets listen by then
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_S)
        output.close()
