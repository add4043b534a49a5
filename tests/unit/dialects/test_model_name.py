import time
from typing import Any

import pytest

from ogp.core.errors import InvalidRequestError
from ogp.dialects.model_name import MAX_MODEL_CHARS, check_model_name, is_cloud_model


@pytest.mark.parametrize(
    "name",
    [
        "llama3.2",
        "llama2:latest",
        "qwen3:8b-q4_K_M",
        "user/model",
        "hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M",
        "registry.example:5000/team/model:tag",
        "host:443/model",
        "_private-model",
        "x" * MAX_MODEL_CHARS,
    ],
)
def test_names_in_use_pass(name: str) -> None:
    assert check_model_name("model", name) == name


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "a/../b",
        "a/..",
        "./a",
        "/a",
        "a/",
        "a//b",
        "a:",
        ":b",
        "a:b:c",
        "a:b/../c",
        "a b",
        "a\n",
        "\na",
        "a\0",
        "a%2fb",
        "a\\b",
        "a?b",
        "a#b",
        "a@sha256:00",
        "http://host/a",
        "a;b",
        "-a",
        ".a",
        "mod\u00e9l",
        "a\u2028",
        "x" * (MAX_MODEL_CHARS + 1),
    ],
)
def test_other_names_are_refused_unrepeated(name: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check_model_name("model", name)
    assert name not in caught.value.message


@pytest.mark.parametrize("value", [None, "", 1, [], {}, True])
def test_a_missing_name_is_refused_with_an_example(value: Any) -> None:
    with pytest.raises(InvalidRequestError, match="model is required: a name such as"):
        check_model_name("model", value)


@pytest.mark.parametrize("name", ["a/" * 127 + "!", "a:1/" * 63 + "!", "a" * 255 + "!", "a." * 127])
def test_hostile_names_take_no_time(name: str) -> None:
    started = time.perf_counter()
    for _ in range(100):
        try:
            check_model_name("model", name)
        except InvalidRequestError:
            continue
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    "name",
    ["gpt-oss:120b-cloud", "kimi:cloud", "x-cloud", "x-CLOUD", "x-cloud:latest", "u/x:Cloud"],
)
def test_cloud_models_are_seen(name: str) -> None:
    assert is_cloud_model(name)


@pytest.mark.parametrize("name", ["cloud", "cloudy:7b", "llama-cloud:7b", "user-cloud/x"])
def test_other_models_are_local(name: str) -> None:
    assert not is_cloud_model(name)
