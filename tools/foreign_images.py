"""Counts what becomes of a folder of foreign images: answered, refused in one line, or anything worse.

    python tools/foreign_images.py FOLDER [--lines]

Every file below the folder, whatever its name, is opened and made a network's input of. Pillow's own test images, the
folder Tests/images of its source distribution, are a good one: there are formats, kinds and faults of all sorts in it.
Exits with 1 where anything but a `LitevisionError` of one line was raised, or an image took over 10 s.
"""

import sys
import time
from collections import Counter
from pathlib import Path

from litevision.errors import LitevisionError
from litevision.image import Preprocess
from litevision.image.decode import opening

MOST_S = 10.0
PREPROCESS = Preprocess((224, 224), 256)


def outcome(path: Path) -> tuple[str, str]:
    """What becomes of one file, and what is said of it."""
    try:
        with opening(path) as image:
            PREPROCESS(image)
            return "answered", image.image.format or ""
    except LitevisionError as error:
        return ("refused", str(error)) if "\n" not in str(error) else ("WORSE", "more than one line")
    except Exception as error:
        return "WORSE", f"{path}: {type(error).__name__}: {error}"


def main() -> int:
    folder, lines = Path(sys.argv[1]), "--lines" in sys.argv[2:]
    counts, formats, slow = Counter[str](), Counter[str](), []
    for path in sorted(it for it in folder.rglob("*") if it.is_file()):
        start = time.perf_counter()
        kind, said = outcome(path)
        counts[kind] += 1
        if kind == "answered":
            formats[said] += 1
        elif lines or kind == "WORSE":
            print(f"{kind}: {said}")
        if time.perf_counter() - start > MOST_S:
            slow.append(path)
    print(dict(counts), dict(formats.most_common()))
    print("over 10 s:", [str(path) for path in slow] or "none")
    return int(bool(counts["WORSE"] or slow))


if __name__ == "__main__":
    sys.exit(main())
