"""What a request brings to the line: whose turn it is, how often, in which class."""

from ogp.core.errors import ForbiddenError
from ogp.core.slots import Claim
from ogp.core.types import InferenceRequest, Principal, Priority
from ogp.settings.queue_schema import QueueSettings, TurnWeight

PRIORITY_HEADER = "X-OGP-Priority"


class ClaimRules:
    """The operator's rules about callers. Stateless."""

    def __init__(self, settings: QueueSettings) -> None:
        self._weights = settings.weights
        self._default = Priority(settings.priority)
        self._priority_roles = settings.priority_roles

    def claim(self, request: InferenceRequest, principal: Principal, request_id: str) -> Claim:
        """The claim of one request.

        Raises:
            ForbiddenError: it asks for a better class than its caller may have.
        """
        return Claim(
            user=principal.username,
            weight=self._weight(principal),
            priority=self._priority(request, principal),
            request_id=request_id,
        )

    def _weight(self, principal: Principal) -> float:
        for rule in self._weights:
            if _applies(rule, principal):
                return rule.weight
        return 1.0

    def _priority(self, request: InferenceRequest, principal: Principal) -> Priority:
        given = principal.priority or self._default
        asked = request.priority
        if asked is None or asked is given:
            return given
        if asked is Priority.INTERACTIVE and principal.role not in self._priority_roles:
            raise ForbiddenError(
                f"{PRIORITY_HEADER}: {asked} needs a role of queue.priority_roles; "
                f"without this header the request is served as {given}."
            )
        return asked


def _applies(rule: TurnWeight, principal: Principal) -> bool:
    # Names that differ in case only cannot exist side by side.
    names = {name.lower() for name in rule.users}
    return principal.username.lower() in names or principal.role in rule.roles
