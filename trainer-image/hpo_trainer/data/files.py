"""Reading single files: images, arrays, JSON. Whatever is wrong with one is BadData that names it and says what to do.

NIfTI volumes are read by ``nifti``, DICOM images by ``dicom``.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo_trainer.failures import BadConfig, BadData

Array = NDArray[Any]
Image = NDArray[np.float32]
DICOM_SUFFIX = ".dcm"
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", DICOM_SUFFIX)
UNREADABLE = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, SyntaxError),
    *(struct.error, zlib.error, zipfile.BadZipFile),
)
"""What the readers raise for files that are missing, truncated or foreign."""


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn what the readers raise for missing, forbidden, empty, truncated and foreign files into BadData."""
    try:
        yield
    except FileNotFoundError:
        raise BadData(path, "no such file") from None
    except PermissionError as error:
        raise BadData(path, f"cannot be read as {kind}: {error.strerror}; let the trainer's user read it") from error
    except UNREADABLE as error:
        if path.is_file() and path.stat().st_size == 0:
            raise BadData(path, "the file is empty (0 bytes); copy it again or leave it out") from error
        reason = " ".join(str(error).split())  # in one line
        raise BadData(path, f"cannot be read as {kind}: {reason}; copy it again or leave it out") from error


def find_data_set(data_dir: Path, name: str) -> Path:
    """The folder or file of the data set. Raises BadConfig if there is none, BadData if it may not be looked at."""
    path = data_dir / name
    with reading(path, "a data set"):
        if path.exists():
            return path
    raise BadConfig(
        "HPO_CONFIG.dataset", f"expected a folder or an .npz file in the data volume, found nothing at {path}"
    )


def is_file(path: Path) -> bool:
    """Raises BadData where the folder may not be looked into."""
    with reading(path, "a file"):
        return path.is_file()


def entries(folder: Path) -> list[tuple[Path, bool]]:
    """What lies in ``folder`` by name, hidden entries left out, and whether it is a folder itself."""
    with reading(folder, "a folder"):
        return [(entry, entry.is_dir()) for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]


def read_image(path: Path) -> Image:
    """A PNG, JPEG or DICOM file as grey values, shape (H, W): in [0, 1], but of DICOM in the file's own units.

    16-bit grey is divided by 65535, others by 255. Colours become their luma (ITU-R 601), palettes are resolved,
    transparent pixels lie on black, and an orientation in the file's EXIF data is applied.
    """
    from PIL import Image as PillowImage

    if path.suffix.lower() == DICOM_SUFFIX:
        from hpo_trainer.data import dicom

        return dicom.read_image(path)
    image = _opened(path)
    if image.mode.startswith("I"):  # I;16 and, of older files, I: 16-bit grey
        return np.asarray(image, dtype=np.float32) / np.float32(65535)
    if image.mode in ("RGBA", "LA", "PA", "P"):
        rgba = image.convert("RGBA")
        image = PillowImage.alpha_composite(PillowImage.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba).convert("RGB")
    return np.asarray(image.convert("L"), dtype=np.float32) / np.float32(255)


def _opened(path: Path) -> Any:
    """The whole image, decoded. Raises BadData also for 16-bit colours, whose lower half Pillow would cut off."""
    from PIL import Image as PillowImage
    from PIL import ImageOps

    with reading(path, "an image"):
        try:
            with PillowImage.open(path) as opened:
                stored_as = str(opened.tile[0][3]) if opened.tile else ""
                if "16" in stored_as and not opened.mode.startswith("I"):
                    raise BadData(path, "expected 8-bit colours, found 16-bit ones; save it as 16-bit grey")
                return ImageOps.exif_transpose(opened)
        except PillowImage.DecompressionBombError as error:
            raise BadData(path, str(error)) from error


def read_arrays(path: Path, test: bool = False) -> dict[str, Array]:
    """All arrays of an .npz file but those of the test split, which no trial may see, or (``test``) those alone.

    Never unpickles.
    """
    # Opened here, since np.load leaves files that are none of its own open.
    with reading(path, "an .npz file"), path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files if name.startswith("test_") == test}


def array_names(path: Path) -> tuple[str, ...]:
    """The names of the arrays of an .npz file, none of which is read. Raises BadData."""
    with reading(path, "an .npz file"), path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return tuple(archive.files)


def read_json(path: Path) -> Any:
    with reading(path, "JSON"):
        return json.loads(path.read_text())


def finite(array: Array, source: object) -> Image:
    """``array`` as float32. Raises BadData with the number of NaN and infinite values."""
    values: Image = np.ascontiguousarray(array, dtype=np.float32)
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise BadData(source, f"{bad} of {values.size} values are NaN or infinite; repair them or leave it out")
    return values


def inside(root: Path, relative: str, source: object) -> Path:
    """``root / relative``. Raises BadData if that leaves ``root``."""
    if Path(relative).is_absolute() or ".." in Path(relative).parts:
        raise BadData(source, f"expected a path inside the data set, found {relative!r}")
    return root / relative
