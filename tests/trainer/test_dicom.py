"""DICOM in image folders: units, MONOCHROME1, colours, and files that are no single picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from hpo_trainer.config import ClassificationConfig, parse
from hpo_trainer.data.classification import load
from hpo_trainer.data.dicom import patient
from hpo_trainer.data.files import read_image
from hpo_trainer.failures import BadData
from trainer.support import image_folder

STORED = np.array([[0, 24, 1024], [2000, 3000, 4095]])


def save(path: Path, stored: np.ndarray[Any, Any] = STORED, **elements: Any) -> Path:
    """A 12-bit grey picture; ``elements`` replace or add to the header, None removes."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    data = Dataset()
    data.file_meta = meta
    data.Rows, data.Columns = stored.shape[:2]
    header = {
        "PatientID": "p1", "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0,
        "PixelData": stored.astype(np.uint16).tobytes(),
    }  # fmt: skip
    for name, value in (header | elements).items():
        if value is not None:
            setattr(data, name, value)
    data["PixelData"].VR = "OW"
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def test_values_become_hounsfield_units(tmp_path: Path) -> None:
    path = save(tmp_path / "ct.dcm", RescaleSlope=2, RescaleIntercept=-1024)
    image = read_image(path)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, STORED * 2 - 1024)
    np.testing.assert_array_equal(read_image(save(tmp_path / "plain.dcm")), STORED)


def test_signed_values_stay_signed(tmp_path: Path) -> None:
    stored = np.array([[-2000, -1, 0, 7]], dtype=np.int16)
    path = save(
        tmp_path / "s.dcm", stored, PixelRepresentation=1, BitsStored=16, HighBit=15, PixelData=stored.tobytes()
    )
    np.testing.assert_array_equal(read_image(path), stored)


@pytest.mark.parametrize("scale", [{}, {"RescaleSlope": 2, "RescaleIntercept": -1024}])
def test_monochrome1_is_turned_over_alike_in_all_files(tmp_path: Path, scale: dict[str, float]) -> None:
    same = save(tmp_path / "white.dcm", 4095 - STORED, PhotometricInterpretation="MONOCHROME1", **scale)
    np.testing.assert_array_equal(read_image(same), read_image(save(tmp_path / "black.dcm", **scale)))
    narrow = save(tmp_path / "narrow.dcm", np.full((2, 2), 4000), PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read_image(narrow), 95)  # not by the picture's own range


def test_signed_monochrome1_is_turned_over_within_its_bits(tmp_path: Path) -> None:
    stored = np.array([[-2048, -1, 0, 2047]], dtype=np.int16)
    elements = {"PixelRepresentation": 1, "PixelData": stored.tobytes(), "PhotometricInterpretation": "MONOCHROME1"}
    np.testing.assert_array_equal(read_image(save(tmp_path / "s.dcm", stored, **elements)), [[2047, 0, -1, -2048]])


def test_a_window_for_display_changes_nothing(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image(save(tmp_path / "w.dcm", WindowCenter=40, WindowWidth=80)), STORED)


def test_colours_become_their_luma(tmp_path: Path) -> None:
    stored = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 10, 10]]], dtype=np.uint8)
    elements = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    path = save(tmp_path / "rgb.dcm", stored, PhotometricInterpretation="RGB", PixelData=stored.tobytes(), **elements)
    np.testing.assert_allclose(read_image(path), [[76.245, 149.685, 29.07, 10]], rtol=1e-5)


def test_compressed_pictures_are_read(tmp_path: Path) -> None:
    path = save(tmp_path / "rle.dcm", RescaleSlope=1, RescaleIntercept=-1024)
    data = pydicom.dcmread(path)
    data.compress(RLELossless)
    data.save_as(path)
    np.testing.assert_array_equal(read_image(path), STORED - 1024)


FRAMES = np.zeros((3, 2, 3), dtype=np.uint16)
BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"PhotometricInterpretation": "PALETTE COLOR"}, r"expected MONOCHROME1, .* or RGB, found PALETTE COLOR; convert"),
    ({"NumberOfFrames": 3, "PixelData": FRAMES.tobytes()}, r"expected a single picture, found shape \(3, 2, 3\)"),
    ({"BitsAllocated": None}, r"cannot be read as DICOM: .*[Bb]its ?[Aa]llocated"),
    ({"PixelData": b"\0\0"}, r"cannot be read as DICOM: .*pixel data"),
    ({"RescaleSlope": float("nan"), "RescaleIntercept": 0}, r"(6 of 6 values are NaN|cannot be read as DICOM)"),
]


@pytest.mark.parametrize(("elements", "message"), BROKEN, ids=[row[1][:30] for row in BROKEN])
@pytest.mark.filterwarnings("ignore")
def test_what_is_no_grey_picture_is_refused(tmp_path: Path, elements: dict[str, Any], message: str) -> None:
    with pytest.raises(BadData, match=rf"x\.dcm: {message}"):
        read_image(save(tmp_path / "x.dcm", **elements))


def test_foreign_cut_and_undecodable_files_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "x.dcm")
    whole = path.read_bytes()
    for content in (b"not what it should be", whole[:200], whole[:-4]):
        path.write_bytes(content)
        with pytest.raises(BadData, match=r"x\.dcm: cannot be read as DICOM: "):
            read_image(path)
    path.write_bytes(whole)
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = JPEG2000Lossless
    data.PixelData = pydicom.encaps.encapsulate([b"no JPEG 2000"])
    data.save_as(path)
    with pytest.raises(BadData, match=r"x\.dcm: cannot be read as DICOM: "):
        read_image(path)


def test_patients_are_told_by_the_header(tmp_path: Path) -> None:
    assert patient(save(tmp_path / "x.dcm")) == "p1"
    assert patient(save(tmp_path / "y.dcm", PatientID=None)) == ""


def test_a_folder_of_dicom_trains_and_a_mixed_one_is_refused(tmp_path: Path) -> None:
    parsed = parse("classification", {"imageSize": 8, "blocks": 1}, {})
    assert isinstance(parsed, ClassificationConfig)
    pictures = sorted(image_folder(tmp_path, classes=2).rglob("*.png"))
    for picture in pictures:
        pixels = np.asarray(Image.open(picture)).astype(np.uint16)
        save(picture.with_suffix(".dcm"), pixels, RescaleSlope=1, RescaleIntercept=-1024)
    with pytest.raises(BadData, match=r"expected DICOM files alone or none, found 24 of 48; convert some"):
        load(tmp_path, parsed, lambda: None)
    grey = load_without(tmp_path, ".dcm", parsed)
    for picture in pictures:
        picture.unlink()
    dicom = load(tmp_path, parsed, lambda: None)
    np.testing.assert_allclose(dicom.train.images, grey, atol=1e-4)  # standardised: the unit is gone


def load_without(root: Path, suffix: str, config: ClassificationConfig) -> np.ndarray[Any, Any]:
    """The training images of ``root`` with all files of ``suffix`` aside."""
    aside = {path: path.read_bytes() for path in root.rglob(f"*{suffix}")}
    for path in aside:
        path.unlink()
    images: np.ndarray[Any, Any] = load(root, config, lambda: None).train.images.numpy()
    for path, content in aside.items():
        path.write_bytes(content)
    return images
