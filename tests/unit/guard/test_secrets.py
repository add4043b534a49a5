"""Secrets of known shapes."""

import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor

import pytest

from ogp.guard.base import View
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


def test_many_threads_find_the_same() -> None:
    texts = [f"{'word ' * 20}\n{sample}" for sample in SAMPLES.values()] + ["word " * 500] * 10
    expected = [hit(text) for text in texts]
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(hit, texts * 20)) == expected * 20
    finally:
        sys.setswitchinterval(before)


def test_importing_the_module_does_not_import_detect_secrets() -> None:
    code = "import sys, ogp.guard.input; print('detect_secrets' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_describe_counts_detectors() -> None:
    assert SCANNER.describe() == {"detectors": 22}


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
