"""Which handler answers which path, by the rules of Ollama's router."""

import posixpath
from collections.abc import Iterable, Sequence

from ogp.demo import messages, ollama_generate, ollama_models, shapes, v1
from ogp.demo.call import Endpoint
from ogp.demo.v1_forms import anthropic_refusal, openai_refusal

OLLAMA_ENDPOINTS: Sequence[Endpoint] = (
    Endpoint("GET", "/", ollama_models.root),
    Endpoint("HEAD", "/", ollama_models.root),
    Endpoint("GET", "/api/version", ollama_models.version),
    Endpoint("HEAD", "/api/version", ollama_models.version),
    Endpoint("GET", "/api/status", ollama_models.status),
    Endpoint("GET", "/api/tags", ollama_models.tags),
    Endpoint("HEAD", "/api/tags", ollama_models.tags),
    Endpoint("GET", "/api/ps", ollama_models.processes),
    Endpoint("POST", "/api/show", ollama_models.show, shapes.SHOW),
    Endpoint("POST", "/api/generate", ollama_generate.generate, shapes.GENERATE, generates=True),
    Endpoint("POST", "/api/chat", ollama_generate.chat, shapes.CHAT, generates=True),
    Endpoint("POST", "/api/embed", ollama_generate.embed, shapes.EMBED, generates=True),
    Endpoint(
        "POST", "/api/embeddings", ollama_generate.embeddings, shapes.EMBEDDINGS, generates=True
    ),
    Endpoint("POST", "/api/pull", ollama_models.pull, shapes.TRANSFER),
    Endpoint("POST", "/api/push", ollama_models.push, shapes.TRANSFER),
    Endpoint("POST", "/api/create", ollama_models.create, shapes.CREATE),
    Endpoint("POST", "/api/copy", ollama_models.copy, shapes.COPY),
    Endpoint("DELETE", "/api/delete", ollama_models.delete, shapes.DELETE),
    Endpoint("POST", "/api/blobs/*", ollama_models.create_blob),
    Endpoint("HEAD", "/api/blobs/*", ollama_models.head_blob),
)

V1_ENDPOINTS: Sequence[Endpoint] = (
    Endpoint(
        "POST",
        "/v1/chat/completions",
        v1.chat_completions,
        shapes.OPENAI_CHAT,
        generates=True,
        refusal=openai_refusal,
    ),
    Endpoint(
        "POST",
        "/v1/completions",
        v1.completions,
        shapes.OPENAI_COMPLETION,
        generates=True,
        refusal=openai_refusal,
    ),
    Endpoint(
        "POST",
        "/v1/embeddings",
        v1.embeddings,
        shapes.OPENAI_EMBED,
        generates=True,
        refusal=openai_refusal,
    ),
    Endpoint(
        "POST",
        "/v1/responses",
        v1.responses,
        shapes.RESPONSES,
        generates=True,
        refusal=openai_refusal,
    ),
    Endpoint(
        "POST",
        "/v1/messages",
        messages.messages,
        messages.MESSAGES,
        generates=True,
        refusal=anthropic_refusal,
    ),
    Endpoint("GET", "/v1/models", v1.models, refusal=openai_refusal),
    Endpoint("GET", "/v1/models/*", v1.model, refusal=openai_refusal),
)


class NoRouteError(Exception):
    """404, 405 or a redirect."""

    def __init__(self, status: int, location: str = "") -> None:
        """Keep what to answer."""
        super().__init__(status)
        self.status = status
        self.location = location


class Routes:
    """A table of endpoints. Immutable, hence thread-safe."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._exact: dict[str, dict[str, Endpoint]] = {}
        self._open: dict[str, dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            table = self._open if endpoint.path.endswith("*") else self._exact
            table.setdefault(endpoint.path.removesuffix("*"), {})[endpoint.method] = endpoint

    def find(self, method: str, path: str) -> tuple[Endpoint, str]:
        """The endpoint of a decoded path, and the path's variable part.

        Raises:
            NoRouteError: there is none; paths that only want cleaning are redirected.
        """
        clean = _clean(path)
        if clean != path:
            raise NoRouteError(301, clean)
        methods, argument = self._methods(path)
        if methods is None:
            raise self._elsewhere(method, path)
        if method not in methods:
            raise NoRouteError(405)
        return methods[method], argument

    def _methods(self, path: str) -> tuple[dict[str, Endpoint] | None, str]:
        if path in self._exact:
            return self._exact[path], ""
        folder, _, name = path.rpartition("/")
        if name and f"{folder}/" in self._open:
            return self._open[f"{folder}/"], name
        return None, ""

    def _elsewhere(self, method: str, path: str) -> NoRouteError:
        without = path.removesuffix("/")
        if without == path or self._methods(without)[0] is None:
            return NoRouteError(404)
        return NoRouteError(301 if method == "GET" else 307, without)


def _clean(path: str) -> str:
    """Without empty, `.` and `..` segments; a slash at the end stays."""
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return f"{clean}/" if path.endswith("/") and clean != "/" else clean
