"""Names of parametrized tests that are the same in every process, as parallel runs need them."""

import pytest

LONGEST = 40
"""Longer texts are often made at import, with random parts such as tokens and hashes."""


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Long texts are named by their length, all else as pytest does."""
    if isinstance(val, str | bytes) and len(val) > LONGEST:
        return f"{argname}-of-{len(val)}"
    return None
