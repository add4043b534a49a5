import pytest

from ogp.routing.sizes import Size, SizeRules
from ogp.settings.routing_schema import RoutingSettings

SETTINGS = RoutingSettings.model_validate(
    {
        "memory_overrides": {"Custom:latest": 40},
        "memory_patterns": [
            {"pattern": ".*-70b.*", "memory_gb": 40},
            {"pattern": ".*-7b.*", "memory_gb": 4.5},
            {"pattern": "*custom*", "memory_gb": 1},
        ],
        "default_memory_gb": 3,
    }
)


@pytest.mark.parametrize(
    ("model", "listed", "size"),
    [
        ("custom", [5_000_000_000, 4_000_000_000], Size(5.0, "listed")),
        ("custom", [], Size(40, "override")),
        ("llama2-7b", [], Size(4.5, "pattern")),
        ("llama2-70b-chat", [], Size(40, "pattern")),
        ("other", [], Size(3, "default")),
    ],
)
def test_what_is_listed_comes_before_overrides_patterns_and_the_default(
    model: str, listed: list[int], size: Size
) -> None:
    assert SizeRules(SETTINGS).size(model, listed) == size
