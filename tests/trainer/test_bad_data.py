"""Data as it comes from a hospital: each fault is refused by a message that names the file, or treated as documented.

The rows of the table in docs/data-formats.md that are not already among the broken data sets of
test_segmentation_data.py and test_classification_data.py.
"""

from __future__ import annotations

import json
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hpo_trainer.config import ClassificationConfig, SegmentationConfig, parse
from hpo_trainer.data import classification, nifti, segmentation
from hpo_trainer.data.files import read_arrays, read_image, read_json
from hpo_trainer.failures import BadData
from trainer.support import decathlon_folder, image_folder, open_folder, save_volume, unprivileged

RNG = np.random.default_rng(0)


def segmentation_data(root: Path, **config: Any) -> segmentation.SegmentationData:
    parsed = parse("segmentation", config, {})
    assert isinstance(parsed, SegmentationConfig)
    return segmentation.load(root, parsed, lambda: None)


def classification_data(root: Path, **config: Any) -> classification.ClassificationData:
    parsed = parse("classification", {"imageSize": 8, "blocks": 1, **config}, {})
    assert isinstance(parsed, ClassificationConfig)
    return classification.load(root, parsed, lambda: None)


def png(path: Path, depth: int, colour: int, row: bytes) -> Path:
    """A PNG of one pixel, byte by byte, of kinds that Pillow does not write; ``colour``: 2 RGB, 4 grey and alpha."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 1, 1, depth, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


# ------------------------------------------------------------------------------------------ files that cannot be read


def _saved(suffix: str) -> bytes:
    """A sound file of 24 x 24 random pixels, or of a volume."""
    pixels = RNG.integers(0, 255, (24, 24), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sound{suffix}"
        if suffix == ".npz":
            np.savez(path, images=pixels)
        elif suffix.startswith(".nii"):
            save_volume(path, pixels[:, :, None].astype(np.float32))
        else:
            Image.fromarray(pixels).save(path)
        return path.read_bytes()


READERS: dict[str, Callable[[Path], Any]] = {
    ".png": read_image, ".jpg": read_image, ".nii": nifti.read, ".nii.gz": nifti.read, ".npz": read_arrays,
}  # fmt: skip
SOUND = {suffix: _saved(suffix) for suffix in READERS}


@settings(max_examples=60, deadline=None)
@given(suffix=st.sampled_from(sorted(READERS)), share=st.floats(0.01, 0.97))
def test_a_file_cut_anywhere_is_refused_by_name(suffix: str, share: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"cut{suffix}"
        path.write_bytes(SOUND[suffix][: max(1, int(share * len(SOUND[suffix])))])
        with pytest.raises(BadData, match=r"cut\.\S+: cannot be read as .*; copy it again or leave it out"):
            READERS[suffix](path)


@pytest.mark.parametrize("suffix", [*READERS, ".dcm", ".json"])
def test_an_empty_file_is_called_empty(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"empty{suffix}"
    path.touch()
    readers = {**READERS, ".dcm": read_image, ".json": read_json}
    with pytest.raises(BadData, match=r"empty\.\S+: the file is empty \(0 bytes\); copy it again or leave it out"):
        readers[suffix](path)


@pytest.mark.parametrize("forbidden", ["class1/000.png", "class1", "."])
def test_files_and_folders_that_may_not_be_read(forbidden: str) -> None:
    with open_folder() as folder:
        image_folder(folder, classes=2)
        classification_data(folder)  # what is imported while reading may not be readable by nobody
        (folder / forbidden).chmod(0)
        message = rf"{(folder / forbidden).resolve()}: cannot be .*: Permission denied; let the trainer's"
        with unprivileged(), pytest.raises(BadData, match=message):
            classification_data(folder)
        (folder / forbidden).chmod(0o755)


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    image_folder(tmp_path, classes=2)
    (tmp_path / "class0/007.png").unlink()
    (tmp_path / "class0/007.png").mkdir()
    with pytest.raises(BadData, match=r"class0/007\.png: cannot be read as an image: .*Is a directory"):
        classification_data(tmp_path)


# ---------------------------------------------------------------------------------------------------------- pictures


def test_16_bit_colours_are_refused_not_cut_to_8_bits(tmp_path: Path) -> None:
    colour = png(tmp_path / "rgb.png", 16, 2, struct.pack(">HHH", 1000, 1001, 1002))
    transparent = png(tmp_path / "la.png", 16, 4, struct.pack(">HH", 1000, 65535))
    for path in (colour, transparent):
        with pytest.raises(BadData, match=rf"{path.name}: expected 8-bit colours, found 16-bit ones; save it as 16"):
            read_image(path)
    assert read_image(png(tmp_path / "rgb8.png", 8, 2, bytes([51, 51, 51]))) == pytest.approx(0.2)


def test_black_and_white_pictures_are_0_and_1(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bw.png")
    assert read_image(tmp_path / "bw.png").tolist() == [[1.0, 0.0]]


def test_printing_colours_become_their_luma(tmp_path: Path) -> None:
    ink = np.zeros((8, 8, 4), dtype=np.uint8)
    ink[..., 3] = 51  # a fifth of black
    Image.fromarray(ink, mode="CMYK").save(tmp_path / "cmyk.jpg", quality=100)
    np.testing.assert_allclose(read_image(tmp_path / "cmyk.jpg"), 0.8, atol=0.02)


def test_pictures_without_pixels_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 0, 8)), labels=[0, 0, 1, 1], groups=np.arange(4))
    with pytest.raises(BadData, match=r"a\.npz\[images\]: expected shape \(N, H, W\) .* found \(4, 0, 8\)"):
        classification_data(tmp_path, dataset="a.npz")


def test_a_class_must_be_on_both_sides(tmp_path: Path) -> None:
    image_folder(tmp_path, classes=2)
    single = image_folder(tmp_path / "single", classes=1, count=1)
    (single / "class0").rename(tmp_path / "class2")
    single.rmdir()
    with pytest.raises(BadData, match="no validation image of class 'class2'; add some, or leave the class out"):
        classification_data(tmp_path)
    (tmp_path / "class2/000.png").unlink()
    with pytest.raises(BadData, match="no training image of class 'class2'; add some, or leave the class out"):
        classification_data(tmp_path)


# ----------------------------------------------------------------------------------------------------------- volumes


def rewritten(path: Path, voxels: Any = None, affine: Any = None) -> None:
    """The volume at ``path`` with other voxels or another affine."""
    loaded: Any = nibabel.load(path)
    image: Any = nibabel.Nifti1Image
    data = np.asarray(loaded.dataobj) if voxels is None else voxels
    nibabel.save(image(data, loaded.affine if affine is None else affine), path)


def test_a_label_elsewhere_in_the_body_is_refused(tmp_path: Path) -> None:
    label = decathlon_folder(tmp_path) / "labelsTr/case_2.nii.gz"
    shifted = np.eye(4)
    shifted[2, 3] = 3
    rewritten(label, affine=shifted)
    message = r"labelsTr/case_2\.nii\.gz: its affine puts it up to 3 mm away from its image .*imagesTr/case_2\.nii\.gz"
    with pytest.raises(BadData, match=message):
        segmentation_data(tmp_path)
    mirrored = np.diag([-1.0, 1, 1, 1])
    rewritten(label, affine=mirrored)
    with pytest.raises(BadData, match=r"case_2\.nii\.gz: its affine puts it up to 38 mm away"):
        segmentation_data(tmp_path)


def test_a_header_rounded_differently_is_no_fault(tmp_path: Path) -> None:
    label = decathlon_folder(tmp_path) / "labelsTr/case_2.nii.gz"
    rounded = np.eye(4)
    rounded[:3, 3] = 0.2
    rewritten(label, affine=rounded)
    assert len(segmentation_data(tmp_path, dimensions="3D").train) == 3


def test_a_volume_of_one_slice_is_a_volume(tmp_path: Path) -> None:
    decathlon_folder(tmp_path)
    flat = {}
    for folder in ("imagesTr", "labelsTr"):
        voxels = np.asarray(nibabel.load(tmp_path / folder / "case_3.nii.gz").dataobj)  # type: ignore[attr-defined]
        flat[folder] = voxels[:, :, 0]
        save_volume(tmp_path / folder / "case_3.nii.gz", voxels[:, :, 0])  # some tools drop the last axis
    volumes, slices = segmentation_data(tmp_path, dimensions="3D"), segmentation_data(tmp_path)
    assert [tuple(s.mask.shape) for s in volumes.train] == [(20, 24, 7), (20, 24, 8), (20, 24, 1)]
    assert sum(sample.case == 3 for sample in slices.train) == 1
    np.testing.assert_array_equal(volumes.train[-1].mask[..., 0].numpy(), flat["labelsTr"])


def test_a_case_without_foreground_is_kept(tmp_path: Path) -> None:
    label = decathlon_folder(tmp_path) / "labelsTr/case_2.nii.gz"
    rewritten(label, voxels=np.zeros((20, 24, 8), dtype=np.uint8))
    data = segmentation_data(tmp_path, dimensions="3D")
    assert [int(sample.mask.max()) for sample in data.train] == [2, 0, 2]


def test_data_without_any_foreground_is_refused(tmp_path: Path) -> None:
    for label in sorted((decathlon_folder(tmp_path) / "labelsTr").iterdir()):
        rewritten(label, voxels=np.zeros((20, 24, 6 + int(label.name[5])), dtype=np.uint8))
    with pytest.raises(BadData, match=r"class 'rim' \(label 1\) occurs in no training image"):
        segmentation_data(tmp_path)


def _replaced(path: Path, voxels: np.ndarray[Any, Any]) -> None:
    image: Any = nibabel.Nifti1Image
    nibabel.save(image(voxels, np.eye(4)), path)


COLOURS = np.zeros((20, 24, 8), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
VOLUMES: list[tuple[str, Callable[[Path], object], str]] = [
    ("imagesTr", lambda p: rewritten(p, voxels=np.full((20, 24, 8), np.inf)), r"3840 of 3840 values are NaN or inf"),
    ("labelsTr", lambda p: rewritten(p, voxels=np.full((20, 24, 8), np.nan)), r"3840 of 3840 values are NaN or inf"),
    ("imagesTr", lambda p: _replaced(p, COLOURS), r"expected one real number a voxel, found .*'R'"),
    ("imagesTr", lambda p: rewritten(p, voxels=np.full((20, 24, 8), 1j)), r"expected one real number a voxel, found c"),
    ("imagesTr", lambda p: rewritten(p, voxels=np.zeros((20, 24, 2, 2, 2))), r"expected shape \(X, Y, Z\) or \(X, Y"),
    ("labelsTr", lambda p: rewritten(p, voxels=np.zeros((20, 24, 7))), r"the mask has shape \(20, 24, 7\), its image"),
    ("labelsTr", lambda p: p.unlink(), r"no such file; it is listed in .*training\[2\]: restore it, or remove the"),
    ("imagesTr", lambda p: p.unlink(), r"no such file; it is listed in .*training\[2\]: restore it, or remove the"),
]


@pytest.mark.parametrize(("folder", "change", "message"), VOLUMES, ids=[f"{r[0]} {r[2][:30]}" for r in VOLUMES])
def test_volumes_that_cannot_train(tmp_path: Path, folder: str, change: Callable[[Path], object], message: str) -> None:
    path = decathlon_folder(tmp_path) / folder / "case_2.nii.gz"
    change(path)
    with pytest.raises(BadData, match=rf"{folder}/case_2\.nii\.gz: {message}"):
        segmentation_data(tmp_path)


def test_the_description_is_not_repaired_by_guessing(tmp_path: Path) -> None:
    path = decathlon_folder(tmp_path) / "dataset.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"labels": {"0": "background", "1": "rim"}}))
    with pytest.raises(BadData, match=r"labelsTr/case_\d\.nii\.gz: label 2 is none of the 2 classes 0 to 1; correct"):
        segmentation_data(tmp_path)
