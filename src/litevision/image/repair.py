"""Files whose pixels are whole, made readable: PNG chunks and JPEG ends that Pillow gives the image up for.

Pillow's own switches for this (``MAX_TEXT_CHUNK``, ``LOAD_TRUNCATED_IMAGES``) hold for the whole process, and the
second one also lets images with missing pixels pass. Here the file's bytes are changed instead, and only where one of
these faults is found.
"""

import re
import zlib
from collections.abc import Iterator

from litevision.image.colour import MOST_PROFILE_BYTES

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_IEND = b"\0\0\0\0IEND\xaeB`\x82"
_MOST_TEXT_BYTES = 1_000_000  # Pillow's limit is 2**20 a chunk, and 64 times that in all
_LEAST_BYTES = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"acTL": 8, b"fcTL": 26, b"tRNS": 1}
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_ORIENTING = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")  # texts that state how to turn the image
_FRAMES_OF_PNG = (b"acTL", b"fcTL", b"fdAT")
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"iCCP", b"eXIf", b"IEND")


class _Chunk:
    __slots__ = ("body_start", "end", "kind", "start")

    def __init__(self, kind: bytes, start: int, body_start: int, end: int) -> None:
        self.kind, self.start, self.body_start = kind, start, body_start
        self.end = end  # of the body; the checksum follows


def tidy_png(data: bytes) -> tuple[bytes, bytes | None]:
    """Leave out optional chunks that are damaged or too large, and put behind the header what tells the orientation.

    Chunks of the pixels are not looked at: damage there stays for Pillow to find.

    Returns:
        The file, the very same bytes where nothing was wrong; and a colour profile that was too long to leave in it.
    """
    kept: list[_Chunk] = []
    moved: list[_Chunk] = []  # states the orientation behind the pixels
    profile: bytes | None = None
    is_same, seen_pixels, is_animated, end_is_cut, text_bytes = True, False, False, False, 0
    for chunk in _chunks(data):
        kind = chunk.kind
        if chunk.end + 4 > len(data) and kind not in (b"IDAT", b"fdAT", b"IHDR", b"PLTE"):
            end_is_cut = True
            break
        seen_pixels |= kind == b"IDAT"
        if kind in _FRAMES_OF_PNG and not (is_animated or (kind == b"acTL" and not seen_pixels)):
            is_same = False
            continue
        if kind[:1].islower() and kind != b"fdAT":
            body = memoryview(data)[chunk.body_start : chunk.end]
            reads, text = _optional(kind, body, data[chunk.end : chunk.end + 4])
            text_bytes += text
            if kind == b"iCCP" and not reads and profile is None:
                profile = _long_profile(bytes(body))
            if not reads or (kind in _TEXTS and text_bytes > _MOST_TEXT_BYTES):
                is_same = False
                continue
            is_animated |= kind == b"acTL"
            if seen_pixels and (kind == b"eXIf" or (kind in _TEXTS and bytes(body[:22]).startswith(_ORIENTING))):
                moved.append(chunk)
                is_same = False
                continue
        kept.append(chunk)
    if is_same and not end_is_cut:
        return data, None
    kept[1:1] = moved
    parts = [data[chunk.start : chunk.end + 4] for chunk in kept]
    return b"".join((_SIGNATURE, *parts, _IEND if end_is_cut else b"")), profile


def bare_png(data: bytes) -> bytes:
    """Leave out every chunk that the still image does not need, such as those of a damaged animation."""
    parts = [data[chunk.start : chunk.end + 4] for chunk in _chunks(data) if chunk.kind in _NEEDED]
    return b"".join((_SIGNATURE, *parts))


def _chunks(data: bytes) -> Iterator[_Chunk]:
    start = len(_SIGNATURE)
    while start + 8 <= len(data):
        length = int.from_bytes(data[start : start + 4], "big")
        chunk = _Chunk(data[start + 4 : start + 8], start, start + 8, start + 8 + length)
        yield chunk
        if chunk.kind == b"IEND" or not chunk.kind.isalpha():
            return
        start = chunk.end + 4


def _optional(kind: bytes, body: memoryview, checksum: bytes) -> tuple[bool, int]:
    """Whether Pillow can read an optional chunk; and the bytes of its text."""
    if len(body) < _LEAST_BYTES.get(kind, 0) or zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(checksum, "big"):
        return False, 0
    if kind == b"iCCP":
        _, _, rest = bytes(body).partition(b"\0")
        return rest[:1] == b"\0" and _unpacked(rest[1:], _MOST_TEXT_BYTES) is not None, 0
    if kind not in _TEXTS:
        return True, 0
    if len(body) > _MOST_TEXT_BYTES:
        return False, 0
    if kind == b"tEXt":
        return True, len(body)
    _, _, rest = bytes(body).partition(b"\0")
    packed = rest[1:] if kind == b"zTXt" else (rest[2:].split(b"\0", 2)[-1] if rest[:1] == b"\1" else b"")
    if kind == b"zTXt" and rest[:1] not in (b"", b"\0"):
        return False, 0
    text = _unpacked(packed, _MOST_TEXT_BYTES) if packed else b""
    return text is not None, max(len(body), len(text or b""))


def _long_profile(body: bytes) -> bytes | None:
    _, _, rest = body.partition(b"\0")
    return _unpacked(rest[1:], MOST_PROFILE_BYTES) or None


def _unpacked(packed: bytes, most: int) -> bytes | None:
    """What was compressed, empty where it is damaged; None where it is longer than ``most``."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, most)
    except zlib.error:
        return b""
    return None if unpacker.unconsumed_tail else text


_SEGMENT = re.compile(rb"\xff+([^\x00\xff])")
_SCAN, _END = 0xDA, 0xD9
_STANDALONE = frozenset((0x01, *range(0xD0, 0xDA)))
_PROGRESSIVE = (0xC2, 0xCA)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ARITHMETIC = 0xC9  # and frames above
# Bits of any kind. Where pixels are missing, they are decoded as pixels, each in its own way.
_FILLINGS = (b"", b"\0" * 64, b"\xaa" * 64, bytes(range(1, 65)))


def ended_jpeg(data: bytes) -> bytes | None:
    """Put the missing end marker behind a JPEG; None where pixels are missing as well, or the marker is there.

    Whether all pixels are there shows by what follows them: the decoder passes over further bits once it has them all,
    and makes pixels of these bits otherwise.
    """
    if not _all_scans_begun(data):
        return None
    from litevision.image.formats import identify

    format_, found = identify(data), set()
    for filling in _FILLINGS:
        image = format_.open(data.rstrip(b"\xff") + filling + b"\xff\xd9")
        found.add(_checksum(image))
        if len(found) > 1:
            return None
    return data.rstrip(b"\xff") + b"\xff\xd9"


def is_too_short(data: bytes, size_wh: tuple[int, int]) -> bool:
    """Whether a JPEG cannot hold the pixels that its header states: each block of 8 x 8 takes a bit at the very least.

    A few bytes would otherwise ask for the memory of a large image, before anybody sees that it is not there.
    Arithmetic coding takes less than a bit, so such files pass. Source: ITU T.81, F.1.2 and G.1.2.
    """
    width, height = size_wh
    if -(-width // 8) * -(-height // 8) <= 8 * len(data):
        return False
    return next((marker for marker, _ in _segments(data) if marker in _FRAMES), 0) < _ARITHMETIC


def _checksum(image: object) -> int:
    from PIL import Image

    assert isinstance(image, Image.Image)
    image.load()
    width, height = image.size
    rows = max(1, 2**22 // width)
    total = 0
    for top in range(0, height, rows):
        total = zlib.crc32(image.crop((0, top, width, min(height, top + rows))).tobytes(), total)
    return total


def keeps_coefficients(data: bytes) -> bool:
    """Whether several scans make one image in a JPEG, so that decoders keep all of it until the last one."""
    components = 0
    for marker, segment in _segments(data):
        if marker in _FRAMES and len(segment) > 5:
            if marker in _PROGRESSIVE:
                return True
            components = segment[5]
        if marker == _SCAN:
            return segment[:1] != bytes((components,))
    return False


def _all_scans_begun(data: bytes) -> bool:
    """Whether a JPEG has a scan for every bit of every coefficient, and no end marker."""
    missing: set[tuple[int, int]] = set()  # (component, coefficient) that is not exact yet
    is_frame_seen = False
    for marker, segment in _segments(data):
        if marker == _END:
            return False
        if marker in _FRAMES and len(segment) > 5:
            is_frame_seen = True
            missing = {(name, number) for name in segment[6::3][: segment[5]] for number in range(64)}
        if marker == _SCAN and segment:
            count = segment[0]
            first, last, bits = (*segment[1 + 2 * count : 4 + 2 * count], 0, 63, 0)[:3]
            if bits & 15 == 0:
                missing -= {(name, number) for name in segment[1::2][:count] for number in range(first, last + 1)}
    return is_frame_seen and not missing


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The markers of a JPEG, and what belongs to each, up to the first one that is cut short."""
    position = 2
    while found := _SEGMENT.search(data, position):
        marker, position = found[1][0], found.end()
        segment = b""
        if marker not in _STANDALONE:
            length = int.from_bytes(data[position : position + 2], "big")
            segment = data[position + 2 : position + length]
            if len(segment) < length - 2:
                return
            position += length
        yield marker, segment
