"""Our classifier in the pool against llm-guard as its documentation shows, in one run.

`python -m bench.guard [--seconds 5] [--tokens 64 256] [--callers 1 4] [--rounds 3]`. Weights have
the shape of DeBERTa-v3-base (12 layers of 768) and random values, made in a temporary directory:
speed and memory mean something, quality does not. Each contender has a process of its own. Read the
ratios; on a machine that has other work, of several rounds the best of each case is shown, and CPU
time per prompt says more than prompts per second.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from threading import Barrier, Thread
from time import perf_counter
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from ogp.core.clock import SystemClock
from ogp.guard.base import View, ViewKind
from ogp.guard.classifier import PROMPT_INJECTION, load_classifier
from ogp.guard.device import Device, choose_device
from ogp.guard.export import export_onnx, quantise
from ogp.guard.model_scanner import ModelRule, ModelScanner
from ogp.guard.offline import go_offline
from ogp.guard.pool import ScannerPool
from ogp.guard.weights import INT8_ONNX, ONNX
from tests.support.tiny_models import WORDS, build_tokenizer, save_tokenizer

Scan = Callable[[str], object]
CONTENDERS = ("llm-guard", "ours, torch", "ours, ONNX", "ours, ONNX int8")
CPU = Device("cpu", "benchmark", "fp32")
RULE = ModelRule("bench", "input", 0.999999, True, True, 600.0, 512, 200)


def write_base_model(directory: Path) -> None:
    """Random weights in the shape of DeBERTa-v3-base, as safetensors, ONNX and int8."""
    go_offline(directory)
    from transformers import AutoConfig, AutoModelForSequenceClassification

    tokenizer = build_tokenizer("words", WORDS)
    config = AutoConfig.for_model(
        "deberta-v2",
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3072,
        max_position_embeddings=512,
        relative_attention=True,
        position_buckets=256,
        pos_att_type=["p2c", "c2p"],
        share_att_key=True,
        norm_rel_ebd="layer_norm",
        position_biased_input=False,
        type_vocab_size=0,
        id2label={0: "SAFE", 1: "INJECTION"},
        label2id={"SAFE": 0, "INJECTION": 1},
    )
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    model.eval().save_pretrained(directory, safe_serialization=True)
    save_tokenizer(tokenizer, directory, 512)

    def load(path: Path) -> Any:
        return load_classifier(PROMPT_INJECTION, path, CPU)

    export_onnx(directory, load, [0.5], force=True)
    quantise(directory, load, [0.5], force=True)


def llm_guard(directory: Path) -> Scan:
    """Called as its documentation shows: torch, one scanner for all threads."""
    go_offline(directory)
    os.environ.pop("OMP_NUM_THREADS", None)  # as a user of llm-guard would run it
    from llm_guard.input_scanners import PromptInjection
    from llm_guard.input_scanners.prompt_injection import MatchType
    from llm_guard.model import Model

    pipeline = {"return_token_type_ids": False, "max_length": 512, "truncation": True}
    model = Model(path=str(directory), pipeline_kwargs=pipeline)
    scanner = PromptInjection(model=model, threshold=0.999999, match_type=MatchType.FULL)
    return scanner.scan


def ours(directory: Path, form: str | None) -> Scan:
    """Through the scanner pool, one thread per core."""
    for name in (INT8_ONNX, ONNX):
        if form is None or name != form:
            (directory / name).unlink(missing_ok=True)
    device = choose_device("auto") if form is None else CPU
    pool = ScannerPool(os.cpu_count() or 1, max_pending=10_000, clock=SystemClock())
    pool.start()
    scanner = ModelScanner(
        RULE, lambda: load_classifier(PROMPT_INJECTION, directory, device), pool, SystemClock()
    )
    scanner.begin()
    return lambda text: scanner.scan(View(text, ViewKind.JOINED))


def contend(name: str, directory: Path, tokens: list[int], callers: list[int], s: float) -> None:
    """Run one contender and print what was seen, one JSON line per case."""
    warnings.simplefilter("ignore")
    before = psutil.Process().memory_info().rss
    form = {"ours, ONNX": ONNX, "ours, ONNX int8": INT8_ONNX}.get(name)
    scan = llm_guard(directory) if name == "llm-guard" else ours(directory, form)
    for length in tokens:
        text = " ".join((WORDS * length)[: length - 2])
        scan(text + " hello")
        for number in callers:
            cpu = psutil.Process().cpu_times()
            times = measure(scan, text, number, s)
            now = psutil.Process().cpu_times()
            cpu_s = now.user + now.system - cpu.user - cpu.system
            cuts = quantiles(times, n=100) if len(times) > 1 else times * 99
            report = {
                "contender": name,
                "tokens": length,
                "callers": number,
                "per_second": len(times) / s,
                "p50_ms": 1e3 * cuts[49],
                "p99_ms": 1e3 * cuts[98],
                "cpu_ms": 1e3 * cpu_s / max(1, len(times)),
                "memory_mib": (psutil.Process().memory_info().rss - before) / 2**20,
            }
            sys.stdout.write(json.dumps(report) + "\n")
            sys.stdout.flush()


def measure(scan: Scan, text: str, callers: int, seconds: float) -> list[float]:
    """Seconds of every call that ended in time; each text is another, so none is shared."""
    taken: list[float] = []
    ready = Barrier(callers + 1)

    def call(caller: int) -> None:
        ready.wait()
        until = perf_counter() + seconds
        for number in range(1_000_000):
            began = perf_counter()
            if began >= until:
                return
            scan(f"{text} {'hello ' if caller % 2 else 'world '}{caller}x{number}")
            taken.append(perf_counter() - began)

    threads = [Thread(target=call, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    ready.wait()
    for thread in threads:
        thread.join()
    return taken


Seen = dict[str, Any]
"""One line of `contend`."""
Case = tuple[str, int, int]
"""Contender, tokens, callers."""


def compare(
    directory: Path, options: argparse.Namespace, progress: Callable[[str], Any]
) -> dict[Case, Seen]:
    """Run every contender, `options.rounds` times in turn; the best of each case."""
    best: dict[Case, Seen] = {}
    for turn in range(options.rounds):
        for name in CONTENDERS:
            progress(f"{name}, round {turn + 1} of {options.rounds}")
            for seen in contended(name, directory, options):
                case = (name, seen["tokens"], seen["callers"])
                if case not in best or seen["per_second"] > best[case]["per_second"]:
                    best[case] = seen
    return best


def contended(name: str, directory: Path, options: argparse.Namespace) -> list[Seen]:
    """What one contender did, in a process of its own."""
    with tempfile.TemporaryDirectory() as own:
        copy = Path(own) / "prompt_injection"
        subprocess.run(["cp", "-rl", str(directory), str(copy)], check=True)
        arguments = ["--contender", name, "--directory", str(copy)]
        arguments += ["--seconds", str(options.seconds), "--tokens"]
        arguments += [*map(str, options.tokens), "--callers", *map(str, options.callers)]
        command = [sys.executable, "-m", "bench.guard", *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"conten')]


def show(console: Console, best: dict[Case, Seen]) -> None:
    """One table."""
    table = Table(title="prompts per second; x = times llm-guard")
    for head in (
        "contender",
        "tokens",
        "callers",
        "per s",
        "x",
        "p50 ms",
        "p99 ms",
        "CPU ms",
        "MiB",
    ):
        table.add_column(head, justify="right")
    for (name, tokens, callers), seen in best.items():
        base = best[CONTENDERS[0], tokens, callers]["per_second"]
        table.add_row(
            name,
            str(tokens),
            str(callers),
            f"{seen['per_second']:.1f}",
            f"{seen['per_second'] / base:.1f}",
            f"{seen['p50_ms']:.0f}",
            f"{seen['p99_ms']:.0f}",
            f"{seen['cpu_ms']:.0f}",
            f"{seen['memory_mib']:.0f}",
        )
    console.print(table)


def main() -> None:
    """Build the weights, run every contender, print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--tokens", type=int, nargs="+", default=[16, 64, 256, 512])
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        contend(
            options.contender, options.directory, options.tokens, options.callers, options.seconds
        )
        return
    console = Console()
    with tempfile.TemporaryDirectory() as home, console.status("making weights") as status:
        directory = Path(home) / "prompt_injection"
        write_base_model(directory)
        best = compare(directory, options, status.update)
    show(console, best)


if __name__ == "__main__":
    main()
