"""Names a photo as torchvision's documentation does. Usage: with_torchvision.py WEIGHTS.pth PHOTO."""

import sys

import torch
from PIL import Image
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

weights, photo = sys.argv[1:]
network = mobilenet_v2()
network.load_state_dict(torch.load(weights, weights_only=True))
network.eval()
transform = MobileNet_V2_Weights.IMAGENET1K_V1.transforms()
with torch.inference_mode():
    probabilities = network(transform(Image.open(photo).convert("RGB"))[None]).softmax(1)
print(int(probabilities.argmax()), f"{float(probabilities.max()):.4f}")
