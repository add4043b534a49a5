"""Parts of a message's content: text is read, pictures and sound are checked, links are refused."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ogp.core.errors import InvalidRequestError
from ogp.dialects.fields import base64_image, wrong
from ogp.dialects.strict import canonical_keys

_IMAGE_START = re.compile(r"data:(?:image/(?:jpeg|jpg|png|webp|gif))?;base64,")
_PART_NAMES = frozenset(
    {"type", "text", "refusal", "image_url", "detail", "input_audio", "file_id"}
)


@dataclass(frozen=True, slots=True)
class PartKinds:
    """The parts that a dialect knows."""

    texts: Mapping[str, str]
    """Type of part -> its field with text."""
    others: frozenset[str]
    """Types of parts with pictures and sound."""

    @property
    def listed(self) -> str:
        """All types, for people."""
        *first, last = (*self.texts, *sorted(self.others))
        return f"{', '.join(first)} or {last}"


def read_parts(where: str, content: Any, kinds: PartKinds) -> tuple[Any, frozenset[str]]:
    """Check content and give its keys their one spelling.

    Args:
        where: its place, e.g. `messages[0].content`.
        content: a string, a list of parts, or null.
        kinds: what parts there may be.

    Returns:
        The content, and which of `images` and `audio` are in it.

    Raises:
        InvalidRequestError: it is malformed, or has a part that cannot be read or would be fetched.
    """
    if content is None or isinstance(content, str):
        return content, frozenset()
    if not isinstance(content, list):
        raise wrong(where, "a string or a list of parts", content)
    parts: list[dict[str, Any]] = []
    found: set[str] = set()
    for index, part in enumerate(content):
        place = f"{where}[{index}]"
        if not isinstance(part, dict):
            raise wrong(place, "an object", part)
        parts.append(_read_part(place, canonical_keys(part, _PART_NAMES), kinds, found))
    return parts, frozenset(found)


def _read_part(
    where: str, part: dict[str, Any], kinds: PartKinds, found: set[str]
) -> dict[str, Any]:
    kind = part.get("type")
    if not isinstance(kind, str) or (kind not in kinds.texts and kind not in kinds.others):
        raise InvalidRequestError(
            f"{where}.type must be {kinds.listed}; other parts cannot be scanned, or would be "
            "fetched from elsewhere"
        )
    if kind in kinds.texts and not isinstance(part.get(kinds.texts[kind]), str):
        name = kinds.texts[kind]
        raise wrong(f"{where}.{name}", "a string", part.get(name))
    # By key, whatever the type says: what stands under these keys is not read as text.
    if part.get("image_url") is not None:
        found.add("images")
        part["image_url"] = _image(f"{where}.image_url", part["image_url"], kinds)
    if part.get("input_audio") is not None:
        found.add("audio")
        part["input_audio"] = _audio(f"{where}.input_audio", part["input_audio"])
    return part


def _image(where: str, value: Any, kinds: PartKinds) -> Any:
    """Chat has the picture in an object, responses have the bare string."""
    if "image_url" not in kinds.others:
        check_data_url(where, value)
        return value
    image = {"url": value} if isinstance(value, str) else _object(where, value, ("url", "detail"))
    check_data_url(f"{where}.url", image.get("url"))
    return image


def _audio(where: str, value: Any) -> dict[str, Any]:
    sound = _object(where, value, ("data", "format"))
    base64_image(f"{where}.data", sound.get("data"))
    return sound


def _object(where: str, value: Any, names: Collection[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong(where, "an object", value)
    return canonical_keys(value, names)


def check_data_url(where: str, value: Any) -> None:
    """Check a picture: base64 in a `data:` URL. Anything else the upstream would have to fetch."""
    if not isinstance(value, str):
        raise wrong(where, "a data: URL", value)
    start = _IMAGE_START.match(value)
    if start is None:
        raise InvalidRequestError(
            f"{where} must be a data: URL with a base64 picture, such as data:image/png;base64,...;"
            " addresses are not fetched"
        )
    base64_image(where, value[start.end() :])
