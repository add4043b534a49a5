from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ogp.settings.queue_schema import QueueSettings
from ogp.settings.schema import (
    ACTIVE_RESERVE,
    OWN_RESERVE,
    AccessSettings,
    ServerSettings,
    Settings,
    UpstreamSettings,
)
from ogp.settings.section import Section, parse_networks, split_list


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


def test_the_defaults_the_documents_promise() -> None:
    defaults = Settings()
    assert (defaults.server.host, defaults.server.port) == ("127.0.0.1", 8080)
    assert defaults.upstream.url == "http://127.0.0.1:11434"
    assert (defaults.queue.parallel, defaults.queue.max_queue) == ("auto", 512)
    assert defaults.queue.request_timeout_s == 300
    assert defaults.queue.stats_enabled
    assert defaults.guard.block_on_error
    assert defaults.auth.enabled


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().server.port = 1  # type: ignore[misc]  # that is what must fail


@pytest.mark.parametrize("section", Section.__subclasses__())
def test_unknown_keys_are_refused_in_every_section(section: type[Section]) -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        section.model_validate({"nope": 1})


def test_text_with_commas_is_a_list_without_empty_items() -> None:
    assert split_list("a, b,,c ,") == ("a", "b", "c")
    assert split_list("") == ()
    assert split_list(5) == 5


def test_networks_are_read_from_lists_and_text() -> None:
    expected = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert parse_networks("10.0.0.1/8, fd00::1/8") == expected
    assert parse_networks(["10.0.0.1/8", "fd00::1/8"]) == expected
    assert parse_networks(5) == 5


def test_a_wrong_network_is_refused() -> None:
    with pytest.raises(ValidationError, match="ip_allow"):
        AccessSettings.model_validate({"ip_allow": "10.0.0.300"})


@pytest.mark.parametrize("url", ["ftp://host", "localhost:11434", "http://", "http:///", ""])
def test_only_http_addresses_of_servers_are_taken(url: str) -> None:
    with pytest.raises(ValidationError, match="url must look like"):
        UpstreamSettings(url=url)


@pytest.mark.parametrize("port", [-1, 65536])
def test_ports_outside_the_range_are_refused(port: int) -> None:
    with pytest.raises(ValidationError, match="port"):
        ServerSettings(port=port)


@pytest.mark.parametrize("parallel", [0, -1, "fast"])
def test_parallel_is_auto_or_at_least_one(parallel: int | str) -> None:
    with pytest.raises(ValidationError, match="parallel"):
        QueueSettings.model_validate({"parallel": parallel})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1"])
def test_loopback_may_go_without_tokens(host: str) -> None:
    assert not settings(server={"host": host}, auth={"enabled": False}).auth.enabled


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.com", ""])
def test_other_addresses_need_tokens(host: str) -> None:
    with pytest.raises(ValidationError, match="listens on loopback only"):
        settings(server={"host": host}, auth={"enabled": False})


def test_other_addresses_are_fine_with_tokens() -> None:
    assert settings(server={"host": "0.0.0.0"}).server.host == "0.0.0.0"


def test_the_database_lies_in_the_data_directory() -> None:
    assert settings(data_dir="/x").database_path == Path("/x/ogp.db")


def test_threads_have_room_for_all_that_may_wait_and_for_our_own_endpoints() -> None:
    assert settings(queue={"max_queue": 100}).threads == 100 + ACTIVE_RESERVE + OWN_RESERVE


def test_threads_have_room_for_the_longest_queue_of_any_model() -> None:
    models = [{"match": "a", "max_queue": 900}, {"match": "b", "parallel": 2}]
    configured = settings(queue={"max_queue": 100, "models": models})
    assert configured.threads == 900 + ACTIVE_RESERVE + OWN_RESERVE
    assert configured.waiting_places == 900


def test_threads_have_room_for_all_slots_of_any_model() -> None:
    models = [{"match": "a", "parallel": 300}]
    configured = settings(queue={"max_queue": 100, "parallel": 200, "models": models})
    assert configured.running_places == 300
    assert configured.threads == 100 + 300 + OWN_RESERVE


def test_a_queue_without_a_number_has_the_usual_room_to_run() -> None:
    for parallel in ("auto", "learned", 4):
        assert settings(queue={"parallel": parallel}).running_places == ACTIVE_RESERVE


def test_more_threads_than_needed_are_for_those_who_wait() -> None:
    configured = settings(server={"concurrency": 5000})
    assert configured.waiting_places == 5000 - ACTIVE_RESERVE - OWN_RESERVE


def test_concurrency_is_the_least_number_of_threads() -> None:
    assert settings(server={"concurrency": 5000}).threads == 5000
    assert settings(server={"concurrency": 128}).threads == Settings().threads
