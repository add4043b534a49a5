"""What a model may be called."""

import re
from typing import Any

from ogp.core.errors import InvalidRequestError
from ogp.core.types import canonical_model

MAX_MODEL_CHARS = 256

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.\-]*"
_NAME = re.compile(rf"(?:{_PART}:[0-9]{{1,5}}/)?(?:{_PART}/)*{_PART}(?::{_PART})?")
"""[host[:port]/][namespace/]model[:tag]. Parts start with a letter or digit, so none is `..`; the
separators are in no part, so there is one way to match and the time is linear."""


def check_model_name(where: str, value: Any) -> str:
    """Return the name if it is one.

    Raises:
        InvalidRequestError: it is missing, too long, or has characters no model name has.
    """
    if not isinstance(value, str) or not value:
        raise InvalidRequestError(f'{where} is required: a name such as "llama3.2" or "qwen3:8b"')
    if len(value) > MAX_MODEL_CHARS:
        raise InvalidRequestError(f"{where} has more than {MAX_MODEL_CHARS} characters")
    if not _NAME.fullmatch(value):
        raise InvalidRequestError(
            f"{where} must look like name, name:tag, user/name:tag or host/user/name:tag, "
            "of letters, digits, '.', '_' and '-'"
        )
    return value


def rename_name(document: dict[str, Any]) -> None:
    """`name` is the old word for `model`; exactly one of them goes on, so nothing can differ.

    Raises:
        InvalidRequestError: both are there and differ.
    """
    name = document.pop("name", None)
    if name and document.get("model") not in (None, "", name):
        raise InvalidRequestError("model and name differ: send model alone")
    if name:
        document["model"] = name


def is_cloud_model(name: str) -> bool:
    """Whether Ollama hands prompts for this model to its maker's servers."""
    return canonical_model(name).endswith(("-cloud", ":cloud"))
