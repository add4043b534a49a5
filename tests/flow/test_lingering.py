"""Clients that keep their end of a connection open when the server has closed its own."""

from contextlib import ExitStack, suppress
from threading import Thread
from time import monotonic

from tests.support.proxy import WAIT_S, Proxy, raw_connection

LINGERING = 5
LINGER_S = 2.0
"""How long gunicorn waits for each to close."""


def test_nobody_else_waits_for_a_client_that_does_not_close(proxy: Proxy) -> None:
    with ExitStack() as stack:
        for _ in range(LINGERING):
            connection = stack.enter_context(raw_connection(proxy))
            connection.sendall(b"GET /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda each=connection: each.recv(4096), b""))
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        started = monotonic()
        assert proxy.get("/up").status_code == 200
        assert monotonic() - started < LINGER_S / 2


def test_a_refusal_arrives_though_the_body_is_still_being_sent(proxy: Proxy) -> None:
    """Without the wait the kernel resets the connection, and the answer with it."""
    with raw_connection(proxy) as connection:
        head = (
            "POST /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 900000\r\n"
        )
        connection.sendall(f"{head}\r\n".encode())
        answered = b""

        def send() -> None:
            with suppress(OSError):  # the server has read as much as it wants to
                connection.sendall(b"x" * 900_000)

        sending = Thread(target=send)
        sending.start()
        while b"\r\n\r\n" not in answered:
            piece = connection.recv(4096)
            assert piece, answered
            answered += piece
        sending.join(WAIT_S)
        assert answered.startswith(b"HTTP/1.1 40")
