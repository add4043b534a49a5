"""`ogp doctor`: every declared route is there, the refused ones are, and there is no way around."""

from urllib.parse import quote

from ogp.cli.doctor_site import (
    BROKEN_JSON,
    Check,
    Finding,
    Need,
    Site,
    code_of,
    fail,
    ok,
    said,
    warn,
)
from ogp.dialects.coverage import Coverage, coverage
from ogp.dialects.forms import Body, Caller
from ogp.guard.samples import PLAIN

NEVER_ASKED = frozenset({"/api/signout", "/api/user/keys/{key}"})
"""Refused here; should they reach an Ollama all the same, they would change its account."""
NOWHERE = ("/api/ogp-doctor", "/v1/ogp-doctor", "/debug/pprof", "/v1/files", "/api")
SPELLINGS = (
    "//api/generate",
    "/./api/generate",
    "/api/../api/generate",
    "/api/%2e%2e/api/generate",
    "/api/generate/",
    "/API/generate",
    "/api/generate%00",
    "/api/generate;x=1",
    "/api%2fgenerate",
    "/%61pi/generate",
)
"""Other ways to write one path."""
WRONG_METHODS = (
    ("GET", "/api/generate"),
    ("PUT", "/api/chat"),
    ("DELETE", "/v1/chat/completions"),
    ("PATCH", "/v1/messages"),
)
BAD_PROMPT = PLAIN["injection_rules"]
"""What the guard refuses with its default settings."""
NO_SUCH_ROUTE = (404, 405)
AS_IS = "one `location /` with `proxy_pass http://HOST:PORT;` passes every path and method as is"


def routes(site: Site) -> Finding:
    """Ask every route that is open, with a body that no server acts upon."""
    asked, missing = 0, []
    for route in coverage():
        if route.caller == Caller.NOBODY or route.path.endswith("{digest}"):
            continue  # files are asked for in `managers`
        asked += 1
        body = None if is_get(route) else BROKEN_JSON
        reply = site.ask(route.method, _concrete(route.path, site.model), body)
        if reply.status in NO_SUCH_ROUTE or reply.status >= 500:
            missing.append(f"{route.method} {route.path}: {said(reply)}")
    if missing:
        return fail(f"{len(missing)} of {asked} are not: {'; '.join(missing)}", AS_IS)
    return ok(f"{asked} routes asked")


def refused_routes(site: Site) -> Finding:
    """Ask what nobody may call, but for what would change something."""
    known = [route for route in coverage() if route.caller == Caller.NOBODY]
    asked = [route for route in known if route.path not in NEVER_ASKED]
    open_routes = []
    for route in asked:
        reply = site.ask(route.method, route.path, None if is_get(route) else BROKEN_JSON)
        if reply.status != 403:
            open_routes.append(f"{route.method} {route.path}: {said(reply)}")
    if open_routes:
        hint = "all paths must go to the proxy, none past it to the Ollama server"
        return fail("; ".join(open_routes), hint)
    left_out = len(known) - len(asked)
    return ok(f"{len(asked)} refused with 403; {left_out} that would change something not asked")


def unknown_paths(site: Site) -> Finding:
    """Ask for paths that do not exist."""
    for path in NOWHERE:
        reply = site.ask("GET", path)
        if reply.status != 404:
            return fail(
                f"GET {path}: {said(reply)}", "let nothing but the proxy answer on this URL"
            )
        if code_of(reply.document) != "not_found":
            return warn(
                f"GET {path}: {said(reply)}, not the proxy's own answer",
                f"something in front answers it: {AS_IS}",
            )
    return ok(f"{len(NOWHERE)} are 404")


def methods(site: Site) -> Finding:
    """Ask with methods that the paths do not take."""
    for method, path in WRONG_METHODS:
        reply = site.ask(method, path)
        if reply.status != 405 or not reply.header("Allow"):
            allow = "with" if reply.header("Allow") else "without"
            return fail(f"{method} {path}: {said(reply)}, {allow} `Allow`", AS_IS)
    return ok(f"{len(WRONG_METHODS)} are 405, each names the right ones")


def spellings(site: Site) -> Finding:
    """Send what the guard refuses over other spellings of a path."""
    document = {"model": site.model, "prompt": BAD_PROMPT, "options": {"num_predict": 1}}
    made_right = []
    for path in SPELLINGS:
        reply = site.ask("POST", path, {**document, "stream": False})
        if reply.status in (301, 302, 307, 308):
            return warn(
                f"POST {path}: {said(reply)}, a redirect",
                f"clients may repeat it as GET; {AS_IS}",
            )
        if reply.status not in (400, 403, 404):
            return fail(
                f"POST {path}: {said(reply)}, where the guard would have refused",
                "only the proxy may reach the Ollama server, over whatever path",
            )
        if reply.status == 403 and "%" not in path:
            made_right.append(path)
    if made_right:
        return warn(
            f"{', '.join(made_right)} are made into the right path in front, and guarded",
            "write `proxy_pass http://HOST:PORT;` without a path behind the port",
        )
    return ok(f"{len(SPELLINGS)} lead nowhere, or to the guard")


def is_get(route: Coverage) -> bool:
    """Whether it takes no document."""
    return route.takes == Body.NOTHING and route.method in ("GET", "HEAD")


def _concrete(path: str, model: str) -> str:
    """A path with its parameter."""
    return path.replace("{model}", quote(model, safe="/:"))


CHECKS = (
    Check(
        "routes",
        "every route of `ogp coverage` is there",
        routes,
        (Need.SERVER, Need.TOKEN, Need.MODEL),
    ),
    Check(
        "refused-routes",
        "routes that nobody may call are 403",
        refused_routes,
        (Need.SERVER, Need.TOKEN),
    ),
    Check(
        "unknown-paths",
        "paths that are not in the table are 404",
        unknown_paths,
        (Need.SERVER, Need.TOKEN),
    ),
    Check(
        "methods",
        "methods that a path does not take are 405",
        methods,
        (Need.SERVER, Need.TOKEN),
    ),
    Check(
        "spellings",
        "another spelling of a path is no way around the guard",
        spellings,
        (Need.SERVER, Need.TOKEN, Need.MODEL),
    ),
)
