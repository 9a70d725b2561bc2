"""``hpo_trainer.data.check``: faults are gathered and named, leaks found, and sound data left alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from hpo_trainer.data.check import Report, check, main, text
from hpo_trainer.data.split import main as split
from trainer.support import decathlon_folder, image_folder, open_folder, save_volume, segmentation_archive, unprivileged
from trainer.test_dicom import save as save_dicom


def split_file(root: Path, *rows: str, header: str = "class,file,split") -> Path:
    (root / "s.csv").write_text("\n".join([header, *rows]))
    return root


def problems(report: Report) -> str:
    return "\n".join(report.problems)


def test_a_sound_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image_folder(tmp_path, classes=2, count=8)
    assert main([str(tmp_path)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"{tmp_path}: a folder for each class, for classification"
    assert shown[1:3] == ["images    16, 0 unreadable", "size      16 x 16"]
    assert shown[-3:-1] == [f"class     {i} class{i}: 8 images (default: train 6, val 2)" for i in (0, 1)]
    assert shown[-1] == "no problem found"


def test_everything_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segmentation_archive(tmp_path / "a.npz")
    assert main([str(tmp_path / "a.npz"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    with np.load(tmp_path / "a.npz") as archive:
        images, masks = archive["images"], archive["masks"]
    assert document["task"] == "segmentation"
    assert document["values"] == [images.min(), images.max()]
    assert document["sizes"] == [[20, 20, 20], [24, 24, 24]]
    rim = document["classes"][1]
    assert (rim["name"], rim["label"], rim["items"], rim["voxels"]) == ("1", 1, 16, int((masks == 1).sum()))
    assert rim["sides"]["fold 3"] == {"train": 12, "val": 4}
    assert document["problems"] == document["unreadable"] == document["notes"] == []


def test_unreadable_files_are_all_named_and_the_rest_is_counted(tmp_path: Path) -> None:
    image_folder(tmp_path, classes=2, count=8)
    (tmp_path / "class0/003.png").write_bytes(b"")
    (tmp_path / "class1/004.png").write_bytes((tmp_path / "class1/005.png").read_bytes()[:-30])
    report = check(tmp_path)
    assert report.exit_code == 1
    assert [line.removeprefix(f"{tmp_path}/").split(":")[0] for line in report.unreadable] == [
        "class0/003.png", "class1/004.png",
    ]  # fmt: skip
    assert "the file is empty" in report.unreadable[0]
    assert [c.items for c in report.classes] == [7, 7]
    assert text(report).splitlines()[-1] == "2 unreadable, 0 problems"


# ------------------------------------------------------------------------------------------------------------- leaks


def test_the_same_image_on_two_sides_whatever_its_file_format(tmp_path: Path) -> None:
    image_folder(tmp_path, classes=2, count=8)
    assert check(tmp_path).problems == ()
    copy = tmp_path / "class0/007.png"  # validates; its bytes differ from 000.png's, its pixels do not
    Image.open(tmp_path / "class0/000.png").save(copy, compress_level=0)
    report = check(tmp_path)
    assert report.problems == (
        "the same image on two sides (train and val; default): class0/000.png, class0/007.png; keep one",
    )
    assert report.exit_code == 1
    assert report.notes == ()


def test_slices_that_are_left_out_leak_nothing(tmp_path: Path) -> None:
    with np.load(segmentation_archive(tmp_path / "a.npz")) as archive:
        arrays = dict(archive)
    for name in ("images", "masks"):
        arrays[name][7] = arrays[name][0]
    arrays["groups"][7] = -1
    np.savez(tmp_path / "a.npz", **arrays)
    report = check(tmp_path / "a.npz")
    assert report.problems == ()
    assert report.notes == ("the same image more than once: images[0], images[7]",)


def test_images_of_another_shape_are_other_images(tmp_path: Path) -> None:
    image_folder(tmp_path, classes=2, count=8)
    for i, shape in enumerate(((4, 16), (8, 8))):
        Image.fromarray(np.arange(64, dtype=np.uint8).reshape(shape)).save(tmp_path / f"class0/00{i}.png")
    assert check(tmp_path).notes == ()


def test_black_slices_are_not_the_same_image(tmp_path: Path) -> None:
    image_folder(tmp_path, classes=2, count=8)
    for name in ("class0/000.png", "class0/007.png", "class1/003.png"):
        Image.fromarray(np.zeros((16, 16), dtype=np.uint8)).save(tmp_path / name)
    report = check(tmp_path)
    assert report.exit_code == 0
    assert [note.split(":")[0] for note in report.notes] == ["class0/000.png", "class0/007.png", "class1/003.png"]


def test_the_test_images_of_a_split_file_are_compared_too(tmp_path: Path) -> None:
    image_folder(tmp_path, classes=2, count=3)
    shutil.copy(tmp_path / "class1/000.png", tmp_path / "class1/002.png")
    rows = [f"class{c},00{i}.png,{side}" for c in (0, 1) for i, side in enumerate(("train", "val", "test"))]
    split_file(tmp_path, *rows)
    assert "on two sides (test and train; split): class1/000.png, class1/002.png" in problems(check(tmp_path, "s.csv"))


def test_an_image_twice_on_one_side_is_a_note(tmp_path: Path) -> None:
    image_folder(tmp_path, classes=2, count=8)
    shutil.copy(tmp_path / "class0/000.png", tmp_path / "class0/001.png")
    report = check(tmp_path)
    assert report.exit_code == 0
    assert report.notes == ("the same image more than once: class0/000.png, class0/001.png",)


def test_an_image_of_two_classes(tmp_path: Path) -> None:
    image_folder(tmp_path, classes=2, count=8)
    shutil.copy(tmp_path / "class0/000.png", tmp_path / "class1/001.png")
    assert problems(check(tmp_path)) == (
        "the same image with different labels: class0/000.png, class1/001.png; correct one"
    )


def test_patients_on_two_sides_by_name_column_and_header(tmp_path: Path) -> None:
    named, listed, dicom = (image_folder(tmp_path / n, classes=2, count=4) for n in ("named", "listed", "dicom"))
    for i in range(4):
        (named / f"class0/00{i}.png").rename(named / f"class0/scan_Patient{i // 3}_{i}.png")
    (named / "class0/scan_Patient1_3.png").rename(named / "class0/scan_patient0_3.png")
    assert problems(check(named)) == (
        "patient patient0 on two sides (train and val; default): class0/scan_Patient0_0.png, class0/scan_patient0_3.png"
    )
    sides = ("train", "train", "val", "val")
    rows = [f"class{c},00{i}.png,{sides[i]},p{c}{i // 3}" for c in (0, 1) for i in range(4)]
    split_file(listed, *rows, header="class,file,split,patient")
    assert [p.split(" (")[0] for p in check(listed, "s.csv").problems] == [
        "patient p00 on two sides", "patient p10 on two sides",
    ]  # fmt: skip
    for i, picture in enumerate(sorted(dicom.rglob("*.png"))):
        save_dicom(picture.with_suffix(".dcm"), np.asarray(Image.open(picture)), PatientID=f"p{i // 2}")
        picture.unlink()
    assert [p.split(" (")[0] for p in check(dicom).problems] == ["patient p1 on two sides", "patient p3 on two sides"]


def test_the_pattern_of_names_can_be_given(tmp_path: Path) -> None:
    image_folder(tmp_path, classes=2, count=8)
    assert "patient 00 on two sides" in problems(check(tmp_path, patient=r"^(00)\d"))


def test_cases_of_one_patient_in_several_folds(tmp_path: Path) -> None:
    folder = decathlon_folder(tmp_path, cases=4)
    document = json.loads((folder / "dataset.json").read_text())
    for i, pair in enumerate(document["training"]):
        for kind in ("image", "label"):
            name = pair[kind].replace(f"case_{i}", f"sub-{i // 3}_ses-{i}")
            (folder / pair[kind]).rename(folder / name)
            pair[kind] = name
    (folder / "dataset.json").write_text(json.dumps(document))
    found = check(folder).problems
    assert len(found) == 3  # sub-0 has three of four cases, each of which validates in a fold of its own
    assert all(p.startswith(f"patient sub-0 on two sides (train and val; fold {k})") for k, p in enumerate(found))


# ----------------------------------------------------------------------------------------------------------- volumes


def test_a_decathlon_folder(tmp_path: Path) -> None:
    report = check(decathlon_folder(tmp_path))
    assert report.exit_code == 0
    assert report.sizes == ((20, 20, 20), (24, 24, 24), (6, 7.5, 9))
    assert report.spacings == ((1, 1, 1),) * 3
    assert [c.name for c in report.classes] == ["background", "rim", "inner core"]
    assert "volumes   4, 0 unreadable" in text(report)


def test_missing_and_broken_volumes_do_not_hide_the_rest(tmp_path: Path) -> None:
    decathlon_folder(tmp_path)
    (tmp_path / "labelsTr/case_0.nii.gz").unlink()
    (tmp_path / "imagesTr/case_1.nii.gz").write_bytes(b"")
    save_volume(tmp_path / "labelsTr/case_2.nii.gz", np.full((20, 24, 8), 9, dtype=np.uint8))
    report = check(tmp_path)
    assert report.items == 1
    assert [line.rsplit("/", 1)[1] for line in report.unreadable] == [
        "case_0.nii.gz: no such file",
        "case_1.nii.gz: the file is empty (0 bytes); copy it again or leave it out",
        "case_2.nii.gz: label 9 is none of the 3 classes 0 to 2; correct one",
    ]


def test_a_class_that_a_fold_lacks(tmp_path: Path) -> None:
    with np.load(segmentation_archive(tmp_path / "a.npz")) as archive:
        arrays = dict(archive)
    arrays["masks"][:12] = np.minimum(arrays["masks"][:12], 1)  # label 2 is left in group 3 alone
    np.savez(tmp_path / "a.npz", **arrays)
    assert check(tmp_path / "a.npz").problems == (
        "class '2' occurs nowhere on the side val of fold 0",
        "class '2' occurs nowhere on the side val of fold 1",
        "class '2' occurs nowhere on the side val of fold 2",
        "class '2' occurs nowhere on the side train of fold 3",
    )


def test_what_may_be_right_is_a_note(tmp_path: Path) -> None:
    decathlon_folder(tmp_path, cases=8)
    save_volume(tmp_path / "labelsTr/case_1.nii.gz", np.zeros((20, 24, 7), dtype=np.uint8))
    save_volume(tmp_path / "imagesTr/case_2.nii.gz", np.full((20, 24, 8), 5.0))
    save_volume(tmp_path / "imagesTr/case_8.nii.gz", np.zeros((20, 24, 8)))
    image: Any = nibabel.Nifti1Image
    for folder in ("imagesTr", "labelsTr"):
        path = tmp_path / folder / "case_3.nii.gz"
        loaded: Any = nibabel.load(path)
        nibabel.save(image(np.asarray(loaded.dataobj), np.diag([1.0, 1, 5, 1])), path)
    report = check(tmp_path)
    assert report.exit_code == 0
    assert report.notes == (
        "imagesTr/case_2.nii.gz: all values are 5",
        "imagesTr/case_1.nii.gz: no foreground voxel",
        "spacing along Z from 1 to 5 mm: only resampling evens it out",
        "imagesTr/case_8.nii.gz: no part of the data set",
    )


# -------------------------------------------------------------------------------------------------- layout and usage


def test_layouts_that_are_not_understood(tmp_path: Path) -> None:
    segmentation_archive(tmp_path / "brain.npz")
    report = check(tmp_path)
    assert report.exit_code == 1
    assert report.problems[1] == f"did you mean {tmp_path / 'brain.npz'}?"
    (tmp_path / "x.npz").write_bytes(b"")
    assert "x.npz: the file is empty" in problems(check(tmp_path / "x.npz"))


def test_one_class_and_an_empty_one(tmp_path: Path) -> None:
    image_folder(tmp_path, classes=1)
    assert problems(check(tmp_path)) == "expected at least two classes, found class0"
    (tmp_path / "class1").mkdir()
    (tmp_path / "class1/scan.tif").write_bytes(b"II")
    report = check(tmp_path)
    assert "class 'class1' occurs nowhere on the side train of default" in report.problems
    assert report.notes == ("class1/scan.tif: no part of the data set",)


def pictures() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """16 images of two classes, of which the last is the first again."""
    images = np.random.default_rng(0).integers(0, 255, (16, 8, 8), dtype=np.uint8)
    images[15] = images[0]
    labels = np.arange(16) % 2
    labels[15] = labels[0]
    return images, labels


def test_archives_of_pictures_with_groups(tmp_path: Path) -> None:
    images, labels = pictures()
    np.savez(tmp_path / "g.npz", images=images, labels=labels, groups=[0, 0, *range(2, 15), 15])
    assert "(train and val; default): images[0], images[15]" in problems(check(tmp_path / "g.npz"))


@pytest.mark.parametrize("last", ["val", "test"])
def test_medmnist_archives_are_compared_with_their_test_images(tmp_path: Path, last: str) -> None:
    images, labels = pictures()
    order = ["train", *sorted({"val", "test"} - {last}), last]
    bounds = dict(zip(order, (slice(8), slice(8, 12), slice(12, None)), strict=True))
    arrays = {f"{s}_{kind}": a[of] for s, of in bounds.items() for kind, a in (("images", images), ("labels", labels))}
    np.savez(tmp_path / "m.npz", **arrays)
    report = check(tmp_path / "m.npz")
    where = " and ".join(sorted(("train", last)))
    assert report.problems == (
        f"the same image on two sides ({where}; arrays): train_images[0], {last}_images[3]; keep one",
    )
    assert report.items == 16
    assert report.classes[0].sides["arrays"] == {s: int((labels[of] == 0).sum()) for s, of in bounds.items()}


def test_cases_outside_a_listed_fold_are_the_test_side(tmp_path: Path) -> None:
    decathlon_folder(tmp_path, cases=4)
    for folder in ("imagesTr", "labelsTr"):
        shutil.copy(tmp_path / folder / "case_0.nii.gz", tmp_path / folder / "case_3.nii.gz")
    folds = [{"train": ["case_0", "case_1"], "val": ["case_2"]}]
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    assert problems(check(tmp_path)) == (
        "the same image on two sides (test and train; fold 0): imagesTr/case_0.nii.gz, imagesTr/case_3.nii.gz; keep one"
    )


@pytest.mark.parametrize("command", [main, split])
def test_what_this_user_may_not_see(capsys: pytest.CaptureFixture[str], command: Callable[[list[str]], int]) -> None:
    with open_folder() as folder:
        data = image_folder(folder / "data", classes=2)
        (data / "class1").chmod(0)
        with unprivileged():
            assert command([str(data)]) == 1
        shown = capsys.readouterr()
        assert f"{data}/class1: cannot be read as a folder: Permission denied; let" in shown.out + shown.err
        data.chmod(0)
        with unprivileged(), pytest.raises(SystemExit) as ended:
            command([str(data / "class1")])
        data.chmod(0o755)
        (data / "class1").chmod(0o755)
    assert ended.value.code == 2
    assert "class1: no such f" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["absent"], "absent: no such file or folder"),
        ([".", "--split-file", "none.csv"], "no such file: none.csv"),
        ([".", "--split-file", "s.csv", "--split-column", "mine"], "HPO_CONFIG.splitColumn: expected a column 'mine'"),
        ([".", "--patient", "(a"], "is no regular expression"),
        ([".", "--patient", "a"], "expected a group in parentheses"),
        ([], "the following arguments are required: DIR"),
    ],
)
def test_usage(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(split_file(image_folder(tmp_path, classes=2)))
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
