"""Fields that take the guard's view away, and who may send them nevertheless."""

from collections.abc import Collection

from ogp.core.errors import ForbiddenError
from ogp.core.types import InferenceRequest, Principal, Role


class FieldPolicy:
    """Refuses what cannot be scanned (`context`, `raw`, `template`, ...) unless allowed. Stateless.

    Token ids, Go templates and remote models let a prompt reach a model unseen by any scanner, so
    ordinary users need the operator's word (`access.allow_restricted_fields`).
    """

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(allowed)

    def check(self, request: InferenceRequest, principal: Principal) -> None:
        """Let the request through.

        Raises:
            ForbiddenError: it names the fields and the setting that would allow them.
        """
        if principal.role is Role.ADMIN:
            return
        refused = [name for name in request.restricted if name not in self._allowed]
        if refused:
            raise ForbiddenError(
                f"{', '.join(refused)} cannot be scanned and is not allowed for your role; leave "
                "it out, or ask the operator for access.allow_restricted_fields",
                fields=refused,
            )
