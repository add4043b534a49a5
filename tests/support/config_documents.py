"""Brings config.yaml and docs/configuration.md up to the schema: `python FILE` rewrites both.

Rows and entries that stand there keep their other names, examples and remarks; new keys are put
behind the one that precedes them in the schema. `tests/test_docs.py` tells when it must be run.
"""

import re
import textwrap
from pathlib import Path
from typing import Any

import yaml

from ogp.settings.keys import Key, all_keys, all_sections
from ogp.settings.redact import redact
from ogp.settings.schema import Settings

ROOT = Path(__file__).resolve().parents[2]
TABLE_HEAD = (
    "| key | default | meaning | takes | environment | old names |\n"
    "| --- | --- | --- | --- | --- | --- |\n"
)


def default_of(key: Key) -> Any:
    """The default as it is shown."""
    value: Any = redact(Settings())
    for part in key.name.split("."):
        value = value[part]
    return value


def written(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).split("\n...")[0].strip()


def meaning_of(key: Key) -> str:
    """The schema's sentence on one line."""
    return " ".join(key.meaning.split())


def section_text(name: str) -> str:
    """The first sentence of a section's docstring, without its key in brackets."""
    section: Any = Settings()
    for part in name.split("."):
        section = getattr(section, part)
    lines = (type(section).__doc__ or "").strip().split("\n\n")[0]
    return re.sub(r" \(`[^`]*`\)", "", " ".join(lines.split())).rstrip(".")


def documented(text: str) -> str:
    """The tables of docs/configuration.md, row by row."""
    previous = ""
    for name, key in all_keys().items():
        right, default = key.right, written(default_of(key))
        row = re.search(rf"^\| `{re.escape(name)}` \|.*$", text, re.M)
        names = "  |  |"
        if row:
            cells = re.split(r"(?<!\\)\|", row[0])
            names = "|".join(cells[5:])
        fresh = f"| `{name}` | `{default}` | {meaning_of(key)} | {right} |{names}"
        text = text.replace(row[0], fresh) if row else _put(text, name, previous, fresh)
        previous = name
    return text


def _put(text: str, name: str, previous: str, row: str) -> str:
    section = name.rsplit(".", 1)[0]
    heading = f"### `{section}`\n"
    if heading in text:
        start = text.index(heading)
        end = text.find("\n\n", text.index("| --- ", start))
        siblings = [line for line in text[start:end].splitlines() if line.startswith("| `")]
        anchor = next((line for line in siblings if line.startswith(f"| `{previous}`")), None)
        anchor = anchor or (siblings[-1] if siblings else None)
        if anchor:
            return text.replace(anchor, f"{anchor}\n{row}")
        return text[:end] + f"\n{row}" + text[end:]
    before = text.index(f"| `{previous}` |")
    end = text.find("\n\n", before)
    table = f"\n\n{heading}\n{section_text(section)}.\n\n{TABLE_HEAD}{row}"
    return text[:end] + table + text[end:]


def shipped(text: str) -> str:
    """config.yaml, entry by entry, in the order of the schema; remarks that stand there stay."""
    remarks = _remarks(text)
    lines: list[str] = [text[: text.index("\n\n") + 1]]
    opened: list[str] = []
    for name, key in all_keys().items():
        *sections, leaf = name.split(".")
        for depth in range(len(sections)):
            dotted = ".".join(sections[: depth + 1])
            if dotted in opened:
                continue
            opened.append(dotted)
            if depth == 0:
                lines.append("")
            pad = "  " * depth
            lines += _comment(section_text(dotted), pad)
            lines.append(f"{pad}{sections[depth]}:")
            lines += remarks.get(dotted, [])
        pad = "  " * len(sections)
        lines += _key_lines(key, leaf, pad, remarks)
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _key_lines(key: Key, leaf: str, pad: str, remarks: dict[str, list[str]]) -> list[str]:
    default = written(default_of(key))
    words = f" One of {', '.join(key.choices)}." if len(key.choices) > 1 else ""
    told = remarks.get(key.name, [""])
    example = [line for line in told if line.lstrip().startswith("# An entry:")]
    where = " Entries: docs/models.md." if key.name == "guard.llm_guard" else ""
    if words.strip(" .").removeprefix("One of ") in meaning_of(key):
        words = ""
    lines = _comment(f"{meaning_of(key)}{where}{words} Default: {default}", pad)
    return [*lines, *example, f"{pad}{leaf}: {default}"]


def _comment(text: str, pad: str) -> list[str]:
    return textwrap.wrap(
        text, 100, initial_indent=f"{pad}# ", subsequent_indent=f"{pad}# ", break_on_hyphens=False
    )


def _remarks(text: str) -> dict[str, list[str]]:
    """Comment lines by the dotted key they stand above; for `queue`, those below its head."""
    found: dict[str, list[str]] = {}
    path: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(line)
            continue
        match = re.match(r"( *)(\w+):", line)
        if match:
            path = [*path[: len(match[1]) // 2], match[2]]
            name = ".".join(path)
            own = [part for part in comment if part.lstrip().startswith("# An entry:")]
            if own:
                found[name] = own
            if name == "queue.parallel" and comment:
                found["queue"] = [
                    part for part in comment if not part.lstrip().startswith("# Requests of one")
                ]
                cut = next(i for i, part in enumerate(found["queue"]) if "Threads per" in part)
                found["queue"] = found["queue"][: cut + 1]
        comment = []
    return found


def main() -> None:
    """Rewrite both files."""
    assert all_sections()
    for path, renew in (
        (ROOT / "config.yaml", shipped),
        (ROOT / "docs" / "configuration.md", documented),
    ):
        path.write_text(renew(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
