#!/usr/bin/env python3
"""Send many requests at once and count the answers. Needs nothing but Python 3.11.

OGP_TOKEN=... scripts/load/asyncio_load.py --model llama2 --requests 100 --concurrency 50

A refusal for want of room (503) is no failure: the queue says so on purpose. Any other answer is,
and makes the exit status 1.
"""

import argparse
import asyncio
import json
import os
import ssl
import sys
import time
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

EXPECTED = (200, 503)


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked, and of whom."""

    url: str
    token: str
    model: str

    def request(self, prompt: str) -> bytes:
        """One request, ready to be sent."""
        parts = urlsplit(self.url)
        body = json.dumps({"model": self.model, "prompt": prompt, "stream": False}).encode()
        head = (
            f"POST {parts.path.rstrip('/')}/api/generate HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Authorization: Bearer {self.token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body


async def send_request(target: Target, number: int) -> int:
    """The status of one answer, which is read to its end; 0 where there was none."""
    parts = urlsplit(target.url)
    secure = ssl.create_default_context() if parts.scheme == "https" else None
    port = parts.port or (443 if secure else 80)
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=secure)
        try:
            writer.write(target.request(f"Test {number}"))
            answer = await reader.read()
        finally:
            writer.close()
        return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0
    except OSError:
        return 0


async def load_test(target: Target, num_requests: int, concurrency: int) -> Counter[int]:
    """Send so many requests, so many of them at once; the statuses, counted."""
    gate = asyncio.Semaphore(concurrency)

    async def one(number: int) -> int:
        async with gate:
            return await send_request(target, number)

    return Counter(await asyncio.gather(*(one(number) for number in range(num_requests))))


def main() -> None:
    """Read the command line, run, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", default=os.environ.get("OGP_URL", "http://localhost:8080"))
    parser.add_argument("--model", default="llama2")
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--concurrency", type=int, default=50)
    given = parser.parse_args()
    target = Target(given.url, os.environ.get("OGP_TOKEN", ""), given.model)
    started = time.monotonic()
    statuses = asyncio.run(load_test(target, given.requests, given.concurrency))
    told = {
        "requests": given.requests,
        "served": statuses[200],
        "refused": statuses[503],
        "failed": sum(count for status, count in statuses.items() if status not in EXPECTED),
        "seconds": round(time.monotonic() - started, 3),
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.exit(1 if told["failed"] else 0)


if __name__ == "__main__":
    main()
