"""Many requests at once: one hash per new token, and wrong secrets starve nobody."""

import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event, Lock

import pytest

from ogp.auth.hasher import BcryptHasher
from ogp.auth.tokens import ALPHABET, MintedToken
from ogp.auth.users import UserStore
from ogp.auth.verifier import MAX_HASHES_PER_ID, TokenVerifier
from ogp.core.clock import SystemClock
from ogp.core.errors import RateLimitError, UnauthorizedError
from ogp.core.types import Principal
from ogp.settings.schema import AuthSettings
from ogp.storage.engine import Database
from ogp.storage.tables import Table
from ogp.storage.writer import GroupCommitWriter

WAIT_S = 10


class SlowHasher:
    """bcrypt that counts comparisons, and can be held in them."""

    def __init__(self) -> None:
        self._bcrypt = BcryptHasher(4)
        self._lock = Lock()  # guards the two below
        self.comparisons = 0
        self._held = 0
        self.go_on = Event()
        self.go_on.set()
        self.two_held = Event()

    def digest(self, secret: str) -> str:
        return self._bcrypt.digest(secret)

    def matches(self, secret: str, stored: str) -> bool:
        with self._lock:
            self.comparisons += 1
            self._held += not self.go_on.is_set()
            if self._held == 2:
                self.two_held.set()
        assert self.go_on.wait(WAIT_S)
        return self._bcrypt.matches(secret, stored)


class Door:
    """A verifier before a database with one user."""

    def __init__(self, path: Path) -> None:
        self.hasher = SlowHasher()
        self._database = Database(path)
        self._database.start()
        with self._database.write() as connection:
            Table.metadata.create_all(connection)
        self._writer = GroupCommitWriter(self._database, max_pending=100, name="test")
        self._writer.start()
        self.token = UserStore(self._database, hasher=self.hasher).create("alice")[1]
        self.verifier = TokenVerifier(
            self._database, self._writer, AuthSettings(), SystemClock(), hasher=self.hasher
        )

    def verify(self, text: str | None = None) -> Principal:
        return self.verifier.verify(f"Bearer {text or self.token.text}")

    def close(self) -> None:
        self._writer.stop(WAIT_S)
        self._database.stop()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = Door(tmp_path / "ogp.db")
    yield door
    door.close()


def wrong_secret(token: MintedToken, number: int) -> str:
    body = f"ogp_{token.id}_{number:030d}"
    value, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        value, digit = divmod(value, 62)
        digits = ALPHABET[digit] + digits
    return body + digits


def test_many_requests_with_one_new_token_cost_one_hash(door: Door) -> None:
    together = Barrier(32)

    def request() -> Principal:
        together.wait(WAIT_S)
        return door.verify()

    with ThreadPoolExecutor(32) as pool:
        answers = [pool.submit(request) for _ in range(32)]
        assert {answer.result(WAIT_S).username for answer in answers} == {"alice"}
    assert door.hasher.comparisons == 1


def test_request_that_looked_before_the_proof_finds_it_at_its_turn(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = door.verifier._gate
    ask = gate.ask

    def proven_meanwhile(token_id: str, proof: object, compare: Callable[[], bool]) -> bool:
        door.verifier._verified.remember(proof)
        return ask(token_id, proof, compare)

    monkeypatch.setattr(gate, "ask", proven_meanwhile)
    assert door.verify().username == "alice"
    assert door.hasher.comparisons == 0


def test_verified_token_passes_while_wrong_secrets_fill_every_lane(door: Door) -> None:
    door.verify()
    door.hasher.go_on.clear()
    with ThreadPoolExecutor(MAX_HASHES_PER_ID) as pool:
        flood = [
            pool.submit(door.verify, wrong_secret(door.token, number))
            for number in range(MAX_HASHES_PER_ID)
        ]
        assert door.hasher.two_held.wait(WAIT_S)
        assert door.verify().username == "alice"
        door.hasher.go_on.set()
        for answer in flood:
            with pytest.raises(UnauthorizedError):
                answer.result(WAIT_S)


def test_flood_of_wrong_secrets_for_one_id_is_turned_away(door: Door) -> None:
    door.hasher.go_on.clear()
    together = Barrier(4 * MAX_HASHES_PER_ID)
    outcomes: list[type[Exception]] = []
    turned_away = Event()

    def request(number: int) -> None:
        together.wait(WAIT_S)
        try:
            door.verify(wrong_secret(door.token, number))
        except (UnauthorizedError, RateLimitError) as error:
            outcomes.append(type(error))
            if outcomes.count(RateLimitError) == 3 * MAX_HASHES_PER_ID:
                turned_away.set()

    with ThreadPoolExecutor(4 * MAX_HASHES_PER_ID) as pool:
        flood = [pool.submit(request, number) for number in range(4 * MAX_HASHES_PER_ID)]
        assert turned_away.wait(WAIT_S)
        door.hasher.go_on.set()
        for answer in flood:
            answer.result(WAIT_S)
    assert outcomes.count(UnauthorizedError) == MAX_HASHES_PER_ID
    assert door.hasher.comparisons == MAX_HASHES_PER_ID
