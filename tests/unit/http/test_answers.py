from datetime import UTC, datetime

import falcon

from ogp.http.answers import answer_json


def test_an_answer_is_json_with_its_status() -> None:
    resp = falcon.Response()
    answer_json(resp, {"when": datetime(2026, 1, 1, tzinfo=UTC)}, status=503)
    assert resp.status == 503
    assert resp.content_type == "application/json; charset=utf-8"
    assert resp.data == b'{"when":"2026-01-01T00:00:00+00:00"}'
