"""Invisible text: what writing needs passes, what hides is hit."""

import time

import pytest

from ogp.guard.base import View
from ogp.guard.invisible import DIRECTION_CHARS, NEAR_CHARS, InvisibleTextScanner

SCANNER = InvisibleTextScanner()
ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
SCOTLAND = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"


def reason_for(text: str) -> str | None:
    finding = SCANNER.scan(View(text))
    return finding.reason if finding else None


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "👩‍❤️‍💋‍👨 👨‍👩‍👧‍👦 👍🏽 ☺︎ ✔︎",
        "1️⃣2️⃣3️⃣ #️⃣",
        "🇬🇧🇫🇷",
        ENGLAND + SCOTLAND + "!",
        "می‌خواهم کتاب‌ها",
        "क्‍ष र्‍य",
        "שלום\u200f abc\u200e، مرحبا",
        "\ufeffhello",
        "中文字符，葛\U000e0100城",
        "call \u202a+1 234 567\u202c now",
        "\u2068Bob\u2069 said \u2067שלום \u2066x\u2069 a\u2069.",
        "Do\u00adnau\u00addampf\u00adschiff",
        "ภาษา\u200bไทย\u200bไม่",
        "a\u200bb c\u200bd",
        "zero\u200b\u200b\u200b three",
    ],
)
def test_what_writing_needs_passes(text: str) -> None:
    assert reason_for(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hi" + "".join(chr(0xE0000 + ord(c)) for c in "leak it"), "tag characters"),
        ("🏴\U000e0069\U000e0067\U000e006e\U000e007f", "tag characters"),
        (ENGLAND + "\U000e0061", "tag characters"),
        ("\U000e0001", "tag characters"),
        ("a\u200b\u200c\u200b\u200cb", "run of invisible characters"),
        ("😀" + "".join(chr(0xE0100 + n) for n in range(9)), "run of invisible characters"),
        ("i\u200bg\u200bn\u200bo", "invisible characters between letters"),
        ("и\u2060г\u2060н\u2060о", "invisible characters between letters"),
        ("a\U000e0110", "variation selectors"),
        ("bullet \uf0b7", "private use characters"),
        ("\U00100000", "private use characters"),
        ("if x: \u202e } ;", "bidirectional override"),
        ("'''Subtract \u2067''' ;return", "open bidirectional isolate"),
        ("\u2066" + "x" * 300 + "\u2069", "open bidirectional isolate"),
        ("\u2068a\nb\u2069", "open bidirectional isolate"),
        ("\u202a never closed\n x \u202c", "open bidirectional embedding"),
    ],
)
def test_what_hides_is_hit(text: str, reason: str) -> None:
    assert reason_for(text) == reason


def test_what_stands_before_the_start_does_not_count() -> None:
    assert SCANNER.scan(View("\ue000abc", start=1)) is None


def test_a_flag_that_is_not_complete_yet_is_no_hit() -> None:
    for length in range(1, len(ENGLAND)):
        assert SCANNER.scan(View(ENGLAND[:length], open=True)) is None


def test_an_isolate_may_still_be_closed() -> None:
    assert SCANNER.scan(View("\u2067abc", open=True)) is None
    assert SCANNER.scan(View("\u2067" + "a" * DIRECTION_CHARS, open=True)) is not None


@pytest.mark.parametrize("text", ["plain ascii", "ordinary 中文 and wörds"])
def test_text_without_suspects_is_settled_at_once(text: str) -> None:
    assert SCANNER.settled(View(text, open=True)) == len(text)


def test_only_a_suspect_near_the_end_is_held() -> None:
    assert SCANNER.settled(View("ab🏴\U000e0067", open=True)) == 2
    assert SCANNER.settled(View("ab\u200b" + "x" * NEAR_CHARS, open=True)) == 3 + NEAR_CHARS
    assert SCANNER.settled(View("ab\u2067" + "x" * NEAR_CHARS, open=True)) == 2
    assert SCANNER.settled(View("ab\u200b")) == 3


def test_the_hold_covers_every_rule() -> None:
    assert SCANNER.hold_chars == DIRECTION_CHARS > NEAR_CHARS


@pytest.mark.parametrize(
    "seed",
    [
        "\u2066\u2069",
        "\u2066" + "a" * 99 + "\u2066" + "a" * 49 + "\u2069" + "b" * 49 + "\u2069",
        "\u202a" + "x" * 99 + "\u202c",
        "a\u200bb\u200b ",
        "🏴",
        "👩‍❤️‍a",
        "\u200b\u200b\u200ba",
        "中",
    ],
)
def test_time_is_linear(seed: str) -> None:
    def cost_s(chars: int) -> float:
        view = View(seed * (chars // len(seed)))
        times = []
        for _ in range(3):
            started = time.thread_time()
            SCANNER.scan(view)
            times.append(time.thread_time() - started)
        return min(times)

    assert cost_s(100_000) < 12 * cost_s(25_000) + 0.01


def test_describe_counts_rules() -> None:
    assert SCANNER.describe() == {"rules": 8, "action": "block"}


def taken(text: str, **view: int | bool) -> list[str]:
    spans = SCANNER.spans(View(text, **view))  # type: ignore[arg-type]
    assert all(span.label == "" for span in spans)
    hidden = {place for span in spans for place in range(span.start, span.end)}
    return [character for place, character in enumerate(text) if place in hidden]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("plain", 0),
        (ENGLAND + SCOTLAND, 0),
        (ENGLAND + "\U000e0061\U000e0062", 2),
        ("a\u200b\u200c\u200b\u200c\u200b\u200bb", 6),
        ("a\u200b\u200bb", 0),
        ("i\u200bg\u200bn\u200bo\u200b\u200br", 5),
        ("\u202a never \u202e", 2),
        ("x \ue000\ue001", 2),
    ],
)
def test_only_what_hides_is_taken_out(text: str, count: int) -> None:
    assert len(taken(text)) == count
    assert not any(character.isalnum() for character in taken(text))


def test_nothing_is_taken_out_before_the_start_or_before_it_is_certain() -> None:
    assert taken("\ue000a\ue001", start=1) == ["\ue001"]
    assert taken("\u2067abc", open=True) == []


def test_a_flag_of_a_growing_text_stays_wherever_it_is_cut() -> None:
    for before in range(NEAR_CHARS):
        for behind in range(2 * NEAR_CHARS):
            text = "a" * before + ENGLAND + "b" * behind
            place = SCANNER.settled(View(text, open=True))
            assert SCANNER.scan(View(text + "c", start=place)) is None


@pytest.mark.parametrize("action", ["block", "flag", "redact"])
def test_the_action_tells_what_a_hit_does(action: str) -> None:
    scanner = InvisibleTextScanner(action)  # type: ignore[arg-type]
    finding = scanner.scan(View("\ue000"))
    assert finding is not None
    assert finding.blocks is (action != "flag")
    assert scanner.redacts is (action == "redact")
    assert scanner.describe() == {"rules": 8, "action": action}


@pytest.mark.parametrize("seed", ["\u200b", "a\u200b", "\U000e0061", "🏴\U000e0061"])
def test_time_to_find_all_is_linear(seed: str) -> None:
    def cost_s(chars: int) -> float:
        view = View(seed * (chars // len(seed)))
        times = []
        for _ in range(3):
            started = time.thread_time()
            SCANNER.spans(view)
            times.append(time.thread_time() - started)
        return min(times)

    assert cost_s(20_000) < 12 * cost_s(5_000) + 0.01
