"""Single image files: every kind of PNG and JPEG becomes the same grey values each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hpo_trainer.data import nifti
from hpo_trainer.data.files import read_arrays, read_image
from hpo_trainer.failures import BadData

GREY = np.array([[0, 51], [102, 255]], dtype=np.uint8)
UNIT = GREY / 255


def saved(path: Path, pixels: np.ndarray[Any, Any], **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def test_grey_16_bit_and_colour_images_agree(tmp_path: Path) -> None:
    wide = saved(tmp_path / "16.png", GREY.astype(np.uint16) * 257)
    colour = saved(tmp_path / "rgb.png", np.repeat(GREY[:, :, None], 3, axis=2))
    for path in (saved(tmp_path / "8.png", GREY), wide, colour):
        np.testing.assert_allclose(read_image(path), UNIT, atol=1e-6)
    with Image.open(wide) as opened:
        assert opened.mode.startswith("I")


def test_16_bit_images_keep_what_8_bits_would_lose(tmp_path: Path) -> None:
    path = saved(tmp_path / "ct.png", np.array([[1000, 1001]], dtype=np.uint16))
    np.testing.assert_allclose(read_image(path), np.array([[1000, 1001]]) / 65535, rtol=1e-6)


def test_transparent_pixels_lie_on_black(tmp_path: Path) -> None:
    pixels = np.dstack([GREY, GREY, GREY, np.array([[255, 0], [255, 0]], dtype=np.uint8)])
    np.testing.assert_allclose(
        read_image(saved(tmp_path / "a.png", pixels)), np.array([[0.0, 0.0], [0.4, 0.0]]), atol=1e-6
    )


def test_colours_become_their_luma(tmp_path: Path) -> None:
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], dtype=np.uint8)
    np.testing.assert_allclose(read_image(saved(tmp_path / "c.png", pixels)), [[0.299, 0.587, 0.114]], atol=0.004)


def test_palettes_and_orientation_are_resolved(tmp_path: Path) -> None:
    Image.fromarray(GREY).convert("P").save(tmp_path / "p.png")
    np.testing.assert_allclose(read_image(tmp_path / "p.png"), UNIT, atol=1e-6)
    turned = Image.Exif()
    turned[0x0112] = 3  # upside down
    tall = np.repeat(np.array([[0], [255]], dtype=np.uint8), 16, axis=0).repeat(32, axis=1)
    image = read_image(saved(tmp_path / "turned.jpg", tall, exif=turned, quality=95))
    assert image[:8].mean() > 0.9 > 0.1 > image[-8:].mean()


@pytest.mark.parametrize("reader", [read_image, read_arrays, nifti.read])
def test_files_that_are_missing_truncated_or_foreign(tmp_path: Path, reader: Any) -> None:
    path = tmp_path / "file.nii.gz"
    with pytest.raises(BadData, match=r"file\.nii\.gz: no such file"):
        reader(path)
    path.write_bytes(b"not what it should be")
    with pytest.raises(BadData, match=r"file\.nii\.gz: cannot be read as"):
        reader(path)


def test_a_truncated_png_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "cut.png", np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:-1500])
    with pytest.raises(BadData, match=r"cut\.png: cannot be read as an image"):
        read_image(path)


def test_pickled_arrays_are_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BadData, match=r"a\.npz: cannot be read as an \.npz file: .*allow_pickle"):
        read_arrays(tmp_path / "a.npz")


def test_the_test_split_is_not_even_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", train_images=GREY, test_images=np.array([{}], dtype=object))
    assert set(read_arrays(tmp_path / "a.npz")) == {"train_images"}
