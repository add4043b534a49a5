import pytest

from ogp.admission.room import RequestRoom
from ogp.core.errors import QueueFullError


def test_a_full_room_refuses_at_once() -> None:
    room = RequestRoom(2)
    with room.place(), room.place(), pytest.raises(QueueFullError), room.place():
        pass


def test_a_place_is_free_again_after_an_error() -> None:
    room = RequestRoom(1)
    with pytest.raises(RuntimeError), room.place():
        raise RuntimeError("upstream broke")
    with room.place():
        pass
