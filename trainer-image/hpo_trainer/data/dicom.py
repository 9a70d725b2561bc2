"""DICOM images: one grey picture a file, in the units that its header gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpo_trainer.data.files import Image, finite, reading
from hpo_trainer.failures import BadData

if TYPE_CHECKING:
    from pydicom import Dataset

LUMA = (0.299, 0.587, 0.114)
GREY, COLOUR = ("MONOCHROME1", "MONOCHROME2"), ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


def read_image(path: Path) -> Image:
    """The picture in the units of the file (Hounsfield units in CT), float32, shape (H, W).

    The modality transformation is applied (rescale slope and intercept, or the lookup table: DICOM PS3.3 C.11.1), the
    window for display is not. MONOCHROME1, where the least value is white, is turned over within the range that the
    stored bits allow, so that all files are turned alike; colours become their luma (ITU-R 601). Raises BadData.
    """
    header, pixels = _decoded(path)
    photometric = str(header.get("PhotometricInterpretation", "absent"))
    if photometric not in GREY + COLOUR:
        raise BadData(path, f"expected {', '.join(GREY)} or RGB, found {photometric}; convert it to grey values")
    if pixels.ndim != (2 if photometric in GREY else 3):
        raise BadData(path, f"expected a single picture, found shape {pixels.shape}; save each frame as a file")
    if photometric in COLOUR:
        return finite(pixels @ np.array(LUMA), path)
    values = _in_units(pixels, header, path)
    if photometric == "MONOCHROME1":
        values = _in_units(_stored_range(header), header, path).sum() - values
    return finite(values, path)


def patient(path: Path) -> str:
    """The patient's ID, empty where the file has none. Raises BadData."""
    return str(_header(path, pixels=False).get("PatientID", "") or "")


def _header(path: Path, pixels: bool) -> Dataset:
    try:
        import pydicom
    except ImportError:
        raise BadData(path, "DICOM needs the package pydicom: pip install 'hpo-operator[trainer]'") from None
    with reading(path, "DICOM"):
        try:
            return pydicom.dcmread(path, stop_before_pixels=not pixels)
        except pydicom.errors.InvalidDicomError as error:
            raise ValueError(error) from error


def _decoded(path: Path) -> tuple[Dataset, NDArray[Any]]:
    header = _header(path, pixels=True)
    with reading(path, "DICOM"):
        try:
            from pydicom.pixels.utils import pixel_array

            return header, pixel_array(header)
        except (AttributeError, NotImplementedError, RuntimeError) as error:  # no pixels; a codec that is not here
            raise ValueError(error) from error


def _in_units(stored: NDArray[Any], header: Dataset, path: Path) -> NDArray[Any]:
    from pydicom.pixels.processing import apply_modality_lut

    with reading(path, "DICOM"):
        return np.asarray(apply_modality_lut(stored, header), dtype=np.float64)


def _stored_range(header: Dataset) -> NDArray[np.int64]:
    """The least and the greatest value that the stored bits can hold."""
    bits, signed = int(header.BitsStored), bool(header.PixelRepresentation)
    low = -(2 ** (bits - 1)) if signed else 0
    return np.array([low, low + 2**bits - 1])
