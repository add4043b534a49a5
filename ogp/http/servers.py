"""The servers behind us: how they are, what administrators may change, who gets what and why."""

from typing import Any

import structlog
from falcon import Request, Response

from ogp.core.errors import ForbiddenError, InvalidRequestError
from ogp.core.types import InferenceRequest, Principal, Role
from ogp.dialects.model_name import check_model_name
from ogp.http.admin import AdminResource
from ogp.http.answers import answer_json
from ogp.http.queues import caller, given_fields
from ogp.routing.fleet import Fleet
from ogp.routing.plan import ServerState
from ogp.settings.schema import LimitSettings

SERVER_HEADER = "X-OGP-Server"
ACTIONS = {
    "enable": ServerState.ENABLED,
    "disable": ServerState.DISABLED,
    "drain": ServerState.DRAINING,
}
STATE_FIELDS = ("action",)
EXPLAIN_FIELDS = ("model", "user")

log = structlog.get_logger(__name__)


class ServersResource(AdminResource):
    """`GET /admin/servers`: every server, with its address and what it has in memory."""

    def __init__(self, fleet: Fleet) -> None:
        """Keep the servers."""
        self._fleet = fleet

    def on_get(self, _req: Request, resp: Response) -> None:
        """Tell what is known now; no server is asked."""
        answer_json(resp, {"servers": self._fleet.described()})


class ServerStateResource(AdminResource):
    """`POST /admin/servers/{name}`: enable, disable or drain one, for all workers."""

    def __init__(self, fleet: Fleet, limits: LimitSettings) -> None:
        """Keep the servers; `limits` bounds the body."""
        self._fleet, self._limits = fleet, limits

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        """Change its state from now on; what runs there is left alone."""
        action = given_fields(req, self._limits, STATE_FIELDS).get("action")
        if action not in ACTIONS:
            raise InvalidRequestError(f"action must be one of {', '.join(ACTIONS)}.")
        state = ACTIONS[action]
        before = self._fleet.states.change(name, state, set_by=caller(req))
        answer_json(resp, {"server": name, "state": str(state), "before": str(before)})


class RouteExplainResource(AdminResource):
    """`POST /admin/route/explain`: where a model's request would go now, and why."""

    def __init__(self, fleet: Fleet, limits: LimitSettings) -> None:
        """Keep the servers; `limits` bounds the body."""
        self._fleet, self._limits = fleet, limits

    def on_post(self, req: Request, resp: Response) -> None:
        """Explain; nothing is sent and nothing counted."""
        fields = given_fields(req, self._limits, EXPLAIN_FIELDS)
        model = check_model_name("model", fields.get("model"))
        user = fields.get("user")
        if user is not None and not isinstance(user, str):
            raise InvalidRequestError("user must be text.")
        document: dict[str, Any] = dict(self._fleet.explain(model))
        if user is not None:
            document["user"] = user
            document["note"] = "No rule of routing depends on the user."
        answer_json(resp, document)


def asked_server(req: Request, request: InferenceRequest, principal: Principal) -> str | None:
    """The server that is asked for, in the header or as `?server=`.

    Raises:
        ForbiddenError: the caller is no administrator; for what changes models, the policy decides.
        InvalidRequestError: two different ones are named.
    """
    named = {req.get_header(SERVER_HEADER), *(req.get_param_as_list("server") or [])} - {None, ""}
    if not named:
        return None
    if len(named) > 1:
        raise InvalidRequestError(f"{SERVER_HEADER} and server name different servers.")
    if principal.role is not Role.ADMIN and not request.managed:
        raise ForbiddenError(f"Only an administrator may choose a server by {SERVER_HEADER}.")
    return str(named.pop())
