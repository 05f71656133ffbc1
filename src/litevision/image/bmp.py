"""Kinds of BMP that Pillow does not read, rewritten as kinds that it does: colours in bits of any place and number."""

import struct

import numpy as np
import numpy.typing as npt

_FILE_HEADER_BYTES, _INFO_BYTES = 14, 40
_BIT_FIELDS, _JPEG, _PNG, _ALPHA_BIT_FIELDS = 3, 4, 5, 6
_STRIP_ROWS = 256


def plain_bmp(data: bytes) -> bytes | None:
    """Rewrite a BMP whose masks, palette or contents Pillow refuses; None where it is of another kind, or cut short.

    A JPEG or PNG file inside a BMP is returned as it is.
    """
    if len(data) < _FILE_HEADER_BYTES + _INFO_BYTES:
        return None
    offset, header_bytes, width, height = struct.unpack_from("<IIii", data, 10)
    bits, compression, size_bytes = struct.unpack_from("<HII", data, 28)
    if header_bytes < _INFO_BYTES:
        return None
    if compression in (_JPEG, _PNG):
        return data[offset : offset + size_bytes] or None
    if compression not in (_BIT_FIELDS, _ALPHA_BIT_FIELDS) or bits not in (16, 32) or width <= 0 or height == 0:
        return None
    has_alpha = compression == _ALPHA_BIT_FIELDS or header_bytes >= 56
    masks = struct.unpack_from(f"<{3 + has_alpha}I", data, _FILE_HEADER_BYTES + _INFO_BYTES)
    row_bytes = (width * bits // 8 + 3) // 4 * 4
    if len(data) < offset + row_bytes * abs(height):
        return None
    kinds = np.dtype("<u2" if bits == 16 else "<u4")
    rows = np.ndarray((abs(height), width), kinds, data, offset, (row_bytes, kinds.itemsize))
    pixels = np.full((abs(height), width, 4), 255, np.uint8)
    for top in range(0, abs(height), _STRIP_ROWS):
        strip = rows[top : top + _STRIP_ROWS].astype(np.uint32)
        for mask, channel in zip(masks, (2, 1, 0, 3), strict=False):
            if mask or channel != 3:
                pixels[top : top + _STRIP_ROWS, :, channel] = _channel(strip, mask)
    out_masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII4I", 56, width, height, 1, 32, _BIT_FIELDS, 0, 0, 0, 0, 0, *out_masks)
    start = _FILE_HEADER_BYTES + len(header)
    return struct.pack("<2sIHHI", b"BM", start + pixels.nbytes, 0, 0, start) + header + pixels.tobytes()


def _channel(strip: npt.NDArray[np.uint32], mask: int) -> npt.NDArray[np.uint8]:
    """The bits of a mask as 0 to 255."""
    if not mask:
        return np.zeros(strip.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    most = mask >> shift
    values = ((strip & np.uint32(mask)) >> np.uint32(shift)).astype(np.uint64)
    scaled: npt.NDArray[np.uint8] = ((values * 255 + most // 2) // most).astype(np.uint8)
    return scaled


def with_short_palette(data: bytes) -> bytes:
    """Let a BMP state no more colours than its pixels can name."""
    if len(data) < _FILE_HEADER_BYTES + _INFO_BYTES or int.from_bytes(data[14:18], "little") < _INFO_BYTES:
        return data
    bits, colours = struct.unpack_from("<H", data, 28)[0], struct.unpack_from("<I", data, 46)[0]
    if bits > 8 or colours <= 1 << bits:
        return data
    return data[:46] + struct.pack("<I", 1 << bits) + data[50:]
