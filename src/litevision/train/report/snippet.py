"""A program that classifies with a bundle and without litevision."""

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
    """A Python program that names ``photo.jpg`` with the bundle at ``path``, whose pictures are cropped by ``crop``."""
    return _PROGRAM.format(path=json.dumps(path), fit=_FIT[crop])
