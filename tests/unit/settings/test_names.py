import pytest

from ogp.settings.names import Name, NameKind, look_up, look_up_variable, suggestion


def test_canonical_and_old_names_lead_to_the_same_key() -> None:
    assert look_up("server.port") == look_up("proxy_port") == Name(NameKind.KEY, "server.port")


def test_sections_are_found_under_their_old_names_too() -> None:
    assert look_up("guard.input_scanners") == look_up("input_scanners")
    assert look_up("input_scanners").kind is NameKind.SECTION


def test_concurrency_is_a_section_where_it_holds_keys_and_a_number_elsewhere() -> None:
    assert look_up("concurrency", holds_keys=True) == Name(NameKind.SECTION, "concurrency")
    assert look_up("concurrency") == Name(NameKind.KEY, "server.concurrency")
    assert look_up("concurrency.ollama_max_queue") == Name(NameKind.KEY, "queue.max_queue")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cache", NameKind.SECTION),
        ("redis.password", NameKind.LATER),
        ("dashboard.refresh", NameKind.LATER),
        ("logging.format", NameKind.NO_EFFECT),
        ("ollama_path", NameKind.ONE_VALUE),
        ("forwarded_allow_ips", NameKind.REFUSED),
        ("cached", NameKind.UNKNOWN),
        ("", NameKind.UNKNOWN),
    ],
)
def test_other_names_are_told_apart(name: str, kind: NameKind) -> None:
    assert look_up(name).kind is kind


@pytest.mark.parametrize(
    ("variable", "target"),
    [
        ("OLLAMA_URL", "upstream.url"),
        ("PROXY_PORT", "server.port"),
        ("PORT", "server.port"),
        ("NGINX_WHITELIST", "access.trusted_proxies"),
        ("OGP__SERVER__PORT", "server.port"),
        ("ogp__server__port", "server.port"),
        ("OGP__DATA_DIR", "data_dir"),
        ("OGP__PROXY_PORT", "server.port"),
        ("LLM_GUARD_OUTPUT_NO_REFUSAL", "guard.output_scanners.no_refusal.enabled"),
        ("LLM_GUARD_ANONYMIZE_MODEL_PATH", "guard.input_scanners.anonymize.path"),
        ("OGP__GUARD__INPUT_SCANNERS__SECRETS__ENABLED", "guard.input_scanners.secrets.enabled"),
    ],
)
def test_variables_lead_to_keys(variable: str, target: str) -> None:
    assert look_up_variable(variable) == Name(NameKind.KEY, target)


@pytest.mark.parametrize(
    ("variable", "kind"),
    [
        ("REDIS_HOST", NameKind.LATER),
        ("LOG_DIR", NameKind.NO_EFFECT),
        ("UVICORN_WORKERS", NameKind.REFUSED),
        ("OLLAMA_PATH", NameKind.ONE_VALUE),
        ("OGP__SERVER__PROT", NameKind.UNKNOWN),
        ("OGP__", NameKind.UNKNOWN),
    ],
)
def test_other_variables_are_told_apart(variable: str, kind: NameKind) -> None:
    found = look_up_variable(variable)
    assert found is not None
    assert found.kind is kind


def test_a_variable_can_lead_to_two_keys() -> None:
    assert look_up_variable("LLM_GUARD_TOXICITY_MODEL_PATH") == Name(
        NameKind.KEY,
        "guard.input_scanners.toxicity.path",
        further=("guard.output_scanners.toxicity.path",),
    )


@pytest.mark.parametrize("variable", ["PATH", "HOME", "OGP_ENV", "ollama_url", "MPS_ENABLE_FP16"])
def test_variables_of_others_are_none_of_ours(variable: str) -> None:
    assert look_up_variable(variable) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("server.prot", "server.port"),
        ("serve.port", "server.port"),
        ("port", "server.port"),
        ("limits.request_timeout_s", "queue.request_timeout_s"),
        ("olama_url", "upstream.url"),
        ("qeue.max_queue", "queue.max_queue"),
        ("bcrypt_costs", "auth.bcrypt_cost"),
    ],
)
def test_the_first_suggestion_is_the_key_that_was_meant(name: str, expected: str) -> None:
    assert suggestion(name).startswith(f"; did you mean {expected}")


def test_a_name_like_no_other_has_no_suggestion() -> None:
    assert suggestion("zzzzzz") == ""
