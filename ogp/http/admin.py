"""What administrators may do to the running service. Every call is recorded."""

from typing import ClassVar

import structlog
from falcon import Request, Response

from ogp.core.errors import NotFoundError
from ogp.guard.cache import VerdictCache
from ogp.http.answers import answer_json
from ogp.http.control import OwnResource
from ogp.http.middleware import Access

log = structlog.get_logger(__name__)


class AdminResource(OwnResource):
    """An endpoint for administrators: recorded each time, and no setting makes it public."""

    access: ClassVar[Access] = Access.ADMIN
    audited: ClassVar[bool] = True
    own: ClassVar[bool] = False


class CacheResource(AdminResource):
    """Something done to the verdict cache of the worker process that answers."""

    def __init__(self, cache: VerdictCache | None) -> None:
        """Keep the cache; None where it is switched off: then there is nothing to act on."""
        self._known_cache = cache

    @property
    def _cache(self) -> VerdictCache:
        if self._known_cache is None:
            raise NotFoundError("Cache not available: cache.enabled is false.")
        return self._known_cache


class CacheClearResource(CacheResource):
    """`POST /admin/cache/clear`: forget every verdict."""

    def on_post(self, _req: Request, resp: Response) -> None:
        """Forget them."""
        log.info("verdict cache cleared", entries=self._cache.clear())
        answer_json(resp, {"status": "success", "message": "Cache cleared"})


class CacheCleanupResource(CacheResource):
    """`POST /admin/cache/cleanup`: forget the verdicts that are too old to be used."""

    def on_post(self, _req: Request, resp: Response) -> None:
        """Forget them and say how many they were."""
        removed = self._cache.cleanup()
        log.info("verdict cache cleaned up", removed=removed)
        answer_json(resp, {"status": "success", "removed": removed})
