"""The section `queue:` of config.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from ogp.settings.section import MAX_WAITING, AtLeastOne, Positive, Section, Words

PriorityName = Literal["interactive", "batch"]


class ModelLimits(Section):
    """Limits of some models, an entry of `queue.models`; the first that matches holds."""

    match: str
    """Name of a model, `*` and `?` stand for any text and any character, e.g. `llama3*`."""
    parallel: AtLeastOne | None = None
    """Requests served at once; null takes `queue.parallel`."""
    max_queue: Annotated[int, Field(ge=0, le=MAX_WAITING)] | None = None
    """Requests that may wait; null takes `queue.max_queue`."""


class TurnWeight(Section):
    """How often some callers come up, an entry of `queue.weights`; the first that matches holds."""

    weight: Annotated[float, Field(ge=0.01, le=100)]
    """Turns, compared with 1 of everybody else."""
    users: Words = ()
    """Names of users."""
    roles: Words = ()
    """Roles: user, admin."""


class QueueSettings(Section):
    """Limits of each model's queue (`queue:`)."""

    parallel: Literal["auto", "learned"] | AtLeastOne = "auto"
    """Requests of one model served at once; `auto`: 4, 2 or 1 by available RAM; `learned` begins
    there and follows the speed that is measured, between `learned_min` and `learned_max`."""
    learned_min: AtLeastOne = 1
    """Least number that `learned` may choose."""
    learned_max: Annotated[int, Field(ge=1, le=112)] = 16
    """Greatest number that `learned` may choose."""
    max_queue: Annotated[int, Field(ge=0, le=MAX_WAITING)] = 512
    """Requests of one model that may wait; the next gets 503. Ollama's own default is 512."""
    request_timeout_s: Positive = 300.0
    """From arrival to the first byte of the answer, the wait for a slot included, in seconds."""
    stats_enabled: bool = True
    """Whether there is a `/queue/stats`."""
    max_queue_per_user: AtLeastOne | None = None
    """Places of one model's queue that one user may take; null: as many as there are."""
    models: tuple[ModelLimits, ...] = ()
    """Other limits for some models."""
    weights: tuple[TurnWeight, ...] = ()
    """Who comes up more or less often than once a turn."""
    priority: PriorityName = "interactive"
    """Class of requests that name none; `batch` is served when nobody else waits."""
    priority_roles: Words = ("admin",)
    """Roles that may ask for `interactive` where they would be `batch` (X-OGP-Priority)."""
    batch_patience_s: Positive = 60.0
    """After this wait, in seconds, a `batch` request takes turns with the others."""
    keepalive_s: Positive | None = None
    """Seconds between signs of life to streaming clients that wait; null sends none."""
    refuse_hopeless: bool = True
    """Refuse at once (503) what would wait beyond its deadline, by the times measured lately."""
