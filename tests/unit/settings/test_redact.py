from typing import Any

import orjson
import pytest

from ogp.settings.redact import is_secret, legacy_view, mask_credentials, redact, shown_value
from ogp.settings.schema import Settings


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


@pytest.mark.parametrize(
    "name",
    [
        *("password", "redis.password", "redis_password", "OGP__REDIS__PASSWORD", "passphrase"),
        *("api_key", "apikey", "private_key", "x.secret", "client_secret", "token"),
        *("credentials", "AUTHORIZATION"),
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["token_limit", "secrets", "guard.input_scanners.secrets.enabled", "api_key_env", ""]
)
def test_names_that_only_sound_like_secrets(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:pass@host:1/x", "http://***@host:1/x"),
        ("http://us@er:p@ss@host", "http://***@host"),
        ("redis://:secret@host", "redis://***@host"),
        ("http://us:pa/s?s@host", "http://***@host"),
        ("http://host/a", "http://host/a"),
        ("me@example.com", "me@example.com"),
    ],
)
def test_credentials_inside_addresses_are_masked(url: str, shown: str) -> None:
    assert mask_credentials(url) == shown


def test_the_whole_configuration_is_shown_as_json_can_hold_it() -> None:
    shown = redact(Settings())
    assert shown["server"]["port"] == 8080
    assert shown["access"]["trusted_proxies"] == ["127.0.0.1/32", "::1/128"]
    assert Settings.model_validate(orjson.loads(orjson.dumps(shown))) == Settings()


def test_credentials_of_the_upstream_are_not_shown() -> None:
    configured = settings(upstream={"url": "http://me:hunter2@host:1"})
    for view in (redact(configured), legacy_view(configured)):
        assert "hunter2" not in str(view)


def test_a_value_under_the_name_of_a_secret_is_replaced_unless_empty() -> None:
    class WithSecret(Settings):
        password: str = "hunter2"
        api_key: str = ""

    shown = redact(WithSecret())
    assert (shown["password"], shown["api_key"]) == ("***", "")


def test_lists_can_be_replaced_by_their_lengths() -> None:
    configured = settings(
        access={"ip_allow": "10.0.0.1,10.0.0.2", "public_paths": "/up"},
        guard={
            "input_scanners": {
                "ban_substrings": {"substrings": ["nightjar"]},
                "regex": {"patterns": [{"name": "x", "pattern": "y"}]},
            }
        },
    )
    shown = redact(configured, lists=False)
    assert shown["access"]["ip_allow"] == {"count": 2}
    assert shown["access"]["trusted_proxies"] == {"count": 2}
    assert shown["access"]["public_paths"] == ["/up"]
    scanners = shown["guard"]["input_scanners"]
    assert scanners["ban_substrings"]["substrings"] == {"count": 1}
    assert scanners["regex"]["patterns"] == {"count": 1}
    assert "nightjar" not in str(shown)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (8080, "8080"),
        (True, "true"),
        (None, "null"),
        ("", '""'),
        ("x", "x"),
        ([], "[]"),
        ((1, True), "1, true"),
        ({"password": "hunter2"}, "{...}"),
        ("a\x1b[31m\n", '"a\\u001b[31m\\n"'),
        ("http://me:hunter2@host", "http://***@host"),
        ("x" * 100, "x" * 77 + "..."),
    ],
)
def test_values_are_shown_short_and_on_one_line(value: object, shown: str) -> None:
    assert shown_value("server.host", value) == shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("OLLAMA_URL", "me:hunter2@host:1", "***@host:1"),
        ("upstream.url", "http:/me:hunter2@host", "***@host"),
        ("upstream.url", "http://me:hun/t\ner2@host", "http://***@host"),
        ("server.host", "me:hunter2@host", "***@host"),
        ("upstream.url", "http://host:1", "http://host:1"),
        ("data_dir", "me@home", "me@home"),
    ],
)
def test_credentials_in_malformed_addresses_are_not_shown(
    name: str, value: str, shown: str
) -> None:
    assert shown_value(name, value) == shown


def test_the_value_of_a_secret_is_never_shown() -> None:
    assert shown_value("redis.password", "hunter2") == "***"


def test_the_flat_fields_of_the_earlier_implementation() -> None:
    configured = settings(
        upstream={"url": "http://10.0.0.9:1"},
        server={"host": "0.0.0.0", "port": 9000},
        guard={"input_enabled": False},
        access={"trusted_proxies": "10.0.0.5"},
    )
    assert legacy_view(configured) == {
        "ollama_url": "http://10.0.0.9:1",
        "ollama_path": "/api/generate",
        "proxy_host": "0.0.0.0",
        "proxy_port": 9000,
        "enable_input_guard": False,
        "enable_output_guard": True,
        "block_on_guard_error": True,
        "nginx_whitelist": {"enabled": True, "count": 1},
    }


def test_no_trusted_proxies_count_as_switched_off() -> None:
    view = legacy_view(settings(access={"trusted_proxies": []}))
    assert view["nginx_whitelist"] == {"enabled": False, "count": 0}


def test_of_several_servers_the_earlier_name_shows_the_first_without_its_password() -> None:
    servers = {"a": {"url": "http://me:hidden@gpu:1"}, "b": {"host": "x"}}
    settings = Settings.model_validate({"servers": servers})
    assert legacy_view(settings)["ollama_url"] == "http://***@gpu:1"
    assert redact(settings)["servers"]["a"]["url"] == "http://***@gpu:1"
