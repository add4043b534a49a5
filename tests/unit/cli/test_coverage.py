import json

import pytest
from click.testing import CliRunner

from ogp.cli.coverage import HEADS, cells_of, coverage_command
from ogp.dialects.coverage import coverage


def test_every_route_has_its_line() -> None:
    result = CliRunner().invoke(coverage_command, [])
    assert result.exit_code == 0
    for route in coverage():
        assert route.path in result.output
    assert "administrator" in result.output


def test_programs_get_one_document() -> None:
    result = CliRunner().invoke(coverage_command, ["--json"])
    routes = json.loads(result.output)
    assert [(route["method"], route["path"]) for route in routes] == [
        (route.method, route.path) for route in coverage()
    ]
    chat = next(route for route in routes if route["path"] == "/api/chat")
    assert chat["caller"] == "user"
    assert "messages[].content" in chat["text_in"]
    assert chat["queued"] is True


@pytest.mark.parametrize(
    ("path", "cells"),
    [
        ("/api/embeddings", ("ollama", "any", "yes", "", "prompt", "")),
        ("/api/pull", ("ollama", "administrator", "", "ndjson, unless false", "", "")),
        ("/v1/models", ("openai", "any", "", "", "", "")),
    ],
)
def test_a_line_tells_caller_slot_framing_and_texts(path: str, cells: tuple[str, ...]) -> None:
    route = next(route for route in coverage() if route.path == path)
    assert cells_of(route)[2:] == cells
    assert len(HEADS) == len(cells) + 2


def test_a_refused_route_says_why() -> None:
    route = next(route for route in coverage() if route.path == "/api/me")
    assert cells_of(route)[3] == "nobody"
    assert cells_of(route)[-1] == route.why != ""
