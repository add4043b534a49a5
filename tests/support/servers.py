"""A proxy before several look-alikes, for tests of routing over real sockets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ogp.demo.server import DemoServer
from tests.support.proxy import Proxy

PROBE_S = 0.2
"""Between two probes: tests wait for what they find out."""


def proxy_before(
    directory: Path,
    servers: Mapping[str, DemoServer],
    *,
    entries: Mapping[str, Mapping[str, Any]] | None = None,
    routing: Mapping[str, Any] | None = None,
    **settings: object,
) -> Proxy:
    """A proxy that is not started yet.

    Args:
        servers: by the name they get in the configuration.
        entries: what else stands under these names.
        routing: the section of that name.
        settings: further keys, as `Proxy` takes them.
    """
    document = {
        "servers": {
            name: {"url": server.url, **(entries or {}).get(name, {})}
            for name, server in servers.items()
        },
        "routing": dict(routing or {}),
    }
    (directory / "config.yaml").write_text(yaml.safe_dump(document), "utf-8")
    settings.setdefault("upstream__health_interval_s", PROBE_S)
    return Proxy(directory, "", **settings)
