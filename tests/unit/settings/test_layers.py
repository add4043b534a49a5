import pytest

from ogp.settings.layers import (
    Layer,
    environment_layers,
    environment_name,
    flag_layer,
    yaml_layer,
)
from ogp.settings.problems import SettingsError


def from_file(text: str, **environ: str) -> Layer:
    return yaml_layer(text.encode(), "c.yaml", environ)


def values(layer: Layer) -> dict[str, object]:
    return {name: given.value for name, given in layer.given.items()}


def complaints(layer: Layer) -> list[str]:
    return [str(problem) for problem in layer.problems]


def test_nested_keys_are_given_with_their_lines() -> None:
    layer = from_file("server:\n  port: 9000\nqueue: {max_queue: 5}\n")
    assert values(layer) == {"server.port": 9000, "queue.max_queue": 5}
    assert layer.given["server.port"].source == "c.yaml:2"


def test_old_flat_names_are_given_under_the_canonical_key() -> None:
    layer = from_file("proxy_port: 9000\n")
    assert values(layer) == {"server.port": 9000}
    assert layer.given["server.port"].written == "proxy_port"


def test_moved_sections_are_read() -> None:
    layer = from_file("input_scanners: {secrets: {enabled: false}, code: {threshold: 0.5}}\n")
    assert values(layer) == {
        "guard.input_scanners.secrets.enabled": False,
        "guard.input_scanners.code.threshold": 0.5,
    }
    assert layer.notices == []


def test_concurrency_is_read_as_a_section_and_as_a_number() -> None:
    assert values(from_file("concurrency: {ollama_max_queue: 5}\n")) == {"queue.max_queue": 5}
    assert values(from_file("concurrency: 128\n")) == {"server.concurrency": 128}
    assert values(from_file("server: {concurrency: 128}\n")) == {"server.concurrency": 128}


def test_an_empty_section_says_nothing() -> None:
    layer = from_file("server:\nqueue: {}\n")
    assert (values(layer), layer.problems) == ({}, [])


def test_both_spellings_with_one_value_are_fine() -> None:
    layer = from_file("proxy_port: 9000\nserver: {port: 9000}\n")
    assert (values(layer), layer.problems) == ({"server.port": 9000}, [])


@pytest.mark.parametrize(
    "text",
    [
        "request_timeout: 300\nqueue: {request_timeout_s: 300.0}\n",
        "proxy_port: '9000'\nserver: {port: 9000}\n",
        "ip_whitelist: '10.0.0.1, 10.0.0.2'\naccess: {ip_allow: [10.0.0.1, 10.0.0.2]}\n",
        "auth_enabled: on\nauth: {enabled: true}\n",
    ],
)
def test_one_value_written_in_two_ways_is_no_conflict(text: str) -> None:
    assert from_file(text).problems == []


@pytest.mark.parametrize(
    "text",
    [
        "ip_whitelist: '10.0.0.1'\naccess: {ip_allow: [10.0.0.1, 10.0.0.2]}\n",
        "auth_enabled: on\nauth: {enabled: false}\n",
        f"ollama_max_queue: {'9' * 400}\nqueue: {{max_queue: 9}}\n",
    ],
)
def test_two_values_are_a_conflict(text: str) -> None:
    assert len(from_file(text).problems) == 1


def test_both_spellings_with_different_values_are_refused_naming_both() -> None:
    layer = from_file("proxy_port: 9000\nserver:\n  port: 9001\n")
    assert complaints(layer) == [
        "server.port = 9001 (c.yaml:3): server.port says this, but proxy_port = 9000 (c.yaml:1) "
        "sets the same key; keep one of them"
    ]


def test_unknown_keys_are_refused_without_their_values() -> None:
    layer = from_file("server: {prot: hunter2}\n")
    assert complaints(layer) == [
        "server.prot (c.yaml:1): there is no such key; did you mean server.port?"
    ]


def test_an_unknown_section_is_one_problem() -> None:
    assert len(from_file("sever: {port: 1, host: x}\n").problems) == 1


@pytest.mark.parametrize("text", ["auth: hunter2\n", "input_scanners: [hunter2]\n"])
def test_a_value_where_keys_should_stand_is_refused_and_not_shown(text: str) -> None:
    (complaint,) = complaints(from_file(text))
    assert "must hold further keys, e.g. " in complaint
    assert "hunter2" not in complaint


def test_planned_keys_give_one_notice_each() -> None:
    layer = from_file("dashboard: {enabled: true, port: 5}\nredis_password: hunter2\n")
    assert layer.notices == [
        "dashboard: known, not built yet, has no effect",
        "redis_password: known, not built yet, has no effect",
    ]
    assert layer.problems == []


def test_keys_without_effect_give_a_notice_with_the_reason() -> None:
    assert from_file("logging: {format: x}\n").notices == [
        "logging.format: has no effect; log lines are always JSON"
    ]


def test_the_old_path_setting_may_only_have_its_old_value() -> None:
    assert len(from_file("ollama_path: /api/generate\n").notices) == 1
    (complaint,) = complaints(from_file("ollama_path: /api/chat\n"))
    assert complaint.startswith(
        "ollama_path = /api/chat (c.yaml:1): can only be /api/generate: clients use"
    )


def test_keys_with_another_meaning_are_refused_with_the_new_name() -> None:
    (complaint,) = complaints(from_file("forwarded_allow_ips: '*'\n"))
    assert "use access.trusted_proxies" in complaint


def test_values_are_shown_as_written() -> None:
    (complaint,) = complaints(from_file("server: {port: 010}\n"))
    assert complaint.startswith("server.port = 010 (c.yaml:1): must be")


def test_duplicate_keys_are_problems() -> None:
    assert "already stands in line 1" in complaints(from_file("data_dir: a\ndata_dir: b\n"))[0]


ENVIRONMENTS = "development: {data_dir: dev}\nproduction: {data_dir: prod}\n"


def test_production_is_the_default_environment() -> None:
    assert values(from_file(ENVIRONMENTS)) == {"data_dir": "prod"}


def test_ogp_env_chooses_the_environment() -> None:
    assert values(from_file(ENVIRONMENTS, OGP_ENV="development")) == {"data_dir": "dev"}


def test_another_environment_is_refused() -> None:
    layer = from_file(ENVIRONMENTS, OGP_ENV="staging")
    assert complaints(layer) == [
        "OGP_ENV = staging (environment OGP_ENV): must be one of development, test, production"
    ]
    assert values(layer) == {}


def test_ogp_env_has_no_say_over_a_file_without_environments() -> None:
    assert values(from_file("data_dir: x\n", OGP_ENV="staging")) == {"data_dir": "x"}


def test_a_file_without_the_chosen_environment_gives_a_notice() -> None:
    layer = from_file("development: {logging: {level: debug}}\n")
    assert (values(layer), layer.problems) == ({}, [])
    assert layer.notices == [
        "c.yaml has no section production, only development: nothing of it is used; OGP_ENV chooses"
    ]


def test_an_empty_environment_says_nothing() -> None:
    layer = from_file("production:\n")
    assert (values(layer), layer.problems) == ({}, [])


@pytest.mark.parametrize("value", ["5", "[server]"])
def test_an_environment_must_hold_keys(value: str) -> None:
    assert "must hold further keys" in complaints(from_file(f"production: {value}\n"))[0]


def test_keys_beside_environments_are_refused_except_a_place_for_anchors() -> None:
    text = "default: &d {data_dir: x}\nproxy_port: 1\nproduction: {<<: *d}\n"
    layer = from_file(text)
    assert values(layer) == {"data_dir": "x"}
    assert complaints(layer) == [
        "proxy_port (c.yaml:2): stands beside production; move it into development, test or "
        "production"
    ]


@pytest.mark.parametrize(
    ("environ", "name"),
    [({}, "production"), ({"OGP_ENV": " "}, "production"), ({"OGP_ENV": "test"}, "test")],
)
def test_the_name_of_the_environment(environ: dict[str, str], name: str) -> None:
    assert environment_name(environ) == name


def test_a_wrong_environment_raises() -> None:
    with pytest.raises(SettingsError, match="must be one of"):
        environment_name({"OGP_ENV": "prod"})


def test_variables_are_read_under_short_and_long_names() -> None:
    short, long = environment_layers({"PROXY_PORT": "9000", "OGP__DATA_DIR": "x", "PATH": "/bin"})
    assert values(short) == {"server.port": "9000"}
    assert values(long) == {"data_dir": "x"}
    assert short.given["server.port"].source == "environment PROXY_PORT"


@pytest.mark.parametrize("empty", ["", "  "])
def test_empty_variables_count_as_unset(empty: str) -> None:
    short, long = environment_layers({"PROXY_PORT": empty, "OGP__DATA_DIR": empty})
    assert (values(short), values(long), short.problems) == ({}, {}, [])


def test_two_short_names_with_different_values_are_refused() -> None:
    short, _ = environment_layers({"PROXY_PORT": "1", "PORT": "2"})
    assert complaints(short) == [
        "server.port = 1 (environment PROXY_PORT): PROXY_PORT says this, but PORT = 2 "
        "(environment PORT) sets the same key; keep one of them"
    ]


def test_the_same_truth_in_other_words_is_no_conflict() -> None:
    _, long = environment_layers({"OGP__AUTH__ENABLED": "yes", "ogp__auth__enabled": "1"})
    assert (values(long), long.problems) == ({"auth.enabled": True}, [])


def test_a_long_variable_that_names_no_key_is_refused() -> None:
    _, long = environment_layers({"OGP__SERVER__PROT": "hunter2"})
    assert complaints(long) == [
        "OGP__SERVER__PROT (environment OGP__SERVER__PROT): there is no such key; did you mean "
        "server.port?"
    ]


def test_a_long_variable_that_names_a_section_is_refused() -> None:
    _, long = environment_layers({"OGP__SERVER": "x"})
    assert "must hold further keys, e.g. server.host" in complaints(long)[0]


def test_flags_are_named_as_on_the_command_line() -> None:
    layer = flag_layer({"server.port": 9000, "queue.max_queue": "5", "server.host": None})
    assert {name: given.source for name, given in layer.given.items()} == {
        "server.port": "--port",
        "queue.max_queue": "--queue.max_queue",
    }


def test_a_wrong_flag_is_a_problem() -> None:
    assert complaints(flag_layer({"auth.enabled": "maybe"})) == [
        "auth.enabled = maybe (--auth.enabled): must be true or false"
    ]
