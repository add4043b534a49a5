"""Our own endpoints: liveness, health, configuration."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from falcon import Request, Response

from ogp.core.types import Role
from ogp.http.answers import answer_json
from ogp.http.middleware import Access
from ogp.http.scope import exchange_of
from ogp.settings.redact import legacy_view, redact
from ogp.settings.schema import Settings

Report = Callable[[], Mapping[str, Any]]


class OwnResource:
    """An endpoint of ours: not recorded while it succeeds, and the operator may open it."""

    access: ClassVar[Access] = Access.USER
    audited: ClassVar[bool] = False
    own: ClassVar[bool] = True


class RootResource(OwnResource):
    """`GET /` and `HEAD /`: what Ollama's own clients ask first."""

    access = Access.PUBLIC

    def __init__(self, any_up: Callable[[], bool]) -> None:
        self._any_up = any_up

    def on_get(self, _req: Request, resp: Response) -> None:
        """Say what Ollama says, or that it cannot be reached."""
        resp.content_type = "text/plain; charset=utf-8"
        if self._any_up():
            resp.text = "Ollama is running"
        else:
            resp.status = 500
            resp.text = "Ollama service unavailable"

    on_head = on_get


class ReportResource(OwnResource):
    """Answers GET with a report made on the spot."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def on_get(self, _req: Request, resp: Response) -> None:
        """Send the report."""
        answer_json(resp, self._report())


class ConfigResource(OwnResource):
    """`GET /config`: the settings in force, without secrets; lists for administrators only."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def on_get(self, req: Request, resp: Response) -> None:
        """Send the sections, and beside them the flat names of the earlier implementation."""
        principal = exchange_of(req).principal
        lists = principal is not None and principal.role is Role.ADMIN
        answer_json(resp, {**legacy_view(self._settings), **redact(self._settings, lists=lists)})


class PublicReportResource(ReportResource):
    """A report without secrets that needs no token."""

    access = Access.PUBLIC


class ReadyResource(OwnResource):
    """`GET /ready`: 200 once requests can be served, 503 before and while not."""

    access = Access.PUBLIC

    def __init__(self, obstacles: Callable[[], list[str]]) -> None:
        self._obstacles = obstacles

    def on_get(self, _req: Request, resp: Response) -> None:
        """Say what is missing, if anything."""
        obstacles = self._obstacles()
        status = "not_ready" if obstacles else "ready"
        answer_json(
            resp, {"status": status, "waiting_for": obstacles}, status=503 if obstacles else 200
        )
