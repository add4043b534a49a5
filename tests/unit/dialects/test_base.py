from ogp.dialects.base import Dialect, Operation
from ogp.dialects.ollama import OllamaDialect
from ogp.settings.schema import LimitSettings


def operations() -> tuple[Operation, ...]:
    dialect: Dialect = OllamaDialect(LimitSettings())
    return dialect.operations


def test_no_route_is_listed_twice() -> None:
    routes = [(operation.method, operation.path) for operation in operations()]
    assert len(routes) == len(set(routes))


def test_paths_are_plain_and_absolute() -> None:
    assert all(operation.path.startswith(("/api/", "/v1/")) for operation in operations())
    assert not any(set(operation.path) & set("{}*:?#% ") for operation in operations())
