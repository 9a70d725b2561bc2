"""The device and the number of threads to train with, and how deterministic torch has to be.

Sums over threads are added in an order that depends on their number, so results are bit-equal only between runs with
the same number of threads (and the same torch on the same kind of processor).
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch
from torch import Tensor

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def prepare(threads: int | None, deterministic: bool, processes: int = 1) -> torch.device:
    """Set torch up for this process; ``threads`` None takes the cores that are available to it.

    ``processes``: how many share the threads.
    """
    torch.set_num_threads(max(1, (threads or available_cores()) // processes))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it at its first use
        torch.backends.cudnn.benchmark = not deterministic
    # A few CUDA kernels have no deterministic form: there a warning is all that can be asked for.
    torch.use_deterministic_algorithms(deterministic, warn_only=device.type == "cuda")
    return device


def available_cores(quota_file: Path = CPU_QUOTA) -> int:
    """Cores that this process may use: its affinity, and no more than the container's CPU limit, rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = quota_file.read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, math.ceil(int(quota) / int(period))))


def visible_gpus() -> int:
    return torch.cuda.device_count()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    if tensor.device.type == device.type:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def gpu_memory_peak_bytes() -> int | None:
    """Peak bytes allocated by torch on the GPU; None without one."""
    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else None
