import pytest
from pydantic import ValidationError

from ogp.settings.queue_schema import QueueSettings


def test_limits_of_some_models_may_be_given_in_part() -> None:
    settings = QueueSettings.model_validate({"models": [{"match": "llama*", "parallel": 2}]})
    assert settings.models[0].parallel == 2
    assert settings.models[0].max_queue is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"parallel": 0},
        {"parallel": "many"},
        {"max_queue": -1},
        {"max_queue": 16_385},
        {"learned_max": 113},
        {"weights": [{"weight": 0, "users": ["a"]}]},
        {"priority": "urgent"},
        {"keepalive_s": 0},
        {"max_queue_per_user": 0},
    ],
)
def test_absurd_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        QueueSettings.model_validate(wrong)
