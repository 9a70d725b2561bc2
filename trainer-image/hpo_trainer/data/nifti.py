"""NIfTI volumes: voxels and where they lie in space."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo_trainer.data.files import Image, finite, reading
from hpo_trainer.failures import BadData

TOLERANCE = 0.5
"""In voxels: how far a label's corner may lie from its image's. Headers are rounded, a shift by a voxel is an error."""


@dataclass(frozen=True)
class Volume:
    """``voxels``: float32, (X, Y, Z) or (X, Y, Z, C), as stored. ``affine``: (4, 4), from indices to millimetres."""

    path: Path
    voxels: Image
    affine: NDArray[np.float64]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance of neighbouring voxels along X, Y, Z, in millimetres."""
        return _spacing(self.affine)


def read(path: Path) -> Volume:
    """The voxels as stored (no reorientation), scaled as the header says; a single slice (X, Y) becomes (X, Y, 1).

    Raises BadData for unreadable files, colours and complex numbers, and voxels that are NaN or infinite.
    """
    with reading(path, "NIfTI"):
        loaded = _loaded(path)
        kind = loaded.get_data_dtype()
        if kind.kind not in "iuf":
            raise BadData(path, f"expected one real number a voxel, found {kind}; save it as grey values")
        voxels = np.asarray(loaded.dataobj, dtype=np.float32)
        affine = np.asarray(loaded.affine, dtype=np.float64)
    if voxels.ndim == 2:
        voxels = voxels[:, :, None]
    if voxels.ndim not in (3, 4) or 0 in voxels.shape:
        raise BadData(path, f"expected shape (X, Y, Z) or (X, Y, Z, C), found {voxels.shape}")
    return Volume(path, finite(voxels, path), affine)


def read_spacing(path: Path) -> tuple[float, ...]:
    """``Volume.spacing``, of the header alone. Raises BadData."""
    with reading(path, "NIfTI"):
        return _spacing(np.asarray(_loaded(path).affine, dtype=np.float64))


def _loaded(path: Path) -> Any:
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        return nibabel.load(path, mmap=False)  # all of it is read anyway, and the file closed at once
    except ImageFileError as error:
        raise ValueError(error) from error


def _spacing(affine: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(np.linalg.norm(affine[:3, :3], axis=0).tolist())


def check_same_space(image: Volume, label: Volume) -> None:
    """Raises BadData if voxel (i, j, k) of the label lies elsewhere in the body than that of its image.

    The corners of the volume are compared, since an affine map moves no voxel further than one of them.
    """
    corners = np.array([(*corner, 1) for corner in product(*((0, n - 1) for n in image.voxels.shape[:3]))])
    distance = float(np.linalg.norm(corners @ (image.affine - label.affine).T, axis=1).max())
    if not distance <= TOLERANCE * min(image.spacing):
        raise BadData(
            label.path,
            f"its affine puts it up to {distance:.3g} mm away from its image {image.path}; "
            "resample the label to the image's grid, or correct its header",
        )
