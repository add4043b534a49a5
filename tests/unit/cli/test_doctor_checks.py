from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ogp.cli import doctor_streams
from ogp.cli.doctor_checks import CHECKS, Outcome, generates, prepared, run, worst
from ogp.cli.doctor_reply import WireError
from ogp.cli.doctor_site import Check, Finding, Need, RateLimitedError, Result, Site, ok, warn
from ogp.cli.doctor_wire import Wire, parse_url
from tests.support.little_server import (
    WAIT_S,
    Asked,
    always,
    answer,
    chunked,
    little_server,
    site_of,
)

ROOT = Path(__file__).resolve().parents[3]


def tags(*names: str) -> bytes:
    return answer(200, {"models": [{"name": name} for name in names]})


def test_names_are_one_each_and_documented_with_what_is_right() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    rows = [line.split(" | ") for line in (ROOT / "docs" / "doctor.md").read_text().splitlines()]
    documented = {
        row[0].removeprefix("| ").strip("`"): row[1]
        for row in rows
        if row[0].startswith("| `") and len(row) == 3
    }
    for check in CHECKS:
        assert documented[check.name] == check.right
    assert set(documented) == set(names)


def test_the_first_model_that_generates_is_asked() -> None:
    with site_of(always(tags("nomic-embed-text", "big:cloud", "llama2", "b")), model="") as site:
        site = prepared(site)
    assert site.model == "llama2"
    assert site.lacks == {Need.DIRECT: "no --direct is given"}


def test_the_model_that_is_named_is_asked() -> None:
    with site_of(always(tags("llama2")), model="other") as site:
        assert prepared(site).model == "other"


@pytest.mark.parametrize(
    ("entry", "can"),
    [
        ({"name": "llama2", "details": {"family": "llama"}}, True),
        ({"name": "x", "details": {"family": "nomic-bert"}}, False),
        ({"name": "x", "details": None}, True),
        ({"name": "mxbai-Embed-large"}, False),
    ],
)
def test_models_that_only_embed_are_passed_over(entry: dict[str, Any], can: bool) -> None:
    assert generates(entry) is can


@pytest.mark.parametrize(
    ("said", "lacking"),
    [
        (tags(), Need.MODEL),
        (answer(200, {"models": [5, {"name": 5}]}), Need.MODEL),
        (answer(200, "<html>"), Need.MODEL),
        (answer(502, {"code": "upstream_error"}), Need.MODEL),
        (answer(401), Need.TOKEN),
    ],
)
def test_what_is_missing_is_known(said: bytes, lacking: Need) -> None:
    with site_of(always(said), model="") as site:
        site = prepared(site)
    assert lacking in site.lacks
    assert Need.MODEL in site.lacks
    assert Need.SERVER not in site.lacks


def test_without_tokens_what_needs_them_is_left() -> None:
    with site_of(always(answer(401)), token=None, admin_token=None) as site:
        site = prepared(site)
    assert site.lacks[Need.TOKEN] == "no token is given"
    assert site.lacks[Need.ADMIN] == "no --admin-token is given"


@pytest.mark.parametrize("said", [answer(301, Location="https://b/"), b"SSH-2.0\r\n", answer(429)])
def test_a_server_that_is_none_leaves_the_first_checks_only(said: bytes) -> None:
    with site_of(always(said)) as site:
        outcomes = list(run(CHECKS, prepared(site), lambda _: None))
    looked = [each.check.name for each in outcomes if each.finding.result is not Result.SKIPPED]
    assert looked == ["reach", "tls"]


def check(look: Callable[[Site], Finding], *needs: Need) -> Check:
    return Check("x", "it is right", look, needs)


def failing(error: Exception, _: Site) -> Finding:
    raise error


def outcome_of(look: Callable[[Site], Finding], *needs: Need, **fields: Any) -> Outcome:
    site = Site(Wire(parse_url("http://a"), WAIT_S), token="t-1", **fields)
    (outcome,) = run([check(look, *needs)], site, lambda _: None)
    return outcome


def test_what_is_lacking_is_the_reason_of_a_check_that_is_left() -> None:
    outcome = outcome_of(partial(failing, WireError()), Need.MODEL, lacks={Need.MODEL: "none"})
    assert outcome.finding == Finding(Result.SKIPPED, "none")


def test_no_answer_is_a_failure() -> None:
    finding = outcome_of(partial(failing, WireError("no answer in time"))).finding
    assert (finding.result, finding.evidence) == (Result.FAIL, "no answer in time")
    assert finding.hint


def test_a_rate_limit_is_no_failure() -> None:
    assert outcome_of(partial(failing, RateLimitedError("429"))).finding.result is Result.WARN


def test_tokens_and_control_characters_are_never_shown() -> None:
    outcome = outcome_of(lambda _: warn("a t-1\x1b", "b t-1"))
    assert (outcome.finding.evidence, outcome.finding.hint) == ("a ***?", "b ***")


def test_programs_get_every_field() -> None:
    shown = dict(outcome_of(lambda _: ok("fine")).as_dict())
    assert shown.pop("took_ms") >= 0
    assert shown == {
        "name": "x", "right": "it is right", "result": "ok", "evidence": "fine", "hint": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("results", "result"),
    [("ok warn fail", "fail"), ("ok warn", "warn"), ("ok skipped", "ok"), ("skipped", "skipped")],
)
def test_the_worst_result_counts(results: str, result: str) -> None:
    outcomes = [
        Outcome(check(lambda _: ok("")), Finding(Result(each), ""), 0.0) for each in results.split()
    ]
    assert worst(outcomes) == result


ODD: dict[str, Any] = {
    "nothing": [],
    "no HTTP": b"\x00\xff" * 100 + b"\r\n\r\n",
    "a list": answer(200, [1]),
    "a string": answer(200, '"up"', Content_Type="application/json"),
    "deep": answer(200, "[" * 5000, Content_Type="application/json"),
    "odd fields": answer(200, {"models": {"a": 1}, "error": [], "guards": 1, "limits": []}),
    "no UTF-8": answer(200, b"\xff\xfe", Content_Type="application/json"),
    "wrong encoding": answer(200, "x", Content_Encoding="gzip"),
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    "a stream": chunked(b'{"a":', b'1}\n\n', b"data: x\n\n", end=False),
    "teapot": answer(418, {"code": "teapot"}),
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_no_server_is_too_odd_to_be_judged(odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_streams, "FREE_LATE_S", 0.01)
    monkeypatch.setattr(doctor_streams, "SERVED_S", 0.01)
    lax: list[Asked] = []

    def say(asked: Asked) -> Any:
        lax.append(asked)
        return ODD[odd]

    with (
        little_server(always(ODD[odd])) as direct,
        site_of(say, direct=Wire(parse_url(direct.url), WAIT_S)) as site,
    ):
        outcomes = list(run(CHECKS, site, lambda _: None))
    assert len(outcomes) == len(CHECKS)
    assert worst(outcomes) is Result.FAIL
    assert lax
