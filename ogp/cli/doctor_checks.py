"""Every check of `ogp doctor`, and how they are run."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ogp.cli import (
    doctor_access,
    doctor_direct,
    doctor_edge,
    doctor_errors,
    doctor_headers,
    doctor_routes,
    doctor_streams,
)
from ogp.cli.doctor_reply import WireError
from ogp.cli.doctor_site import (
    Check,
    Finding,
    Need,
    RateLimitedError,
    Result,
    Site,
    fail,
    said,
    scrubbed,
    skipped,
    warn,
)

CHECKS: tuple[Check, ...] = (
    *doctor_access.CHECKS,
    *doctor_routes.CHECKS,
    *doctor_errors.CHECKS,
    *doctor_headers.CHECKS,
    *doctor_edge.CHECKS,
    *doctor_streams.CHECKS,
    *doctor_direct.CHECKS,
)
"""In the order in which they run."""
EMBEDDERS = ("embed", "bert", "minilm", "bge-")
"""Parts of names and families of models that do not generate text."""
CLOUD_SUFFIXES = (":cloud", "-cloud")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of the report."""

    check: Check
    finding: Finding
    took_ms: float

    def as_dict(self) -> Mapping[str, Any]:
        """The same for programs."""
        return {
            "name": self.check.name,
            "right": self.check.right,
            "result": self.finding.result,
            "took_ms": round(self.took_ms, 1),
            "evidence": self.finding.evidence,
            "hint": self.finding.hint,
        }


def prepared(site: Site) -> Site:
    """The site with what it lacks, and the model to ask: the one named, else the first listed."""
    lacks = {} if site.direct else {Need.DIRECT: "no --direct is given"}
    try:
        reply = site.ask("GET", "/api/tags")
    except WireError as error:
        missing = dict.fromkeys(Need, f"no answer from the server: {error}")
        return replace(site, lacks=missing)
    if 300 <= reply.status < 400:
        return replace(site, lacks=dict.fromkeys(Need, "the URL is redirected to another one"))
    if reply.status == 401:
        lacks[Need.TOKEN] = "the token given is refused" if site.token else "no token is given"
    model = site.model or _first_model(reply.document)
    if Need.TOKEN in lacks:
        lacks[Need.MODEL] = lacks[Need.TOKEN]
    elif reply.status != 200:
        lacks[Need.MODEL] = f"GET /api/tags: {said(reply)}"
    elif not model:
        lacks[Need.MODEL] = "GET /api/tags lists no model that generates text; see --model"
    if not site.admin_token:
        lacks[Need.ADMIN] = "no --admin-token is given"
    return replace(site, model=model, lacks=lacks)


def run(checks: Sequence[Check], site: Site, tell: Callable[[Check], None]) -> Iterator[Outcome]:
    """Look at one thing after the other.

    Args:
        checks: some of `CHECKS`.
        site: as `prepared` gave it.
        tell: is told of each check before it begins.
    """
    for check in checks:
        tell(check)
        began_s = time.perf_counter()
        found = _found(check, site)
        shown = Finding(
            found.result,
            scrubbed(found.evidence, site.secrets),
            scrubbed(found.hint, site.secrets),
        )
        yield Outcome(check, shown, 1e3 * (time.perf_counter() - began_s))


def _found(check: Check, site: Site) -> Finding:
    lacking = next((site.lacks[need] for need in check.needs if need in site.lacks), None)
    if lacking is not None:
        return skipped(lacking)
    try:
        return check.look(site)
    except RateLimitedError as error:
        return warn(f"cannot be told: {error}", "repeat it alone with --only, or from elsewhere")
    except WireError as error:
        return fail(str(error), "see the logs of the proxy and of what stands in front of it")


def worst(outcomes: Sequence[Outcome]) -> Result:
    """The result of all."""
    found = {outcome.finding.result for outcome in outcomes}
    ranked = (Result.FAIL, Result.WARN, Result.OK)
    return next((result for result in ranked if result in found), Result.SKIPPED)


def _first_model(document: Any) -> str:
    listed = document.get("models") if isinstance(document, dict) else None
    for entry in listed if isinstance(listed, list) else []:
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and not name.endswith(CLOUD_SUFFIXES) and generates(entry):
            return name
    return ""


def generates(entry: Mapping[str, Any]) -> bool:
    """Whether a model of the list looks as if it generated text."""
    details = entry.get("details")
    family = details.get("family") if isinstance(details, dict) else ""
    words = f"{entry.get('name')} {family}".lower()
    return not any(part in words for part in EMBEDDERS)
