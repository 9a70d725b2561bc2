"""The demo data set: always the same bytes, slabs apart from each other, and a trial that learns from it."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import numpy as np
import pytest

from hpo_trainer import demo_data
from trainer.support import TrialRunner


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the demo data must need no network"))
        assert demo_data.main([str(out)]) == 0
    return out


def test_written_once_and_the_same_each_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / demo_data.FILE
    before = path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()
    assert demo_data.main([str(folder)]) == 0
    assert before == (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
    out = capsys.readouterr().out
    assert "unchanged: " in out
    assert "57 slices of 80 x 96 pixels, 45 in 5 slabs, 12 left out between them" in out


def test_slabs_are_apart_and_hold_both_tissues(folder: Path) -> None:
    with np.load(folder / demo_data.FILE) as archive:
        images, masks, groups = archive["images"], archive["masks"], archive["groups"]
    assert images.dtype == np.float32
    assert (images.min(), images.max()) >= (0, 0.9)
    assert images.max() <= 1
    for slab in range(demo_data.SLABS):
        members = np.flatnonzero(groups == slab)
        assert list(members) == list(range(members[0], members[0] + demo_data.SLAB))
        assert set(np.unique(masks[members])) == {0, 1, 2}
        if slab:
            assert members[0] - np.flatnonzero(groups == slab - 1)[-1] == demo_data.GAP + 1
    grey, white = images[masks == 1].mean(), images[masks == 2].mean()
    assert grey < white  # of a T1 image


def test_a_short_trial_learns(folder: Path, tmp_path: Path) -> None:
    config = {"dataset": demo_data.FILE, "channels": 8, "learningRate": 0.01, "fold": 2}
    outcome = TrialRunner(tmp_path, folder, "segmentation", config).run(3)
    assert outcome.code == 0
    assert outcome.metrics["dice"] > 0.6


def test_the_picture(folder: Path, tmp_path: Path) -> None:
    demo_data.picture(demo_data.build(), tmp_path / "demo.png")
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
