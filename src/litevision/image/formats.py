"""Image formats that are read, recognised by content, and what other files are called.

Pillow could open some fifty formats. Those that are read stand in `FORMATS`: each is an image in one file, decoded by
Pillow itself or by libraries in its wheels, and told by its first bytes. Left out on purpose are formats that run a
program or its language (EPS and PDF by Ghostscript, WMF), that hold measurements without a range or are text of any
shape (FITS, GRIB, BUFR, HDF5, SPIDER, IM, IMT, XBM, XPM), and those that need further packages (FPX, MIC).
"""

import contextlib
import importlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageFile

from litevision.errors import ImageError
from litevision.image.faults import AS_PNG, COPY_AGAIN
from litevision.image.magic import AVIF_BRANDS, HEIC_BRANDS, kind_of

EXPECTED = "expected JPEG, PNG, WebP, TIFF, AVIF or another image format"

Frames = Literal["animation", "pages"] | None
_HEAD_BYTES = 4096


@dataclass(eq=False, repr=False)  # every start pays for what dataclasses write
class ImageFormat:
    """A format that is read.

    Attributes:
        name: what messages call it.
        key: Pillow's name of it.
        suffixes: that its files have, in lower case, apart by spaces.
        plugin: the module that registers it with Pillow; imported when a file needs it.
        matches: whether a file is of this format, by its first bytes.
        frames: what its further images are: the frames of an animation, pages, or None where they are no images of
            their own (previews, sizes of an icon, layers).
        extra_bytes: per pixel, held by the decoder beside the decoded pixels; measured as the peak of resident memory
            on 20 megapixels, and rounded up. That of a TIFF depends on its strips.
    """

    name: str
    key: str
    suffixes: str
    plugin: str
    matches: Callable[[bytes], bool]
    frames: Frames = None
    extra_bytes: float = 0.0

    def open(self, data: bytes) -> ImageFile.ImageFile:
        """Open a file of this format by its header; what Pillow raises passes through.

        Raises:
            ImageError: the package that reads it is not installed.
        """
        file = io.BytesIO(data)
        if self.key == "HEIF":
            return _heif_reader()(file)
        if self.key not in Image.OPEN:
            importlib.import_module(self.plugin)
            if self.key == "TIFF":
                _silence_libtiff()
        factory, _ = Image.OPEN[self.key]
        return factory(file, "")


def format_of(image: Image.Image) -> ImageFormat | None:
    """Return the format that Pillow read an image from; None for one from no file, or of a format that is not read."""
    key = "JPEG" if image.format == "MPO" else image.format  # a JPEG with further images behind it
    return next((format_ for format_ in FORMATS if format_.key == key), None)


def identify(data: bytes) -> ImageFormat:
    """Return the format of a file, by its content.

    Raises:
        ImageError: of no format that is read; the message says what it is instead, where that can be told.
    """
    for format_ in FORMATS:
        if format_.matches(data):
            return format_
    head = data[:_HEAD_BYTES]
    for matches, what, advice in _OTHERS:
        if matches(head):
            raise ImageError(f"{what}; {EXPECTED}. {advice}".rstrip())
    raise ImageError(f"not an image that can be read; {EXPECTED}.")


def _starts(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(magics)


def _riff(kind: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(b"RIFF") and data[8:12] == kind


def _brands(data: bytes) -> frozenset[bytes]:
    """The brands of an ISO base media file: what it is, and what else it may be read as."""
    if data[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(data[:4], "big"), len(data))
    return frozenset(data[start : start + 4] for start in (8, *range(16, end - 3, 4)))


def _is_branded(*brands: bytes) -> Callable[[bytes], bool]:
    return lambda data: not _brands(data).isdisjoint(brands)


def _is_bmp(data: bytes) -> bool:
    return data.startswith(b"BM") and 12 <= int.from_bytes(data[14:18], "little") <= 255


def _is_dib(data: bytes) -> bool:
    """Whether it is a BMP without its file header, as a clipboard holds it."""
    bits = int.from_bytes(data[14:16], "little")
    return data.startswith((b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0")) and (
        data[12:14] == b"\1\0" and bits in (1, 4, 8, 16, 24, 32)
    )


def _is_icon(kind: int) -> Callable[[bytes], bool]:
    # Kind, number of images, and of the first: a reserved byte, and a place behind the table.
    return lambda data: (
        data[:4] == bytes((0, 0, kind, 0))
        and 0 < int.from_bytes(data[4:6], "little") <= 1024
        and int.from_bytes(data[18:22], "little") >= 22
    )


def _is_netpbm(data: bytes) -> bool:
    return re.match(rb"P[1-6f][\s#]", data) is not None


def _is_pcx(data: bytes) -> bool:
    return len(data) > 128 and data[0] == 10 and data[1] in (0, 2, 3, 5) and data[2] < 2 and data[3] in (1, 2, 4, 8)


def _is_sgi(data: bytes) -> bool:
    return data.startswith(b"\x01\xda") and data[2] in (0, 1) and data[3] in (1, 2)


def _is_fli(data: bytes) -> bool:
    return data[4:6] in (b"\x11\xaf", b"\x12\xaf") and data[14:16] in (b"\0\0", b"\3\0") and data[20:22] == b"\0\0"


def _is_tga(data: bytes) -> bool:
    """Whether the first 18 bytes make sense as a Targa header, which has no magic, and the pixels could be there."""
    if len(data) < 18:
        return False
    kind, has_map, bits = data[2], data[1], data[16]
    width, height = int.from_bytes(data[12:14], "little"), int.from_bytes(data[14:16], "little")
    if not width or not height or has_map > 1 or data[17] & 0xC0:
        return False
    if kind in (1, 9):
        sane = has_map == 1 and bits == 8 and data[7] in (15, 16, 24, 32)
    elif kind in (2, 10):
        sane = bits in (15, 16, 24, 32)
    else:
        sane = kind in (3, 11) and bits in (1, 8, 16)
    # A packet of run lengths stands for 128 pixels at most.
    least = width * height * bits // 8 if kind < 8 else width * height * (1 + bits // 8) // 128
    return sane and len(data) - 18 >= least // 2  # half: one that is cut short is a Targa image still


def _plugin(key: str) -> str:
    return f"PIL.{key}ImagePlugin"


# The common ones first. The last ones are told by little, and so only where no other format is.
FORMATS: tuple[ImageFormat, ...] = (
    ImageFormat("JPEG", "JPEG", ".jpg .jpeg .jpe .jfif .jfi .mpo", _plugin("Jpeg"), _starts(b"\xff\xd8\xff")),
    ImageFormat("PNG", "PNG", ".png .apng", _plugin("Png"), _starts(b"\x89PNG"), "animation"),
    ImageFormat("WebP", "WEBP", ".webp", _plugin("WebP"), _riff(b"WEBP"), "animation", 13),
    ImageFormat("GIF", "GIF", ".gif", _plugin("Gif"), _starts(b"GIF8"), "animation", 4),
    ImageFormat("BMP", "BMP", ".bmp .dib", _plugin("Bmp"), _is_bmp),
    ImageFormat(
        "TIFF",
        "TIFF",
        ".tif .tiff",
        _plugin("Tiff"),
        _starts(b"II*\0", b"MM\0*", b"MM*\0", b"II+\0", b"MM\0+"),
        "pages",
    ),
    ImageFormat("AVIF", "AVIF", ".avif .avifs", _plugin("Avif"), _is_branded(*AVIF_BRANDS), "animation", 10),
    ImageFormat("HEIC", "HEIF", ".heic .heif .hif", "pi_heif", _is_branded(*HEIC_BRANDS), None, 10),
    ImageFormat(
        "JPEG 2000",
        "JPEG2000",
        ".jp2 .j2k .jpx .jpf .j2c .jpc",
        _plugin("Jpeg2K"),
        _starts(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
        None,
        16,
    ),
    ImageFormat("PPM", "PPM", ".ppm .pgm .pbm .pnm .pfm", _plugin("Ppm"), _is_netpbm, None, 2),
    ImageFormat("PSD", "PSD", ".psd .psb", _plugin("Psd"), _starts(b"8BPS")),
    ImageFormat("ICO", "ICO", ".ico", _plugin("Ico"), _is_icon(1), None, 8),
    ImageFormat("CUR", "CUR", ".cur", _plugin("Cur"), _is_icon(2), None, 8),
    ImageFormat("ICNS", "ICNS", ".icns", _plugin("Icns"), _starts(b"icns"), None, 8),
    ImageFormat("DDS", "DDS", ".dds", _plugin("Dds"), _starts(b"DDS "), None, 8),
    ImageFormat("QOI", "QOI", ".qoi", _plugin("Qoi"), _starts(b"qoif"), None, 8),
    ImageFormat("SGI", "SGI", ".sgi .rgb .rgba .bw", _plugin("Sgi"), _is_sgi, None, 8),
    ImageFormat("BLP", "BLP", ".blp", _plugin("Blp"), _starts(b"BLP1", b"BLP2"), None, 8),
    ImageFormat("FTEX", "FTEX", ".ftc .ftu", _plugin("Ftex"), _starts(b"FTEX"), None, 8),
    ImageFormat("GIMP brush", "GBR", ".gbr", _plugin("Gbr"), lambda data: data[20:24] == b"GIMP", None, 8),
    ImageFormat("Sun raster", "SUN", ".ras .sun .im1", _plugin("Sun"), _starts(b"\x59\xa6\x6a\x95"), None, 8),
    ImageFormat("DCX", "DCX", ".dcx", _plugin("Dcx"), _starts(b"\xb1\x68\xde\x3a"), "pages"),
    ImageFormat("MSP", "MSP", ".msp", _plugin("Msp"), _starts(b"DanM", b"LinS"), None, 8),
    ImageFormat("PIXAR", "PIXAR", ".pxr", _plugin("Pixar"), _starts(b"\200\350\0\0")),
    ImageFormat("PCD image", "PCD", ".pcd", _plugin("Pcd"), lambda data: data[2048:2052] == b"PCD_"),
    ImageFormat("FLI", "FLI", ".fli .flc", _plugin("Fli"), _is_fli, "animation"),
    ImageFormat("DIB", "DIB", ".dib .bmp", _plugin("Bmp"), _is_dib),
    ImageFormat("PCX", "PCX", ".pcx", _plugin("Pcx"), _is_pcx),
    ImageFormat("TGA", "TGA", ".tga .icb .vda .vst", _plugin("Tga"), _is_tga),
)


def _heif_reader() -> Callable[[io.BytesIO], ImageFile.ImageFile]:
    try:
        from pi_heif import HeifImageFile  # not registered with Pillow: that would change it for everybody else
    except ImportError:
        raise ImageError(
            "a HEIC image, which needs a package that is not installed. Install it with: pip install 'litevision[heic]'"
        ) from None
    reader: Callable[[io.BytesIO], ImageFile.ImageFile] = HeifImageFile
    return reader


def _silence_libtiff() -> None:
    """Keep libtiff from printing its errors on standard error; Pillow, which raises them, silences its warnings."""
    import ctypes
    import logging

    from PIL import _imaging

    # It logs what it raises as well; where nobody has set up logging, Python prints that.
    logging.getLogger("PIL.TiffImagePlugin").addHandler(logging.NullHandler())
    with contextlib.suppress(AttributeError, OSError):  # a Pillow that has libtiff inside itself, or none
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def _is_video(data: bytes) -> bool:
    return kind_of(data) == "video"


def _begins(pattern: bytes) -> Callable[[bytes], bool]:
    return lambda data: re.match(pattern, data, re.IGNORECASE | re.DOTALL) is not None


# What people try that is not read: whether it is one, what to call it, what to do.
_OTHERS: tuple[tuple[Callable[[bytes], bool], str, str], ...] = (
    (_is_video, "a video, not an image", "Give its name a video's suffix, such as .mp4."),
    (_starts(b"%PDF"), "a PDF file, which is not read", "Save its pages as PNG first."),
    (_starts(b"%!PS", b"\xc5\xd0\xd3\xc6"), "a PostScript file, which is not read", AS_PNG),
    (
        _begins(rb"(\xef\xbb\xbf)?\s*(<\?xml.*?)?(<!--.*?-->\s*)?(<!doctype svg[^>]*>\s*)?<svg"),
        "an SVG drawing, which is not read",
        AS_PNG,
    ),
    (
        _begins(rb"(\xef\xbb\xbf)?\s*(<!doctype html|<html)"),
        "a web page, as failed downloads leave",
        "Download it again.",
    ),
    (_starts(b"version https://git-lfs"), "a Git LFS pointer in place of the file", "Fetch it with 'git lfs pull'."),
    (_starts(b"\xff\x0a", b"\0\0\0\x0cJXL "), "a JPEG XL file, which is not read", AS_PNG),
    (
        _starts(b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"IIU\0"),
        "a camera's raw file, which is not read",
        "Develop it to JPEG first.",
    ),
    (lambda data: b"crx " in _brands(data), "a camera's raw file, which is not read", "Develop it to JPEG first."),
    (_starts(b"v/1\1"), "an OpenEXR file, which is not read", AS_PNG),
    (_starts(b"#?RADIANCE", b"#?RGBE"), "a Radiance HDR file, which is not read", AS_PNG),
    (lambda data: data[128:132] == b"DICM", "a DICOM file, which is not read", AS_PNG),
    (_starts(b"SIMPLE  ="), "a FITS file, which is not read", AS_PNG),
    (_starts(b"PF\n", b"PF\r", b"PF "), "a colour PFM file, which is not read", AS_PNG),
    (_begins(rb"P7\s"), "a PAM file, which is not read", AS_PNG),
    (_starts(b"gimp xcf"), "a GIMP file (XCF), which is not read", AS_PNG),
    (_starts(b"\xd7\xcd\xc6\x9a", b"\1\0\0\0"), "a Windows metafile, which is not read", AS_PNG),
    (_starts(b"\x93NUMPY"), "a NumPy array's file; give the array itself", AS_PNG),
    (_riff(b"WAVE"), "a sound file, not an image", ""),
    (_starts(b"ID3", b"fLaC"), "a sound file, not an image", ""),
    (lambda data: data[257:262] == b"ustar", "an archive, not an image", "Unpack it first."),
    (_starts(b"\xd0\xcf\x11\xe0"), "an OLE document (Office, FPX, MIC), which is not read", AS_PNG),
    (_starts(b"\x89HDF", b"GRIB", b"BUFR"), "a file of measurements, which is not read", AS_PNG),
    (_starts(b"PK\3\4", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf"), "an archive, not an image", "Unpack it first."),
    (_starts(b"\0\5\x16\7"), "what macOS keeps beside a file, not the file", "Delete it, or copy the file itself."),
    (_starts(b"RIFF"), "damaged or cut short (a RIFF file that is no WebP image)", COPY_AGAIN),
    (_starts(b"BM", b"\xff\xd8"), "damaged or cut short (its header cannot be read)", COPY_AGAIN),
)
