"""`ogp doctor`: framing that is ambiguous, bodies that are too large or compressed."""

import re
import zlib

import orjson

from ogp.cli.doctor_reply import Reply, WireError
from ogp.cli.doctor_site import (
    BROKEN_JSON,
    Check,
    Finding,
    Need,
    Site,
    fail,
    ok,
    said,
    warn,
)

AMBIGUOUS = {
    "Content-Length and Transfer-Encoding": ("Content-Length: 5", "Transfer-Encoding: chunked"),
    "two Content-Lengths": ("Content-Length: 5", "Content-Length: 6"),
    "Content-Length: +5": ("Content-Length: +5",),
    "an unknown Transfer-Encoding": ("Transfer-Encoding: xchunked",),
    "a coding after chunked": ("Transfer-Encoding: chunked, identity",),
    "a space before the colon": ("Transfer-Encoding : chunked",),
    "a folded header": ("X-Doctor: a", " Transfer-Encoding: chunked"),
    "two Hosts": ("Host: ogp-doctor.invalid",),
}
"""Header lines that two servers in a row could read differently: what one takes for a body, the
other would take for the next request."""
LEFT_OVER = b"0\r\n\r\nX"
STATUSES = re.compile(rb"(?:\A|\n|\}|>)HTTP/1\.[01] ([1-5][0-9]{2}) ")
REFUSED = frozenset({400, 411, 413, 417, 421, 431, 444, 494, 501, 505})
QUICK_S = 10.0
"""Longest wait for a refusal that needs nothing but the head, in seconds."""
FAR_TOO_LARGE = 99_999_999_999
ROOM_BYTES = 4 * 1024 * 1024
"""Largest body that is sent: a small image is larger than nginx's default limit of 1 MiB."""
USER_NEEDS = (Need.SERVER, Need.TOKEN)


def framing(site: Site) -> Finding:
    """Send heads that can be read in two ways, over raw sockets."""
    hint = "put a server in front that refuses them (nginx from 1.21.1), and keep it up to date"
    for what, lines in AMBIGUOUS.items():
        statuses = raw_statuses(site, (f"Host: {site.wire.address.authority}", *lines), LEFT_OVER)
        if len(statuses) > 1:
            return fail(f"{what}: two answers ({_listed(statuses)})", hint)
        if statuses and statuses[0] not in REFUSED:
            return fail(f"{what}: {statuses[0]}, not refused", hint)
    return ok(f"{len(AMBIGUOUS)} kinds refused")


def header_limits(site: Site) -> Finding:
    """Send a header of 100 kB, and 200 headers."""
    own = f"Host: {site.wire.address.authority}"
    sent = {
        "a header of 100 kB": (own, "X-Doctor: " + 100_000 * "a"),
        "200 headers": (own, *(f"X-Doctor-{number}: a" for number in range(200))),
    }
    for what, lines in sent.items():
        statuses = raw_statuses(site, lines, b"")
        if statuses and statuses[0] not in REFUSED:
            return fail(
                f"{what}: {statuses[0]}, not refused", "let what stands in front limit heads"
            )
    return ok("100 kB in one, and 200 of them, refused")


def raw_statuses(site: Site, lines: tuple[str, ...], body: bytes) -> list[int]:
    """Every status in what comes back on `GET /up` with these lines; none if it hangs up."""
    head = [f"GET {site.wire.address.prefix}/up HTTP/1.1", *lines, "Connection: close", "", ""]
    with site.wire.connected(min(QUICK_S, site.wire.timeout_s)) as connection:
        connection.write("\r\n".join(head).encode("latin-1") + body)
        received = connection.rest()
    return [int(status) for status in STATUSES.findall(received)]


def body_limit(site: Site) -> Finding:
    """Announce 100 GB, and send nothing of it."""
    headers = (("Content-Length", str(FAR_TOO_LARGE)), ("Connection", "close"))
    with site.wire.connected(min(QUICK_S, site.wire.timeout_s)) as connection:
        site.send(connection, "POST", "/api/chat", headers=headers)
        try:
            reply = connection.begin().whole()
        except WireError as error:
            hint = "nginx: `client_max_body_size` as limits.max_body_bytes, and not 0"
            return fail(f"100 GB announced: {error}", hint)
    evidence = f"100 GB announced: {said(reply)} after {reply.took_ms:.0f} ms"
    if reply.status != 413:
        return fail(f"{evidence}, not 413", "nginx: `client_max_body_size`, and not 0")
    return ok(evidence)


def body_room(site: Site) -> Finding:
    """Send a body of blanks as large as a picture."""
    size = min(ROOM_BYTES, site.limit("max_body_bytes", ROOM_BYTES)) - 1024
    reply = site.ask("POST", "/api/chat", b" " * size)
    evidence = f"{size / 2**20:.1f} MiB: {said(reply)}"
    if reply.status == 400:
        return ok(f"{evidence}, as it is read and no JSON")
    hint = "nginx: `client_max_body_size 32m;`, as limits.max_body_bytes: pictures are large"
    return (warn if reply.status == 413 else fail)(evidence, hint)


def compression(site: Site) -> Finding:
    """Ask for the model's description in compressed words."""
    plain = orjson.dumps({"model": site.model})
    deflater = zlib.compressobj(wbits=31)
    bodies = {"gzip": deflater.compress(plain) + deflater.flush(), "zstd": zstd_frame(plain)}
    seen = []
    for name, body in bodies.items():
        reply = site.ask("POST", "/api/show", body, headers=(("Content-Encoding", name),))
        if reply.status not in (200, 415):
            return fail(
                f"{name}: {said(reply)}, neither decoded nor 415",
                "let bodies and `Content-Encoding` pass as they are",
            )
        seen.append(f"{name}: {'decoded' if reply.status == 200 else 'refused with 415'}")
    return ok(", ".join(seen))


def zstd_frame(plain: bytes) -> bytes:
    """A frame of one block that is not compressed (RFC 8878), of at most 128 KiB."""
    size = len(plain).to_bytes(4, "little")
    block = (len(plain) << 3 | 1).to_bytes(3, "little")
    return b"\x28\xb5\x2f\xfd\xa0" + size + block + plain


def expect(site: Site) -> Finding:
    """Wait for the go-ahead before sending a body."""
    body = orjson.dumps({"model": site.model})
    headers = (
        ("Content-Length", str(len(body))),
        ("Expect", "100-continue"),
        ("Connection", "close"),
    )
    with site.wire.connected(min(QUICK_S, site.wire.timeout_s)) as connection:
        site.send(connection, "POST", "/api/show", headers=headers)
        try:
            status = connection.interim()
        except WireError as error:
            return warn(f"no go-ahead: {error}", "curl waits a second with every large body")
        if status != 100:
            return fail(f"{status} instead of 100", "pass `Expect`, or answer it in front")
        connection.write(body)
        reply = connection.begin().whole()
    return _is_shown(reply)


def _is_shown(reply: Reply) -> Finding:
    if reply.status != 200:
        return fail(f"100, then {said(reply)}", "see the log of the service")
    return ok("100, then 200")


def keep_alive(site: Site) -> Finding:
    """Ask something wrong, then something right on the same connection."""
    with site.wire.connected() as connection:
        site.send(connection, "POST", "/api/chat", body=BROKEN_JSON)
        first = connection.begin().whole()
        if (first.header("Connection") or "").lower() == "close" or first.ending == "close":
            return warn(
                f"closed after {said(first)}: each request pays for a new connection",
                "nginx: `keepalive_timeout` above 0",
            )
        site.send(connection, "GET", "/up")
        try:
            second = connection.begin().whole()
        except WireError as error:
            return fail(
                f"after {said(first)}: {error}", "a refusal must leave the connection whole"
            )
    if second.status != 200:
        return fail(f"after {said(first)}: {said(second)}", "answers are out of step")
    return ok(f"{said(first)}, then {second.status} on the same connection")


def _listed(statuses: list[int]) -> str:
    return ", ".join(str(status) for status in statuses)


SHOWN = (*USER_NEEDS, Need.MODEL)
CHECKS = (
    Check("framing", "requests that can be read in two ways are refused", framing),
    Check("header-limits", "heads that are too large are refused", header_limits),
    Check("body-limit", "a body that is far too large is refused unread", body_limit, USER_NEEDS),
    Check("body-room", "a body of some megabytes gets through", body_room, USER_NEEDS),
    Check("compression", "compressed bodies are decoded, or refused with 415", compression, SHOWN),
    Check("expect", "`Expect: 100-continue` is answered at once", expect, SHOWN),
    Check(
        "keep-alive", "a connection serves another request after an error", keep_alive, USER_NEEDS
    ),
)
