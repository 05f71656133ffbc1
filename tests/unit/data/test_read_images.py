from collections.abc import Sequence
from pathlib import Path

import pytest

from litevision.data import LabelledImages, read_images
from litevision.errors import DataError, FileMissingError, LitevisionError, UsageError


def touch(root: Path, names: Sequence[str]) -> Path:
    """Files that nobody opens, each with bytes of its own."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def found(data: LabelledImages) -> list[tuple[str, str, str]]:
    folder = data.root if data.root.is_dir() else data.root.parent
    return [
        (sample.path.relative_to(folder).as_posix(), data.classes[sample.label], sample.split)
        for sample in data.samples
    ]


def test_split_folders_by_any_of_their_names(tmp_path: Path) -> None:
    names = ["Train/cat/1.jpg", "Train/dog/2.PNG", "VALID/dog/3.webp", "testing/cat/4.gif", "testing/cat/a.jpeg"]
    data = read_images(touch(tmp_path, names))
    assert found(data) == [
        ("Train/cat/1.jpg", "cat", "train"),
        ("Train/dog/2.PNG", "dog", "train"),
        ("VALID/dog/3.webp", "dog", "validation"),
        ("testing/cat/4.gif", "cat", "test"),
        ("testing/cat/a.jpeg", "cat", "test"),
    ]
    assert (data.classes, data.made_splits) == (("cat", "dog"), False)
    assert [data.counts(split) for split in ("train", "validation", "test")] == [(1, 1), (0, 1), (2, 0)]


def test_hidden_files_and_what_systems_leave_are_passed_over(tmp_path: Path) -> None:
    names = ["train/cat/1.jpg", "train/dog/2.jpg", "val/dog/3.jpg"]
    left = ["train/cat/._1.jpg", "train/.git/4.jpg", "train/cat/Thumbs.db", "__MACOSX/5.jpg", "train/@eaDir/6.jpg"]
    assert [name for name, *_ in found(read_images(touch(tmp_path, [*names, *left])))] == names


def test_what_is_skipped_is_an_issue(tmp_path: Path) -> None:
    data = read_images(
        touch(tmp_path, ["val/cat/1.jpg", "val/dog/2.jpg", "train/cat/3.jpg", "train/4.jpg", "more/5.jpg"])
    )
    assert [(issue.rule, issue.path) for issue in data.issues] == [
        ("outside-class", tmp_path / "train/4.jpg"),
        ("unused-folder", tmp_path / "more"),
    ]


def test_a_folder_of_classes_is_split(tmp_path: Path) -> None:
    touch(tmp_path, [f"{label}/{number}.jpg" for label in ("cat", "dog") for number in range(40)])
    data = read_images(tmp_path)
    assert data.made_splits
    assert [data.counts(split) for split in ("train", "validation", "test")] == [(32, 32), (4, 4), (4, 4)]
    assert read_images(tmp_path, seed=0) == data
    assert read_images(tmp_path, seed=1) != data
    halves = read_images(tmp_path, fractions=(0.5, 0.25, 0.25))
    assert [halves.counts(split) for split in ("train", "validation", "test")] == [(20, 20), (10, 10), (10, 10)]


def test_the_splits_do_not_depend_on_where_the_folder_is(tmp_path: Path) -> None:
    names = [f"{label}/{number}.jpg" for label in ("cat", "dog") for number in range(40)]
    assert found(read_images(touch(tmp_path / "here", names))) == found(read_images(touch(tmp_path / "b/c", names)))


def test_a_table_and_a_folder_are_split_alike(tmp_path: Path) -> None:
    names = [f"{label}/{number}.jpg" for label in ("cat", "dog") for number in range(40)]
    touch(tmp_path, names)
    rows = "".join(f"{name},{name[:3]}\n" for name in reversed(names))
    (tmp_path / "list.csv").write_text(f"path,label\n{rows}")
    assert found(read_images(tmp_path / "list.csv")) == found(read_images(tmp_path))


def test_copies_stay_in_train(tmp_path: Path) -> None:
    touch(tmp_path, [f"{label}/{number}.jpg" for label in ("cat", "dog") for number in range(40)])
    before = read_images(tmp_path)
    tested = before.of("test")[0].path
    copied = (tmp_path / "dog" / "copy.jpg", tested)
    copied[0].write_bytes(tested.read_bytes())
    after = {sample.path: sample.split for sample in read_images(tmp_path).samples}
    assert [after[path] for path in copied] == ["train", "train"]


def test_validation_is_carved_out_of_train_and_test_stays_as_it_is(tmp_path: Path) -> None:
    touch(tmp_path, [f"train/{label}/{number}.jpg" for label in ("cat", "dog") for number in range(45)])
    touch(tmp_path, ["test/cat/t.jpg"])
    data = read_images(tmp_path)
    assert data.made_splits
    assert [data.counts(split) for split in ("train", "validation", "test")] == [(40, 40), (5, 5), (1, 0)]
    more = read_images(tmp_path, fractions=(0.6, 0.2, 0.2))  # a quarter of train and validation together
    assert [more.counts(split) for split in ("train", "validation", "test")] == [(34, 34), (11, 11), (1, 0)]
    whole = read_images(tmp_path, fractions=(0.9, 0.0, 0.1))
    assert (whole.counts("train"), whole.made_splits) == ((45, 45), False)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    touch(tmp_path, ["train/1.jpg", "bus/2.jpg", "car/3.jpg"])
    data = read_images(tmp_path)
    assert (data.classes, data.counts("train")) == (("bus", "car", "train"), (1, 1, 1))


def test_one_split_alone_can_be_read(tmp_path: Path) -> None:
    data = read_images(touch(tmp_path, ["test/cat/1.jpg", "test/dog/2.jpg"]))
    assert (data.counts("test"), data.of("train")) == ((1, 1), ())


def test_an_empty_class_is_a_class(tmp_path: Path) -> None:
    touch(tmp_path, ["cat/1.jpg", "dog/2.jpg"])
    (tmp_path / "eel").mkdir()
    data = read_images(tmp_path)
    assert (data.classes, data.counts("train")) == (("cat", "dog", "eel"), (1, 1, 0))


def test_a_table_with_splits(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere/4.jpg"
    (tmp_path / "data.csv").write_text(
        "\ufeffLabel, Path ,split,who\n"
        "dog,b/2.jpg,val,me\n"
        'cat,"b/1,x.jpg",Train,me\n'
        "\n"
        " dog ,b/3.jpg,train,me\n"
        f"cat,{elsewhere},testing\n"
    )
    data = read_images(tmp_path / "data.csv")
    assert [(sample.path, data.classes[sample.label], sample.split) for sample in data.samples] == [
        (tmp_path / "b/1,x.jpg", "cat", "train"),
        (tmp_path / "b/3.jpg", "dog", "train"),
        (tmp_path / "b/2.jpg", "dog", "validation"),
        (elsewhere, "cat", "test"),
    ]
    assert not data.made_splits


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"data\.csv: an empty file; expected a CSV file whose first line names the columns path,label"),
        ("what,class\n1.jpg,cat\n", r"data\.csv: the first line is 'what,class'; expected .* columns path,label"),
        ("path label\n1.jpg cat\n", r"the first line is 'path_label'; expected"),
        ("path,label\n", r"data\.csv: no rows below the line of column names"),
        ("path,label\n1.jpg,cat\n2.jpg\n", r"data\.csv, line 3: no label\. Fill it in or remove the line"),
        ("path,label\n,cat\n", r"line 2: no path\."),
        ("path,label,split\n1.jpg,cat,holdout\n", r"line 2: split 'holdout'; expected train, validation .* test"),
        ("path,label,split\n1.jpg,cat\n", r"line 2: split ''; expected train"),
        ("path,label\n1.jpg,cat\n2.jpg,cat\n", r"data\.csv: one class alone, 'cat'; expected two at least"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", r"data\.csv: no text in UTF-8; expected a CSV file"),
        (b"PK\3\4\0\0\0\0", r"data\.csv: no CSV file; expected a CSV file"),
        ("x" * 200_000, r"data\.csv: no CSV file \(field larger than field limit"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str | bytes, message: str) -> None:
    (tmp_path / "data.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message) as raised:
        read_images(tmp_path / "data.csv")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], r": an empty folder; expected one folder for each class with its images inside, or train"),
        ([".hidden/1.jpg"], r": an empty folder; expected"),
        (["1.jpg", "2.jpg"], r": 2 images but no class folders; expected one folder for each class .* CSV file"),
        (["train/1.jpg"], r": 'train' are called as splits are, and hold images but no class folders; expected"),
        (["train/1.jpg", "valid/2.jpg", "cat/3.jpg"], r": 'train' and 'valid' are called as splits are"),
        (["images/1.jpg", "annots/2.jpg"], r": 'annots' is what a folder of images or labels is called, and no class"),
        (["a/x/1.jpg", "b/y/1.jpg"], r": no images in its class folders 'a', 'b'; they lie a level deeper, such"),
        (["a/1.xml", "b/1.jpg"], r": 1 of the 1 files in 'a' look like labels of boxes, but not"),
        (["train/cat/1.jpg", "train/cat/2.jpg"], r": one class alone, 'cat'; expected two at least"),
        (["cat/notes.pdf", "dog/x.pdf"], r": no images in its class folders 'cat', 'dog'; looked for \.jpg"),
        (["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "valid/a/1.jpg"], "val and valid are both folders of the"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        read_images(touch(tmp_path, names))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("path", "message"), [("none", "none: No such file"), ("a\0b", "no path")])
def test_nothing_there(tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(FileMissingError, match=message):
        read_images(tmp_path / path)


def test_fractions_are_looked_at_first(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"sum to 0\.9"):
        read_images(tmp_path / "none", fractions=(0.7, 0.1, 0.1))


def test_a_data_error_is_a_value_error_of_ours() -> None:
    assert issubclass(DataError, ValueError)
    assert issubclass(DataError, LitevisionError)
