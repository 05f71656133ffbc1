"""What a file is by its first bytes: an image or a video, whatever its name says."""

import os
import re
import stat
from typing import Literal

Kind = Literal["image", "video"]

HEAD_BYTES = 1024
"""How much of a file's start `kind_of` needs."""

# Of the ISO media format (MP4 and its kin), the brands that stand for still images.
AVIF_BRANDS = (b"avif", b"avis")
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_IMAGE_BRANDS = (*AVIF_BRANDS, *HEIC_BRANDS, b"jp2 ", b"crx ")
_IMAGES = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|BM.{4}\0\0\0\0|II\*\0|MM\0\*|II\+\0|MM\0\+"
    rb"|\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51|P[1-6][\s#]",
    re.DOTALL,
)
_VIDEOS = re.compile(
    rb"\x1a\x45\xdf\xa3|RIFF....AVI |OggS|FLV\x01|\x30\x26\xb2\x75\x8e\x66\xcf\x11|\0\0\x01[\xba\xb3]|YUV4MPEG2 |DHAV"
    rb"|\x06\x0e\x2b\x34\x02\x05\x01\x01|DKIF|\.RMF|\0\0\0\x01[\x09\x40\x67]"
    # QuickTime without a first box that says so.
    rb"|....(moov|mdat|wide|pnot|skip|free)",
    re.DOTALL,
)
# Packets of MPEG transport streams: plain, with a time before each (M2TS), and with parity behind.
_TS_PACKETS = ((0, 188), (4, 192), (0, 204))


def kind_of(head: bytes) -> Kind | None:
    """Tell whether a file's first `HEAD_BYTES` begin an image or a video; None where they begin neither."""
    if head[4:8] == b"ftyp":
        return "image" if head[8:12] in _IMAGE_BRANDS else "video"
    if _IMAGES.match(head):
        return "image"
    if _VIDEOS.match(head) or packet_size(head):
        return "video"
    return None


def kind_of_file(path: str) -> Kind | None:
    """Tell as `kind_of`; None also where there is no regular file, whose reader will say so."""
    try:
        # A pipe is not opened: what is read of it here would be missing later.
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
            return None
        with open(path, "rb") as file:  # noqa: PTH123
            return kind_of(file.read(HEAD_BYTES))
    except (OSError, ValueError):
        return None


def packet_size(head: bytes) -> int | None:
    """Return the bytes of a packet of an MPEG transport stream; None where the head is of another file."""
    for offset, size in _TS_PACKETS:
        starts = range(offset, len(head), size)
        if len(starts) >= 3 and all(head[start] == 0x47 for start in starts):
            return size
    return None
