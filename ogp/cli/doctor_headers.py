"""`ogp doctor`: headers of answers, and what headers of requests can bring about."""

import re
from ipaddress import ip_address
from uuid import uuid4

from ogp.cli.doctor_site import Caller, Check, Finding, Site, fail, ok, said, skipped, warn

SECURITY_HEADERS = (
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
    "Referrer-Policy",
    "Permissions-Policy",
    "Strict-Transport-Security",
)
TELLING_HEADERS = ("Server", "Via", "X-Powered-By")
FOREIGN_HOST = "ogp-doctor.invalid"
FOREIGN_ORIGIN = "https://ogp-doctor.invalid"
FORGED_ADDRESS = "ogp-doctor"
"""No address: a proxy that believes the header refuses it, and one that does not never looks."""


def request_id(site: Site) -> Finding:
    """Give a request a name, and another one a name that cannot be."""
    mine = f"doctor-{uuid4().hex}"
    echoed = site.ask("GET", "/up", headers=(("X-Request-ID", mine),)).header("X-Request-ID")
    if echoed != mine:
        how = "it is missing" if echoed is None else "it is another one"
        return fail(f"GET /up: {how}", "nginx: neither set nor hide X-Request-ID")
    bad = site.ask("GET", "/up", headers=(("X-Request-ID", "a b"),)).header("X-Request-ID")
    if bad is None or bad == "a b":
        return fail("a name with a space comes back", "only the proxy should answer here")
    return ok("comes back as sent; a malformed one is replaced")


def security_headers(site: Site) -> Finding:
    """Look at an answer, a refusal and an answer to a path that does not exist."""
    replies = {
        "GET /up": site.ask("GET", "/up", caller=Caller.NOBODY),
        "a 401": site.ask("GET", "/api/tags", caller=Caller.NOBODY),
        "a 404": site.ask("GET", "/api/ogp-doctor", caller=Caller.NOBODY),
    }
    for what, reply in replies.items():
        missing = [name for name in SECURITY_HEADERS if reply.header(name) is None]
        if missing:
            return fail(f"{what} lacks {', '.join(missing)}", "nginx: no `proxy_hide_header`")
        names = [name.lower() for name, _ in reply.headers]
        twice = [name for name in SECURITY_HEADERS if names.count(name.lower()) > 1]
        if twice:
            hint = "nginx: leave out `add_header` for what the proxy sends itself"
            return warn(f"{what} has {', '.join(twice)} twice", hint)
    return ok(f"{len(SECURITY_HEADERS)} of {len(SECURITY_HEADERS)}, on refusals too")


def server_header(site: Site) -> Finding:
    """Look for versions of software."""
    reply = site.ask("GET", "/up", caller=Caller.NOBODY)
    told = {name: reply.header(name) for name in TELLING_HEADERS}
    shown = ", ".join(f"{name}: {value}" for name, value in told.items() if value)
    if any(value and re.search(r"\d", value) for value in told.values()):
        return warn(shown, "nginx: `server_tokens off;`")
    return ok(shown or "nothing is told")


def host(site: Site) -> Finding:
    """Name another host."""
    headers = (("Host", FOREIGN_HOST),)
    reply = site.ask("GET", "/up", caller=Caller.NOBODY, headers=headers)
    if FOREIGN_HOST.encode() in reply.body or FOREIGN_HOST in str(reply.headers):
        return fail(
            f"{said(reply)}: the name comes back, and could be put into a cache or a link",
            "nginx: use `$server_name` rather than `$host` in what is sent back",
        )
    return ok(f"{said(reply)}, and the name does not come back")


def cors(site: Site) -> Finding:
    """Ask as a browser does for a page of another site."""
    origin = ("Origin", FOREIGN_ORIGIN)
    asked = (origin, ("Access-Control-Request-Method", "POST"))
    replies = {
        "GET /up": site.ask("GET", "/up", caller=Caller.NOBODY, headers=(origin,)),
        "preflight": site.ask("OPTIONS", "/api/chat", caller=Caller.NOBODY, headers=asked),
    }
    for what, reply in replies.items():
        allowed = reply.header("Access-Control-Allow-Origin")
        if allowed is not None:
            whom = "everybody" if allowed == "*" else "a page that nobody knows"
            return fail(
                f"{what}: {said(reply)}, open to {whom}",
                "name the pages in access.cors_allow_origins; add no such header in front",
            )
    return ok(f"no page of another site may read answers, preflight: {said(replies['preflight'])}")


def forwarded_for(site: Site) -> Finding:
    """Claim another address."""
    header = (("X-Forwarded-For", FORGED_ADDRESS),)
    reply = site.ask("GET", "/up", caller=Caller.NOBODY, headers=header)
    with site.wire.connected() as connection:
        local = connection.local_address
    return judge_forwarded(reply.status, local)


def judge_forwarded(status: int, local: str) -> Finding:
    """What it means that a claim which is no address got this status.

    Args:
        status: 400 where the claim was believed, hence read.
        local: the address of ours that the deployment sees.
    """
    if status == 200:
        return ok("a claim that is no address is not looked at")
    if status != 400:
        return fail(f"a claim that is no address: {status}", "expected 200")
    if ip_address(local.partition("%")[0]).is_loopback:
        return skipped(
            "this machine is believed, as access.trusted_proxies has loopback by default",
            "run it from a client's machine",
        )
    return fail(
        "believed: whoever calls from here chooses the address in log and IP lists",
        "access.trusted_proxies must name the servers in front only (unless this is one of them); "
        "there `proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for`",
    )


CHECKS = (
    Check("request-id", "X-Request-ID comes back as it was sent", request_id),
    Check("security-headers", "every answer has the security headers, once", security_headers),
    Check("server-header", "no header tells versions of software", server_header),
    Check("host", "a foreign Host leads nowhere and does not come back", host),
    Check("cors", "pages of other sites cannot read answers", cors),
    Check("forwarded-for", "a client cannot choose the address it is seen with", forwarded_for),
)
