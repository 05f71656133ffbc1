"""Boxes in the forms of other programs, those that are read and those that are named."""

import json
from pathlib import Path
from typing import Any

from labelled_boxes import Scene, scenes, write_image
from training_cases.case import Build, case

SCENES = scenes(20, 0, 0)
_HELD = "20 images with 60 boxes of 2 classes"


def write_images(root: Path) -> None:
    for scene in SCENES:
        write_image(root / "images" / f"{scene.name}.png", scene)


def one_file(name: str, content: object) -> Build:
    """The scenes' images, and one file; what is no text becomes JSON."""

    def build(root: Path) -> None:
        write_images(root)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content if isinstance(content, str) else json.dumps(content))

    return build


def each_file(place: str, content: Any) -> Build:
    """The scenes' images, and a file for each, whose name ``place`` gives; what is no text becomes JSON."""

    def build(root: Path) -> None:
        write_images(root)
        for scene in SCENES:
            file = root / place.format(name=scene.name)
            file.parent.mkdir(parents=True, exist_ok=True)
            text = content(scene)
            file.write_text(text if isinstance(text, str) else json.dumps(text))

    return build


def create_ml() -> list[Any]:
    return [
        {
            "image": f"{scene.name}.png",
            "annotations": [
                {
                    "label": label,
                    "coordinates": {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "width": x2 - x1, "height": y2 - y1},
                }
                for label, x1, y1, x2, y2 in scene.boxes
            ],
        }
        for scene in SCENES
    ]


def percent(x1: float, y1: float, x2: float, y2: float) -> dict[str, object]:
    return {"x": x1 / 0.64, "y": y1 / 0.48, "width": (x2 - x1) / 0.64, "height": (y2 - y1) / 0.48, "rotation": 0}


_SIZE = {"original_width": 64, "original_height": 48}


def label_studio() -> list[Any]:
    return [
        {
            "id": number,
            "data": {"image": f"/data/upload/1/0a1b2c3d-{scene.name}.png"},
            "annotations": [
                {
                    "result": [
                        {**_SIZE, "type": "rectanglelabels", "value": {**percent(*box), "rectanglelabels": [label]}}
                        for label, *box in scene.boxes
                    ]
                }
            ],
        }
        for number, scene in enumerate(SCENES)
    ]


def label_studio_short() -> list[Any]:
    return [
        {
            "image": f"/data/local-files/?d=images/{scene.name}.png",
            "id": number,
            "label": [{**percent(*box), "rectanglelabels": [label], **_SIZE} for label, *box in scene.boxes],
        }
        for number, scene in enumerate(SCENES)
    ]


def regions(scene: Scene) -> list[dict[str, dict[str, object]]]:
    return [
        {
            "shape_attributes": {"name": "rect", "x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1},
            "region_attributes": {"kind": label},
        }
        for label, x1, y1, x2, y2 in scene.boxes
    ]


def via() -> dict[str, object]:
    return {
        f"{scene.name}.png123": {"filename": f"{scene.name}.png", "size": 123, "regions": regions(scene)}
        for scene in SCENES
    }


def via_csv() -> str:
    rows = ["filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"]
    for scene in SCENES:
        for place, region in enumerate(regions(scene)):
            shape, attributes = (json.dumps(part).replace('"', '""') for part in region.values())
            rows.append(f'{scene.name}.png,123,"{{}}",3,{place},"{shape}","{attributes}"')
    return "\n".join(rows)


def boxes_csv(header: str, row: str) -> str:
    lines = [
        row.format(name=scene.name, label=label, x1=x1, y1=y1, x2=x2, y2=y2)
        for scene in SCENES
        for label, x1, y1, x2, y2 in scene.boxes
    ]
    return "\n".join([header, *lines])


def open_images() -> str:
    rows = [
        f"{scene.name},xclick,{label},1,{x1 / 64},{x2 / 64},{y1 / 48},{y2 / 48},0,0"
        for scene in SCENES
        for label, x1, y1, x2, y2 in scene.boxes
    ]
    return "\n".join(["ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated", *rows])


def cvat() -> str:
    images = "".join(
        f'<image id="{number}" name="{scene.name}.png" width="64" height="48">'
        + "".join(
            f'<box label="{label}" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}"/>'
            for label, x1, y1, x2, y2 in scene.boxes
        )
        + "</image>"
        for number, scene in enumerate(SCENES)
    )
    return f"<annotations><version>1.1</version>{images}</annotations>"


def labelme(scene: Scene) -> object:
    shapes = [
        {"label": label, "points": [[x1, y1], [x2, y2]], "shape_type": "rectangle"}
        for label, x1, y1, x2, y2 in scene.boxes
    ]
    return {"shapes": shapes, "imagePath": f"{scene.name}.png", "imageHeight": 48, "imageWidth": 64}


_TF = "filename,width,height,class,xmin,ymin,xmax,ymax", "{name}.png,64,48,{label},{x1},{y1},{x2},{y2}"
case("CreateML", f"{_HELD} (CreateML)")(one_file("_annotations.createml.json", create_ml()))
case("Label Studio's JSON", f"{_HELD} (Label Studio)")(one_file("project-1.json", label_studio()))
case("Label Studio's short JSON", f"{_HELD} (Label Studio)")(one_file("project-1.json", label_studio_short()))
case("VIA's JSON", f"{_HELD} (VIA)")(one_file("via_region_data.json", via()))
case("VIA's project", f"{_HELD} (VIA)")(one_file("via_project.json", {"_via_img_metadata": via(), "_via_settings": {}}))
case("VIA's CSV", f"{_HELD} (VIA)")(one_file("via.csv", via_csv()))
case("a CSV of boxes", f"{_HELD} (CSV of boxes)")(one_file("labels.csv", boxes_csv(*_TF)))
case("a CSV of boxes with semicolons", f"{_HELD} (CSV of boxes)")(
    one_file("labels.csv", boxes_csv(*_TF).replace(",", ";"))
)
case("Open Images", f"{_HELD} (CSV of boxes)")(one_file("train-annotations-bbox.csv", open_images()))
case("CVAT's XML", f"{_HELD} (CVAT)")(one_file("annotations.xml", cvat()))
case("LabelMe", f"{_HELD} (LabelMe)")(each_file("images/{name}.json", labelme))
case("LabelMe in its own folder", f"{_HELD} (LabelMe)")(each_file("jsons/{name}.json", labelme))

_KITTI = "Car 0.00 0 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n"
case("Supervisely", "")(each_file("ann/{name}.png.json", lambda scene: {"objects": [{"classTitle": "cell"}]}))
case("VoTT", "")(one_file("vott-json-export/a.json", {"name": "x", "assets": {"1": {"regions": []}}}))
case("Labelbox", "")(one_file("export.ndjson", '{"data_row": {"id": "a"}}\n'))
case("BDD100K", "")(one_file("labels/det.json", [{"name": "a", "labels": [{"box2d": {"x1": 1}}]}]))
case("DOTA", "")(each_file("labelTxt/{name}.txt", lambda scene: "1.0 2.0 9 2 9 8 1 8 plane 0\n"))
case("KITTI", "")(each_file("label_2/{name}.txt", lambda scene: _KITTI))
case("SageMaker", "")(one_file("output.manifest", '{"source-ref": "s3://a/b.png"}\n'))
case("TFRecord", "")(one_file("train.tfrecord", "binary"))
case("a video of CVAT", "")(one_file("annotations.xml", "<annotations><track id='1' label='a'></track></annotations>"))
