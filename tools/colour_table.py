"""Measures what storing photos in other colour spaces, with their profiles, does to a network's answers.

    python tools/colour_table.py PHOTOS --weights MOBILENET_V2

Each photo is stored as a JPEG of quality 95 in Display P3, Adobe RGB (1998), ProPhoto and, where --cmyk names a
profile, in CMYK, with the profile in the file; all profiles but that one are made here from published primaries and
gammas. It is answered as it was, as that file, and as that file without its profile. A plain sRGB JPEG shows what
encoding alone does.
Exits with 1 where an answer flips that is not flipped by encoding alone.
"""

import argparse
import io
import struct
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from litevision.hub import load_classifier
from litevision.image import decode

# CIE xy of red, green, blue and white, and gamma; sources: SMPTE EG 432-1, Adobe RGB (1998), ISO 22028-2.
SPACES = {
    "Display P3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3127, 0.3290), 2.2),
    "Adobe RGB": ((0.6400, 0.3300), (0.2100, 0.7100), (0.1500, 0.0600), (0.3127, 0.3290), 563 / 256),
    "ProPhoto": ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), (0.3457, 0.3585), 1.8),
}
D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def matrix_profile(red: object, green: object, blue: object, white: object, gamma: float) -> bytes:
    """An ICC profile, version 2, of three primaries and one gamma."""
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in (red, green, blue, white)]).T  # type: ignore[misc]
    primaries, of_white = xyz[:, :3], xyz[:, 3]
    to_xyz = primaries * np.linalg.solve(primaries, of_white)
    to_d50 = np.linalg.solve(BRADFORD, np.diag(BRADFORD @ D50 / (BRADFORD @ of_white)) @ BRADFORD)
    columns = (to_d50 @ to_xyz).T

    def fixed(values: npt.NDArray[np.float64]) -> bytes:
        return struct.pack(">3i", *(round(value * 65536) for value in values))

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"made\0" + bytes(78)
    bodies = {b"desc": text + bytes(-len(text) % 4), b"wtpt": b"XYZ " + bytes(4) + fixed(D50)}
    bodies |= {
        name: b"XYZ " + bytes(4) + fixed(c) for name, c in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
    }
    bodies |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, data, start = struct.pack(">I", len(bodies)), b"", 128 + 4 + 12 * len(bodies)
    for name, body in bodies.items():
        table += name + struct.pack(">II", start + len(data), len(body))
        data += body
    size = start + len(data)
    header = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(D50) + bytes(48)
    return header + table + data


def stored(photo: Image.Image, profile: bytes | None, mode: str = "RGB") -> bytes:
    """The photo as a JPEG in the profile's space."""
    stream = io.BytesIO()
    if profile is None:
        photo.save(stream, "JPEG", quality=95, subsampling=0)
        return stream.getvalue()
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    moved = ImageCms.profileToProfile(photo, ImageCms.createProfile("sRGB"), target, ImageCms.Intent.PERCEPTUAL, mode)
    assert moved is not None
    moved.save(stream, "JPEG", quality=95, subsampling=0, icc_profile=profile)
    return stream.getvalue()


def without_profile(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    image.load()
    image.info.pop("icc_profile", None)
    return image


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--cmyk", type=Path, help="a CMYK profile")
    parser.add_argument("--most", type=int, default=1000, help="photos")
    arguments = parser.parse_args()
    classifier = load_classifier(arguments.weights)
    paths = [path for path in sorted(arguments.photos.iterdir()) if path.suffix in (".jpg", ".png", ".bmp")]
    photos = [decode(path) for path in paths[: arguments.most]]
    profiles: dict[str, tuple[bytes | None, str]] = {"sRGB, encoded anew": (None, "RGB")}
    profiles |= {name: (matrix_profile(*space), "RGB") for name, space in SPACES.items()}
    if arguments.cmyk:
        profiles["CMYK"] = (arguments.cmyk.read_bytes(), "CMYK")
    classes = len(classifier.labels)

    def scores(images: list[Image.Image | bytes]) -> npt.NDArray[np.float64]:
        rows = np.zeros((len(images), classes))
        for row, found in zip(rows, classifier.predict_batch(images, top=classes), strict=True):
            row[found.index] = found.scores
        return rows

    plain, worse = scores(list(photos)), False
    print(f"{len(photos)} photos; score change of the best class, mean / worst; answers flipped")
    for name, (profile, mode) in profiles.items():
        files = [stored(photo, profile, mode) for photo in photos]
        told = [name]
        for images in (files, [without_profile(file) for file in files]):
            found, best = scores(list(images)), plain.argmax(axis=1)
            change = np.abs(found - plain)[np.arange(len(best)), best]
            flips = int((found.argmax(axis=1) != best).sum())
            off = np.mean(
                [np.abs(np.asarray(decode(a), int) - np.asarray(b)).mean() for a, b in zip(images, photos, strict=True)]
            )
            told.append(f"{off:5.1f} of 255  {change.mean():.3f} / {change.max():.3f}  {flips}")
            worse |= images is files and flips > 0
        print(f"{told[0]:20} profile applied: {told[1]}   ignored: {told[2]}")
    return int(worse)


if __name__ == "__main__":
    sys.exit(main())
