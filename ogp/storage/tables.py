"""The tables, for Core statements: `select(UserTable.name).where(...)`.

Ids are never used twice (`sqlite_autoincrement`): a row of the request log that names user 7 must
not come to mean another user after user 7 is deleted, and a gap shows that a row was removed.
"""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, Index, MetaData, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from ogp.storage.timestamps import UtcTime

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Every constraint has a name, so that a later migration can address it."""


class Table(DeclarativeBase):
    """Common ground of all tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcTime}


class UserTable(Table):
    """Who may use the proxy."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("role IN ('user', 'admin')", name="role"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    role: Mapped[str] = mapped_column(String(16), default="user")
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    note: Mapped[str | None] = mapped_column(String(500))


class TokenTable(Table):
    """Bearer tokens. They go with their user; the request log keeps the public id."""

    __tablename__ = "tokens"

    id: Mapped[str] = mapped_column(String(8), primary_key=True)
    """The public part of the token, found in its text; looked up on every request."""
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    secret_hash: Mapped[str] = mapped_column(String(128))
    label: Mapped[str | None] = mapped_column(String(128))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    priority: Mapped[str | None] = mapped_column(String(16))
    """Class of its requests in the queue; null leaves it to settings and request."""


class RequestLogTable(Table):
    """One row per request, refusals included. Never holds prompt or answer text.

    `user_id` and `username` are copies, not references: a row outlives its user.
    """

    __tablename__ = "request_logs"
    __table_args__ = (
        CheckConstraint("state IN ('started', 'finished', 'aborted')", name="state"),
        Index("ix_request_logs_username_id", "username", "id"),
        Index("ix_request_logs_created_at", "created_at"),
        Index("ix_request_logs_started", "process", sqlite_where=text("state = 'started'")),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[int | None]
    username: Mapped[str | None] = mapped_column(String(128))
    token_id: Mapped[str | None] = mapped_column(String(16))
    client_ip: Mapped[str | None] = mapped_column(String(64))
    http_method: Mapped[str] = mapped_column(String(16))
    path: Mapped[str] = mapped_column(String(512))
    dialect: Mapped[str | None] = mapped_column(String(32))
    model: Mapped[str | None] = mapped_column(String(256))
    server_used: Mapped[str | None] = mapped_column(String(256))
    state: Mapped[str] = mapped_column(String(16))
    outcome: Mapped[str | None] = mapped_column(String(32))
    response_status: Mapped[int | None]
    queue_wait_ms: Mapped[float | None]
    first_byte_ms: Mapped[float | None]
    response_time_ms: Mapped[float | None]
    prompt_tokens: Mapped[int | None]
    completion_tokens: Mapped[int | None]
    request_bytes: Mapped[int | None]
    response_bytes: Mapped[int | None]
    guard_input: Mapped[str] = mapped_column(String(256))
    guard_output: Mapped[str] = mapped_column(String(256))
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(String(1000))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    process: Mapped[str] = mapped_column(String(64))
    """The worker process that wrote the row; while that lives, a started row is in progress."""
    guard_input_details: Mapped[str | None] = mapped_column(Text)
    """JSON: which scanners looked at the prompt, under which configuration, what each said."""
    guard_output_details: Mapped[str | None] = mapped_column(Text)
    """The same of the answer."""


class GuardConfigurationTable(Table):
    """What the configuration ids in the guard details of requests stand for."""

    __tablename__ = "guard_configurations"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    created_at: Mapped[datetime]
    document: Mapped[str] = mapped_column(Text)
    """JSON: scanners with thresholds and model hashes, without phrases and patterns."""


class ModelLimitsTable(Table):
    """Limits of a model's queue that an administrator set to outlast a restart."""

    __tablename__ = "model_limits"

    model: Mapped[str] = mapped_column(String(256), primary_key=True)
    parallel: Mapped[int]
    max_queue: Mapped[int]
    set_at: Mapped[datetime]
    set_by: Mapped[str] = mapped_column(String(128))
