"""What the choice of a server costs a request: `python bench/routing.py`.

20 servers with 500 models each; every server has every third one. Two figures: a plan that is
known, as nearly always, and one that has to be made, as after a change of any server.
"""

import time
from collections.abc import Callable
from statistics import median, quantiles

from ogp.core.clock import SystemClock
from ogp.core.types import InferenceRequest
from ogp.routing.fleet import Fleet
from ogp.routing.listing import ListedModel, Listing
from ogp.routing.ranking import ORDERS
from ogp.settings.schema import Settings
from ogp.state.server_states import MemoryServerBook

SERVERS, MODELS, ROUNDS = 20, 500, 20_000
LIMIT_US = 30.0


def make_fleet(strategy: str) -> Fleet:
    """20 servers with their listings; nobody is asked."""
    entries = {
        f"s{number}": {"host": f"10.0.0.{number + 1}", "priority": number % 3, "max_memory_gb": 48}
        for number in range(SERVERS)
    }
    document = {"servers": entries, "routing": {"strategy": strategy}}
    fleet = Fleet(Settings.model_validate(document), MemoryServerBook(), SystemClock())
    catalog = fleet.catalog
    for number in range(SERVERS):
        installed = {
            f"model-{model}": ListedModel(4_000_000_000 + model, {})
            for model in range(MODELS)
            if (model + number) % 3 == 0 or model < 10
        }
        resident = {"model-0": installed["model-0"]} if number % 4 == 0 else {}
        catalog.put(f"s{number}", Listing(installed, resident))
    return fleet


def make_requests() -> list[InferenceRequest]:
    """One for each model."""
    return [
        InferenceRequest("ollama", "chat", "POST", "/api/chat", model=f"model-{number}")
        for number in range(MODELS)
    ]


def timed(action: Callable[[InferenceRequest], None], rounds: int) -> list[float]:
    """Microseconds of each round."""
    requests, found = make_requests(), []
    for number in range(rounds):
        request = requests[number % 10 if number % 2 else number % MODELS]
        started = time.perf_counter_ns()
        action(request)
        found.append((time.perf_counter_ns() - started) / 1e3)
    return found


class Bench:
    """One fleet, and what is timed of it."""

    def __init__(self, strategy: str) -> None:
        self.fleet = make_fleet(strategy)

    def choose(self, request: InferenceRequest) -> None:
        """What the gateway does with every request."""
        router = self.fleet.router
        router.candidates(request)
        with router.lease(request) as lease:
            lease.answered()

    def change_and_choose(self, request: InferenceRequest) -> None:
        """The same after a change, so that no plan is known; the change itself is timed as well."""
        catalog = self.fleet.catalog
        last = catalog.listings()["s19"]
        is_cold = last is not None and not last.resident
        installed = {} if last is None else last.installed
        resident = {"model-1": installed["model-1"]} if is_cold else {}
        catalog.put("s19", Listing(installed, resident))
        self.choose(request)


def main() -> None:
    """Print a table."""
    print(f"{SERVERS} servers, {MODELS} models, candidates() + lease() in microseconds")
    print(f"{'strategy':<22}{'plan':<8}{'p50':>8}{'p99':>8}")
    for strategy in ORDERS:
        bench = Bench(strategy)
        timed(bench.choose, MODELS)
        for name, action, rounds in (
            ("known", bench.choose, ROUNDS),
            ("made", bench.change_and_choose, ROUNDS // 10),
        ):
            found = timed(action, rounds)
            p50, p99 = median(found), quantiles(found, n=100)[98]
            mark = "" if name == "made" or p50 <= LIMIT_US else "  over the limit"
            print(f"{strategy:<22}{name:<8}{p50:>8.1f}{p99:>8.1f}{mark}")


if __name__ == "__main__":
    main()
