import sqlite3

import pytest

from ogp.audit.rows import COLUMNS, CUT_MARK, FIXED, LENGTHS, clean, row_values, whole
from ogp.core.types import AuditRecord, AuditState, GuardState, Outcome
from ogp.storage.tables import RequestLogTable

RECORD = AuditRecord(
    request_id="r1",
    http_method="POST",
    path="/api/chat",
    created_at=1_795_200_420.5,
    row_id=9,
    user_id=7,
    username="alice",
    token_id="abcdefgh",
    client_ip="192.0.2.1",
    dialect="ollama",
    model="llama2",
    server_used="main",
    outcome=Outcome.COMPLETE,
    response_status=200,
    queue_wait_ms=1.5,
    first_byte_ms=2.5,
    response_time_ms=3.5,
    prompt_tokens=4,
    completion_tokens=5,
    request_bytes=6,
    response_bytes=8,
    guard_input=GuardState.CLEAN,
    guard_output=GuardState.OFF,
    error_code="code",
    error_message="message",
    finished_at=1_795_200_421.25,
    guard_input_details="{}",
    guard_output_details='{"scanners":{}}',
)


def row_of(record: AuditRecord) -> dict[str, object]:
    values = row_values(record, state=AuditState.FINISHED, process="p")
    return dict(zip(COLUMNS, values, strict=True))


def test_every_column_but_the_id_is_filled_in_the_order_of_the_table() -> None:
    assert ("id", *COLUMNS) == tuple(column.name for column in RequestLogTable.__table__.columns)
    assert set(COLUMNS) >= FIXED


def test_every_value_stands_in_its_own_column() -> None:
    own = {"state": "finished", "process": "p"}
    own |= {"created_at": "2026-11-20T18:47:00.500Z", "finished_at": "2026-11-20T18:47:01.250Z"}
    row = row_of(RECORD)
    assert {name: row[name] for name in own} == own
    assert {name: getattr(RECORD, name) for name in COLUMNS if name not in own} == {
        name: value for name, value in row.items() if name not in own
    }


def test_what_is_unknown_is_null() -> None:
    bare = AuditRecord(request_id="r", http_method="GET", path="/", created_at=0.0)
    row = row_of(bare)
    assert {row["user_id"], row["model"], row["prompt_tokens"], row["finished_at"]} == {None}


def test_enumerations_are_stored_as_plain_text() -> None:
    row = row_of(RECORD)
    assert {type(row[name]) for name in ("outcome", "guard_input", "state")} == {str}


@pytest.mark.parametrize("column", sorted(set(LENGTHS) - {"created_at", "finished_at"}))
def test_text_is_cut_to_its_column_and_marked(column: str) -> None:
    text = clean(column, "x" * 5000)
    assert text is not None
    assert len(text) == LENGTHS[column]
    assert text.endswith(CUT_MARK)


def test_text_that_just_fits_is_kept() -> None:
    text = "x" * LENGTHS["model"]
    assert clean("model", text) == text


@pytest.mark.parametrize(
    "hostile",
    ["\0", "\n", "\r", "\x1b[2J", "\x7f", "\x85", "\u2028", "\u2029", "\ud800", "\u202e", "\u200b"],
)
def test_what_could_break_a_line_a_terminal_or_the_encoding_is_replaced(hostile: str) -> None:
    text = clean("path", f"/a{hostile}b")
    assert text is not None
    assert text.startswith("/a\ufffd")
    assert text.encode() == text.encode("utf-8", "replace")
    assert hostile[0] not in text


@pytest.mark.parametrize("harmless", ["größe", "モデル", "a b", "x'; DROP TABLE users; --", "%00"])
def test_other_text_is_kept_as_it_is(harmless: str) -> None:
    assert clean("path", harmless) == harmless


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63), 10**300])
def test_a_number_of_any_size_can_be_stored(number: int) -> None:
    connection = sqlite3.connect(":memory:")
    stored = connection.execute("SELECT ?", (whole(number),)).fetchone()[0]
    assert abs(stored) == 2**63 - 1


def test_an_ordinary_number_is_kept() -> None:
    assert (whole(0), whole(-5), whole(2**63 - 1), whole(None)) == (0, -5, 2**63 - 1, None)
