"""`python -m ogp` is the `ogp` command."""

from ogp.cli.main import main

if __name__ == "__main__":
    main(prog_name="ogp")
