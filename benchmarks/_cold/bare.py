"""The least that names a photo: onnxruntime, numpy and Pillow. Usage: bare.py MODEL.onnx PHOTO."""

import sys

import numpy as np
import onnxruntime
from PIL import Image

model, photo = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
image = Image.open(photo).convert("RGB")
short = min(image.size)
width, height = int(256 * image.width / short), int(256 * image.height / short)
left, top = round((width - 224) / 2), round((height - 224) / 2)
image = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224))
[probabilities] = session.run(None, {"images": np.asarray(image)[None]})
print(probabilities[0].argmax(), f"{probabilities[0].max():.4f}")
