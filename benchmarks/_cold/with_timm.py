"""Names a photo as timm's documentation does. Usage: with_timm.py WEIGHTS.pth PHOTO."""

import sys

import timm
import torch
from PIL import Image

weights, photo = sys.argv[1:]
network = timm.create_model("mobilenetv2_100", checkpoint_path=weights).eval()
transform = timm.data.create_transform((3, 224, 224), interpolation="bilinear", crop_pct=0.875)
with torch.inference_mode():
    probabilities = network(transform(Image.open(photo).convert("RGB"))[None]).softmax(1)
print(int(probabilities.argmax()), f"{float(probabilities.max()):.4f}")
