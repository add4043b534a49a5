"""Finders of our own: e-mail, URL and IP addresses. Each takes time in proportion to the text.

presidio's own for these ask the network for a list of domains (e-mail), take 49 seconds for 5,000
dots (URL), and find half of an address or a slice of a Python list (IP).
"""

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address

from ogp.guard.personal_data import BEST, ENOUGH, MOST_WITHOUT_WORD, Found

MAX_URL_CHARS = 2000
"""Of a longer URL the rest stays."""
SMALL_OCTET = 20
"""An IPv4 address of smaller numbers only may be a version."""
LONG_HEXTET = 3
"""Shorter ones may be numbers of a slice, as in `x[1::2]`."""
MIN_COLONS = 3

Search = Callable[[str, int, int], Iterator[Found]]
"""Findings that begin between two positions of a text and end before the second."""

_LOCAL = r"\w.+%'-"
# Begins where a run of such characters begins, and takes all of it or gives up: linear.
EMAIL = re.compile(
    rf"(?<![{_LOCAL}])[.%'-]*+([\w+][{_LOCAL}]{{0,63}}+@(?:[^\W_][\w-]{{0,62}}\.){{1,8}}"
    r"[^\W\d_]{2,24})(?![\w-])"
)
URL = re.compile(rf"(?<!\w)(?:https?://|www\.)[^\s<>\"'()]{{1,{MAX_URL_CHARS}}}", re.IGNORECASE)
IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\w|-\d)", re.ASCII)
IPV6 = re.compile(
    r"(?<![\w:.])(?=[0-9a-f]{0,4}:)[0-9a-f:.]{3,45}+(?:%\w{1,15})?(?!\w)", re.IGNORECASE | re.ASCII
)


def emails(text: str, start: int, end: int) -> Iterator[Found]:
    """Addresses of mail, of any domain: those inside a company have none that a list would know."""
    for match in EMAIL.finditer(text, start, end):
        yield Found(*match.span(1), "EMAIL_ADDRESS", BEST)


def urls(text: str, start: int, end: int) -> Iterator[Found]:
    """What begins with a scheme or `www.`."""
    for match in URL.finditer(text, start, min(len(text), end + MAX_URL_CHARS)):
        if match.start() >= end:
            return
        tail = len(match.group()) - len(match.group().rstrip(".,;:!?"))
        yield Found(match.start(), match.end() - tail, "URL", BEST)


def ip_addresses(text: str, start: int, end: int) -> Iterator[Found]:
    """Addresses that can be somebody's: not this machine, not everybody, no versions."""
    for match in IPV4.finditer(text, start, end):
        octets = [int(octet) for octet in match.group().split(".")]
        if max(octets) < 256 and 0 < octets[0] < 224 and octets[0] != 127:
            may_be_version = max(octets) < SMALL_OCTET and octets[0] != 10
            score = MOST_WITHOUT_WORD if may_be_version else ENOUGH
            yield Found(*match.span(), "IP_ADDRESS", score)
    for match in IPV6.finditer(text, start, end):
        address = match.group().rstrip(".")
        if address.endswith(":") and not address.endswith("::"):
            address = address[:-1]
        if _is_foreign_ipv6(address):
            yield Found(match.start(), match.start() + len(address), "IP_ADDRESS", ENOUGH)


def _is_foreign_ipv6(address: str) -> bool:
    first = address.partition(":")[0]
    if not any(map(str.isdigit, address)):  # names of C++ and Ruby
        return False
    if address.count(":") < MIN_COLONS and len(first) < LONG_HEXTET:
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_loopback or parsed.is_unspecified or parsed.is_multicast)
