"""Refusals. Each knows its HTTP status and its stable code; `http/errors.py` alone renders them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

from ogp.core.types import Verdict


class GatewayError(Exception):
    """A refusal that a client may see. The message never holds secrets or prompt text."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    bare_code: ClassVar[bool] = False
    """The requirements name this body: Ollama's `error` field holds the code alone."""
    retry_after_s: float | None = None
    """Seconds a client should wait before a retry; None where one makes no difference."""

    def __init__(self, message: str, **facts: Any) -> None:
        """Keep what is wrong and what would be right.

        Args:
            message: a sentence for the client.
            facts: further top-level fields of the answer, e.g. `model="llama2"`.
        """
        super().__init__(message)
        self.message = message
        self.facts: Mapping[str, Any] = facts


class InvalidRequestError(GatewayError):
    """The body is not what the operation takes; the message names the field and what is right."""

    status = 400
    code = "invalid_request"


class TooLargeError(GatewayError):
    """Body, prompt or messages exceed a configured limit."""

    status = 413
    code = "too_large"


class BodyTimeoutError(GatewayError):
    """The client did not send its body in time."""

    status = 408
    code = "body_timeout"


class UnsupportedEncodingError(GatewayError):
    """A `Content-Encoding` other than identity: its bytes could not be scanned."""

    status = 415
    code = "unsupported_encoding"


class UnauthorizedError(GatewayError):
    """No token, or one that is not valid any more."""

    status = 401
    code = "unauthorized"


class AuthUnavailableError(GatewayError):
    """The token could not be looked up, so nobody is let in."""

    status = 503
    code = "auth_unavailable"
    retry_after_s = 5.0


class ForbiddenError(GatewayError):
    """A valid token whose role does not allow this."""

    status = 403
    code = "forbidden"


class AccessDeniedError(GatewayError):
    """The client's address is not let in."""

    status = 403
    code = "access_denied"
    bare_code = True


class NotFoundError(GatewayError):
    """No such route; nothing goes upstream."""

    status = 404
    code = "not_found"


class MethodNotAllowedError(GatewayError):
    """The path exists, the method does not."""

    status = 405
    code = "method_not_allowed"


class RateLimitError(GatewayError):
    """Too many requests from this principal or address."""

    status = 429
    code = "rate_limit_exceeded"
    bare_code = True

    def __init__(self, message: str, retry_after_s: float, **facts: Any) -> None:
        """Keep when the next request would be let in, in seconds."""
        super().__init__(message, **facts)
        self.retry_after_s = retry_after_s


class BlockedError(GatewayError):
    """The guard refused a text. 403, as SDKs repeat 408, 409, 429 and 5xx."""

    status = 403
    bare_code = True

    def __init__(self, message: str, verdict: Verdict, **facts: Any) -> None:
        """Keep the verdict; its results hold names and scores, no text."""
        super().__init__(message, **facts)
        self.verdict = verdict


class PromptBlockedError(BlockedError):
    """An input scanner refused the prompt."""

    code = "prompt_blocked"


class ResponseBlockedError(BlockedError):
    """An output scanner refused the answer."""

    code = "response_blocked"


class GuardError(GatewayError):
    """A scanner failed and `block_on_guard_error` is on."""

    status = 503
    code = "guard_error"

    def __init__(self, message: str, verdict: Verdict, **facts: Any) -> None:
        """Keep the verdict with the failed scanners."""
        super().__init__(message, **facts)
        self.verdict = verdict


class GuardBusyError(GuardError):
    """A scanner had no time for this text before its deadline."""

    code = "guard_busy"
    retry_after_s = 5.0


class GuardUnavailableError(GuardError):
    """A scanner that is asked for cannot be loaded."""

    code = "guard_unavailable"
    retry_after_s = 30.0


class QueueFullError(GatewayError):
    """The model already has `max_queue` requests waiting."""

    status = 503
    code = "queue_full"
    bare_code = True
    retry_after_s = 2.0

    def __init__(self, model: str, message: str | None = None, **facts: Any) -> None:
        """The body that the requirements name, unless a child says more."""
        super().__init__(
            message
            or "Server is currently busy processing other requests. Please try again later.",
            model=model,
            **facts,
        )


class QueueWaitError(QueueFullError):
    """A place is free, but the turn would come after the request's deadline."""

    code = "queue_wait_too_long"
    bare_code = False

    def __init__(
        self, model: str, *, predicted_wait_s: float, deadline_s: float, position: int
    ) -> None:
        """Keep the prediction.

        Args:
            predicted_wait_s: until the request would run, by the service times measured lately.
            deadline_s: what is left of its time to the first byte.
            position: its place in the line; 1 is the next.
        """
        super().__init__(
            model,
            f"The turn of this request would come in about {predicted_wait_s:.0f} s, later than "
            f"its deadline in {deadline_s:.0f} s. Please try again later.",
            predicted_wait_s=round(predicted_wait_s, 1),
            deadline_s=round(deadline_s, 1),
            position=position,
        )


class LimitsUnavailableError(GatewayError):
    """Limits of a queue that are to outlast a restart cannot be stored; nothing was changed."""

    status = 503
    code = "limits_unavailable"
    retry_after_s = 5.0


class RequestTimeoutError(GatewayError):
    """`request_timeout_s` passed between arrival and the first byte of the answer."""

    status = 504
    code = "timeout"
    bare_code = True

    def __init__(self, model: str) -> None:
        """The body that the requirements name."""
        super().__init__(
            "Request timed out. Please try again with a shorter prompt or later.", model=model
        )


class ModelNotFoundError(GatewayError):
    """No server has the model; the facts hold what is known of each."""

    status = 404
    code = "model_not_found"


class NoUpstreamError(GatewayError):
    """No configured server may take this request; the facts hold the reason of each."""

    status = 503
    code = "no_upstream"
    retry_after_s = 5.0


class Refused(StrEnum):
    """Why a server took nothing of a request, so that another one may."""

    AWAY = "away"
    """No connection, or a kept one that it had closed."""
    BUSY = "busy"
    """It said 503."""


class UpstreamError(GatewayError):
    """The upstream refused the connection, broke off or answered nonsense."""

    status = 502
    code = "upstream_error"

    def __init__(self, message: str, *, refused: Refused | None = None, **facts: Any) -> None:
        """Keep why the server took nothing of the request; None where it may have begun."""
        super().__init__(message, **facts)
        self.refused = refused


class StateUnavailableError(GatewayError):
    """The files of the shared state cannot be used, so nobody can be told to run."""

    status = 503
    code = "state_unavailable"
    retry_after_s = 5.0

    def __init__(self) -> None:
        """Say no more to a client; the log has the reason and the path."""
        super().__init__("The shared state of the queues is unavailable. Please try again later.")


class AuditUnavailableError(GatewayError):
    """The audit row could not be committed, and `audit.on_failure` is `refuse`."""

    status = 503
    code = "audit_unavailable"
    retry_after_s = 5.0


class ClientGoneError(GatewayError):
    """The client left; nobody reads this answer. 499 is nginx's and Ollama's number for it."""

    status = 499
    code = "client_closed"
