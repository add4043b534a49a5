"""No tokens: for a single user on loopback (`auth.enabled: false`)."""

from ogp.core.types import Principal, Role

LOCAL = Principal("local", Role.ADMIN)
"""Whoever can connect is the one who runs the machine; settings allow this on loopback only."""


class OpenDoor:
    """Lets everyone in. Stateless."""

    def verify(self, _authorization: str | None) -> Principal:
        """Look at nothing."""
        return LOCAL
