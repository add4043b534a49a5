"""Where models run, chosen once, with the reason: MPS, CUDA, else the CPU."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ogp.guard.model import ModelUnavailableError

DeviceName = Literal["cpu", "cuda", "mps"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]

CPU_FLAGS_PATH = Path("/proc/cpuinfo")
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
"""With one of these the processor multiplies bfloat16 itself; without, it is slower than fp32."""


@dataclass(frozen=True, slots=True)
class Device:
    """Where models run."""

    name: DeviceName
    reason: str
    """Why this one, for `/health` and the start."""
    precision: Precision
    """Of models run by torch; an ONNX file brings its own."""

    @property
    def is_gpu(self) -> bool:
        """Whether batches pay and one thread is enough."""
        return self.name != "cpu"

    def describe(self) -> Mapping[str, str]:
        """For `/health`."""
        return {"device": self.name, "reason": self.reason, "precision": self.precision}


def load_torch() -> Any:
    """Import torch and have it compute in the calling thread alone, in this process.

    Two threads inside an operation are ten times slower than one beside busy neighbours, and a
    fork after the first such operation hangs.

    Raises:
        ModelUnavailableError: it is not installed, or its libraries do not load.
    """
    try:
        import torch
    except ImportError as error:
        raise ModelUnavailableError("the package torch is not installed") from error
    except OSError as error:
        raise ModelUnavailableError("the package torch is installed, but broken") from error
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    return torch


def choose_device(
    setting: Literal["auto", "cpu", "cuda", "mps"],
    *,
    mps_fp16: bool = True,
    load: Callable[[], Any] = load_torch,
    cpu_flags_path: Path = CPU_FLAGS_PATH,
) -> Device:
    """Take the device asked for, or the best; one that is absent gives way to the CPU.

    Torch is asked, hence imported, unless the CPU is asked for. Call `go_offline` before.

    Args:
        mps_fp16: half precision on Apple GPUs.
        load: gives torch, or raises `ModelUnavailableError`.
        cpu_flags_path: where Linux lists what the processor can do.
    """
    if setting == "cpu":
        return _cpu("guard.models.device asks for it", cpu_flags_path)
    try:
        torch = load()
    except ModelUnavailableError as error:
        reason = str(error)
    else:
        wanted: tuple[DeviceName, ...] = ("mps", "cuda") if setting == "auto" else (setting,)
        for name in wanted:
            if _is_there(torch, name):
                precision: Precision = "fp16" if name == "cuda" or mps_fp16 else "fp32"
                return Device(name, _gpu_reason(torch, name, setting), precision)
        reason = "torch sees no GPU" if setting == "auto" else f"torch sees no {setting} device"
    if setting != "auto":
        reason = f"guard.models.device asks for {setting}, but {reason}"
    return _cpu(reason, cpu_flags_path)


def cpu_precision(flags_path: Path = CPU_FLAGS_PATH) -> Precision:
    """bfloat16 if the processor has it in hardware, as far as Linux says."""
    try:
        text = flags_path.read_text("utf-8", errors="replace")
    except OSError:
        return "fp32"
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return "bf16" if BF16_FLAGS & set(flags.split()) else "fp32"


def _cpu(reason: str, flags_path: Path) -> Device:
    return Device("cpu", reason, cpu_precision(flags_path))


def _is_there(torch: Any, name: DeviceName) -> bool:
    backend = torch.backends.mps if name == "mps" else torch.cuda
    return bool(backend.is_available())


def _gpu_reason(torch: Any, name: DeviceName, setting: str) -> str:
    found = "Apple GPU" if name == "mps" else str(torch.cuda.get_device_name(0))
    return f"{found}, found by torch" if setting == "auto" else f"{found}, asked for"
