"""Servers and rules of routing out of files of earlier versions."""

from ogp.settings.load import Loaded, load_content

FILE = b"""
production:
  proxy_port: 11434
  servers:
    high_performance:
      host: "localhost"
      port: 11435
      name: "high_performance"
      priority: 1
      max_memory_gb: null
      enabled: true
    legacy: {host: localhost, port: 11436, name: legacy, priority: 2, max_memory_gb: 8}
  routing_strategy: least_loaded
  server_busy_threshold_ms: 500
  model_info_timeout: 5
  assignment_fallback: true
  model_config:
    explicit_assignments: {"gpt-4": "openai"}
    memory_overrides: {"custom-model-70b": 40.0}
    memory_patterns: [{pattern: ".*-7b.*", memory_gb: 4.5}]
    default_memory_gb: 5
    cache_ttl_seconds: 60
    cache_model_info: true
development:
  servers:
    here: {host: localhost}
"""


def loaded(**environ: str) -> Loaded:
    return load_content(FILE, "c.yaml", environ=environ, flags={})


def test_servers_mean_what_they_say() -> None:
    servers = loaded().settings.servers
    assert {name: entry.address for name, entry in servers.items()} == {
        "high_performance": "http://localhost:11435",
        "legacy": "http://localhost:11436",
    }
    assert [entry.max_memory_gb for entry in servers.values()] == [None, 8]


def test_rules_mean_what_they_say() -> None:
    routing = loaded().settings.routing
    assert routing.strategy == "least_loaded"
    assert routing.assignments == {"gpt-4": "openai"}
    assert routing.assignment_fallback is True
    assert routing.memory_overrides == {"custom-model-70b": 40.0}
    assert [entry.memory_gb for entry in routing.memory_patterns] == [4.5]
    assert (routing.default_memory_gb, routing.cache_ttl_s) == (5, 60)
    assert (routing.busy_threshold_ms, routing.listing_timeout_s) == (500, 5)


def test_what_has_no_effect_is_noticed() -> None:
    told = " ".join(loaded().notices)
    assert "gpt-4 is assigned to openai" in told
    assert "cache_model_info: has no effect" in told


def test_each_environment_has_its_own_servers() -> None:
    assert list(loaded(OGP_ENV="development").settings.servers) == ["here"]
