from typing import Any

import pytest

from ogp.core.errors import InvalidRequestError
from ogp.dialects.content_parts import PartKinds, check_data_url, read_parts

CHAT = PartKinds({"text": "text"}, frozenset({"image_url", "input_audio"}))
RESPONSES = PartKinds({"input_text": "text"}, frozenset({"input_image"}))
PNG = "data:image/png;base64,iVBORw0KGgo="


def refusal(part: Any, kinds: PartKinds = CHAT) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        read_parts("content", [part], kinds)
    return caught.value.message


@pytest.mark.parametrize("content", [None, "", "text", []])
def test_simple_content_stays(content: Any) -> None:
    assert read_parts("content", content, CHAT) == (content, frozenset())


@pytest.mark.parametrize("content", [5, {}, True])
def test_other_content_is_refused(content: Any) -> None:
    with pytest.raises(InvalidRequestError, match="content must be a string or a list of parts"):
        read_parts("content", content, CHAT)


def test_keys_get_their_one_spelling() -> None:
    part = {"TYPE": "image_url", "Image_URL": {"URL": PNG, "Detail": "low"}}
    parts, kinds = read_parts("content", [part], CHAT)
    assert parts == [{"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}]
    assert kinds == {"images"}


def test_a_bare_address_gets_the_form_of_chat() -> None:
    parts, _ = read_parts("content", [{"type": "image_url", "image_url": PNG}], CHAT)
    assert parts[0]["image_url"] == {"url": PNG}


def test_a_response_has_the_bare_address() -> None:
    part = {"type": "input_image", "image_url": PNG}
    assert read_parts("content", [part], RESPONSES) == ([part], {"images"})
    assert refusal({"type": "input_image", "image_url": {"url": PNG}}, RESPONSES) == (
        "content[0].image_url must be a data: URL, not an object"
    )
    part = {"type": "input_image", "image_url": None, "file_id": "f"}
    assert read_parts("content", [part], RESPONSES) == ([part], frozenset())


def test_sound_is_checked_and_noted() -> None:
    part = {"type": "input_audio", "input_audio": {"DATA": "UklGRg==", "format": "wav"}}
    parts, kinds = read_parts("content", [part], CHAT)
    assert parts[0]["input_audio"] == {"data": "UklGRg==", "format": "wav"}
    assert kinds == {"audio"}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("x", "content[0] must be an object"),
        ({}, "content[0].type must be text, image_url or input_audio"),
        ({"type": 5}, "content[0].type must be"),
        ({"type": "file", "file": {"file_data": "x"}}, "content[0].type must be"),
        ({"type": "video_url", "video_url": {"url": "http://x/"}}, "content[0].type must be"),
        ({"type": "text"}, "content[0].text must be a string, not null"),
        ({"type": "text", "text": ["x"]}, "content[0].text must be a string, not a list"),
        ({"type": "image_url", "image_url": 5}, "content[0].image_url must be an object"),
        ({"type": "image_url", "image_url": {}}, "content[0].image_url.url must be a data: URL"),
        ({"type": "input_audio", "input_audio": "x"}, "content[0].input_audio must be an object"),
        (
            {"type": "input_audio", "input_audio": {"data": "hello!"}},
            "content[0].input_audio.data must be standard base64",
        ),
        ({"type": "input_audio", "input_audio": {}}, "content[0].input_audio.data must be"),
        # What is not read as text is checked whatever the part says it is.
        ({"type": "text", "text": "x", "image_url": {"url": "secret"}}, "content[0].image_url.url"),
        ({"type": "text", "text": "x", "input_audio": {"data": "a b"}}, "content[0].input_audio"),
    ],
)
def test_a_part_that_cannot_be_read_is_refused(part: Any, message: str) -> None:
    assert refusal(part).startswith(message)


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/x.png",
        "https://example.org/x.png",
        "HTTP://192.0.2.1/",
        "file:///etc/passwd",
        "data:text/plain;base64,aGk=",
        "data:image/svg+xml;base64,aGk=",
        "data:image/png,hello",
        "DATA:image/png;base64,aGk=",
        " data:image/png;base64,aGk=",
        "data:image/png;base64,http://x/",
        "data:image/png;base64,aGk",
        "",
    ],
)
def test_what_would_be_fetched_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequestError, match="image must be"):
        check_data_url("image", url)


@pytest.mark.parametrize("kind", ["image/jpeg", "image/jpg", "image/png", "image/webp", ""])
def test_pictures_in_the_request_are_taken(kind: str) -> None:
    check_data_url("image", f"data:{kind};base64,aGk=")
