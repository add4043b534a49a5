"""Ollama's routing."""

import pytest

from ogp.demo.call import Endpoint
from ogp.demo.routes import OLLAMA_ENDPOINTS, V1_ENDPOINTS, NoRouteError, Routes

ROUTES = Routes((*OLLAMA_ENDPOINTS, *V1_ENDPOINTS))


@pytest.mark.parametrize("endpoint", [*OLLAMA_ENDPOINTS, *V1_ENDPOINTS])
def test_every_endpoint_is_found(endpoint: Endpoint) -> None:
    assert ROUTES.find(endpoint.method, endpoint.path.replace("*", "x:y"))[0] is endpoint


def test_variable_part_is_handed_on() -> None:
    assert ROUTES.find("POST", "/api/blobs/sha256:00")[1] == "sha256:00"


@pytest.mark.parametrize(
    ("method", "path", "status", "location"),
    [
        ("GET", "/nothing", 404, ""),
        ("POST", "/API/generate", 404, ""),
        ("POST", "/api/generate;x=1", 404, ""),
        ("POST", "/api/generate ", 404, ""),
        ("GET", "/v1/models/a/b", 404, ""),
        ("GET", "/v1/models/", 301, "/v1/models"),
        ("GET", "/api/generate", 405, ""),
        ("post", "/api/generate", 405, ""),
        ("GET", "/api/tags/", 301, "/api/tags"),
        ("POST", "/api/generate/", 307, "/api/generate"),
        ("POST", "/nothing/", 404, ""),
        ("POST", "//api/generate", 301, "/api/generate"),
        ("POST", "/api/./generate", 301, "/api/generate"),
        ("POST", "/x/../api/generate", 301, "/api/generate"),
        ("POST", "/api//generate/", 301, "/api/generate/"),
        ("GET", "//", 301, "/"),
    ],
)
def test_other_paths_are_missed_as_by_ollama(
    method: str, path: str, status: int, location: str
) -> None:
    with pytest.raises(NoRouteError) as miss:
        ROUTES.find(method, path)
    assert (miss.value.status, miss.value.location) == (status, location)
