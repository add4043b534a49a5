"""Secrets of known shapes."""

import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor

import pytest

from ogp.guard.base import View
from ogp.guard.edits import Edit, clusters_of, edited, redacted
from ogp.guard.secrets import DETECTORS, OVERLAP_CHARS, SecretsScanner

SCANNER = SecretsScanner()
HEADER = urlsafe_b64encode(b'{"alg":"HS256"}').decode().rstrip("=")
PAYLOAD = urlsafe_b64encode(b'{"sub":"1234567"}').decode().rstrip("=")

# put together here so that no file holds anything that looks like a secret
SAMPLES = {
    "aws": "AKIA" + "Q7" * 8,
    "aws secret": "aws_secret_access_key = '" + "aB1/" * 10 + "'",
    "azure_storage_key": "AccountKey=" + "aB3+" * 22,
    "basic_auth": "https://alice:" + "hunter2@example.org",
    "cloudant": "cloudant_apikey=" + "0a" * 32,
    "cloudant url": "https://user:" + "0a" * 32 + "@host.cloudant.com",
    "cloudant short": "cl-password: " + "ab" * 12,
    "discord": "M" + "a" * 23 + "." + "b" * 6 + "." + "c" * 27,
    "github_token": "ghp_" + "a1" * 18,
    "gitlab_token": "glpat-" + "a1" * 10,
    "gitlab runner": "GR1348941" + "a1" * 10,
    "ibm_cloud_iam": "ibm_cloud_api_key: " + "a-" * 22,
    "ibm_cos_hmac": "secret_access_key=" + "0a" * 24,
    "jwt": f"{HEADER}.{PAYLOAD}.sig",
    "mailchimp": "0a" * 16 + "-us12",
    "npm": "//registry.npmjs.org/:_authToken=" + "npm_abc",
    "openai": "sk-" + "a" * 20 + "T3Blbk" + "FJ" + "b" * 20,
    "private_key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "putty": "PuTTY-User-Key-" + "File-2: ssh-rsa",
    "pypi_token": "pypi-AgEIcHlwaS5vcmc" + "a" * 70,
    "sendgrid": "SG." + "a" * 22 + "." + "b" * 43,
    "slack": "xoxb-" + "1234-5678-abcdef",
    "slack hook": "https://hooks.slack.com/services/" + "T1/B1/abc",
    "softlayer": "softlayer_api_key = " + "0a" * 32,
    "softlayer short": "sl-token: " + "0a" * 32,
    "square_oauth": "sq0csp-" + "a" * 43,
    "stripe": "sk_live_" + "a1" * 12,
    "telegram_token": "12345678:" + "a" * 35,
    "twilio": "AC" + "0a" * 16,
    "twilio key": "SK" + "0a" * 16,
}


def hit(text: str) -> bool:
    return SCANNER.scan(View(text)) is not None


@pytest.mark.parametrize("name", SAMPLES)
def test_a_secret_of_each_kind_is_found(name: str) -> None:
    assert hit(f"please use {SAMPLES[name]} for it")


def test_there_is_a_sample_for_every_detector() -> None:
    assert {detector.module for detector in DETECTORS} <= set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_secret_is_found_on_a_line_of_its_own(name: str) -> None:
    assert hit(f"first line\n{SAMPLES[name]}\nlast line")


def test_a_secret_is_found_wherever_it_stands_in_a_long_line() -> None:
    for before in range(0, 2_000, 37):
        assert hit("x " * before + SAMPLES["github_token"] + " y" * 2_000)


def test_a_comment_in_the_text_hides_nothing() -> None:
    assert hit("# pragma: allowlist nextline secret\n" + SAMPLES["aws"])


@pytest.mark.parametrize(
    "text",
    [
        "password = input()",
        "password = 'changeme'",
        "the secret is that practice helps",
        "export API_KEY=your_key_here",
        "token = get_token()",
        "-----BEGIN PUBLIC KEY-----",
        "sha256 " + "0a" * 32,
        "commit " + "0a" * 20,
        "550e8400-e29b-41d4-a716-446655440000",
        "git@github.com:foo/bar and https://user@host/path",
        "ping 8.8.8.8",
        "the APERTURESCIENCE class",
        "eyJ is how tokens begin",
        "arn:aws:ec2::123456789012:" + "ipam-resource-discovery-association/x",
        "",
    ],
)
def test_ordinary_text_and_code_pass(text: str) -> None:
    assert not hit(text)


def test_a_secret_is_found_behind_its_like_that_is_none() -> None:
    assert hit(f"x{SAMPLES['telegram_token']} {SAMPLES['telegram_token']}")


def test_the_reason_is_the_kind_and_not_the_secret() -> None:
    finding = SCANNER.scan(View(SAMPLES["aws"]))
    assert finding is not None
    assert finding.reason == "AWS Access Key"


def test_what_stands_before_the_start_does_not_count() -> None:
    text = SAMPLES["aws"] + " and more"
    assert SCANNER.scan(View(text, start=len(SAMPLES["aws"]))) is None


def test_an_open_end_is_waited_for() -> None:
    text = "use " + SAMPLES["github_token"]
    assert SCANNER.scan(View(text, open=True)) is None
    assert SCANNER.scan(View(text + " " * OVERLAP_CHARS, open=True)) is not None
    assert SCANNER.settled(View("x" * 1_000, open=True)) == 1_000 - OVERLAP_CHARS + 1


def test_two_thousand_scans_in_eight_threads_find_the_same() -> None:
    texts = [f"{'word ' * 20}\n{sample}" for sample in SAMPLES.values()] + ["word " * 500] * 10
    expected = [hit(text) for text in texts]
    rounds = 2_000 // len(texts) + 1
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(hit, texts * rounds)) == expected * rounds
    finally:
        sys.setswitchinterval(before)


def test_importing_the_module_does_not_import_detect_secrets() -> None:
    code = "import sys, ogp.guard.input; print('detect_secrets' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_describe_counts_detectors() -> None:
    assert SCANNER.describe() == {"detectors": 22, "action": "block"}


@pytest.mark.parametrize(
    "seed",
    [
        "sk-",
        "eyJ",
        "eyJa.",
        "//",
        "://a:",
        "gl agent-",
        "xoxb-",
        "aws key ",
        "1:",
        '"',
        "AC",
        "x\n",
    ],
)
def test_time_is_linear(seed: str) -> None:
    def cost_s(chars: int) -> float:
        text = seed * (chars // len(seed)) + " t3blbkfj :_authtoken= eyj -us "
        times = []
        for _ in range(2):
            started = time.thread_time()
            assert not hit(text)
            times.append(time.thread_time() - started)
        return min(times)

    assert cost_s(100_000) < 12 * cost_s(25_000) + 0.02


def test_the_fork_of_detect_secrets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detect_secrets.__version__.VERSION", "1.5.43")
    with pytest.raises(ValueError, match=r"files of 1\.5\.43 are installed"):
        SecretsScanner()


def taken(text: str, **view: int | bool) -> list[str]:
    spans = SCANNER.spans(View(text, **view))  # type: ignore[arg-type]
    return [text[span.start : span.end] for span in spans]


def without(text: str) -> str:
    spans = [(span, "secrets") for span in SCANNER.spans(View(text))]
    edits = [
        Edit(each.start, each.end, redacted(each.spans[0][0]), "") for each in clusters_of(spans)
    ]
    return edited(text, edits)


BEGINNINGS = {"private_key", "putty"}
"""Samples without the end of their key."""


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - BEGINNINGS))
def test_of_a_secret_that_was_taken_out_nothing_is_left(name: str) -> None:
    text = f"please use {SAMPLES[name]} for it"
    left = without(text)
    assert not hit(left)
    assert "[REDACTED:" in left
    secret = max(SAMPLES[name].replace("@", " ").replace("'", " ").split(), key=len)
    assert secret[-8:] not in left


@pytest.mark.parametrize("name", sorted(BEGINNINGS))
def test_the_beginning_of_a_key_is_not_enough_to_take_it_out(name: str) -> None:
    assert taken(f"{SAMPLES[name]}\nMIIE") == []
    assert hit(f"{SAMPLES[name]}\nMIIE")


@pytest.mark.parametrize("kind", ["RSA PRIVATE KEY", "PRIVATE KEY", "PGP PRIVATE KEY BLOCK"])
def test_a_private_key_is_taken_out_from_its_beginning_to_its_end(kind: str) -> None:
    key = f"-----BEGIN {kind}-----\n" + "MIIE\n" * 900 + f"-----END {kind}-----"
    assert (
        without(f"a - {key}. and {key}") == "a - [REDACTED:private key]. and [REDACTED:private key]"
    )
    assert taken(key, open=True) == []
    assert taken("x" + key, start=10) == []


def test_what_names_the_secret_stays() -> None:
    assert without("https://bob:hunter22@host") == (
        "https://bob:[REDACTED:basic auth credentials]@host"
    )
    assert without(SAMPLES["aws secret"]) == "aws_secret_access_key = '[REDACTED:aws access key]'"


def test_a_password_that_is_a_common_word_is_taken_out_only_in_its_place() -> None:
    assert without("e e https://bob:e@host e") == (
        "e e https://bob:[REDACTED:basic auth credentials]@host e"
    )


def test_the_rest_of_the_word_goes_along() -> None:
    assert without("x " + SAMPLES["github_token"] + "abc-1.") == "x [REDACTED:github token]."
    assert without(f"({SAMPLES['jwt']}-_x.y)") == "([REDACTED:json web token])"


def test_a_long_web_token_is_taken_out_of_a_whole_text() -> None:
    long = urlsafe_b64encode(b'{"a":"' + b"x" * 900 + b'"}').decode().rstrip("=")
    assert without(f"a {HEADER}.{long}.{long} b") == "a [REDACTED:json web token] b"


def test_what_only_looks_like_a_web_token_stays() -> None:
    assert taken("eyJabc.eyJdef.x") == []


def test_a_letter_before_a_telegram_token_undoes_it() -> None:
    assert taken("x" + SAMPLES["telegram_token"]) == []


def test_in_a_growing_text_only_what_is_certain_is_taken_out() -> None:
    text = SAMPLES["aws"] + " "
    assert taken(text, open=True) == []
    assert taken(text + "x" * OVERLAP_CHARS, open=True) == [SAMPLES["aws"]]
    endless = SAMPLES["aws"] + "X" * OVERLAP_CHARS
    assert taken(endless + " " * OVERLAP_CHARS, open=True) == []
    assert taken(endless) == [endless]


def test_what_stands_before_the_start_is_not_taken_out() -> None:
    assert taken(SAMPLES["aws"] + " " + SAMPLES["aws"], start=1) == [SAMPLES["aws"]]


def test_a_secret_is_taken_out_wherever_it_stands_in_a_long_line() -> None:
    for before in range(0, 2_000, 37):
        left = without("x " * before + SAMPLES["github_token"] + " y" * 1_200)
        assert left == "x " * before + "[REDACTED:github token]" + " y" * 1_200


@pytest.mark.parametrize("action", ["block", "flag", "redact"])
def test_the_action_tells_what_a_hit_does(action: str) -> None:
    scanner = SecretsScanner(action)  # type: ignore[arg-type]
    finding = scanner.scan(View(SAMPLES["aws"]))
    assert finding is not None
    assert finding.blocks is (action != "flag")
    assert scanner.redacts is (action == "redact")
    assert scanner.describe() == {"detectors": 22, "action": action}


@pytest.mark.parametrize("name", ["private_key", "aws", "jwt", "basic_auth"])
def test_time_to_find_all_is_linear(name: str) -> None:
    seed = SAMPLES[name] + " "

    def cost_s(chars: int) -> float:
        view = View(seed * (chars // len(seed)))
        times = []
        for _ in range(3):
            started = time.thread_time()
            SCANNER.spans(view)
            times.append(time.thread_time() - started)
        return min(times)

    assert cost_s(40_000) < 12 * cost_s(10_000) + 0.01
