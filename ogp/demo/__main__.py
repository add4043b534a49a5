"""`python -m ogp.demo`: the look-alike as a process of its own."""

import signal

import click

from ogp.demo.server import DemoServer

_ENDS = (signal.SIGTERM, signal.SIGINT)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=11434,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="TCP port; 0 lets the kernel choose.",
)
@click.option(
    "--token-interval-ms",
    default=10.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Silence between two tokens.",
)
@click.option(
    "--first-byte-ms",
    default=20.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Silence before an answer.",
)
@click.option(
    "--max-generations",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Generations at once, further ones wait; 0 lets all run.",
)
@click.option("--model", "models", multiple=True, help="A further model to list; may be repeated.")
def main(
    host: str,
    port: int,
    token_interval_ms: float,
    first_byte_ms: float,
    max_generations: int,
    models: tuple[str, ...],
) -> None:
    """Run an Ollama look-alike. Its first line of output is its URL."""
    server = DemoServer(
        host,
        port,
        models=models,
        token_interval_ms=token_interval_ms,
        first_byte_ms=first_byte_ms,
        max_generations=max_generations,
        keep_requests=200,
    )
    # Blocked before the first thread starts, so that all inherit it and only sigwait takes them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        with server:
            click.echo(server.url)
            signal.sigwait(_ENDS)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


if __name__ == "__main__":
    main()
