"""Old and foreign names: accepted where they mean the same, known, without effect, or refused."""

from collections.abc import Mapping

RENAMED: Mapping[str, str] = {
    "ollama_url": "upstream.url",
    "connection_timeout": "upstream.connect_timeout_s",
    "read_timeout": "upstream.idle_timeout_s",
    "health_check_interval": "upstream.health_interval_s",
    "routing_strategy": "routing.strategy",
    "assignment_fallback": "routing.assignment_fallback",
    "server_busy_threshold_ms": "routing.busy_threshold_ms",
    "model_info_timeout": "routing.listing_timeout_s",
    "model_config.explicit_assignments": "routing.assignments",
    "model_config.memory_overrides": "routing.memory_overrides",
    "model_config.memory_patterns": "routing.memory_patterns",
    "model_config.default_memory_gb": "routing.default_memory_gb",
    "model_config.cache_ttl_seconds": "routing.cache_ttl_s",
    "proxy_host": "server.host",
    "proxy_port": "server.port",
    "workers": "server.workers",
    "concurrency": "server.concurrency",
    "timeout_keep_alive": "server.keepalive_s",
    "auth_enabled": "auth.enabled",
    "enable_ip_filter": "access.ip_filter_enabled",
    "ip_whitelist": "access.ip_allow",
    "ip_blacklist": "access.ip_deny",
    "nginx_whitelist": "access.trusted_proxies",
    "public_paths": "access.public_paths",
    "ollama_num_parallel": "queue.parallel",
    "ollama_max_queue": "queue.max_queue",
    "request_timeout": "queue.request_timeout_s",
    "enable_queue_stats": "queue.stats_enabled",
    "concurrency.ollama_num_parallel": "queue.parallel",
    "concurrency.ollama_max_queue": "queue.max_queue",
    "concurrency.request_timeout": "queue.request_timeout_s",
    "concurrency.enable_queue_stats": "queue.stats_enabled",
    "enable_input_guard": "guard.input_enabled",
    "enable_output_guard": "guard.output_enabled",
    "block_on_guard_error": "guard.block_on_error",
    "models_path": "guard.models.path",
    "cache.ttl": "cache.ttl_s",
    "cache.max_size": "cache.max_entries",
    "cache_enabled": "cache.enabled",
    "cache_backend": "cache.backend",
    "cache_ttl": "cache.ttl_s",
    "cache_size": "cache.max_entries",
    "cache_max_size": "cache.max_entries",
    "log_level": "logging.level",
    "access_log": "logging.access_log",
}
"""Dotted name in config.yaml -> canonical key."""

MOVED_SECTIONS: Mapping[str, str] = {
    "input_scanners": "guard.input_scanners",
    "output_scanners": "guard.output_scanners",
    "concurrency": "concurrency",
    "model_config": "model_config",
}
"""Sections under an old name -> where their keys are looked up. `concurrency` is also a number."""

ENVIRONMENT: Mapping[str, str] = {
    "OLLAMA_URL": "upstream.url",
    "PROXY_HOST": "server.host",
    "HOST": "server.host",
    "PROXY_PORT": "server.port",
    "PORT": "server.port",
    "WORKERS": "server.workers",
    "WEB_CONCURRENCY": "server.workers",
    "CONCURRENCY": "server.concurrency",
    "ENABLE_IP_FILTER": "access.ip_filter_enabled",
    "IP_WHITELIST": "access.ip_allow",
    "IP_BLACKLIST": "access.ip_deny",
    "NGINX_WHITELIST": "access.trusted_proxies",
    "OLLAMA_NUM_PARALLEL": "queue.parallel",
    "OLLAMA_MAX_QUEUE": "queue.max_queue",
    "REQUEST_TIMEOUT": "queue.request_timeout_s",
    "ENABLE_QUEUE_STATS": "queue.stats_enabled",
    "ENABLE_INPUT_GUARD": "guard.input_enabled",
    "ENABLE_OUTPUT_GUARD": "guard.output_enabled",
    "BLOCK_ON_GUARD_ERROR": "guard.block_on_error",
    "LLM_GUARD_INPUT_BAN_SUBSTRINGS": "guard.input_scanners.ban_substrings.enabled",
    "LLM_GUARD_INPUT_SECRETS": "guard.input_scanners.secrets.enabled",
    "LLM_GUARD_INPUT_PROMPT_INJECTION": "guard.input_scanners.prompt_injection.enabled",
    "LLM_GUARD_INPUT_TOXICITY": "guard.input_scanners.toxicity.enabled",
    "LLM_GUARD_INPUT_CODE": "guard.input_scanners.code.enabled",
    "LLM_GUARD_INPUT_ANONYMIZE": "guard.input_scanners.anonymize.enabled",
    "LLM_GUARD_OUTPUT_BAN_SUBSTRINGS": "guard.output_scanners.ban_substrings.enabled",
    "LLM_GUARD_OUTPUT_TOXICITY": "guard.output_scanners.toxicity.enabled",
    "LLM_GUARD_OUTPUT_CODE": "guard.output_scanners.code.enabled",
    "LLM_GUARD_OUTPUT_MALICIOUS_URLS": "guard.output_scanners.malicious_urls.enabled",
    "LLM_GUARD_OUTPUT_NO_REFUSAL": "guard.output_scanners.no_refusal.enabled",
    "LLM_GUARD_DEVICE": "guard.models.device",
    "LLM_GUARD_MODELS_PATH": "guard.models.path",
    "MODELS_PATH": "guard.models.path",
    "LLM_GUARD_PROMPT_INJECTION_MODEL_PATH": "guard.input_scanners.prompt_injection.path",
    "LLM_GUARD_ANONYMIZE_MODEL_PATH": "guard.input_scanners.anonymize.path",
    "CACHE_ENABLED": "cache.enabled",
    "CACHE_BACKEND": "cache.backend",
    "CACHE_TTL": "cache.ttl_s",
    "CACHE_MAX_SIZE": "cache.max_entries",
    "LOG_LEVEL": "logging.level",
    "ENABLE_ACCESS_LOG": "logging.access_log",
}
"""Environment variable -> canonical key; `OGP__SECTION__KEY` exists beside these for every key."""

ENVIRONMENT_OF_TWO: Mapping[str, tuple[str, str]] = {
    "LLM_GUARD_TOXICITY_MODEL_PATH": (
        "guard.input_scanners.toxicity.path",
        "guard.output_scanners.toxicity.path",
    ),
    "LLM_GUARD_CODE_MODEL_PATH": (
        "guard.input_scanners.code.path",
        "guard.output_scanners.code.path",
    ),
}
"""Environment variable -> the canonical keys that it sets both."""

OBEYED_ELSEWHERE: frozenset[str] = frozenset({"MPS_ENABLE_FP16"})
"""Environment variables that are no key and are obeyed where they matter; no notice."""

LATER: frozenset[str] = frozenset(
    {
        "redis",
        "redis_enabled",
        "redis_host",
        "redis_port",
        "redis_db",
        "redis_password",
        "redis_max_connections",
        "redis_timeout",
        "redis_key_prefix",
        "rate_limit_enabled",
        "rate_limit_per_minute",
        "rate_limit_per_hour",
        "rate_limit_burst",
        "security",
        "external_hosts",
        "performance_monitoring",
        "dashboard",
    }
)
"""Keys and whole sections of functions that are planned: accepted, with a notice."""

LATER_ENVIRONMENT: frozenset[str] = frozenset(
    {
        "REDIS_ENABLED",
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_DB",
        "REDIS_PASSWORD",
        "REDIS_MAX_CONNECTIONS",
        "REDIS_SOCKET_TIMEOUT",
        "REDIS_SOCKET_CONNECT_TIMEOUT",
        "RATE_LIMIT_ENABLED",
        "RATE_LIMIT_PER_MINUTE",
        "RATE_LIMIT_PER_HOUR",
        "RATE_LIMIT_BURST",
    }
)
"""Environment variables of planned functions: accepted, with a notice."""

NO_EFFECT: Mapping[str, str] = {
    "model_config.cache_model_info": "what servers list is always kept; see routing.cache_ttl_s",
    "logging.format": "log lines are always JSON",
    "scan_fail_fast": "a block always ends the scan",
    "use_local_models": "models are read from guard.models.path, never downloaded",
}
"""Dotted name -> why it changes nothing; accepted, with a notice."""

NO_EFFECT_ENVIRONMENT: Mapping[str, str] = {
    "LLM_GUARD_FAST_FAIL": "a block always ends the scan",
    "LLM_GUARD_FORCE_CPU": "set guard.models.device: cpu (LLM_GUARD_DEVICE=cpu)",
    "LLM_GUARD_USE_LOCAL_MODELS": "models are read from guard.models.path, never downloaded",
    "USE_LOCAL_MODELS": "models are read from guard.models.path, never downloaded",
    "LOG_DIR": "set logging.file (OGP__LOGGING__FILE), a path with the file's name",
    "OLLAMA_PROXY_LOG_DIR": "set logging.file (OGP__LOGGING__FILE), a path with the file's name",
}
"""Environment variable -> what to use instead; a notice only, as other programs share the names."""

ONE_VALUE: Mapping[str, tuple[str, str]] = {
    "ollama_path": ("/api/generate", "clients use Ollama's own paths, which need no setting"),
}
"""Dotted name (or its upper-case environment form) -> the one value it may have, and why."""

REFUSED: Mapping[str, str] = {
    "forwarded_allow_ips": "use access.trusted_proxies: the peers whose X-Forwarded-For is "
    "believed; `*` is not possible",
    "write_timeout": "use upstream.idle_timeout_s for a silent upstream, limits.write_timeout_s "
    "for a client that does not read",
    "limit_max_requests": "has no counterpart: workers are not recycled after a number of requests",
    "pool_connections": "remove it: the connection pool follows the number of threads",
    "pool_maxsize": "remove it: the connection pool follows the number of threads",
    "queue_size": "use queue.max_queue, which counts waiting requests per model",
    "queue_timeout": "use queue.request_timeout_s, which runs from arrival to the first byte",
    "openai_timeout": "use queue.request_timeout_s, one deadline for all client languages",
    "inline_guard_errors": "remove it: a blocked request is answered with 403, never as text",
    "logging.enabled": "remove it; use logging.level, or logging.file: null for standard output",
    "logging.directory": "use logging.file, a path with the file's name",
    "logging.max_size": "remove it: rotation belongs to logrotate",
    "logging.max_files": "remove it: rotation belongs to logrotate",
}
"""Dotted name -> the new name, or why there is none."""

REFUSED_ENVIRONMENT: Mapping[str, str] = {
    "UVICORN_WORKERS": "the server is gunicorn; use WORKERS (server.workers)",
    "UVICORN_WORKER_CLASS": "the server is gunicorn with threads; remove it",
    "UVICORN_LIMIT_CONCURRENCY": "the server is gunicorn; use CONCURRENCY (server.concurrency)",
    "UVICORN_BACKLOG": "the server is gunicorn; use OLLAMA_MAX_QUEUE (queue.max_queue)",
    "UVICORN_TIMEOUT_KEEP_ALIVE": "use OGP__SERVER__KEEPALIVE_S (server.keepalive_s)",
    "INLINE_GUARD_ERRORS": "remove it: a blocked request is answered with 403, never as text",
}
"""Environment variable -> the new name, or why there is none."""
