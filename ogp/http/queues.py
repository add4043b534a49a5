"""The queues: what they tell, and what administrators may change of them."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from falcon import Request, Response

from ogp.core.errors import InvalidRequestError, NotFoundError
from ogp.core.types import Role, canonical_model
from ogp.dialects.model_name import check_model_name
from ogp.dialects.strict import parse_document
from ogp.http.admin import AdminResource
from ogp.http.answers import answer_json
from ogp.http.body import read_body
from ogp.http.control import OwnResource
from ogp.http.scope import exchange_of
from ogp.queueing.live import LimitChange, LiveLimits
from ogp.queueing.report import QueueReport, UnknownQueueError
from ogp.settings.schema import LimitSettings

UPDATE_FIELDS = ("model", "parallel_limit", "queue_limit", "persist")
BOOLEANS = {"true": True, "false": False}

log = structlog.get_logger(__name__)


class QueueStatsResource(OwnResource):
    """`GET /queue/stats`, of all models or of `?model=NAME`."""

    def __init__(self, report: QueueReport) -> None:
        self._report = report

    def on_get(self, req: Request, resp: Response) -> None:
        """Send the figures."""
        model = req.get_param("model")
        try:
            answer_json(resp, self._report.statistics(canonical_model(model) if model else None))
        except UnknownQueueError as error:
            answer_unknown(resp, model or "", error)


class QueuePositionResource(OwnResource):
    """`GET /queue/position/{request_id}`: where a waiting request stands, for whose it is."""

    def __init__(self, report: QueueReport) -> None:
        self._report = report

    def on_get(self, req: Request, resp: Response, request_id: str) -> None:
        """Send the place; that of somebody else is not told from one that does not exist."""
        principal = exchange_of(req).principal
        if principal is None:  # the operator opened the path: nobody is the owner
            raise self._unknown()
        user = None if principal.role is Role.ADMIN else principal.username
        place = self._report.place(request_id, user)
        if place is None:
            raise self._unknown()
        answer_json(resp, place)

    @staticmethod
    def _unknown() -> NotFoundError:
        return NotFoundError(
            "No request of yours with this id waits in a queue: it runs, has ended or never came."
        )


class QueueUpdateResource(AdminResource):
    """`POST /admin/queue/update`: other limits for one model, from now on."""

    def __init__(self, live: LiveLimits, limits: LimitSettings) -> None:
        """Keep who changes limits; `limits` bounds the body."""
        self._live, self._limits = live, limits

    def on_post(self, req: Request, resp: Response) -> None:
        """Change what is given."""
        fields = given_fields(req, self._limits, UPDATE_FIELDS)
        change = change_of(fields)
        limits = self._live.update(change, set_by=caller(req))
        document: dict[str, Any] = {
            "model": change.model,
            "parallel_limit": limits.parallel,
            "queue_limit": limits.max_queue,
            "status": "updated",
        }
        if change.persist is not None:
            document["persist"] = change.persist
        note = self._live.note(limits)
        if note is not None:
            document["note"] = note
        answer_json(resp, document)


class QueueResetResource(AdminResource):
    """`POST /admin/queue/reset`: begin to count anew, for all models or one."""

    def __init__(self, report: QueueReport, limits: LimitSettings) -> None:
        """Keep who counts; `limits` bounds the body."""
        self._report, self._limits = report, limits

    def on_post(self, req: Request, resp: Response) -> None:
        """Reset the statistics; requests that run or wait are left alone."""
        fields = given_fields(req, self._limits, ("model",))
        model = check_model_name("model", fields["model"]) if "model" in fields else None
        try:
            self._report.reset(None if model is None else canonical_model(model))
        except UnknownQueueError as error:
            answer_unknown(resp, model or "", error)
            return
        log.info("queue statistics reset", model=model, set_by=caller(req))
        which = "all models" if model is None else f"model {model}"
        answer_json(resp, {"status": "success", "message": f"Statistics reset for {which}"})


def answer_unknown(resp: Response, model: str, error: UnknownQueueError) -> None:
    """Say that a model has no queue, and which ones have."""
    document = {
        "error": f"No queue found for model '{model}'",
        "available_models": list(error.known),
    }
    answer_json(resp, document, status=404)


def caller(req: Request) -> str:
    """Name of the administrator who asks."""
    principal = exchange_of(req).principal
    return "" if principal is None else principal.username


def given_fields(req: Request, limits: LimitSettings, names: tuple[str, ...]) -> Mapping[str, Any]:
    """Fields of the JSON body, whatever its type is called, and of the query.

    Raises:
        InvalidRequestError: the body is no JSON object, a field is unknown, or given twice.
    """
    body = read_body(req, limits)
    fields = dict(parse_document(body, names=names)) if body.strip() else {}
    fields = {name: value for name, value in fields.items() if value is not None}
    if not set(names).issuperset((*fields, *req.params)):
        raise InvalidRequestError(f"A field is unknown; known here: {', '.join(names)}.")
    for name in req.params:
        (text, *more) = req.get_param_as_list(name) or [""]
        if more or name in fields:
            raise InvalidRequestError(f"{name} is given twice.")
        fields[name] = query_value(name, text)
    return fields


def query_value(name: str, text: str) -> Any:
    """What a parameter says; anything else than a whole number or a boolean stays text."""
    if name == "persist":
        return BOOLEANS.get(text.lower(), text)
    digits = text.removeprefix("-")
    numeric = digits.isascii() and digits.isdigit() and len(digits) <= 9
    return int(text) if numeric and name != "model" else text


def change_of(fields: Mapping[str, Any]) -> LimitChange:
    """The change that an administrator asks for.

    Raises:
        InvalidRequestError: a field is missing or of the wrong kind; the message names it.
    """
    model = check_model_name("model", fields.get("model"))
    change = LimitChange(
        canonical_model(model),
        parallel=_typed(fields, "parallel_limit", int, "a whole number"),
        max_queue=_typed(fields, "queue_limit", int, "a whole number"),
        persist=_typed(fields, "persist", bool, "true or false"),
    )
    if change.parallel is None and change.max_queue is None and change.persist is None:
        raise InvalidRequestError("parallel_limit, queue_limit or persist must be given.")
    return change


def _typed(fields: Mapping[str, Any], name: str, kind: Callable[..., Any], right: str) -> Any:
    value = fields.get(name)
    if value is not None and type(value) is not kind:  # True is an int, and no limit
        raise InvalidRequestError(f"{name} must be {right}.")
    return value
