from pathlib import Path
from typing import Any

import pytest

from ogp.settings.checks import mistakes, notices
from ogp.settings.keys import all_keys
from ogp.settings.schema import Settings


def found(**sections: Any) -> list[tuple[str, str]]:
    return list(mistakes(Settings.model_validate(sections)))


def test_the_defaults_have_neither_mistakes_nor_notices() -> None:
    assert found() == []
    assert list(notices(Settings())) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:11434",
        "https://ollama.example.com",
        "http://127.0.0.1:11434/",
        "http://[::1]:11434",
        "http://user:pass@host:1",
    ],
)
def test_addresses_of_servers(url: str) -> None:
    assert found(upstream={"url": url}) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://host:99999",
        "http://host:x",
        "http://host:0",
        "http://:11434",
        "http://[::1",
        "http://ho st:1",
        "http://host:1 ",
        "http://host:1/api",
        "http://host:1?x=1",
        "http://host:1#x",
    ],
)
def test_addresses_that_cannot_be_used(url: str) -> None:
    ((key, message),) = found(upstream={"url": url})
    assert key == "upstream.url"
    assert message.startswith("must look like http://HOST:PORT")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "http://x", "[::1]", "a b", "me@host", "localhost:1"]
)
def test_hosts_that_are_more_than_a_host(host: str) -> None:
    ((key, message),) = found(server={"host": host})
    assert key == "server.host"
    assert "the port is server.port" in message


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "fe80::1", "proxy.example.com"])
def test_hosts(host: str) -> None:
    assert found(server={"host": host}) == []


def test_paths_of_a_home_directory_are_refused() -> None:
    scanners = {name: {"path": "~/weights"} for name in ("toxicity", "code")}
    prompts = {name: {"path": "~"} for name in ("prompt_injection", "anonymize")}
    answers = {name: {"path": "~/w"} for name in ("malicious_urls", "no_refusal")}
    sections = {
        "data_dir": "~/data",
        "guard": {
            "models": {"path": "~/models"},
            "input_scanners": {**scanners, **prompts},
            "output_scanners": {**scanners, **answers},
        },
        "state": {"directory": "~/state"},
        "logging": {"file": "~me/log"},
    }
    paths = [name for name, key in all_keys().items() if Path in key.types]
    assert [key for key, _ in found(**sections)] == paths


@pytest.mark.parametrize("path", [".", "/x", "a/~b", ""])
def test_other_paths(path: str) -> None:
    assert found(data_dir=path, logging={"file": None}) == []


@pytest.mark.parametrize(
    "path", ["/api/chat", "/v1/generate", "/admin", "/ADMIN/x", "//api/tags", "queue/stats"]
)
def test_paths_that_can_never_be_public(path: str) -> None:
    ((key, message),) = found(access={"public_paths": ["/queue/stats", path]})
    assert key == "access.public_paths"
    assert repr(path) in message


def test_restricted_fields_that_do_not_exist_are_refused() -> None:
    ((key, message),) = found(access={"allow_restricted_fields": ["raw", "contxt"]})
    assert key == "access.allow_restricted_fields"
    assert message.startswith("'contxt' is none of context, raw")


def test_a_least_number_to_learn_above_the_greatest_is_refused() -> None:
    ((key, message),) = found(queue={"learned_min": 5, "learned_max": 4})
    assert key == "queue.learned_min"
    assert message == "5 is more than queue.learned_max, which is 4"
    assert found(queue={"learned_min": 4, "learned_max": 4}) == []


def test_roles_that_do_not_exist_are_refused_wherever_the_queue_names_some() -> None:
    weights = [{"weight": 2, "roles": ["user"]}, {"weight": 3, "roles": ["admin", "boss"]}]
    mistaken = found(queue={"weights": weights, "priority_roles": ["admin", "Admin"]})
    assert mistaken == [
        ("queue.priority_roles", "'Admin' is no role; there are user, admin"),
        ("queue.weights", "'boss' is no role; there are user, admin"),
    ]


@pytest.mark.parametrize("direction", ["input", "output"])
def test_a_pattern_that_is_no_regular_expression_is_refused(direction: str) -> None:
    regex = {"patterns": [{"name": "fine", "pattern": "a+"}, {"name": "bad", "pattern": "("}]}
    ((key, message),) = found(guard={f"{direction}_scanners": {"regex": regex}})
    assert key == f"guard.{direction}_scanners.regex.patterns"
    assert message.startswith("pattern 'bad' is no regular expression: ")


@pytest.mark.parametrize("direction", ["input", "output"])
def test_a_phrase_over_the_limit_is_refused(direction: str) -> None:
    phrases = {"substrings": ["x" * 200, "x" * 201]}
    ((key, _),) = found(guard={f"{direction}_scanners": {"ban_substrings": phrases}})
    assert key == f"guard.{direction}_scanners.ban_substrings.substrings"


@pytest.mark.parametrize("name", ["ip_allow", "ip_deny"])
def test_an_address_list_without_the_filter_gives_a_notice(name: str) -> None:
    (notice,) = notices(Settings.model_validate({"access": {name: "10.0.0.1"}}))
    assert "access.ip_filter_enabled is false: no address is refused" in notice


def test_the_filter_without_an_address_list_gives_a_notice() -> None:
    (notice,) = notices(Settings.model_validate({"access": {"ip_filter_enabled": True}}))
    assert "are empty: no address is refused" in notice


def test_the_filter_with_a_list_gives_none() -> None:
    access = {"ip_filter_enabled": True, "ip_deny": "10.0.0.1"}
    assert list(notices(Settings.model_validate({"access": access}))) == []


def test_a_cache_in_redis_gives_a_notice_unless_it_is_off() -> None:
    (notice,) = notices(Settings.model_validate({"cache": {"backend": "redis"}}))
    assert notice == "cache.backend is redis: not built yet, verdicts are kept in memory"
    off = {"backend": "redis", "enabled": False}
    assert list(notices(Settings.model_validate({"cache": off}))) == []


def test_switched_off_tokens_give_a_notice() -> None:
    (notice,) = notices(Settings.model_validate({"auth": {"enabled": False}}))
    assert notice.startswith("auth.enabled is false")


def test_credentials_in_the_address_give_a_notice_without_them() -> None:
    (notice,) = notices(Settings.model_validate({"upstream": {"url": "http://me:hunter2@host"}}))
    assert "neither is sent" in notice
    assert "hunter2" not in notice


A_SERVER = {"host": "10.0.0.1"}


def test_several_servers_have_no_mistakes() -> None:
    servers = {"big": A_SERVER, "small": {"url": "https://gpu.example.org:8443/"}}
    assert found(servers=servers) == []


@pytest.mark.parametrize(
    ("servers", "part"),
    [
        ({"a b": A_SERVER}, "names of servers are"),
        ({"all": A_SERVER}, "and not all"),
        ({"a": {**A_SERVER, "name": "b"}}, "is called 'b' inside"),
        ({"a": {"host": "http://x"}}, "host must be an address"),
        ({"a": {"url": "ftp://x"}}, "must look like http://HOST:PORT"),
        ({"a": {"url": "http://x:1/api"}}, "with nothing behind the port"),
        ({"a": A_SERVER, "b": {"url": "http://10.0.0.1:11434/"}}, "have the same address"),
    ],
)
def test_servers_that_cannot_be_used(servers: dict[str, Any], part: str) -> None:
    ((key, message),) = found(servers=servers)
    assert key == "servers"
    assert part in message


def test_one_server_and_several_exclude_each_other() -> None:
    ((key, message),) = found(servers={"a": A_SERVER}, upstream={"url": "http://10.0.0.2:11434"})
    assert key == "upstream.url"
    assert "servers are given as well" in message


@pytest.mark.parametrize(
    "routing",
    [
        {"assignments": {"llama(2|3)": "a"}},
        {"memory_patterns": [{"pattern": "[ab]", "memory_gb": 1}]},
    ],
)
def test_patterns_that_say_too_much_are_refused(routing: dict[str, Any]) -> None:
    ((key, message),) = found(routing=routing)
    assert key.startswith("routing.")
    assert "may hold *" in message


def test_an_assignment_to_nobody_is_noticed() -> None:
    settings = Settings.model_validate({"routing": {"assignments": {"llama3": "a", "b": "ollama"}}})
    (notice,) = notices(settings)
    assert "llama3 is assigned to a, and there is no such server" in notice


def test_passwords_of_servers_are_noticed_without_being_told() -> None:
    settings = Settings.model_validate({"servers": {"a": {"url": "http://me:hidden@gpu:1"}}})
    (notice,) = notices(settings)
    assert notice.startswith("servers.a.url holds a user name or password")
    assert "hidden" not in notice
