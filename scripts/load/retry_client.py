#!/usr/bin/env python3
"""Ask, and ask again where the queue is full. Needs nothing but Python 3.11.

OGP_TOKEN=... scripts/load/retry_client.py --model llama2 --requests 20 "What is AI?"

The pause is what `Retry-After` says, which comes from measured times, or else 2, 4, 8 ... seconds;
a random share on top keeps clients that were refused together from coming back together.
"""

import argparse
import json
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

BUSY = 503
SHARE = 0.25
"""Largest random share on top of a pause."""


class GaveUpError(Exception):
    """The queue was full each time."""


def call_ollama_with_retry(
    prompt: str,
    model: str = "llama2",
    max_retries: int = 5,
    *,
    url: str = "http://localhost:8080",
    token: str = "",
    max_pause_s: float = 60.0,
) -> dict[str, Any]:
    """One answer; as often asked as needed.

    Raises:
        GaveUpError: after `max_retries` refusals.
        urllib.error.HTTPError: any other refusal, which asking again would not change.
    """
    document = {"model": model, "prompt": prompt, "stream": False}
    request = Request(  # noqa: S310 - the caller's own address
        f"{url}/api/generate",
        data=json.dumps(document).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    for attempt in range(max_retries):
        try:
            with urlopen(request, timeout=300) as response:  # noqa: S310 - as above
                answer: dict[str, Any] = json.load(response)
                return answer
        except HTTPError as refusal:
            with refusal:
                if refusal.code != BUSY:
                    raise
                told = refusal.headers.get("Retry-After", "")
        pause_s = float(told) if told.isdigit() else 2.0 ** (attempt + 1)
        time.sleep(min(pause_s, max_pause_s) * (1 + random.uniform(0, SHARE)))  # noqa: S311 - no secret
    raise GaveUpError(f"the queue was full {max_retries} times")


def main() -> None:
    """Read the command line, run, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("prompt", nargs="?", default="What is AI?")
    parser.add_argument("--url", default=os.environ.get("OGP_URL", "http://localhost:8080"))
    parser.add_argument("--model", default="llama2")
    parser.add_argument("--requests", type=int, default=1, help="so many at once")
    parser.add_argument("--max-retries", type=int, default=5)
    parser.add_argument("--max-pause", type=float, default=60.0, help="in seconds")
    given = parser.parse_args()
    ask = partial(
        call_ollama_with_retry,
        given.prompt,
        given.model,
        given.max_retries,
        url=given.url.rstrip("/"),
        token=os.environ.get("OGP_TOKEN", ""),
        max_pause_s=given.max_pause,
    )
    failures: list[str] = []
    with ThreadPoolExecutor(given.requests) as pool:
        for future in [pool.submit(ask) for _ in range(given.requests)]:
            error = future.exception()
            if error is not None:
                failures.append(f"{type(error).__name__}: {error}")
            elif given.requests == 1:
                sys.stdout.write(str(future.result().get("response", "")) + "\n")
    served = given.requests - len(failures)
    sys.stdout.write(
        json.dumps({"requests": given.requests, "served": served, "failed": len(failures)}) + "\n"
    )
    for failure in sorted(set(failures)):
        sys.stderr.write(f"{failure}\n")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
