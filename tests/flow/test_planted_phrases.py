"""A banned phrase in any place of any route's request never reaches the server.

The places come from the coverage table; other strings from requests that use every field there is.
"""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import requests

from ogp.demo.server import DemoServer
from ogp.dialects.coverage import coverage
from ogp.dialects.form_dialect import shape_of
from tests.support.clients import asked_of
from tests.support.planted import (
    Path,
    at,
    encoded,
    leaves,
    list_levels,
    model_forms,
    named,
    nested,
    objects,
    planted,
    planted_at,
    replaced,
)
from tests.support.proxy import BANNED, WAIT_S, Proxy
from tests.support.rich_requests import RICH

FORMS = {form.path: (dialect, form) for dialect, form in model_forms()}
PLACES = {row.path: row.text_in for row in coverage() if row.text_in}
DECLARED = [(path, place) for path, places in PLACES.items() for place in places]
CUTS = (1, 6, 7, 15)
LISTS = [(path, place, level) for path, place in DECLARED for level in list_levels(place)]
CHECKED = {
    "model",
    "images[]",
    "messages[].role",
    "messages[].images[]",
    "messages[].content[].type",
    "messages[].content[].image_url.url",
    "messages[].content[].source.type",
    "messages[].content[].source.data",
    "input[].content[].type",
    "input[].content[].image_url",
    "input[].output[].type",
}
"""Where only a name, a picture or a word of the dialect may stand, in one dialect at least."""
SEARCHED = "messages[].content[].content[].title"
"""Servers write the results of a search as JSON: no other text touches them."""


class Asked:
    """A client that keeps its connection, and what the server saw."""

    def __init__(self, proxy: Proxy, upstream: DemoServer) -> None:
        self._proxy, self._upstream = proxy, upstream
        self._session = requests.Session()
        # As the administrator: nothing is refused for the role, all of it by the guard.
        self._session.headers["Authorization"] = f"Bearer {proxy.admin_token}"

    def __call__(self, path: str, body: bytes) -> requests.Response:
        return self._session.post(self._proxy.url + path, data=body, timeout=WAIT_S)

    def is_blocked(self, path: str, document: Any, *, phrase: str = BANNED) -> None:
        """In plain and with every letter escaped."""
        for body in (json.dumps(document).encode(), encoded(document, phrase)):
            answer = self(path, body)
            assert answer.status_code == 403, answer.text
            code = code_of(FORMS[path][0], answer.json())
            assert code == "prompt_blocked", answer.text
            assert BANNED not in answer.text
        assert asked_of(self._upstream) == []

    def close(self) -> None:
        self._session.close()


def code_of(dialect: str, body: Any) -> str:
    """The code, where the dialect's clients find it."""
    if dialect == "ollama":
        assert body["error"].startswith(body["code"])
        return str(body["code"])
    assert body["error"]["message"]
    if dialect == "anthropic":
        assert body["type"] == "error"
    return str(body["error"]["code"])


@pytest.fixture
def asked(proxy: Proxy, upstream: DemoServer) -> Iterator[Asked]:
    client = Asked(proxy, upstream)
    yield client
    client.close()


def test_every_route_with_text_is_tried() -> None:
    assert set(PLACES) == set(FORMS) == set(RICH)


@pytest.mark.parametrize(("path", "place"), DECLARED)
def test_a_phrase_in_a_declared_place_is_stopped(path: str, place: str, asked: Asked) -> None:
    dialect, form = FORMS[path]
    asked.is_blocked(path, planted(dialect, form, place, [f"a {BANNED} at sea"]))
    asked.is_blocked(path, planted(dialect, form, place, [nested(BANNED)]))


@pytest.mark.parametrize(("path", "place", "level"), LISTS)
def test_a_phrase_over_two_neighbours_is_stopped(
    path: str, place: str, level: int, asked: Asked
) -> None:
    dialect, form = FORMS[path]
    for cut in CUTS:
        halves = [f"a {BANNED[:cut]}", f"{BANNED[cut:]} at sea"]
        document = planted_at(dialect, form, place, halves, level)
        asked.is_blocked(path, document, phrase=BANNED[:cut])


def content_leaves(path: str) -> list[Path]:
    """Running text of the rich request, in reading order."""
    shape = shape_of(FORMS[path][1])
    found = [
        place
        for place, text in leaves(RICH[path])
        if named(place) in shape.content - {SEARCHED} and text != "aGk="
    ]
    order = {name: number for number, name in enumerate(shape.order)}
    return sorted(found, key=lambda place: order.get(str(place[0]), len(order)))


NEIGHBOURS = [(path, *pair) for path in RICH for pair in pairwise(content_leaves(path))]


@pytest.mark.parametrize(("path", "first", "second"), NEIGHBOURS)
def test_a_phrase_over_two_fields_is_stopped(
    path: str, first: Path, second: Path, asked: Asked
) -> None:
    document = replaced(RICH[path], first, f"a {BANNED[:9]}")
    document = replaced(document, second, f"{BANNED[9:]} at sea")
    asked.is_blocked(path, document, phrase=BANNED[:9])


@pytest.mark.parametrize("path", RICH)
def test_the_rich_request_uses_every_field_and_passes(path: str, asked: Asked) -> None:
    assert FORMS[path][1].checks.keys() <= RICH[path].keys()
    missing = path == "/v1/messages/count_tokens"
    assert asked(path, json.dumps(RICH[path]).encode()).status_code == (404 if missing else 200)


@pytest.mark.parametrize("path", RICH)
def test_a_phrase_in_any_string_is_stopped(path: str, asked: Asked) -> None:
    for place, _ in leaves(RICH[path]):
        document = replaced(RICH[path], place, f"a {BANNED} b")
        answer = asked(path, json.dumps(document).encode())
        if answer.status_code == 400:
            assert named(place) in CHECKED
            assert code_of(FORMS[path][0], answer.json()) == "invalid_request"
            continue
        asked.is_blocked(path, document)
        asked.is_blocked(path, replaced(RICH[path], place, nested(BANNED)))


@pytest.mark.parametrize("path", RICH)
def test_a_phrase_in_any_key_is_stopped(path: str, asked: Asked) -> None:
    for place in objects(RICH[path]):
        document = replaced(RICH[path], place, {**at(RICH[path], place), BANNED: 1})
        asked.is_blocked(path, document)
