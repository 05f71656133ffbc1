"""The table of label formats: one row a format, and one module that reads it.

To add a format, write a module with the three functions of `FormatReader` and add its row to `FORMATS`; the help of
the commands, the error messages and the tables of the documentation follow. No row imports anything.
"""

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast

if TYPE_CHECKING:
    from litevision.data.formats.find import Folder
    from litevision.data.listing import Listing

Task = Literal["classification", "detection"]


class FormatReader(Protocol):
    """What the module of a label format offers."""

    def is_labels_file(self, path: Path) -> bool:
        """Whether a file that a user names is of this format, told by its name."""

    def find_labels(self, folder: "Folder") -> Iterable[Path]:
        """The files of a folder that show the labels to be of this format; reads little."""

    def list_labels(self, root: Path, files: Sequence[Path]) -> "Listing":
        """The images and labels at ``root``, the path that the user named.

        Args:
            root: a folder, or a label file.
            files: all that `find_labels` found, best first, or the label file alone.

        Raises:
            DataError: they cannot be read as this format.
        """


@dataclass(frozen=True, slots=True)
class Format:
    """One label format.

    Attributes:
        name: what people call it.
        task: what its labels are for.
        files: what it looks like in a few words, for help and errors.
        layout: the same in Markdown, for the documentation.
        module: the module that reads it, a `FormatReader`.
        folders: a regular expression for the folders to look into, in any case, beside those of splits: a folder of
            classes may hold a million files.
        is_fallback: whether it reads what no other format recognises.
    """

    name: str
    task: Task
    files: str
    layout: str
    module: str
    folders: str = ""
    is_fallback: bool = False

    @property
    def reader(self) -> FormatReader:
        """Its module, imported at first use."""
        return cast(FormatReader, importlib.import_module(self.module))

    @property
    def expected(self) -> str:
        """What it looks like, after its name where people know it by that."""
        return self.files if self.is_fallback else f"{self.name} ({self.files})"


FORMATS: tuple[Format, ...] = (
    Format(
        "Class folders",
        "classification",
        files="a folder of class folders",
        layout="a folder for each class with its images, alone or inside `train`, `val` (or `valid`, `validation`) and "
        "`test` (or `testing`)",
        module="litevision.data.formats.folders",
        is_fallback=True,
    ),
    Format(
        "CSV",
        "classification",
        files="a CSV file with path,label[,split]",
        layout="a file with the columns `path`, `label` and perhaps `split`; paths start at its folder",
        module="litevision.data.formats.csv",
        is_fallback=True,
    ),
    Format(
        "WebDataset",
        "classification",
        files="a folder of .tar shards",
        layout="`.tar` shards, a sample an image and a `.cls` or `.json` of its class; or with class folders in them; "
        "`train` and `val` in their names split them, and `classes.txt` beside them names classes that are numbers",
        module="litevision.data.formats.webdataset",
    ),
    Format(
        "Pascal VOC",
        "detection",
        files="Annotations and JPEGImages",
        layout="an `Annotations/*.xml` for each of `JPEGImages`; `ImageSets/Main/train.txt`, `val.txt` and `test.txt` "
        "split them",
        module="litevision.data.formats.voc",
        folders=r"annotations|jpegimages|images|data|voc(devkit|\d{4})",
    ),
    Format(
        "COCO",
        "detection",
        files="a JSON file with images, annotations and categories",
        layout="a `.json` for each split, or one for all",
        module="litevision.data.formats.coco",
        folders="annotations|images|data",
    ),
    Format(
        "YOLO",
        "detection",
        files="data.yaml, or classes.txt beside images and labels",
        layout="a `.txt` beside each image, or in `labels/` for those in `images/`; class names in `data.yaml` or "
        "`classes.txt`",
        module="litevision.data.formats.yolo",
        folders="labels|images|data|obj_train_data",
    ),
    Format(
        "CVAT",
        "detection",
        files="an XML file of images with shapes",
        layout="CVAT's own XML of images, `annotations.xml`",
        module="litevision.data.formats.cvat",
    ),
    Format(
        "LabelMe",
        "detection",
        files="a JSON file of shapes for each image",
        layout="a `.json` with `shapes` for each image",
        module="litevision.data.formats.labelme",
    ),
    Format(
        "CreateML",
        "detection",
        files="a JSON list of images with coordinates",
        layout="a `.json` for each split, or one for all: a list of images with the centres and sizes of boxes",
        module="litevision.data.formats.create_ml",
    ),
    Format(
        "Label Studio",
        "detection",
        files="a JSON list of tasks",
        layout="its `.json` of tasks (JSON or JSON-MIN); it also exports COCO, VOC and YOLO",
        module="litevision.data.formats.label_studio",
    ),
    Format(
        "VIA",
        "detection",
        files="a JSON or CSV file of regions",
        layout="the VGG Image Annotator's `.json` (project or annotations) or `.csv`",
        module="litevision.data.formats.via",
    ),
    Format(
        "CSV of boxes",
        "detection",
        files="a CSV file with filename,class,xmin,ymin,xmax,ymax",
        layout="a `.csv` with a line for each box, as TensorFlow's tutorials have it; one for each split or for all",
        module="litevision.data.formats.csv_boxes",
    ),
)


def formats_of(task: Task) -> list[Format]:
    """The rows of a task."""
    return [row for row in FORMATS if row.task == task]


def format_names(task: Task) -> str:
    """The names of a task's formats, as in "Pascal VOC, COCO, YOLO, CVAT, LabelMe or CSV of boxes"."""
    return _or([row.name for row in formats_of(task)])


def expected_files(task: Task) -> str:
    """What labels of a task look like, for errors."""
    return _or([row.expected for row in formats_of(task)])


def data_help() -> str:
    """What the ``DATA`` of a command may be, for its help."""
    images = ", ".join(row.files for row in formats_of("classification"))
    return f"{images[0].upper()}{images[1:]}, or boxes: {format_names('detection')}."


def _or(words: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
