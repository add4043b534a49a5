from ogp.auth.open_door import OpenDoor
from ogp.core.types import Role


def test_everyone_is_the_local_administrator() -> None:
    for header in (None, "Bearer whatever"):
        principal = OpenDoor().verify(header)
        assert (principal.username, principal.role) == ("local", Role.ADMIN)
        assert principal.user_id is None
