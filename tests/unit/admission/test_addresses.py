import pytest

from ogp.admission.addresses import AddressGate, parse_address
from ogp.core.errors import AccessDeniedError, InvalidRequestError
from ogp.settings.schema import AccessSettings


def make_gate(**settings: object) -> AddressGate:
    return AddressGate(AccessSettings.model_validate(settings))


def test_a_direct_client_is_its_own_address() -> None:
    assert make_gate().client_address("203.0.113.9", None) == "203.0.113.9"


def test_a_stranger_cannot_claim_another_address() -> None:
    assert make_gate().client_address("203.0.113.9", "10.0.0.1") == "203.0.113.9"


def test_a_trusted_proxy_is_believed() -> None:
    assert make_gate().client_address("127.0.0.1", "198.51.100.7") == "198.51.100.7"


def test_the_right_most_hop_that_is_not_trusted_counts() -> None:
    gate = make_gate(trusted_proxies="127.0.0.1, 10.0.0.0/8")
    forwarded = "1.1.1.1, 198.51.100.7, 10.1.2.3"
    assert gate.client_address("127.0.0.1", forwarded) == "198.51.100.7"


def test_with_trusted_hops_only_the_left_most_counts() -> None:
    gate = make_gate(trusted_proxies="127.0.0.1,10.0.0.0/8")
    assert gate.client_address("127.0.0.1", "10.0.0.5, 10.0.0.6") == "10.0.0.5"


def test_empty_hops_are_passed_over() -> None:
    assert make_gate().client_address("127.0.0.1", " , 198.51.100.7,,") == "198.51.100.7"


def test_a_unix_socket_counts_as_a_trusted_proxy() -> None:
    assert make_gate().client_address("", "198.51.100.7") == "198.51.100.7"
    assert make_gate().client_address("", None) == ""


@pytest.mark.parametrize(
    "hop",
    ["unknown", "198.51.100.7:4711", "0x7f.1", "127.1", "010.0.0.1", "fe80::1%eth0", "[::1]"],
)
def test_a_hop_that_is_no_plain_address_is_refused(hop: str) -> None:
    with pytest.raises(InvalidRequestError):
        make_gate().client_address("127.0.0.1", hop)


def test_ipv4_mapped_into_ipv6_is_the_ipv4() -> None:
    assert str(parse_address("::ffff:10.0.0.1")) == "10.0.0.1"
    gate = make_gate(ip_filter_enabled=True, ip_deny="10.0.0.0/8")
    with pytest.raises(AccessDeniedError):
        gate.check("::ffff:10.0.0.1")


def test_without_the_filter_the_lists_are_not_looked_at() -> None:
    make_gate(ip_deny="0.0.0.0/0").check("10.0.0.1")


def test_deny_wins_over_allow() -> None:
    gate = make_gate(ip_filter_enabled=True, ip_allow="10.0.0.0/8", ip_deny="10.0.0.100")
    gate.check("10.0.0.99")
    with pytest.raises(AccessDeniedError) as refused:
        gate.check("10.0.0.100")
    assert refused.value.facts == {"client_ip": "10.0.0.100"}


def test_an_allow_list_keeps_out_everyone_else() -> None:
    gate = make_gate(ip_filter_enabled=True, ip_allow=["2001:db8::/32"])
    gate.check("2001:db8::17")
    with pytest.raises(AccessDeniedError):
        gate.check("2001:db9::17")


def test_a_client_without_address_passes_only_without_an_allow_list() -> None:
    make_gate(ip_filter_enabled=True, ip_deny="10.0.0.0/8").check("")
    with pytest.raises(AccessDeniedError):
        make_gate(ip_filter_enabled=True, ip_allow="10.0.0.0/8").check("")
