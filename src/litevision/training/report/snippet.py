"""Programs that use a bundle without litevision."""

import json

from litevision.image import Crop

_PROGRAM = """\
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession({path})
about = json.loads(session.get_modelmeta().custom_metadata_map["litevision"])
preprocess = about["preprocess"]
height, width = preprocess["size_hw"]
how = Image.Resampling[preprocess["interpolation"].upper()]
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
{fit}
(scores,) = session.run(["probabilities"], {{"images": np.asarray(photo)[None]}})[0]
for index in np.argsort(-scores)[:5]:
    print(f"{{scores[index]:.4f}} {{about['labels'][index]}}")
"""

_FIT: dict[Crop, str] = {
    "center": """\
size, short = preprocess["resize_px"], min(photo.size)
photo = photo.resize((size * photo.width // short, size * photo.height // short), how)
left, top = round((photo.width - width) / 2), round((photo.height - height) / 2)
photo = photo.crop((left, top, left + width, top + height))""",
    "stretch": "photo = photo.resize((width, height), how)",
    "letterbox": "photo = ImageOps.pad(photo, (width, height), how, color=(114, 114, 114))",
}


def snippet(path: str, crop: Crop) -> str:
    """A Python program that names ``photo.jpg`` with the bundle at ``path``, whose images are cropped by ``crop``."""
    return _PROGRAM.format(path=json.dumps(path), fit=_FIT[crop])


_DETECTION_PROGRAM = """\
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession({path})
about = json.loads(session.get_modelmeta().custom_metadata_map["litevision"])
height, width = about["preprocess"]["size_hw"]
how = Image.Resampling[about["preprocess"]["interpolation"].upper()]
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
{fit}
found = session.run(["boxes", "scores", "classes"], {{"images": np.asarray(image)[None]}})
for box, score, index in zip(*(each[0] for each in found)):
    if score >= about["score_thresholds"][index]:
        box = (box - shift) / scale  # px of the photo
        print(f"{{score:.3f}} {{about['labels'][index]}} {{box.round(1).tolist()}}")
"""

_DETECTION_FIT: dict[Crop, str] = {
    "stretch": """\
image = photo.resize((width, height), how)
scale, shift = np.array([width / photo.width, height / photo.height] * 2), 0""",
    "letterbox": """\
image = ImageOps.pad(photo, (width, height), how, color=(114, 114, 114))
inside = ImageOps.contain(photo, (width, height)).size
scale = np.array([inside[0] / photo.width, inside[1] / photo.height] * 2)
shift = np.array([round((width - inside[0]) / 2), round((height - inside[1]) / 2)] * 2)""",
}


def detection_snippet(path: str, crop: Crop) -> str:
    """A Python program that finds objects in ``photo.jpg`` with the bundle at ``path``."""
    return _DETECTION_PROGRAM.format(path=json.dumps(path), fit=_DETECTION_FIT[crop])
