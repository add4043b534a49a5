import builtins
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from ogp.guard.device import Device, choose_device, cpu_precision, load_torch
from ogp.guard.model import ModelUnavailableError


def torch_with(*, mps: bool = False, cuda: bool = False) -> Callable[[], Any]:
    """Stands in for torch on a machine with such GPUs."""
    torch = SimpleNamespace(
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps)),
        cuda=SimpleNamespace(
            is_available=lambda: cuda, get_device_name=lambda number: f"Card {number}"
        ),
    )
    return lambda: torch


def no_torch() -> Any:
    raise ModelUnavailableError("the package torch is not installed")


@pytest.fixture
def flags(tmp_path: Path) -> Path:
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16\n")
    return path


def test_apple_gpu_comes_first() -> None:
    device = choose_device("auto", load=torch_with(mps=True, cuda=True))
    assert device == Device("mps", "Apple GPU, found by torch", "fp16")
    assert device.is_gpu


def test_half_precision_on_apple_gpus_can_be_turned_off() -> None:
    device = choose_device("auto", mps_fp16=False, load=torch_with(mps=True))
    assert device.precision == "fp32"


def test_cuda_comes_second_in_half_precision_whatever_is_said_of_apple() -> None:
    device = choose_device("auto", mps_fp16=False, load=torch_with(cuda=True))
    assert device == Device("cuda", "Card 0, found by torch", "fp16")


def test_without_a_gpu_it_is_the_cpu(flags: Path) -> None:
    device = choose_device("auto", load=torch_with(), cpu_flags_path=flags)
    assert device == Device("cpu", "torch sees no GPU", "bf16")
    assert not device.is_gpu


def test_without_torch_it_is_the_cpu(flags: Path) -> None:
    device = choose_device("auto", load=no_torch, cpu_flags_path=flags)
    assert device == Device("cpu", "the package torch is not installed", "bf16")


def test_device_asked_for_wins_over_a_better_one() -> None:
    device = choose_device("cuda", load=torch_with(mps=True, cuda=True))
    assert device == Device("cuda", "Card 0, asked for", "fp16")


def test_absent_device_gives_way_to_the_cpu_and_not_to_another_gpu(flags: Path) -> None:
    device = choose_device("mps", load=torch_with(cuda=True), cpu_flags_path=flags)
    assert device.name == "cpu"
    assert device.reason == "guard.models.device asks for mps, but torch sees no mps device"


def test_gpu_asked_for_without_torch_is_told(flags: Path) -> None:
    device = choose_device("cuda", load=no_torch, cpu_flags_path=flags)
    assert device.reason == (
        "guard.models.device asks for cuda, but the package torch is not installed"
    )


def test_cpu_asked_for_imports_no_torch(flags: Path) -> None:
    def never() -> Any:
        pytest.fail("torch was asked")

    device = choose_device("cpu", load=never, cpu_flags_path=flags)
    assert device == Device("cpu", "guard.models.device asks for it", "bf16")


def test_health_sees_name_reason_and_precision() -> None:
    shown = choose_device("auto", load=torch_with(cuda=True)).describe()
    assert shown == {"device": "cuda", "reason": "Card 0, found by torch", "precision": "fp16"}


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        ("flags\t: fpu avx512_bf16\n", "bf16"),
        ("flags\t: fpu amx_tile amx_bf16\n", "bf16"),
        ("flags\t: fpu avx512f avx512_vnni\n", "fp32"),
        ("model name\t: avx512_bf16\nflags\t: fpu\n", "fp32"),
        ("", "fp32"),
    ],
)
def test_precision_follows_the_processor(text: str, precision: str, tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    assert cpu_precision(path) == precision


def test_precision_is_full_where_linux_says_nothing(tmp_path: Path) -> None:
    assert cpu_precision(tmp_path / "absent") == "fp32"


def test_torch_computes_in_the_calling_thread_alone() -> None:
    torch = load_torch()
    torch.set_num_threads(2)
    load_torch()
    seen = [torch.get_num_threads()]
    thread = Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join(timeout=30)
    assert seen == [1, 1]


@pytest.mark.parametrize(
    ("failure", "message"),
    [(ImportError, "torch is not installed"), (OSError, "torch is installed, but broken")],
)
def test_torch_that_does_not_load_is_told(
    failure: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def failing(name: str, *rest: Any, **more: Any) -> Any:
        if name == "torch":
            raise failure("libsomething.so: cannot open shared object file")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", failing)
    with pytest.raises(ModelUnavailableError, match=message):
        load_torch()
