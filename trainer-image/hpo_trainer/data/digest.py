"""A fingerprint of a data set as it was read and split, to notice that a checkpoint was trained on another one."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def digest(*parts: Tensor | NDArray[np.int64] | tuple[str, ...]) -> str:
    """BLAKE2b (16 bytes, hexadecimal) of arrays, with their shapes, and names, in order."""
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, tuple):
            total.update(repr(part).encode())
        else:
            array = np.ascontiguousarray(part.numpy() if isinstance(part, Tensor) else part)
            total.update(f"{array.dtype}{array.shape}".encode())
            total.update(array.data)
    return total.hexdigest()
