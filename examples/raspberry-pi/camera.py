"""Says what the camera of a Raspberry Pi sees, or what images show: python camera.py MODEL [IMAGE...]

Needs `pip install .` of litevision, without any extra, and for the camera Debian's `python3-picamera2`. Apache-2.0.
"""

import sys
import time
from collections.abc import Iterator
from typing import Any

import litevision


def frames() -> Iterator[Any]:
    """Gives what the camera sees now, RGB, uint8[H, W, 3]."""
    from picamera2 import Picamera2

    camera = Picamera2()
    camera.configure(camera.create_video_configuration({"format": "BGR888", "size": (640, 480)}))  # its name for RGB
    camera.start()
    while True:
        yield camera.capture_array()


model = litevision.load(sys.argv[1])
for image in sys.argv[2:] or frames():
    started = time.perf_counter()
    found = model.predict(image)
    print(f"{1e3 * (time.perf_counter() - started):.0f} ms", found, sep="\n", flush=True)
