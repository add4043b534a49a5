"""Our own JSON answers."""

from collections.abc import Mapping
from typing import Any

import orjson
from falcon import Response

JSON = "application/json; charset=utf-8"


def answer_json(resp: Response, document: Mapping[str, Any], *, status: int = 200) -> None:
    """Send one JSON document."""
    resp.status = status
    resp.content_type = JSON
    resp.data = orjson.dumps(document, default=str)
