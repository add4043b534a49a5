"""The growing end of a text."""

from ogp.guard.ban import BanSubstringsScanner
from ogp.guard.base import ViewKind
from ogp.guard.channel import Channel, Window
from ogp.guard.normalise import Normaliser

NORMALISER = Normaliser()


def make_channel(phrase: str = "secret", normaliser: Normaliser | None = NORMALISER) -> Channel:
    return Channel([BanSubstringsScanner([phrase], "str", NORMALISER)], normaliser, "why")


def scan(channel: Channel) -> None:
    channel.settle(channel.views(ended=False))


def test_a_window_forgets_all_but_the_context() -> None:
    window = Window(ViewKind.RAW, context_chars=3)
    window.append("0123456789")
    window.settle(8)
    assert (window.text, window.start) == ("56789", 3)
    assert (window.total_chars, window.settled_chars, window.unsettled_chars) == (10, 8, 2)


def test_a_mark_is_passed_when_no_phrase_can_begin_before_it() -> None:
    channel = make_channel()
    mark = channel.append("abc")
    scan(channel)
    assert not mark.is_passed
    channel.append("0123456789")
    scan(channel)
    assert mark.is_passed


def test_nothing_is_passed_before_it_was_scanned() -> None:
    channel = make_channel()
    mark = channel.append("abc" * 50)
    channel.append("0123456789" * 5)
    assert not mark.is_passed


def test_the_normalised_view_holds_too() -> None:
    channel = make_channel()
    mark = channel.append("s")
    channel.append("\u0301" * 40)
    scan(channel)
    assert not mark.is_passed


def test_without_a_normaliser_only_the_raw_text_counts() -> None:
    channel = make_channel(normaliser=None)
    mark = channel.append("s")
    channel.append("\u0301" * 100)
    scan(channel)
    assert mark.is_passed
    assert not channel.is_padded
    assert [view.kind for view in channel.views(ended=True)] == [ViewKind.RAW]


def test_the_ended_view_holds_what_the_normaliser_had_not_decided() -> None:
    channel = make_channel()
    channel.append("a secr\u200bet")
    growing, ended = channel.views(ended=False)[1], channel.views(ended=True)[1]
    assert growing.open
    assert not ended.open
    assert ended.text == "a secret"
    assert ended.text.startswith(growing.text)
    assert len(growing.text) < len(ended.text)


def test_views_carry_the_prompt() -> None:
    assert {view.prompt for view in make_channel().views(ended=True)} == {"why"}


def test_freed_text_is_passed_and_later_text_is_not() -> None:
    channel = make_channel()
    before = channel.append("sec")
    channel.free()
    after = channel.append("ret")
    assert before.is_passed
    assert not after.is_passed
    assert channel.views(ended=True)[0].text == "secret"


def test_memory_is_bounded() -> None:
    channel = make_channel()
    for _ in range(1_000):
        channel.append("0123456789")
        scan(channel)
    assert all(len(view.text) < 40 for view in channel.views(ended=True))


def test_padding_is_noticed() -> None:
    channel = make_channel()
    channel.append("\u0301" * 100)
    assert channel.is_padded
