"""`ogp doctor`: who reaches the deployment, in which state it is, and who is let in."""

import time
from datetime import datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from ssl import cert_time_to_seconds
from typing import Any

from ogp import __version__
from ogp.cli.doctor_site import (
    Caller,
    Check,
    Finding,
    Need,
    Site,
    fail,
    ok,
    said,
    skipped,
    warn,
)

ADMIN_PATHS = (
    "/admin/queue/update",
    "/admin/queue/reset",
    "/admin/cache/clear",
    "/admin/cache/cleanup",
    "/admin/servers",
    "/admin/route/explain",
)
"""Asked with GET, which shows something or is not taken: nothing happens."""
LET_IN = (200, 400, 405)
NO_BLOB = "/api/blobs/sha256:" + 64 * "0"
FEW_DAYS = 21
DAY_S = 86_400.0
SKEW_WARN_S = 5.0
SKEW_FAIL_S = 300.0


def reach(site: Site) -> Finding:
    """Connect, and ask whether it lives."""
    began_s = time.perf_counter()
    with site.wire.connected():
        connected_ms = 1e3 * (time.perf_counter() - began_s)
    reply = site.ask("GET", "/up", caller=Caller.NOBODY)
    evidence = f"connected in {connected_ms:.0f} ms, GET /up: {said(reply)}"
    if 300 <= reply.status < 400:
        return fail(
            f"{evidence}, to {reply.header('Location') or 'nowhere'}",
            "give the URL that it redirects to: clients turn a redirected POST into GET",
        )
    if reply.status == 403:
        return fail(evidence, "is the address of this machine let in (access.ip_allow)?")
    if reply.status in (502, 503, 504):
        return fail(evidence, "the server in front does not reach the proxy: is it running?")
    if reply.status != 200 or reply.document != {"status": "up"}:
        return fail(evidence, "this is no Ollama Guard Proxy, or not all paths go to it")
    return ok(evidence)


def tls(site: Site) -> Finding:
    """Look at the certificate, or at what goes without one."""
    with site.wire.connected() as connection:
        if site.wire.address.scheme == "http":
            return judge_plain(connection.local_address)
        ends_s = cert_time_to_seconds(str(connection.certificate()["notAfter"]))
        return judge_certificate(connection.tls_version(), ends_s - time.time())


def judge_plain(local: str) -> Finding:
    """What it means that there is no TLS.

    Args:
        local: the address of ours that is used.
    """
    if ip_address(local.partition("%")[0]).is_loopback:
        return ok("plain HTTP, on this machine only")
    return warn(
        "plain HTTP to another machine: tokens and prompts can be read on their way",
        "put TLS in front, for instance nginx with `listen 443 ssl`",
    )


def judge_certificate(version: str, left_s: float) -> Finding:
    """What it means that a certificate which is accepted lasts for so long, in seconds."""
    evidence = f"{version}, the certificate is good for {left_s / DAY_S:.0f} more days"
    if left_s < FEW_DAYS * DAY_S:
        return warn(evidence, "renew it, and see why nothing renews it by itself")
    return ok(evidence)


def ready(site: Site) -> Finding:
    """Ask whether requests can be served."""
    reply = site.ask("GET", "/ready", caller=Caller.NOBODY)
    waiting = reply.document.get("waiting_for") if isinstance(reply.document, dict) else None
    evidence = f"GET /ready: {said(reply)}"
    if reply.status == 200:
        return ok(evidence)
    return fail(f"{evidence}, waiting for: {_words(waiting)}", "see the log of the service")


def health(site: Site) -> Finding:
    """Ask how it is."""
    reply = site.ask("GET", "/health", caller=Caller.NOBODY)
    document = reply.document
    if reply.status != 200 or not isinstance(document, dict):
        return fail(f"GET /health: {said(reply)}", "let GET /health through to the proxy")
    status = document.get("status")
    if status == "healthy":
        return ok("healthy")
    return warn(f"{status}: {_words(document.get('problems'))}", "see the log of the service")


def version(site: Site) -> Finding:
    """Compare versions."""
    theirs = site.ask("GET", "/health", caller=Caller.NOBODY).document
    known = theirs.get("version") if isinstance(theirs, dict) else None
    if known == __version__:
        return ok(f"{known}, as this program")
    return warn(
        f"{known or 'not told'}, this program is {__version__}",
        "use the program of the version that runs: another one may have other routes",
    )


def token(site: Site) -> Finding:
    """Ask without a token, with wrong ones, and with the right one."""
    path = "/api/tags"
    wrong = (("Authorization", "Bearer ogp_doctor"),)
    refused = {
        "without": site.ask("GET", path, caller=Caller.NOBODY),
        "with a wrong one": site.ask("GET", path, caller=Caller.NOBODY, headers=wrong),
    }
    for how, reply in refused.items():
        if reply.status != 401:
            return fail(
                f"GET {path} {how}: {said(reply)}",
                "set auth.enabled: true, and let nothing in front add a token",
            )
    if site.token is None:
        return skipped("401 without and with a wrong one; no other is given")
    reply = site.ask("GET", path)
    if reply.status == 401:
        hint = "is it valid (`ogp users list`)? does `Authorization` pass what stands in front?"
        return fail("401 without one, and with the one given", hint)
    if reply.status != 200:
        return fail(f"GET {path} with the one given: {said(reply)}", "does the Ollama server run?")
    if "bearer" not in (refused["without"].header("WWW-Authenticate") or "").lower():
        return warn("401, but without `WWW-Authenticate: Bearer`", "pass this header on")
    return ok("401 without and with a wrong one, 200 with the one given")


def admin(site: Site) -> Finding:
    """Ask for what only administrators may do, in a way that does nothing."""
    callers: dict[Caller, tuple[int, ...]] = {Caller.NOBODY: (401,)}
    has_token = Need.TOKEN not in site.lacks and site.token is not None
    is_admin = has_token and _is_administrators(site)
    if has_token:
        callers[Caller.USER] = LET_IN if is_admin else (403,)
    if Need.ADMIN not in site.lacks:
        callers[Caller.ADMIN] = LET_IN
    for path in ADMIN_PATHS:
        for caller, right in callers.items():
            reply = site.ask("GET", path, caller=caller)
            if reply.status == 404 and "cache" in path and caller is not Caller.NOBODY:
                continue  # the cache is switched off
            if reply.status not in right:
                return fail(
                    f"GET {path} of {caller}: {said(reply)}",
                    "let every path go to the proxy unchanged, with its `Authorization` header",
                )
    if is_admin:
        return warn(
            "closed without a token; the token given is an administrator's",
            "give a user's as --token, this one as --admin-token",
        )
    return ok(f"closed to: {', '.join(caller for caller in callers if caller is not Caller.ADMIN)}")


def _is_administrators(site: Site) -> bool:
    """Whether the token given as a user's is an administrator's."""
    return site.ask("GET", ADMIN_PATHS[0]).status == 405


def managers(site: Site) -> Finding:
    """Ask for a file of a model that does not exist, which only administrators may."""
    if _is_administrators(site):
        return skipped("the token given is an administrator's, who may", "give a user's")
    reply = site.ask("HEAD", NO_BLOB)
    evidence = f"HEAD /api/blobs of a user: {reply.status}"
    if reply.status == 403:
        return ok(evidence)
    return warn(evidence, "is this user meant to be in access.allow_model_management?")


def clock(site: Site) -> Finding:
    """Compare the clocks of the server in front and of the proxy with that of this machine."""
    began_s = time.time()
    reply = site.ask("GET", "/health", caller=Caller.NOBODY)
    now_s = (began_s + time.time()) / 2
    document = reply.document if isinstance(reply.document, dict) else {}
    times = {
        "Date": _seconds(parsedate_to_datetime, reply.header("Date")),
        "/health": _seconds(datetime.fromisoformat, document.get("timestamp")),
    }
    skews = {name: at_s - now_s for name, at_s in times.items() if at_s is not None}
    if not skews:
        return warn("no time is told", "let `Date` and GET /health pass")
    name, skew_s = max(skews.items(), key=lambda item: abs(item[1]))
    evidence = f"{name} differs by {skew_s:+.0f} s from this machine"
    if abs(skew_s) <= SKEW_WARN_S:
        return ok(evidence)
    judged = fail if abs(skew_s) > SKEW_FAIL_S else warn
    return judged(evidence, "synchronise clocks (NTP): expiry of tokens and the log depend on it")


def _seconds(parse: Any, text: Any) -> float | None:
    try:
        return float(parse(text).timestamp())
    except (TypeError, ValueError, OverflowError):
        return None


def _words(values: Any) -> str:
    listed = values if isinstance(values, list) else []
    return "; ".join(str(value) for value in listed) or "nothing is told"


CHECKS = (
    Check("reach", "the proxy answers at this URL, without redirects", reach, ()),
    Check("tls", "TLS with a certificate that is accepted and lasts three weeks", tls, ()),
    Check("ready", "GET /ready is 200", ready),
    Check("health", "GET /health says healthy", health),
    Check("version", "the proxy has the version of this program", version),
    Check("token", "401 without a token or with a wrong one, 200 with a valid one", token),
    Check("admin", "the endpoints of administrators are closed to everybody else", admin),
    Check("managers", "users cannot install models", managers, (Need.SERVER, Need.TOKEN)),
    Check("clock", "the clocks of server and client agree", clock),
)
