"""Makes the folder of backgrounds that zoo/blood-cells.onnx was trained with: 60 photos of garments.

    python tools/zoo_backgrounds.py CLOTHING FOLDER

CLOTHING is github.com/alexeygrigorev/clothing-dataset-small (CC0 1.0).
"""

import argparse
import random
from pathlib import Path

from PIL import Image

COUNT = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clothing", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    photos = sorted(map(str, arguments.clothing.glob("train/*/*")))
    arguments.folder.mkdir(parents=True)
    for place, photo in enumerate(random.Random(0).sample(photos, COUNT)):
        Image.open(photo).convert("RGB").save(arguments.folder / f"Background_{place:05d}.jpg", quality=92)


if __name__ == "__main__":
    main()
