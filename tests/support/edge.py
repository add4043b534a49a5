"""The edge over stand-in stages, for tests that need no sockets."""

from typing import Any

import falcon
from falcon.testing import TestClient

from ogp.admission.addresses import AddressGate
from ogp.admission.fields import FieldPolicy
from ogp.core.clock import SystemClock
from ogp.core.errors import UnauthorizedError
from ogp.core.types import Principal, Role
from ogp.dialects.coverage import DIALECTS
from ogp.gateway import Gateway
from ogp.http.app import build_app
from ogp.http.control import OwnResource, PublicReportResource, ReportResource
from ogp.http.middleware import Access
from ogp.http.scope import ExchangeScope
from ogp.settings.schema import Settings
from tests.support.stages import NoWatch, RecordingAudit, Stages

PRINCIPALS = {
    "Bearer alice": Principal("alice", Role.USER, user_id=2, token_id="a" * 8),
    "Bearer root": Principal("root", Role.ADMIN, user_id=1, token_id="r" * 8),
}
ALICE = {"Authorization": "Bearer alice"}
ROOT = {"Authorization": "Bearer root"}


class NameVerifier:
    """Knows two tokens."""

    def verify(self, authorization: str | None) -> Principal:
        try:
            return PRINCIPALS[authorization or ""]
        except KeyError:
            raise UnauthorizedError("A valid token is needed.") from None


class AdminResource(ReportResource):
    access = Access.ADMIN
    audited = True


class BuggyResource(OwnResource):
    access = Access.PUBLIC

    def on_get(self, _req: falcon.Request, _resp: falcon.Response) -> None:
        raise ZeroDivisionError("the whole prompt")


class Edge:
    """A test client, and what the stages and the audit log saw."""

    def __init__(self, stages: Stages | None = None, **settings: Any) -> None:
        self.stages = stages or Stages()
        self.audit = RecordingAudit()
        configured = Settings.model_validate(settings)
        dialects = [dialect(configured.limits) for dialect in DIALECTS]
        access = configured.access
        gateway = Gateway(
            dialects={dialect.name: dialect for dialect in dialects},
            policy=FieldPolicy(access.allow_restricted_fields, access.allow_model_management),
            router=self.stages,
            input_guard=self.stages,
            queue=self.stages,
            audit=self.stages,
            upstreams=self.stages,
            output_guard=self.stages,
            max_answer_bytes=1000,
        )
        app = build_app(
            settings=configured,
            gateway=gateway,
            dialects=dialects,
            gate=AddressGate(access),
            verifier=NameVerifier(),
            own={
                "/up": PublicReportResource(lambda: {"status": "up"}),
                "/report": ReportResource(lambda: {"figure": 1}),
                "/admin/report": AdminResource(lambda: {"figure": 2}),
                "/bug": BuggyResource(),
            },
        )
        scope = ExchangeScope(
            app, watch=NoWatch(), audit=self.audit, clock=SystemClock(), timeout_s=5.0
        )
        self.client = TestClient(scope)

    def get(self, path: str, headers: dict[str, str] | None = None, **options: Any) -> Any:
        options.setdefault("remote_addr", "127.0.0.1")
        return self.client.simulate_get(path, headers=headers, **options)

    def post(self, path: str, document: Any = None, **options: Any) -> Any:
        options.setdefault("headers", ALICE)
        options.setdefault("remote_addr", "127.0.0.1")
        return self.client.simulate_post(path, json=document, **options)
