"""An `AuditRecord` as the values of its row: bounded, printable, and in range for SQLite."""

from sqlalchemy import String

from ogp.core.types import AuditRecord, AuditState
from ogp.storage.tables import RequestLogTable
from ogp.storage.timestamps import unix_to_text

Value = str | int | float | None

COLUMNS = tuple(column.name for column in RequestLogTable.__table__.columns)[1:]
"""The columns that `row_values` fills, in its order: all but the id."""
LENGTHS = {
    column.name: column.type.length
    for column in RequestLogTable.__table__.columns
    if isinstance(column.type, String) and column.type.length
}
"""Longest text per column, in characters; longer ones are cut and end in an ellipsis."""
FIXED = frozenset(
    {"request_id", "user_id", "username", "token_id", "client_ip", "http_method", "path"}
    | {"dialect", "created_at", "process"}
)
"""Known when a row is started; finishing it leaves them, and their indexes, alone."""

CUT_MARK = "…"
UNPRINTABLE = "\ufffd"
LARGEST = 2**63 - 1


def clean(column: str, text: str | None) -> str | None:
    """Text that fits its column and harms no terminal, log line or client of the database.

    Control characters, NUL, line separators, invisible and bidirectional format characters and
    lone surrogates each become U+FFFD.
    """
    if text is None:
        return None
    limit = LENGTHS[column]
    bounded = text[:limit] if len(text) <= limit else text[: limit - 1] + CUT_MARK
    if bounded.isprintable():
        return bounded
    return "".join(char if char.isprintable() else UNPRINTABLE for char in bounded)


def whole(number: int | None) -> int | None:
    """A number that SQLite can hold; upstreams may report any number of tokens."""
    return None if number is None else max(-LARGEST, min(LARGEST, number))


def row_values(record: AuditRecord, *, state: AuditState, process: str) -> tuple[Value, ...]:
    """The row of a record, in the order of `COLUMNS`."""
    finished_at = record.finished_at
    return (
        clean("request_id", record.request_id),
        record.user_id,
        clean("username", record.username),
        clean("token_id", record.token_id),
        clean("client_ip", record.client_ip),
        clean("http_method", record.http_method),
        clean("path", record.path),
        clean("dialect", record.dialect),
        clean("model", record.model),
        clean("server_used", record.server_used),
        state.value,
        clean("outcome", record.outcome),
        whole(record.response_status),
        record.queue_wait_ms,
        record.first_byte_ms,
        record.response_time_ms,
        whole(record.prompt_tokens),
        whole(record.completion_tokens),
        whole(record.request_bytes),
        whole(record.response_bytes),
        clean("guard_input", record.guard_input),
        clean("guard_output", record.guard_output),
        clean("error_code", record.error_code),
        clean("error_message", record.error_message),
        unix_to_text(record.created_at),
        None if finished_at is None else unix_to_text(finished_at),
        process,
        record.guard_input_details,
        record.guard_output_details,
    )
