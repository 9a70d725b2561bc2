"""Reading single files: images, arrays, NIfTI volumes. Whatever is wrong with one is BadData that names it."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo_trainer.failures import BadData

Array = NDArray[Any]
Image = NDArray[np.float32]
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn what the readers raise for missing, truncated and foreign files into BadData."""
    try:
        yield
    except FileNotFoundError:
        raise BadData(path, "no such file") from None
    except (OSError, EOFError, ValueError, KeyError, SyntaxError, zlib.error, zipfile.BadZipFile) as error:
        raise BadData(path, f"cannot be read as {kind}: {error}") from error


def read_image(path: Path) -> Image:
    """A PNG or JPEG as grey values in [0, 1], shape (H, W).

    16-bit images are divided by 65535, others by 255. Colours become their luma (ITU-R 601), palettes are resolved,
    transparent pixels lie on black, and an orientation in the file's EXIF data is applied.
    """
    from PIL import Image as PillowImage
    from PIL import ImageOps

    with reading(path, "an image"):
        try:
            with PillowImage.open(path) as opened:
                image = ImageOps.exif_transpose(opened)
        except PillowImage.DecompressionBombError as error:
            raise BadData(path, str(error)) from error
    if image.mode.startswith("I"):  # I;16 and, of older files, I: 16-bit grey
        return np.asarray(image, dtype=np.float32) / np.float32(65535)
    if image.mode in ("RGBA", "LA", "PA", "P"):
        rgba = image.convert("RGBA")
        image = PillowImage.alpha_composite(PillowImage.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba).convert("RGB")
    return np.asarray(image.convert("L"), dtype=np.float32) / np.float32(255)


def read_arrays(path: Path) -> dict[str, Array]:
    """All arrays of an .npz file but those of the test split, which nothing here may see. Never unpickles."""
    with reading(path, "an .npz file"), np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files if not name.startswith("test_")}


def read_json(path: Path) -> Any:
    with reading(path, "JSON"):
        return json.loads(path.read_text())


def read_volume(path: Path) -> Image:
    """The voxels of a NIfTI file as stored (no reorientation), scaled as its header says, float32."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    with reading(path, "NIfTI"):
        try:
            loaded: Any = nibabel.load(path)
        except ImageFileError as error:
            raise BadData(path, f"cannot be read as NIfTI: {error}") from error
        return np.asarray(loaded.dataobj, dtype=np.float32)


def finite(array: Array, source: object) -> Image:
    """``array`` as float32. Raises BadData with the number of NaN and infinite values."""
    values: Image = np.ascontiguousarray(array, dtype=np.float32)
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise BadData(source, f"{bad} of {values.size} values are NaN or infinite")
    return values


def inside(root: Path, relative: str, source: object) -> Path:
    """``root / relative``. Raises BadData if that leaves ``root``."""
    if Path(relative).is_absolute() or ".." in Path(relative).parts:
        raise BadData(source, f"expected a path inside the data set, found {relative!r}")
    return root / relative
