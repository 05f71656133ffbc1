"""Mutations of files, at random but repeatable: of bytes, of text, and of the structure of the formats that are read.

A blind change seldom passes a checksum, a length or a parser. Those of a structure therefore take a file apart, change
a part, and put it together with the lengths and checksums that belong to it.
"""

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any

Mutation = Callable[[bytes, Random], bytes]

BYTES = (b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\x80")
NUMBERS = (0, 1, -1, 2, 127, 255, 256, 65535, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, -(2**63), 10**18, 10**400)
TEXTS = (
    *("", " ", "\0", "\n", "\t", "\r", "\ud800", "\u202e", "\ufeff", "é", "日本", "💥", "\x1b[31m", "[/b]", "=1+1"),
    *("nan", "inf", "-inf", "1e400", "-0", "1e-400", "0x10", "1_000", "٣", "true", "null", "../../x", "/", "a" * 300),
    *("9" * 5000, "[" * 3000, "..", ".", ",", ";", '"', "'", "<a>", "&x;", "{}", "[]", "%s", "\\", ":", "#", "*", "&i"),
)
VALUES: tuple[Any, ...] = (
    *NUMBERS,
    *TEXTS,
    None,
    True,
    0.5,
    -1.5,
    1e308,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    [{}],
)
_TOKEN = re.compile(r"\s+|[\w.+-]+|.", re.DOTALL)
_DEEP = 3000  # levels, beyond what Python's recursion takes


def mutate_bytes(data: bytes, random: Random) -> bytes:
    """One to eight changes without regard to the format: bytes set, removed, repeated, moved, or cut off."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        place = random.randrange(len(changed) + 1)
        span = min(random.choice((1, 1, 2, 4, 16, 256)), len(changed) - place)
        kind = random.randrange(8)
        if kind == 0 and place < len(changed):
            changed[place] ^= 1 << random.randrange(8)
        elif kind == 1 and place < len(changed):
            changed[place] = random.randrange(256)
        elif kind == 2:
            written = random.choice(BYTES)
            changed[place : place + len(written)] = written
        elif kind == 3:
            del changed[place : place + span]
        elif kind == 4:
            changed[place:place] = changed[place : place + span] * random.choice((1, 2, 16))
        elif kind == 5:
            changed[place:place] = random.randbytes(random.choice((1, 4, 64)))
        elif kind == 6 and random.random() < 0.3:
            del changed[place:]
        else:
            width, order = random.choice((2, 4, 8)), random.choice("<>")
            number = random.choice(NUMBERS[:-2]) % 2 ** (8 * width)
            written = struct.pack(f"{order}{ {2: 'H', 4: 'I', 8: 'Q'}[width] }", number)
            changed[place : place + width] = written
    return bytes(changed)


def mutate_text(data: bytes, random: Random) -> bytes:
    """One to five words of a text removed, repeated, moved, or replaced; or a whole line of it."""
    text = data.decode("utf-8", "surrogateescape")
    for _ in range(random.choice((1, 1, 2, 5))):
        parts = text.splitlines(keepends=True) if random.random() < 0.2 else _TOKEN.findall(text)
        if not parts:
            break
        place = random.randrange(len(parts))
        kind = random.randrange(6)
        if kind == 0:
            del parts[place]
        elif kind == 1:
            parts[place] *= random.choice((2, 3, 100))
        elif kind == 2:
            other = random.randrange(len(parts))
            parts[place], parts[other] = parts[other], parts[place]
        elif kind == 3:
            parts[place] = str(random.choice(NUMBERS[:-1]))
        else:
            parts[place] = random.choice(TEXTS)
        text = "".join(parts)
    return text.encode("utf-8", "surrogatepass" if "\ud800" in text else "surrogateescape")


def mutate_numbers(data: bytes, random: Random) -> bytes:
    """One to three whole numbers of a text changed to others that could stand there."""
    found = list(re.finditer(rb"(?<![\w.])-?\d{1,9}(?![\w.])", data))
    changed = bytearray(data)
    for match in sorted(random.sample(found, min(len(found), random.choice((1, 1, 2, 3)))), key=lambda it: -it.start()):
        number = int(match[0])
        other = random.choice((number + 1, number - 1, 2 * number, number // 2, -number, *NUMBERS[:10]))
        changed[match.start() : match.end()] = b"%d" % other
    return bytes(changed)


def mutate_json(data: bytes, random: Random) -> bytes:
    """One to three values of a JSON document replaced, removed, repeated, nested, or put under another name."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_text(data, random)
    for _ in range(random.choice((1, 1, 2, 3))):
        places = list(_places(found))
        if places:
            _change(*random.choice(places), random)
    text = json.dumps(found)
    if random.random() < 0.01:
        text = f'{{"a": {"[" * _DEEP}{"]" * _DEEP}, "b": {text}}}'
    return text.encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container within ``value`` with each of its keys."""
    keys = range(len(value)) if isinstance(value, list) else list(value) if isinstance(value, dict) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _change(holder: Any, key: Any, random: Random) -> None:
    kind = random.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, list):
        holder[key:key] = [holder[key]] * random.choice((1, 1, 100))
    elif kind == 1:
        holder[random.choice(TEXTS)] = holder.pop(key)
    elif kind == 2:
        holder[key] = random.choice(([holder[key]], {"a": holder[key]}, str(holder[key])))
    else:
        holder[key] = random.choice(VALUES)


def mutate_protobuf(data: bytes, random: Random) -> bytes:
    """A field of a message, or of one within it, removed, repeated, moved, retyped, or changed; lengths are mended."""
    fields = list(_protobuf_fields(data))
    if not fields or random.random() < 0.02:
        return mutate_bytes(data, random)
    place = random.randrange(len(fields))
    number, wire, value = fields[place]
    kind = random.randrange(10)
    if isinstance(value, bytes) and kind < 7 and _is_message(value):
        fields[place] = number, wire, mutate_protobuf(value, random)
    elif kind == 7:
        del fields[place]
    elif kind == 8:
        fields[place:place] = [fields[place]] * random.choice((1, 1, 20))
    elif kind == 9:
        fields[place] = random.choice((random.randrange(1, 30), number)), random.choice((0, 1, 2, 5)), value
    elif isinstance(value, int):
        fields[place] = number, wire, random.choice((value + 1, value ^ 1, abs(random.choice(NUMBERS[:-1])))) % 2**64
    else:
        text = random.choice(TEXTS[:-3]).encode("utf-8", "surrogatepass")
        fields[place] = number, wire, random.choice((mutate_bytes(value, random), mutate_text(value, random), text))
    return b"".join(_protobuf_field(*field) for field in fields)


def _is_message(value: bytes) -> bool:
    return len(value) > 1 and next(_protobuf_fields(value), None) is not None


def _protobuf_fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """The fields of a message, none where it is none."""
    found: list[tuple[int, int, int | bytes]] = []
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if wire == 0:
            integer, position = _varint(data, position)
            found.append((number, wire, integer))
            continue
        length, position = _varint(data, position) if wire == 2 else ({1: 8, 5: 4}.get(wire, len(data) + 1), position)
        if not number or position + length > len(data):
            return
        found.append((number, wire, data[position : position + length]))
        position += length
    yield from found


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data):
        value |= (data[position] & 0x7F) << shift
        shift, position = shift + 7, position + 1
        if data[position - 1] < 0x80:
            return value, position
    return 0, len(data)


def _protobuf_field(number: int, wire: int, value: int | bytes) -> bytes:
    key = _as_varint(number << 3 | wire)
    if wire == 0:
        return key + _as_varint(value if isinstance(value, int) else len(value))
    content = value if isinstance(value, bytes) else value.to_bytes(9, "little")
    if wire == 2:
        return key + _as_varint(len(content)) + content
    return key + content[: 8 if wire == 1 else 4].ljust(8 if wire == 1 else 4, b"\0")


def _as_varint(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def of_png_chunks(data: bytes, random: Random) -> bytes:
    """A chunk of a PNG removed, repeated, renamed or changed, with the checksum that belongs to it."""
    head, position, chunks = data[:8], 8, []
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        chunks.append((data[position + 4 : position + 8], data[position + 8 : position + 8 + length]))
        position += 12 + length
    if not chunks:
        return mutate_bytes(data, random)
    place = random.randrange(len(chunks))
    name, content = chunks[place]
    if name == b"IDAT" and random.random() < 0.5:
        with suppress(zlib.error):  # changed before
            content = zlib.compress(mutate_bytes(zlib.decompressobj().decompress(content, 10**6), random))
    else:
        content = mutate_bytes(content, random)
    chunks[place] = name, content
    kind = random.randrange(6)
    if kind == 0:
        del chunks[place]
    elif kind == 1:
        chunks[place:place] = [chunks[place]]
    elif kind == 2:
        names = (
            b"iTXt",
            b"zTXt",
            b"iCCP",
            b"eXIf",
            b"tRNS",
            b"PLTE",
            b"acTL",
            b"fcTL",
            b"fdAT",
            b"gAMA",
            b"pHYs",
            b"sRGB",
        )
        chunks.insert(place, (random.choice(names), content))
    return head + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def of_font_table(data: bytes, random: Random) -> bytes:
    """A table of a TrueType or OpenType font changed, mostly that of its letters, with its length mended."""
    tables = [data[start : start + 16] for start in range(12, 12 + 16 * int.from_bytes(data[4:6], "big"), 16)]
    found = [struct.unpack(">4sIII", table) for table in tables if len(table) == 16]
    if not found:
        return mutate_bytes(data, random)
    letters = [row for row in found if row[0] == b"cmap"]
    tag, check, offset, length = random.choice(letters) if letters and random.random() < 0.7 else random.choice(found)
    changed = mutate_bytes(data[offset : offset + length], random)
    row = struct.pack(">4sIII", tag, check, len(data), len(changed))
    place = 12 + 16 * found.index((tag, check, offset, length))
    return data[:place] + row + data[place + 16 :] + changed


def within_zip(change: Mutation) -> Mutation:
    """``change`` of one member of an archive, which is written anew with the right sizes and checksums."""

    def mutate(data: bytes, random: Random) -> bytes:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = [(name, archive.read(name)) for name in archive.namelist()]
        except Exception:  # no archive any more, by another change
            return mutate_bytes(data, random)
        place = random.randrange(len(members))
        name, content = members[place]
        members[place] = random.choice((name, name, name, name + "x")), change(content, random)
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as archive:
            for name, content in members:
                archive.writestr(name, content)
        return written.getvalue()

    return mutate


def of_safetensors_header(data: bytes, random: Random) -> bytes:
    """A value of the JSON header changed, with its length mended."""
    (length,) = struct.unpack_from("<Q", data.ljust(8, b"\0"))
    header = mutate_json(data[8 : 8 + length], random)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def mutate(data: bytes, mutations: tuple[Mutation, ...], random: Random) -> bytes:
    """One of ``mutations``, sometimes several on top of each other."""
    for _ in range(random.choice((1, 1, 1, 2))):
        data = random.choice(mutations)(data, random)
    return data
