"""What ordinary users may not send: fields that blind the guard, and changes of models."""

from collections.abc import Collection

from ogp.core.errors import ForbiddenError
from ogp.core.types import InferenceRequest, Principal, Role

UNREAD_KINDS = frozenset({"audio", "documents"})
"""Content without text for any scanner whose words reach a model all the same. Pictures, which
clients send all day, pass and are marked in the record."""


class FieldPolicy:
    """Refuses what only some may send. Stateless.

    Token ids, Go templates, sound and remote models let a prompt reach a model unseen by any
    scanner, so ordinary users need the operator's word (`access.allow_restricted_fields`). Models
    are installed and deleted by administrators and those named (`access.allow_model_management`).
    """

    def __init__(self, allowed: Collection[str], managers: Collection[str] = ()) -> None:
        """Keep who may do what.

        Args:
            allowed: fields that everybody may send.
            managers: users that may change what is installed.
        """
        self._allowed, self._managers = frozenset(allowed), frozenset(managers)

    def check(self, request: InferenceRequest, principal: Principal) -> None:
        """Let the request through.

        Raises:
            ForbiddenError: it names the fields and the setting that would allow them.
        """
        if principal.role is Role.ADMIN:
            return
        if request.managed and principal.username not in self._managers:
            raise ForbiddenError(
                "installing and deleting models is for administrators, and for those named in "
                "access.allow_model_management"
            )
        unread = (kind for kind in request.unscanned if kind in UNREAD_KINDS)
        present = dict.fromkeys((*request.restricted, *unread))
        refused = [name for name in present if name not in self._allowed]
        if refused:
            raise ForbiddenError(
                f"{', '.join(refused)} cannot be scanned and is not allowed for your role; leave "
                "it out, or ask the operator for access.allow_restricted_fields",
                fields=refused,
            )
