from ogp.routing.server import Server, servers_of
from ogp.settings.schema import Settings


def test_one_address_makes_one_server() -> None:
    settings = Settings.model_validate({"upstream": {"url": "http://gpu:1/"}})
    assert servers_of(settings) == (Server("ollama", "http://gpu:1"),)


def test_servers_keep_their_order_and_what_is_said_of_them() -> None:
    entries = {
        "big": {"host": "a", "max_memory_gb": 8, "weight": 2, "parallel": 3, "tags": "x, y"},
        "small": {"url": "http://b:2/", "priority": 5, "enabled": False},
    }
    big, small = servers_of(Settings.model_validate({"servers": entries}))
    assert big == Server(
        "big", "http://a:11434", max_memory_gb=8, weight=2, parallel=3, tags=("x", "y")
    )
    assert small == Server("small", "http://b:2", priority=5, enabled=False, place=1)
    assert small.route.url == "http://b:2"
