"""What the configuration ids in guard details stand for, written with the first row of each."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy import Connection, insert

from ogp.audit.jobs import Job
from ogp.core.clock import Clock
from ogp.core.types import AuditRecord
from ogp.storage.tables import GuardConfigurationTable

NAMED = re.compile(r'\{"configuration":"([0-9a-f]{1,16})"')
"""How `Verdict.details` begins."""
Documents = Callable[[], Mapping[str, str]]
"""Id -> JSON of the configurations that this process knows."""


class ConfigurationRows:
    """Which configurations this process has not written yet. Thread-safe.

    Other processes may have written them; that is no error and changes nothing.
    """

    def __init__(self, documents: Documents, clock: Clock) -> None:
        """Keep where the documents come from; they are asked for when an id is new."""
        self._documents, self._clock = documents, clock
        self._written: frozenset[str] = frozenset()

    def lacking(self, record: AuditRecord) -> Mapping[str, str]:
        """The documents to be written with this record; nearly always none."""
        named = {
            match[1]
            for details in (record.guard_input_details, record.guard_output_details)
            if details is not None and (match := NAMED.match(details))
        }
        new = named - self._written
        if not new:
            return {}
        known = self._documents()
        return {name: known[name] for name in sorted(new & known.keys())}

    def preceding(self, job: Job, lacking: Mapping[str, str]) -> Job:
        """The job, with these documents written before it in the same transaction."""
        return _preceding(job, lacking, self._clock.now()) if lacking else job

    def wrote(self, lacking: Mapping[str, str]) -> None:
        """They are committed. Of two threads one may be forgotten, and is then written again."""
        self._written |= lacking.keys()


def _preceding(job: Job, lacking: Mapping[str, str], now: datetime) -> Job:
    statement = insert(GuardConfigurationTable).prefix_with("OR IGNORE")
    rows = [{"id": name, "created_at": now, "document": lacking[name]} for name in lacking]

    def both(connection: Connection) -> int:
        connection.execute(statement, rows)
        return job(connection)

    return both
