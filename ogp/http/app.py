"""The Falcon application: one route per operation of every dialect, and our own."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import falcon

from ogp.admission.addresses import AddressGate
from ogp.admission.room import RequestRoom
from ogp.dialects.base import Dialect, Operation
from ogp.gateway import Gateway
from ogp.http.control import OwnResource
from ogp.http.cors import CorsMiddleware
from ogp.http.errors import ErrorRenderer
from ogp.http.inference import OperationResource
from ogp.http.middleware import AddressMiddleware, HeaderMiddleware, TokenMiddleware, Verifier
from ogp.settings.schema import OWN_RESERVE, Settings


def build_app(
    *,
    settings: Settings,
    gateway: Gateway,
    dialects: Sequence[Dialect],
    gate: AddressGate,
    verifier: Verifier,
    own: Mapping[str, OwnResource],
) -> falcon.App[Any, Any]:
    """Wire the routes. A path that is not here does not exist, and nothing of it goes upstream.

    Args:
        dialects: the first one's errors are used where no route tells the dialect.
        own: our endpoints, by path.
    """
    app: falcon.App[Any, Any] = falcon.App()
    app.add_middleware(HeaderMiddleware())
    app.add_middleware(AddressMiddleware(gate))
    app.add_middleware(CorsMiddleware(settings.access.cors_allow_origins))
    app.add_middleware(TokenMiddleware(verifier, settings.access.public_paths))
    room = RequestRoom(settings.threads - OWN_RESERVE)
    routes: dict[str, str] = {}
    for dialect in dialects:
        for path, operations in by_path(dialect).items():
            resource = OperationResource(gateway, dialect, operations, settings.limits, room)
            app.add_route(path, resource)
            routes[path] = dialect.name
    ErrorRenderer({d.name: d for d in dialects}, dialects[0].name, routes).install(app)
    for path, endpoint in own.items():
        app.add_route(path, endpoint)
    return app


def by_path(dialect: Dialect) -> Mapping[str, Sequence[Operation]]:
    """The operations of each path, as the router takes it: names of models may have slashes."""
    paths: dict[str, list[Operation]] = defaultdict(list)
    for operation in dialect.operations:
        paths[operation.path.replace("{model}", "{model:path}")].append(operation)
    return paths
