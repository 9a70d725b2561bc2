"""``python -m hpo_trainer.demo_data OUT_DIR``: a small real data set from files that nilearn carries; no download.

The ICBM 152 (2009) average T1 brain of 152 people at 2 mm, with its probability maps of grey and white matter, cut
into axial slices. Slices are grouped into slabs, and the slices between two slabs are left out: neighbours are almost
the same picture, and one must not train what the other validates.
"""

from __future__ import annotations

import argparse
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = "brain.npz"
CLASSES = ("background", "grey", "white")
FIRST, SLABS, SLAB, GAP = 14, 5, 9, 3
"""Axial slices 14 to 70 of 95: five slabs of 9 slices (18 mm) with 3 slices (6 mm) between them."""
CROP = (slice(9, 89), slice(10, 106))
"""80 × 96 of 99 × 117 pixels: the brain without the air around it."""


@dataclass(frozen=True)
class DemoData:
    """``images``: (N, H, W) float32 in [0, 1]; ``masks``: (N, H, W) uint8; ``groups``: (N,), slab or -1."""

    images: NDArray[np.float32]
    masks: NDArray[np.uint8]
    groups: NDArray[np.int64]


def build() -> DemoData:
    """The slices, bottom to top. A voxel is grey or white matter where that map is greater and at least 0.5."""
    from nilearn import datasets

    t1, grey, white = (
        np.asarray(load(resolution=2).dataobj, dtype=np.float32)[CROP]
        for load in (
            datasets.load_mni152_template,
            datasets.load_mni152_gm_template,
            datasets.load_mni152_wm_template,
        )
    )
    masks = np.where((grey >= 0.5) & (grey >= white), 1, np.where(white >= 0.5, 2, 0)).astype(np.uint8)
    length = SLABS * SLAB + (SLABS - 1) * GAP
    slab, within = np.divmod(np.arange(length), SLAB + GAP)
    span = slice(FIRST, FIRST + length)
    return DemoData(
        np.ascontiguousarray(np.moveaxis(t1[:, :, span], 2, 0)),
        np.ascontiguousarray(np.moveaxis(masks[:, :, span], 2, 0)),
        np.where(within < SLAB, slab, -1).astype(np.int64),
    )


def write(data: DemoData, path: Path) -> bool:
    """Write the .npz file unless it holds these very bytes already; whether it was written."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=data.images, masks=data.masks, groups=data.groups, classes=np.array(CLASSES))
    content = buffer.getvalue()
    if path.exists() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)
    return True


def picture(data: DemoData, path: Path) -> None:
    """The middle slice of each slab, and below it the same with its labels."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, rows = plt.subplots(2, SLABS, figsize=(2.2 * SLABS, 5.4), squeeze=False)
    for slab, axes in enumerate(rows.T):
        middle = np.flatnonzero(data.groups == slab)[SLAB // 2]
        image, mask = np.rot90(data.images[middle]), np.rot90(data.masks[middle])
        shown: list[Any] = [None, np.ma.masked_equal(mask, 0)]
        for axis, overlay in zip(axes, shown, strict=True):
            axis.imshow(image, cmap="gray", vmin=0, vmax=1)
            if overlay is not None:
                axis.imshow(overlay, cmap="viridis", vmin=0, vmax=2, alpha=0.6)
            axis.axis("off")
        axes[0].set_title(f"slab {slab}")
    figure.suptitle("ICBM 152 T1 average; below with grey (green) and white matter (yellow)")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m hpo_trainer.demo_data", description="Write the demo data set.")
    parser.add_argument("out_dir", type=Path, help=f"folder to write {FILE} into")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="also draw some slices and their labels")
    options = parser.parse_args(arguments)
    data, path = build(), options.out_dir / FILE
    written = write(data, path)
    count, height, width = data.images.shape
    share = np.bincount(data.masks.ravel(), minlength=len(CLASSES)) / data.masks.size
    used = int((data.groups >= 0).sum())
    print(f"{'wrote' if written else 'unchanged:'} {path} ({path.stat().st_size / 1024:.0f} KiB)")
    print(f"{count} slices of {height} x {width} pixels, {used} in {SLABS} slabs, {count - used} left out between them")
    print(", ".join(f"{name} {fraction:.1%}" for name, fraction in zip(CLASSES, share, strict=True)))
    print("source: ICBM 152 nonlinear symmetric 2009 template (McConnell Brain Imaging Centre), packaged by nilearn")
    if options.picture:
        picture(data, options.picture)
        print(f"drew {options.picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
