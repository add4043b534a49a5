"""Content blocks of a request: checked, given one spelling, and put into reading order."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ogp.core.errors import InvalidRequestError
from ogp.core.types import TextKind, TextPart
from ogp.dialects.anthropic_forms import BLOCK_CHECKS, BLOCK_NAMES, SOURCE_CHECKS
from ogp.dialects.fields import base64_image, check_fields, wrong
from ogp.dialects.strict import canonical_keys

_BLOCKS = "a string or a list of blocks"
_SEALED_KINDS = {
    "data": "redacted_thinking",
    "encrypted_content": "encrypted_content",
    "encrypted_index": "",
    "signature": "",
}
"""Keys of blocks whose value upstreams encrypt or sign -> kind for the audit log, if text may be
in it."""
_SEALED = re.compile(r"[A-Za-z0-9+/_-]{64,}={0,2}")
"""What such a value looks like. Anything else in its place is text, and scanned."""

_READING_ORDER = (
    "tool_result",
    "web_search_tool_result",
    "thinking",
    "text",
    "search_result",
    "document",
)
"""Types of blocks in the order in which a model meets them. Upstreams join the text blocks of a
message without a separator and take the others out from between them."""


def checked_content(where: str, content: Any) -> Any:
    """The content with every known key in its one spelling.

    Args:
        where: its place, e.g. `messages[0].content`.
        content: a string or a list of blocks.

    Raises:
        InvalidRequestError: it is something else, or a block of it is malformed.
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise wrong(where, _BLOCKS, content)
    return [_block(f"{where}[{index}]", block) for index, block in enumerate(content)]


def sealed_in(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """What no text scanner can read in a checked request: its object, key, and kind for the audit.

    The kind is empty where no text of a user can be in it.
    """
    contents = [document.get("system"), *(message["content"] for message in document["messages"])]
    while contents:
        content = contents.pop()
        blocks = [content] if isinstance(content, dict) else content
        for block in blocks if isinstance(blocks, list) else ():
            source = block.get("source")
            if isinstance(source, dict):
                contents.append(source.get("content"))
                if source["type"] == "base64":
                    yield source, "data", "images" if block["type"] == "image" else "documents"
            for key, kind in _SEALED_KINDS.items():
                if _SEALED.fullmatch(block.get(key) or ""):
                    yield block, key, kind
            contents.append(block.get("content"))


def _block(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong(where, "an object (a content block)", value)
    block = canonical_keys(value, BLOCK_NAMES)
    if not block.get("type"):
        raise InvalidRequestError(f'{where}.type is required: "text", "image", "tool_use" ...')
    check_fields(block, BLOCK_CHECKS, f"{where}.")
    if isinstance(block.get("content"), list):
        block["content"] = checked_content(f"{where}.content", block["content"])
    elif isinstance(block.get("content"), dict):
        block["content"] = _block(f"{where}.content", block["content"])
    if isinstance(block.get("source"), dict):
        block["source"] = _source(f"{where}.source", block["source"])
    return block


def _source(where: str, value: dict[str, Any]) -> dict[str, Any]:
    source = canonical_keys(value, SOURCE_CHECKS)
    check_fields(source, SOURCE_CHECKS, f"{where}.")
    kind = source.get("type")
    if kind == "url" or source.get("url") is not None:
        raise InvalidRequestError(
            f"{where} names a URL, which the server would fetch: send the content in base64"
        )
    if kind == "base64":
        base64_image(f"{where}.data", source.get("data"))
    elif kind == "content":
        source["content"] = checked_content(f"{where}.content", source.get("content"))
    elif kind != "text":
        raise InvalidRequestError(f'{where}.type must be "base64", "text" or "content"')
    return source


def in_reading_order(texts: Sequence[TextPart], document: dict[str, Any]) -> tuple[TextPart, ...]:
    """Running text as the upstream joins it, then everything else.

    Where blocks of other types stand between two text blocks, the model sees none of it between
    them, so a phrase begun in one and ended in the other must not be torn apart here either.
    """
    places = {where: place for place, where in enumerate(_running_text(document))}
    running = [part for part in texts if part.kind is TextKind.CONTENT]
    running.sort(key=lambda part: places.get(part.where, len(places)))
    return (*running, *(part for part in texts if part.kind is not TextKind.CONTENT))


def _running_text(document: dict[str, Any]) -> Iterator[str]:
    """Where it stands, in reading order."""
    yield from _places("system", document.get("system"))
    for index, message in enumerate(document["messages"]):
        yield from _places(f"messages[{index}].content", message["content"])


def _places(where: str, content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield where
    elif isinstance(content, list):
        for kind in _READING_ORDER:
            for index, block in enumerate(content):
                if block["type"] == kind:
                    yield from _places_in(f"{where}[{index}]", block)


def _places_in(where: str, block: dict[str, Any]) -> Iterator[str]:
    kind = block["type"]
    if kind in ("text", "thinking"):
        yield f"{where}.{kind}"
    elif kind == "document":
        yield from (f"{where}.title", f"{where}.context", f"{where}.source.data")
        source = block.get("source")
        if isinstance(source, dict):
            yield from _places(f"{where}.source.content", source.get("content"))
    else:
        yield f"{where}.title"
        yield from _places(f"{where}.content", block.get("content"))
