"""A real model server, llama.cpp's, and the official client of OpenAI, with the proxy between them.

`./run_tests.sh --llama` runs it. Its name hides it from pytest, as the server is compiled first.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from tests.support.proxy import BANNED, START_TIMEOUT_S, Output, Proxy, free_port

HERE = Path(__file__).parent
PYTHON = Path(f"{sys.prefix}-llama") / "bin" / "python"
"""Of the environment that run_tests.sh makes beside the one that runs the tests."""
MODEL = "random"
TOKENS = 64
ASK: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Why is the sky blue?"}]
SURE: dict[str, Any] = {"model": MODEL, "temperature": 0, "seed": 1, "max_tokens": TOKENS}
"""The same answer each time."""


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    model, port = tmp_path_factory.mktemp("model") / "random.gguf", free_port()
    subprocess.run([str(PYTHON), str(HERE / "write_model.py"), str(model)], check=True)
    options = {"model": model, "model_alias": MODEL, "n_ctx": 512, "port": port}
    flags = [f"--{name}={value}" for name, value in options.items()]
    process = subprocess.Popen(
        [str(PYTHON), "-m", "llama_cpp.server", "--host=127.0.0.1", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output = Output(process.stdout)
    try:
        output.wait_for("Uvicorn running on", START_TIMEOUT_S)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_S)
        output.close()


@pytest.fixture(scope="module")
def proxy(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    directory = tmp_path_factory.mktemp("proxy")
    banned = {"guard__input_scanners__ban_substrings__substrings": BANNED}
    with Proxy(directory, server_url, **banned) as started:
        yield started


@pytest.fixture(scope="module")
def direct(server_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server_url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def proxied(proxy: Proxy) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.token, max_retries=0) as client:
        yield client


def test_a_chat_is_the_same(direct: openai.OpenAI, proxied: openai.OpenAI) -> None:
    answers = [client.chat.completions.create(messages=ASK, **SURE) for client in (direct, proxied)]
    texts = [answer.choices[0].message.content for answer in answers]
    assert texts[0] == texts[1] != ""
    assert answers[0].usage == answers[1].usage


def test_a_streamed_chat_is_the_same_part_by_part(
    direct: openai.OpenAI, proxied: openai.OpenAI
) -> None:
    streams = [
        [
            (part.choices[0].delta.content, part.choices[0].finish_reason)
            for part in client.chat.completions.create(messages=ASK, stream=True, **SURE)
        ]
        for client in (direct, proxied)
    ]
    assert streams[0] == streams[1]
    assert len(streams[1]) > TOKENS / 4
    assert streams[1][-1][1] == "length"


def test_a_completion_is_the_same(direct: openai.OpenAI, proxied: openai.OpenAI) -> None:
    answers = [client.completions.create(prompt="Why?", **SURE) for client in (direct, proxied)]
    assert answers[0].choices == answers[1].choices
    assert answers[1].choices[0].text


def test_a_streamed_completion_is_the_same_part_by_part(
    direct: openai.OpenAI, proxied: openai.OpenAI
) -> None:
    streams = [
        [part.choices for part in client.completions.create(prompt="Why?", stream=True, **SURE)]
        for client in (direct, proxied)
    ]
    assert streams[0] == streams[1]
    assert len(streams[1]) > TOKENS / 4


def test_the_models_are_listed(proxied: openai.OpenAI) -> None:
    assert [model.id for model in proxied.models.list()] == [MODEL]


def test_a_banned_prompt_is_refused(proxied: openai.OpenAI) -> None:
    with pytest.raises(openai.PermissionDeniedError) as raised:
        proxied.chat.completions.create(
            messages=[{"role": "user", "content": f"Where is the {BANNED}?"}], **SURE
        )
    assert raised.value.code == "prompt_blocked"


def test_tokens_are_counted(proxy: Proxy, proxied: openai.OpenAI) -> None:
    answer = proxied.chat.completions.create(messages=ASK, **SURE)
    assert answer.usage
    row = proxy.rows()[-1]
    counted = (row["prompt_tokens"], row["completion_tokens"])
    assert counted == (answer.usage.prompt_tokens, answer.usage.completion_tokens)


def test_a_client_that_leaves_early_leaves_the_server_ready(proxied: openai.OpenAI) -> None:
    long = {**SURE, "max_tokens": 400}
    with proxied.chat.completions.create(messages=ASK, stream=True, **long) as stream:
        next(iter(stream))
    assert proxied.chat.completions.create(messages=ASK, **SURE).choices[0].message.content
