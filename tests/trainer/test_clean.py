"""``hpo_trainer.clean``: a trial's folder goes with all that is in it, and nothing else ever does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hpo_trainer.clean import BAD_CONFIG, FAILED, main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder with three trials, and beside it what no cleaning may touch."""
    study = tmp_path / "volume" / "study"
    for trial in ("s-0", "s-1", "s-10"):
        (study / trial / "logs" / "deep").mkdir(parents=True)
        (study / trial / "checkpoint.pt").write_text(trial)
        (study / trial / "logs" / "deep" / "log").write_text(trial)
    (tmp_path / "volume" / "other").mkdir()
    (tmp_path / "volume" / "other" / "precious").write_text("keep")
    return study


def run(folder: Path, *names: str) -> int:
    return main(names, {"HPO_CHECKPOINT_DIR": str(folder)})


def there(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_named_trials_go(folder: Path) -> None:
    assert run(folder, "s-0", "s-10") == 0
    assert there(folder) == {"s-1"}
    assert (folder / "s-1" / "checkpoint.pt").read_text() == "s-1"


def test_again_and_what_never_was(folder: Path) -> None:
    assert [run(folder, "s-0", "s-7") for _ in range(2)] == [0, 0]
    assert run(folder / "absent", "s-0") == 0
    assert there(folder) == {"s-1", "s-10"}


@pytest.mark.parametrize("name", ["..", ".", "", "../other", "s-0/logs", "/etc", "S-0", "s-0\n", "s_0", "-rf"])
def test_what_is_no_trial_s_name_deletes_nothing(folder: Path, name: str) -> None:
    assert run(folder, "s-0", name) == BAD_CONFIG
    assert there(folder) == {"s-0", "s-1", "s-10"}


def test_without_a_folder() -> None:
    assert main(["s-0"], {}) == BAD_CONFIG


def test_links_are_removed_and_never_followed(folder: Path) -> None:
    other = folder.parent / "other"
    (folder / "s-0" / "file").symlink_to(other / "precious")
    (folder / "s-0" / "folder").symlink_to(other)
    (folder / "s-0" / "logs" / "up").symlink_to("../../../other")
    assert run(folder, "s-0") == 0
    assert there(folder) == {"s-1", "s-10"}
    assert (other / "precious").read_text() == "keep"


def test_a_folder_that_is_a_link_is_refused_and_the_others_go(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "s-2").symlink_to("../other")
    assert run(folder, "s-2", "s-1") == FAILED
    assert "s-2: " in capsys.readouterr().err
    assert there(folder) == {"s-0", "s-2", "s-10"}
    assert (folder.parent / "other" / "precious").read_text() == "keep"


def test_it_needs_no_torch() -> None:
    """It must be over in the time that importing torch takes."""
    code = "import sys, hpo_trainer.clean; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
