import inspect

from ogp.core import errors
from ogp.core.errors import (
    GatewayError,
    QueueFullError,
    QueueWaitError,
    RateLimitError,
    RequestTimeoutError,
)


def all_errors() -> list[type[GatewayError]]:
    return [
        value
        for _, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, GatewayError)
    ]


def test_every_refusal_has_a_code_of_its_own() -> None:
    codes = [error.code for error in all_errors() if error is not errors.BlockedError]
    assert sorted(codes) == sorted(set(codes))


def test_statuses_that_sdks_repeat_are_never_used_for_what_a_repeat_cannot_mend() -> None:
    for error in (errors.PromptBlockedError, errors.ResponseBlockedError, errors.TooLargeError):
        assert error.status not in {408, 409, 429}
        assert error.status < 500


def test_queue_full_carries_the_documented_body() -> None:
    error = QueueFullError("llama2")
    assert error.message.startswith("Server is currently busy")
    assert error.facts == {"model": "llama2"}
    assert error.retry_after_s == 2.0


def test_a_hopeless_wait_carries_its_prediction() -> None:
    error = QueueWaitError("llama2", predicted_wait_s=61.234, deadline_s=20.0, position=3)
    assert isinstance(error, QueueFullError)
    assert error.message.startswith("The turn of this request would come in about 61 s")
    assert error.facts == {
        "model": "llama2",
        "predicted_wait_s": 61.2,
        "deadline_s": 20.0,
        "position": 3,
    }


def test_timeout_carries_the_documented_body() -> None:
    assert RequestTimeoutError("llama2").facts == {"model": "llama2"}


def test_rate_limit_tells_when_to_come_back() -> None:
    assert RateLimitError("Rate limit exceeded", 12.5).retry_after_s == 12.5
