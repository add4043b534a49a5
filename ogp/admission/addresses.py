"""The client's address: who is believed about it, and who is let in."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from ogp.core.errors import AccessDeniedError, InvalidRequestError
from ogp.settings.schema import AccessSettings
from ogp.settings.section import Network

Address = IPv4Address | IPv6Address


def parse_address(text: str) -> Address:
    """Read one address; IPv4 mapped into IPv6 counts as the IPv4 it is.

    Raises:
        ValueError: not an address in its plain notation (no port, no zone, no leading zeros).
    """
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise ValueError("zone identifiers name no client")
        return address.ipv4_mapped or address
    return address


def contains(networks: Sequence[Network], address: Address) -> bool:
    """Whether any of the networks holds the address."""
    return any(address in network for network in networks)


class AddressGate:
    """Finds the client's address and refuses those the operator keeps out. Stateless."""

    def __init__(self, settings: AccessSettings) -> None:
        self._settings = settings

    def client_address(self, peer: str, forwarded_for: str | None) -> str:
        """The address the request came from.

        Walks `X-Forwarded-For` from the right, as each trusted proxy appended who it saw; the first
        hop that is not itself trusted is the client. Others' claims are not looked at.

        Args:
            peer: address of the TCP peer; empty on a Unix socket, which only local proxies reach.
            forwarded_for: the header as received, several ones joined by commas.

        Raises:
            InvalidRequestError: a trusted proxy forwarded something that is no address.
        """
        if peer and not self._is_trusted(address := parse_address(peer)):
            return str(address)
        client = peer
        for hop in reversed((forwarded_for or "").split(",")):
            if not hop.strip():
                continue
            try:
                address = parse_address(hop.strip())
            except ValueError as error:
                raise InvalidRequestError(
                    "X-Forwarded-For holds something that is not an IP address"
                ) from error
            client = str(address)
            if not self._is_trusted(address):
                break
        return client

    def check(self, client: str) -> None:
        """Let the address in.

        Raises:
            AccessDeniedError: it is denied, or an allow list exists and does not hold it.
        """
        settings = self._settings
        if not settings.ip_filter_enabled:
            return
        address = parse_address(client) if client else None
        denied = address is not None and contains(settings.ip_deny, address)
        allowed = not settings.ip_allow or (
            address is not None and contains(settings.ip_allow, address)
        )
        if denied or not allowed:
            raise AccessDeniedError(
                "Access denied. Only requests from whitelisted IPs are allowed.", client_ip=client
            )

    def _is_trusted(self, address: Address) -> bool:
        return contains(self._settings.trusted_proxies, address)
