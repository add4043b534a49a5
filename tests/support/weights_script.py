"""Runs scripts/download_models.sh in a directory of its own."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "download_models.sh"
NAME = "prompt_injection"


@dataclass
class Place:
    """Where weights come from and go to, and the configuration that says so."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        return self.folder / "a stick"

    @property
    def models(self) -> Path:
        return self.folder / "all models"

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OGP_", "HF_"))}
        return subprocess.run(
            [str(SCRIPT), *arguments],
            cwd=self.folder,
            env={**kept, "USE_VENV": "false", "PYTHON": sys.executable, **self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def copy(self, *names: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return self.run("--from", "a stick", "--to", "all models", *(names or (NAME,)), **environ)

    def tool(self, name: str, script: str) -> str:
        """A PATH in which a tool does something else."""
        directory = self.folder / "tools"
        directory.mkdir(exist_ok=True)
        path = directory / name
        path.write_text(f"#!/usr/bin/env bash\n{script}\n", "utf-8")
        path.chmod(0o755)
        return f"{directory}:{os.environ['PATH']}"


def sums(directory: Path) -> dict[str, str]:
    lines = (directory / "SHA256SUMS").read_text("utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def digests(directory: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.iterdir()
        if path.name != "SHA256SUMS"
    }


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}
