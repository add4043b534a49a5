import json
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import model_validator

from ogp.settings.keys import all_keys
from ogp.settings.load import Loaded, load_content, load_settings
from ogp.settings.problems import SettingsError
from ogp.settings.schema import Settings

S1_OPTIONS = """
# Concurrency Configuration
ollama_num_parallel: "auto"  # Options: "auto", 1, 2, 4, 8, etc.
ollama_max_queue: 512         # Maximum queued requests
request_timeout: 300          # Request timeout in seconds
enable_queue_stats: true      # Enable statistics tracking
"""
S2_PRODUCTION = """
ollama_num_parallel: 4          # or "auto"
ollama_max_queue: 1024          # Large queue for high load
request_timeout: 300            # 5 minutes
enable_queue_stats: true        # Enable metrics
"""
S3_SERVERS = """
production:
  proxy_port: 11434                    # Port for the proxy server
  servers:
    high_performance:
      host: "localhost"
      port: 11435
      name: "high_performance"
      priority: 1
      max_memory_gb: null              # null = unlimited memory
      enabled: true
  external_hosts:
    openai: {host: api.openai.com, port: 443, protocol: https, api_key_env: OPENAI_API_KEY}
  model_config:
    explicit_assignments:
      "gpt-4": "openai"
    memory_overrides:
      "custom-model-70b": 40.0
    memory_patterns:
      - pattern: ".*-7b.*"
        memory_gb: 4.5
"""
S3_DEBUG = """
development:
  logging:
    level: "debug"
"""
S4_CACHE = """
cache:
  enabled: true
  backend: auto        # auto, redis, memory
  ttl: 3600           # 1 hour TTL
  max_size: 1000      # Memory cache limit

redis:
  host: localhost
  port: 6379
  db: 0
  password: ""        # Optional
  max_connections: 50
"""
S4_OPTIMAL = """
proxy_host: 0.0.0.0
proxy_port: 8080
ollama_url: http://localhost:11434
enable_input_guard: true
enable_output_guard: true
block_on_guard_error: false
cache_enabled: true
cache_size: 2000
cache_ttl: 3600
use_local_models: true
models_path: ./models
rate_limit_enabled: true
rate_limit_per_minute: 60
rate_limit_per_hour: 1000
rate_limit_burst: 10
enable_ip_filter: true
ip_whitelist:
  - "10.0.0.0/8"
  - "192.168.0.0/16"
"""
EARLIER_VERSION = """
ollama_url: http://192.168.1.2:11434
ollama_path: /api/generate
proxy_host: 0.0.0.0
proxy_port: 8888
enable_ip_filter: false
ip_whitelist: ""
ip_blacklist: ""
redis_password: null
nginx_whitelist: "10.0.0.5"
input_scanners:
  ban_substrings:
    enabled: true
    substrings:
      - "malicious"
      - "dangerous"
  prompt_injection: {enabled: true}
  toxicity: {enabled: true, threshold: 0.5}
  secrets: {enabled: true}
  code: {enabled: true}
  token_limit: {enabled: true, limit: 4000}
output_scanners:
  ban_substrings: {enabled: true, substrings: [malicious]}
  malicious_urls: {enabled: true}
  no_refusal: {enabled: true}
logging:
  level: INFO
  format: "%(asctime)s - %(message)s"
"""


def loaded(text: str = "", flags: Mapping[str, Any] | None = None, **environ: str) -> Loaded:
    return load_content(text.encode(), "c.yaml", environ=environ, flags=flags or {})


def problems(text: str = "", flags: Mapping[str, Any] | None = None, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        loaded(text, flags, **environ)
    return [str(problem) for problem in caught.value.problems]


def test_nothing_given_means_the_defaults() -> None:
    result = loaded()
    assert result.settings == Settings()
    assert set(result.sources.values()) == {"default"}
    assert result.notices == ()


def test_every_key_has_a_source() -> None:
    assert list(loaded().sources) == list(all_keys())


def test_flags_win_over_the_environment_and_that_over_the_file() -> None:
    text = "server: {port: 1, host: 127.0.0.2, workers: 2}\n"
    result = loaded(text, {"server.port": 3}, PROXY_PORT="2", WORKERS="4")
    assert (result.settings.server.port, result.settings.server.workers) == (3, 4)
    assert result.settings.server.host == "127.0.0.2"
    assert result.sources["server.port"] == "--port"
    assert result.sources["server.workers"] == "environment WORKERS"
    assert result.sources["server.host"] == "c.yaml:1"
    assert result.sources["server.concurrency"] == "default"


def test_the_long_variable_wins_over_the_short_one() -> None:
    result = loaded(PROXY_PORT="1", OGP__SERVER__PORT="2")
    assert result.settings.server.port == 2
    assert result.sources["server.port"] == "environment OGP__SERVER__PORT"


@pytest.mark.parametrize("name", list(all_keys()))
def test_every_key_can_be_set_in_the_environment_or_says_why_not(name: str) -> None:
    default = all_keys()[name].default
    listed = isinstance(default, tuple)
    text = ",".join(str(item) for item in default) if listed else str(default)
    environ = {f"OGP__{name.replace('.', '__').upper()}": text}
    if name.endswith(".patterns") or all_keys()[name].is_open:
        environ = dict.fromkeys(environ, "x")
        assert "can be set in config.yaml only" in problems(**environ)[0]
    else:
        assert loaded(**environ).settings == Settings()


def test_lists_in_the_environment_have_commas() -> None:
    result = loaded(IP_WHITELIST="192.168.1.0/24,10.0.0.0/8", IP_BLACKLIST="192.168.1.100")
    assert result.settings.access.ip_allow == (
        ip_network("192.168.1.0/24"),
        ip_network("10.0.0.0/8"),
    )
    assert result.settings.access.ip_deny == (ip_network("192.168.1.100/32"),)


def test_addresses_may_be_ipv6_and_have_host_bits() -> None:
    access = loaded("ip_whitelist: [10.0.0.1/8, 'fd00::1/8', 1.2.3.4]\n").settings.access
    assert [str(network) for network in access.ip_allow] == ["10.0.0.0/8", "fd00::/8", "1.2.3.4/32"]


def test_one_key_of_a_section_leaves_the_defaults_of_the_others() -> None:
    guard = loaded("guard: {output_scanners: {invisible_text: {enabled: false}}}\n").settings.guard
    assert guard.output_scanners.secrets.enabled is False
    assert guard.output_scanners.invisible_text.enabled is False


def test_patterns_are_read() -> None:
    text = "guard: {input_scanners: {regex: {patterns: [{name: t, pattern: 'T-[0-9]{1,8}'}]}}}\n"
    (pattern,) = loaded(text).settings.guard.input_scanners.regex.patterns
    assert (pattern.name, pattern.pattern, pattern.max_length) == ("t", "T-[0-9]{1,8}", 200)


@pytest.mark.parametrize(
    "text",
    [S1_OPTIONS, S2_PRODUCTION, S3_SERVERS, S3_DEBUG, S4_CACHE, S4_OPTIMAL, EARLIER_VERSION],
)
def test_files_of_earlier_versions_load(text: str) -> None:
    assert isinstance(loaded(text).settings, Settings)


def test_an_earlier_file_means_what_it_says() -> None:
    settings = loaded(S4_OPTIMAL).settings
    assert (settings.server.host, settings.server.port) == ("0.0.0.0", 8080)
    assert settings.guard.block_on_error is False
    assert settings.access.ip_filter_enabled
    assert settings.access.ip_allow == (ip_network("10.0.0.0/8"), ip_network("192.168.0.0/16"))


def test_scanners_of_an_earlier_file_are_read() -> None:
    scanners = loaded(EARLIER_VERSION).settings.guard.input_scanners
    assert scanners.ban_substrings.substrings == ("malicious", "dangerous")
    assert (scanners.token_limit.enabled, scanners.token_limit.limit) == (True, 4000)


def test_what_an_earlier_file_asks_for_and_does_not_get_is_told() -> None:
    assert loaded(S4_CACHE).notices == ("redis: known, not built yet, has no effect",)


def test_the_port_of_an_environment_in_the_file_is_read() -> None:
    assert loaded(S3_SERVERS).settings.server.port == 11434


def test_the_documented_variables_are_read() -> None:
    settings = loaded(
        OLLAMA_URL="http://127.0.0.1:9",
        OLLAMA_PATH="/api/generate",
        ENABLE_INPUT_GUARD="true",
        ENABLE_OUTPUT_GUARD="0",
        ENABLE_IP_FILTER="false",
        PROXY_PORT="9000",
        OLLAMA_NUM_PARALLEL="auto",
        OLLAMA_MAX_QUEUE="256",
        REQUEST_TIMEOUT="60",
        WORKERS="8",
        CONCURRENCY="256",
        LLM_GUARD_DEVICE="mps",
        CACHE_TTL="3600",
        LOG_LEVEL="WARNING",
    ).settings
    assert settings.upstream.url == "http://127.0.0.1:9"
    assert settings.guard.input_enabled
    assert not settings.guard.output_enabled
    assert (settings.queue.parallel, settings.queue.max_queue) == ("auto", 256)
    assert settings.queue.request_timeout_s == 60
    assert (settings.server.workers, settings.server.concurrency) == (8, 256)
    assert settings.logging.level == "warning"


def test_every_mistake_is_told_at_once_whatever_its_kind() -> None:
    text = (
        "server: {port: 70000, prot: 1}\n"
        "proxy_host: 0.0.0.0\n"
        "auth: {enabled: false}\n"
        "access: {public_paths: [/api/chat]}\n"
        "upstream: {url: 'ftp://x'}\n"
    )
    told = problems(text, {"server.workers": "0"}, ENABLE_INPUT_GUARD="maybe", UVICORN_BACKLOG="1")
    keys = [line.split(" ", 1)[0] for line in told]
    assert sorted(keys) == [
        "UVICORN_BACKLOG",
        "access.public_paths",
        "auth.enabled",
        "guard.input_enabled",
        "server.port",
        "server.prot",
        "server.workers",
        "upstream.url",
    ]


def test_mistakes_in_the_environment_are_told_beside_a_file_that_cannot_be_read(
    tmp_path: Path,
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "none.yaml", environ={"WORKERS": "x"}, flags={"auth.enabled": "?"})
    assert [problem.source for problem in caught.value.problems] == ["file", "--auth.enabled"]


def test_mistakes_in_the_environment_are_told_beside_broken_yaml() -> None:
    told = problems("a: [1\n", WORKERS="x")
    assert len(told) == 2
    assert "is no YAML" in told[0]
    assert told[1].startswith("server.workers = x (environment WORKERS)")


def test_no_tokens_are_allowed_on_loopback_with_a_notice() -> None:
    result = loaded("auth_enabled: false\n")
    assert not result.settings.auth.enabled
    assert any("without a token" in notice for notice in result.notices)


def test_secrets_never_stand_in_a_refusal() -> None:
    told = problems(
        "pasword: hunter2\nauth: hunter2\nredis_password: [hunter2]\n",
        OGP__SERVER__TOKEN="hunter2",
        OLLAMA_URL="http://me:hunter2@host:99999",
    )
    assert len(told) == 4
    assert "hunter2" not in "".join(told)


def test_a_file_is_read_and_named_as_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("proxy_port: 9000\n", "utf-8")
    result = load_settings(path, environ={}, flags={})
    assert result.settings.server.port == 9000
    assert result.sources["server.port"] == f"{path}:1"


def test_no_file_means_no_file() -> None:
    assert load_settings(None, environ={}, flags={}).settings == Settings()


def test_a_schema_that_refuses_its_own_defaults_ends_in_a_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken(Settings):
        @model_validator(mode="after")
        def _never(self) -> "Broken":
            raise ValueError("never")

    monkeypatch.setattr("ogp.settings.load.Settings", Broken)
    assert problems() == ["data_dir = data (default): never"]


NAMES = st.sampled_from(
    [*all_keys(), "server", "guard", "cache", "ollama_url", "concurrency", "ollama_path", "nope"]
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("auto")
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def outcome(content: bytes, **environ: str) -> Loaded | SettingsError:
    try:
        return load_content(content, "c.yaml", environ=environ, flags={})
    except SettingsError as error:
        return error


def is_settled(found: Loaded | SettingsError) -> bool:
    """Loaded, or refused with reasons; any other exception has passed by then."""
    return isinstance(found, Loaded) or found.problems != ()


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_whatever_a_file_holds_it_loads_or_is_refused(content: dict[str, Any]) -> None:
    tree: dict[str, Any] = {}
    for name, value in content.items():
        below = tree
        *sections, last = name.split(".")
        for section in sections:
            below = below.setdefault(section, {})
            if not isinstance(below, dict):
                return
        below[last] = value
    text = json.dumps(tree, allow_nan=False, default=str) if _finite(tree) else "x: .nan"
    assert is_settled(outcome(text.encode()))


def _finite(tree: Any) -> bool:
    try:
        json.dumps(tree, allow_nan=False)
    except ValueError:
        return False
    return True


@given(st.binary(max_size=200))
def test_whatever_bytes_a_file_holds_it_loads_or_is_refused(content: bytes) -> None:
    assert is_settled(outcome(content))


@given(NAMES, st.text(min_size=1, max_size=30))
def test_whatever_a_variable_holds_it_loads_or_is_refused(name: str, text: str) -> None:
    variable = f"OGP__{name.replace('.', '__').upper()}"
    assert is_settled(outcome(b"", **{variable: text}))
