"""What gunicorn imports: settings -> assembly -> WSGI callable."""

import os
from collections.abc import Iterable
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

from ogp.assembly import Services, build
from ogp.settings.load import load_settings
from ogp.telemetry.logs import configure_logging

SNAPSHOT_VARIABLE = "OGP_CONFIG_SNAPSHOT"
"""Names the configuration file gunicorn's master found good; workers read no other."""


class Application:
    """The WSGI callable of one worker, and what it runs on. For `gunicorn.conf.py`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        return self._services.app(environ, start_response)

    def refuse_waiting(self) -> None:
        """Refuse who still waits in a queue, a moment before the worker's end."""
        self._services.refuse_waiting()

    def stop(self) -> None:
        """Give back everything; the audit log is written to its end."""
        self._services.stop()


def create_app() -> Application:
    """Build and start the service in this process; called once per worker, after the fork."""
    snapshot = os.environ.get(SNAPSHOT_VARIABLE)
    loaded = load_settings(Path(snapshot) if snapshot else None, environ=os.environ, flags={})
    configure_logging(loaded.settings.logging)
    services = build(loaded.settings)
    services.start()
    return Application(services)
