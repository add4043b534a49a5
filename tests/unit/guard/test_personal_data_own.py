"""E-mail, URL and IP addresses."""

import pytest

from ogp.guard.personal_data_own import Search, emails, ip_addresses, urls


def found(search: Search, text: str) -> list[str]:
    return [text[each.start : each.end] for each in search(text, 0, len(text))]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Write to ann@example.com.", "ann@example.com"),
        ("<ann.lee+news@mail.example.co.uk>", "ann.lee+news@mail.example.co.uk"),
        ("'ann@example.com'", "ann@example.com"),
        ("mailto:ann@example.com", "ann@example.com"),
        ("email=ann@example.com&x=1", "ann@example.com"),
        ("o'hara@corp.local,", "o'hara@corp.local"),
        ("...ann@example.com", "ann@example.com"),
        ("jürgen@müller.example", "jürgen@müller.example"),
    ],
)
def test_addresses_of_mail(text: str, address: str) -> None:
    assert found(emails, text) == [address]


@pytest.mark.parametrize(
    "text",
    [
        "@property",
        "a @ b.com",
        "ann@example",
        "@example.com",
        "a@b.T",
        f"{'a' * 65}@b.com",
        "x@.com",
    ],
)
def test_what_is_no_address_of_mail(text: str) -> None:
    assert found(emails, text) == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("See https://example.com/a?b=c#d.", "https://example.com/a?b=c#d"),
        ('<a href="http://example.com">', "http://example.com"),
        ("(www.example.com)", "www.example.com"),
        ("HTTPS://EXAMPLE.COM!", "HTTPS://EXAMPLE.COM"),
    ],
)
def test_addresses_of_pages(text: str, address: str) -> None:
    assert found(urls, text) == [address]


@pytest.mark.parametrize("text", ["os.path.is", "example.com", "https://", "xhttp://a.b"])
def test_what_is_no_address_of_a_page(text: str) -> None:
    assert found(urls, text) == []


def test_an_address_of_a_page_goes_on_behind_the_end_of_its_part() -> None:
    text = "http://example.com/" + "a" * 100
    assert [each.end for each in urls(text, 0, 30)] == [len(text)]
    assert list(urls("x" * 30 + " " + text, 0, 30)) == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("from 192.168.1.50:8080", "192.168.1.50"),
        ("10.1.1.0/24", "10.1.1.0"),
        ("The server is 203.0.113.9.", "203.0.113.9"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("fe80::1%eth0 up", "fe80::1%eth0"),
        ("2001:0db8:85a3:0000:0000:8a2e:0370:7334.", "2001:0db8:85a3:0000:0000:8a2e:0370:7334"),
        ("net 2001:db8:: is", "2001:db8::"),
        ("at 2001:db8::5: refused", "2001:db8::5"),
    ],
)
def test_addresses_of_machines(text: str, address: str) -> None:
    assert found(ip_addresses, text) == [address]


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1", "0.0.0.0", "224.0.0.1", "999.1.1.1", "1.2.3.4.5", "v10.20.30.40"),
        *("::1", "x[1::2]", "12:34:56", "Face::Bad", "std::cout", "::", "1:2:3:4:5:6:7:8:9"),
    ],
)
def test_what_is_no_address_of_somebodys_machine(text: str) -> None:
    assert found(ip_addresses, text) == []


@pytest.mark.parametrize(("text", "may_be_version"), [("1.6.4.3", True), ("10.1.1.1", False)])
def test_small_numbers_may_be_a_version(text: str, may_be_version: bool) -> None:
    (only,) = ip_addresses(text, 0, len(text))
    assert (only.score < 0.4) is may_be_version


@pytest.mark.parametrize("search", [emails, ip_addresses])
def test_only_a_part_of_the_text_is_searched(search: Search) -> None:
    text = "a@b.com 203.0.113.9 " * 2
    assert [each.start // 20 for each in search(text, 20, 40)] == [1]
