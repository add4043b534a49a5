from ogp.dialects.forms import Caller, Framing, Streams
from ogp.dialects.responses_forms import FORMS, ITEM_NAMES, PARTS, RESPONSES, TOP_NAMES


def test_the_one_route() -> None:
    assert FORMS == (RESPONSES,)
    assert (RESPONSES.method, RESPONSES.path, RESPONSES.upstream_path) == (
        *("POST", "/v1/responses", "/v1/responses"),
    )
    assert (RESPONSES.caller, RESPONSES.framing, RESPONSES.streams) == (
        *(Caller.USER, Framing.SSE, Streams.IF_TRUE),
    )


def test_known_keys_are_in_their_casefolded_spelling() -> None:
    assert all(name == name.casefold() for name in TOP_NAMES | ITEM_NAMES)


def test_a_path_of_text_has_only_known_keys() -> None:
    shape = RESPONSES.shape
    assert shape is not None
    steps = {step.rstrip("[]") for path in shape.content | shape.opaque for step in path.split(".")}
    assert steps <= shape.names


def test_files_are_no_part_that_is_known() -> None:
    assert "input_file" not in {*PARTS.texts, *PARTS.others}
