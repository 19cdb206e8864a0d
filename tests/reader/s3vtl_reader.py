#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Restores a cartridge of s3vtl from its bucket. Written from vtl/FORMAT.md alone; shares no code with the program.

    s3vtl_reader.py --dir PATH [--prefix P] [--barcode B] [--list] [--out DIRECTORY]
    s3vtl_reader.py --s3 URL --bucket NAME --credentials FILE [--region R] [--ca FILE] [--prefix P] [--barcode B] ...

Without --barcode: names the cartridges. --list: prints the block sizes of each tape file. --out: writes each tape file to
file-00000, file-00001, ... in an empty directory. Every CRC is checked in any case. --head NAME takes this head and not the
winning one; --chain takes none, and follows the segments' headers. --leans: which segments of other cartridges each segment
leans on, and which cartridges may lean on this one, by head and maps.
"""

import argparse
import json
import os
import re
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
from crc32c import crc32c  # noqa: E402
from stores import S3, Dir, NotFound, StoreError  # noqa: E402

LIMIT = 1 << 62
MAX_BLOCK = 8 << 20
NAME = re.compile(r"[0-9]{8}-[0-9a-f]{8}-[0-9]{10}\Z")
BLOCK, FILEMARKS, CHUNKS, SOURCES = 1, 2, 3, 4
ZSTD, AES, PIECES = 1, 2, 4
LITERAL = 0xFFFFFFFF
KEYS = []  # of --key


class Damaged(Exception):
    pass


def need(condition, text):
    if not condition:
        raise Damaged(text)


def check_crc(data, want, what):
    is_ = crc32c(data)
    need(is_ == want, f"{what}: CRC is {is_:08x}, should be {want:08x}")


def parse_name(name):
    need(isinstance(name, str) and NAME.match(name), f"{name!r} is no name")
    epoch, writer, number = name.split("-")
    return int(epoch), int(writer, 16), int(number)


def format_name(epoch, writer, number):
    return f"{epoch:08d}-{writer:08x}-{number:010d}"


class Segment:
    """What a head or map says of a segment; objects and filemarks are the used ones."""

    def __init__(self, name, first_object, first_file, objects, filemarks, size, crc=0):
        self.name, self.first_object, self.first_file = name, first_object, first_file
        self.objects, self.filemarks, self.size, self.crc = objects, filemarks, size, crc
        self.leans = []  # Lean

    @property
    def end(self):
        return self.first_object + self.objects


class Lean:
    """A segment of another cartridge that is copied from."""

    def __init__(self, source, name, size, crc):
        (self.barcode, self.cartridge), self.name, self.size, self.crc = source, name, size, crc
        parse_name(name)
        need(re.match(r"[A-Za-z0-9_][A-Za-z0-9._-]{1,31}\Z", self.barcode), f"{self.barcode!r} is no barcode")
        need(size and 0 < crc < 1 << 32, f"{self.barcode}, segment {name}: size {size}, CRC {crc}")


# ---- heads ----


def open_json(data, what):
    lines = data.split(b"\n")
    need(len(lines) == 3 and not lines[2], f"{what}: not two lines")
    need(re.match(rb'\{"crc32c":"[0-9a-f]{8}"\}\Z', lines[1]), f"{what}: second line is no CRC")
    check_crc(lines[0] + b"\n", int(lines[1][11:19], 16), what)
    try:
        return json.loads(lines[0])
    except ValueError as e:
        raise Damaged(f"{what}: {e}") from None


def numbers(row, count, what):
    good = isinstance(row, list) and len(row) == count
    need(good and all(type(v) is int and 0 <= v <= LIMIT for v in row), f"{what}: {row!r} is not {count} numbers")
    return row


def check_bound(data, crc, what):
    """The object's last four bytes are what its name was given with. 0: that is not known."""
    is_ = struct.unpack_from("<I", data, len(data) - 4)[0]
    need(crc in (0, is_), f"{what}: is another one: its CRC is {is_:08x}, should be {crc:08x}")


class Head:
    def __init__(self, data, barcode, name):
        what = f"head {name}"
        j = open_json(data, what)
        version = j.get("version")
        need(version in (1, 2, 3, 4), f"{what}: format version {version!r}; this reader knows versions 1 to 4")
        crcs = min(version - 1, 1)  # how many of them a row has
        inside = format_name(j["epoch"], int(j["writer"], 16), j["n"])
        need(inside == name and j["barcode"] == barcode, f"{what}: says of itself that it is {inside} of {j['barcode']}")
        need(j["claim"] is False, f"{what}: is a claim, without state")
        host, gateway, claimed = j.get("host", "-"), j.get("gateway", "00000001"), j.get("claimed", 0)
        need(isinstance(host, str) and re.match(r"[ -~]{1,64}\Z", host), f"{what}: host {host!r}")
        good = isinstance(gateway, str) and re.match(r"[0-9a-f]{8}\Z", gateway) and int(gateway, 16)
        need(good, f"{what}: gateway {gateway!r}")
        numbers([claimed], 1, what)
        self.cartridge = bytes.fromhex(j["cartridge"])
        self.end_object, self.end_file = numbers([j["end_object"], j["end_file"]], 2, what)
        self.maps = []
        for row in j["maps"]:
            parse_name(row[0])
            self.maps.append((row[0], *numbers(row[1:], 3 + crcs, what), 0)[:5])
        self.segments = []
        for row in j["segments"]:
            parse_name(row[0])
            values = numbers(row[1:], 6 + crcs, what)
            self.segments.append(Segment(row[0], *values[:5], *values[6:]))
        self.filemarks = [tuple(numbers(row, 2, what)) for row in j["filemarks"]]
        self.leaners, self.removed, self.kept = [], False, []
        if version == 4:
            for lock in (j["retention"], j.get("object_lock", j["retention"])):
                need(lock["mode"] in ("governance", "compliance") and lock["until"] > 0, f"{what}: retention")
        if version >= 3:
            self.take_leans(j, what)

    def take_leans(self, j, what):
        need(isinstance(j["at_rest"], bool), f"{what}: at_rest {j['at_rest']!r}")
        sources = [(barcode, bytes.fromhex(id)) for barcode, id in j.get("sources", [])]
        before = 0
        for segment, source, name, size, crc in j.get("leans", []):
            numbers([segment, source, size, crc], 4, what)
            need(before <= segment < len(self.segments) and source < len(sources), f"{what}: lean on {name}: no such place")
            self.segments[segment].leans.append(Lean(sources[source], name, size, crc))
            before = segment
        for source, name, size, crc in j.get("pending", []):
            numbers([source, size, crc], 3, what)
            need(source < len(sources), f"{what}: pending {name}: no such source")
            Lean(sources[source], name, size, crc)
        for barcode, id, epoch, writer, n in j.get("leaners", []):
            parse_name(format_name(epoch, int(writer, 16), n))
            need(len(bytes.fromhex(id)) == 16, f"{what}: leaner {barcode}: {id!r} is no cartridge")
            self.leaners.append(barcode)
        self.removed, self.kept = j.get("removed", False), j.get("kept", [])
        for name in self.kept:
            parse_name(name)
        need(not self.removed or not (self.maps or self.segments), f"{what}: is removed, and has segments")


def winning_head(store, barcode, wanted):
    where = f"tapes/{barcode}/head/"
    for _ in range(5):
        names = [wanted] if wanted else [k[len(where) :] for k in store.list(where)]
        complete = [n for n in names if NAME.match(n) and parse_name(n)[2] > 0]
        need(complete, f"{where}: no complete head")
        best = max(complete, key=parse_name)
        try:
            return Head(store.get(where + best), barcode, best)
        except NotFound:
            continue  # its writer committed the next one
    raise Damaged(f"{where}: heads vanish as fast as they are listed")


# ---- maps, and all segments of a tape ----


def read_map(data, cartridge, name, n_used):
    what = f"map {name}"
    need(len(data) >= 104 and data[:8] == b"S3VTLMAP", f"{what}: not a map")
    check_crc(data[:92], struct.unpack_from("<I", data, 92)[0], f"{what}, header")
    version, header = struct.unpack_from("<II", data, 8)
    need(version in (1, 2, 3), f"{what}: format version {version}; this reader knows versions 1 to 3")
    need(header == (112 if version == 3 else 96), f"{what}: header of {header} bytes")
    epoch, writer, _, number, _, _, segs, fms, seg_len, fm_len = struct.unpack_from("<QIIQQQIIII", data, 32)
    need(data[16:32] == cartridge and format_name(epoch, writer, number) == name, f"{what}: is another")
    need(seg_len == 72 and fm_len == 16, f"{what}: unknown lengths of entries")
    sources, leans, source_len, lean_len = struct.unpack_from("<IIII", data, 96) if version == 3 else (0, 0, 48, 40)
    need(source_len == 48 and lean_len == 40, f"{what}: unknown lengths of entries")
    size = header + 72 * segs + 16 * fms + 48 * sources + 40 * leans + 8
    need(len(data) == size and n_used <= segs, f"{what}: {segs} segments, {fms} runs, {leans} leans, {len(data)} bytes")
    check_crc(data[:-4], struct.unpack_from("<I", data, len(data) - 4)[0], what)
    segments = []
    for i in range(n_used):
        epoch, sequence, writer, crc, *rest = struct.unpack_from("<QQIIQQQQQQ", data, header + 72 * i)
        segments.append(Segment(format_name(epoch, writer, sequence), *rest[:5], 0 if version == 1 else crc))
    at = header + 72 * segs
    runs = [struct.unpack_from("<QQ", data, at + 16 * i) for i in range(fms)]
    at += 16 * fms
    whose = [struct.unpack_from("16s32s", data, at + 48 * i) for i in range(sources)]
    whose = [(barcode.rstrip(b"\0").decode(), id) for id, barcode in whose]
    at += 48 * sources
    before = 0
    for i in range(leans):
        segment, source, epoch, sequence, writer, crc, size = struct.unpack_from("<IIQQIIQ", data, at + 40 * i)
        need(before <= segment < segs and source < sources, f"{what}: lean {i}: no such place")
        before = segment
        if segment < n_used:
            segments[segment].leans.append(Lean(whose[source], format_name(epoch, writer, sequence), size, crc))
    return segments, runs


def filemarks_between(runs, first, end):
    return sum(max(0, min(o + n, end) - max(o, first)) for o, n in runs)


def cut(segments, runs, end):
    """What of the segments is before object end."""
    kept = [s for s in segments if s.first_object < end]
    if kept and kept[-1].end > end:
        last = kept[-1]
        last.objects = end - last.first_object
        last.filemarks = filemarks_between(runs, last.first_object, end)
    return kept, [(o, min(n, end - o)) for o, n in runs if o < end]


def all_segments(store, barcode, head):
    """The tape's segments in order, checked to join."""
    segments, runs = [], []
    for i, (name, n_used, first, size, crc) in enumerate(head.maps):
        data = store.get(f"tapes/{barcode}/map/{name}")
        need(len(data) == size, f"map {name}: {len(data)} bytes, should be {size}")
        check_bound(data, crc, f"map {name}")
        more, more_runs = read_map(data, head.cartridge, name, n_used)
        need(more and more[0].first_object == first, f"map {name}: does not begin at object {first}")
        if i + 1 < len(head.maps):
            limit = head.maps[i + 1][2]
        else:
            limit = head.segments[0].first_object if head.segments else head.end_object
        limit = min(limit, more[-1].end)
        more, more_runs = cut(more, more_runs, limit)
        segments += more
        runs += more_runs
    segments += head.segments
    runs += head.filemarks
    at = file = 0
    for s in segments:
        need(s.objects > 0 and s.first_object == at and s.first_file == file, f"segment {s.name}: does not join at object {at}")
        at, file = s.end, file + s.filemarks
        need(filemarks_between(runs, s.first_object, s.end) == s.filemarks, f"segment {s.name}: filemarks do not add up")
    need(at == head.end_object and file == head.end_file, f"segments end at object {at}, the head says {head.end_object}")
    return segments


# ---- segments ----


def read_header(data, name, barcode):
    what = f"segment {name}"
    need(len(data) >= 192 and data[:8] == b"S3VTLSEG", f"{what}: not a segment")
    check_crc(data[:188], struct.unpack_from("<I", data, 188)[0], f"{what}, header")
    version, header = struct.unpack_from("<II", data, 8)
    need(version in (1, 2, 3) and header == 192, f"{what}: format version {version}; this reader knows versions 1 to 3")
    epoch, writer, partition, sequence, first_object, first_file, _ = struct.unpack_from("<QIIQQQQ", data, 64)
    prev_epoch, prev_writer, _, prev_sequence = struct.unpack_from("<QIIQ", data, 112)
    inside = data[32:64].rstrip(b"\0").decode()
    need(format_name(epoch, writer, sequence) == name and inside == barcode, f"{what}: is another")
    need(partition == 0, f"{what}: of partition {partition}")
    previous = format_name(prev_epoch, prev_writer, prev_sequence) if prev_epoch else None
    return data[16:32], first_object, first_file, previous


def read_footer(data, name):
    """Where the records end, how many objects and filemarks there are, and the CRCs of the records' headers (None in version
    1); the index is checked on the way."""
    what = f"segment {name}"
    f = data[-64:]
    version = struct.unpack_from("<I", data, 8)[0]
    magic = {1: b"S3VTLEND", 2: b"S3VTLEN2", 3: b"S3VTLEN3"}[version]
    need(len(data) >= 336 and f[:8] == magic, f"{what}: no footer")
    index, entries, index_crc, objects, filemarks, records, plain = struct.unpack_from("<QIIQQQQ", f, 8)
    check_crc(f[:60], struct.unpack_from("<I", f, 60)[0], f"{what}, footer")
    identity = data[16:32] + data[64:76] + data[80:88]
    check_crc(identity, struct.unpack_from("<I", f, 56)[0], f"{what}, footer, identity")
    table = (4 * records + 7) // 8 * 8 if version > 1 else 0
    need(index >= 192 and index + 40 * entries + table + 64 == len(data), f"{what}: its index does not fit")
    check_crc(data[index:-64], index_crc, f"{what}, index")
    at, sums = 192, [0, 0, 0, 0]
    for i in range(entries):
        _, _, offset, count, stride, kind, length = struct.unpack_from("<QQQIIII", data, index + 40 * i)
        need(offset == at and kind in (BLOCK, FILEMARKS, CHUNKS, SOURCES), f"{what}, index: entry {i}")
        need((kind in (CHUNKS, SOURCES)) == (count == 0), f"{what}, index: entry {i}")
        at += {BLOCK: count * stride, FILEMARKS: 40}.get(kind, stride)
        marks = count if kind == FILEMARKS else 0
        plain_bytes = count * length if kind == BLOCK else 0
        sums = [a + b for a, b in zip(sums, (count, marks, count if kind == BLOCK else 1, plain_bytes))]
    need(at == index and sums == [objects, filemarks, records, plain], f"{what}, index: sums")
    crcs = struct.unpack_from(f"<{records}I", data, index + 40 * entries) if version > 1 else None
    return index, objects, filemarks, crcs


def expand(payload, length):
    """One zstd frame, by whatever is there: Python 3.14, the package zstandard, or the command zstd."""
    try:
        from compression import zstd

        return zstd.decompress(payload)
    except ImportError:
        pass
    try:
        import zstandard

        return zstandard.ZstdDecompressor().decompress(payload, max_output_size=length)
    except ImportError:
        pass
    try:
        return subprocess.run(["zstd", "-dcq"], input=payload, stdout=subprocess.PIPE, check=True).stdout
    except FileNotFoundError:
        raise StoreError("zstd records need the Python package zstandard or the command zstd") from None


def decrypt(body, ext, bound, what):
    """The u32 CRC of the plain block, and what it became before it was encrypted. bound: what the block is tied to."""
    need(KEYS, f"{what}: is encrypted: --key")
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise StoreError("encrypted records need the Python package cryptography") from None
    need(len(body) >= ext + 32, f"{what}: too short to be encrypted")
    for key in KEYS:
        try:
            plain = AESGCM(key).decrypt(body[ext : ext + 12], body[ext + 12 :], bound + body[:ext])
        except InvalidTag:
            continue
        return struct.unpack_from("<I", plain)[0], plain[4:]
    raise Damaged(f"{what}: is encrypted with another key")


def unpack(data, at, what):
    """Flags, length and plain CRC of a block's record, and what was packed: the block, or what a block in pieces holds itself."""
    _, flags, ext, _, length, stored, crc_plain, crc_stored = struct.unpack_from("<BBHQIIII", data, at + 4)
    need(1 <= length <= MAX_BLOCK and flags <= 7, f"{what}: length {length}, flags {flags}")
    body = data[at + 40 : at + 40 + ext + stored]
    check_crc(body, crc_stored, f"{what}, stored bytes")
    block = body[ext:]
    if flags & AES:
        number = struct.unpack_from("<Q", data, at + 8)[0]
        bound = data[16:32] + struct.pack("<QIBH", number, length, flags, ext)
        crc_plain, block = decrypt(body, ext, bound, what)
    if flags & ZSTD:
        try:
            block = expand(block, length)
        except StoreError:
            raise
        except Exception as e:  # each of the three has its own
            raise Damaged(f"{what}: zstd: {e}") from None
    if not flags & PIECES:
        need(len(block) == length, f"{what}: {len(block)} bytes, should be {length}")
        if flags or ext or crc_plain != crc_stored:
            check_crc(block, crc_plain, f"{what}, plain bytes")
    return flags, length, crc_plain, block


def read_pieces(packed, length, what):
    """The sources, the pieces and the literals of a block in pieces."""
    need(len(packed) >= 16, f"{what}: no pieces")
    n_pieces, n_sources, crc, n_literals = struct.unpack_from("<IIII", packed)
    at = 16 + 80 * n_sources
    need(len(packed) == at + 24 * n_pieces + n_literals, f"{what}: {n_pieces} pieces do not fit")
    literals = packed[len(packed) - n_literals :]
    check_crc(literals, crc, f"{what}, its own bytes")
    sources = []
    for i in range(n_sources):
        cartridge, writer, epoch, sequence, size, crc = struct.unpack_from("<16sIIQQI", packed, 16 + 80 * i)
        barcode = packed[16 + 80 * i + 48 : 16 + 80 * i + 80].rstrip(b"\0").decode()
        sources.append((barcode, cartridge, format_name(epoch, writer, sequence), size, crc))
    pieces = [struct.unpack_from("<IIQI", packed, at + 24 * i) for i in range(n_pieces)]
    good = all(source == LITERAL or source < n_sources for source, _, _, _ in pieces)
    own = sum(n for source, n, _, _ in pieces if source == LITERAL)
    need(good and sum(p[1] for p in pieces) == length and own == n_literals, f"{what}: its pieces are not the block")
    return sources, pieces, literals


class Sources:
    """The segments that blocks in pieces copy from; a few are kept."""

    def __init__(self, store):
        self.store, self.kept = store, {}

    def segment(self, source):
        barcode, cartridge, name, size, crc = source
        if source not in self.kept:
            what = f"segment {name} of {barcode}"
            data = self.store.get(f"tapes/{barcode}/seg/{name}")
            need(len(data) == size, f"{what}: {len(data)} bytes, should be {size}")
            of, first_object, _, _ = read_header(data, name, barcode)
            need(of == cartridge, f"{what}: of another cartridge")
            end, _, _, crcs = read_footer(data, name)
            check_bound(data, crc, what)
            places = {number: at for number, at, kind, _ in headers(data, end, first_object, name, crcs) if kind == BLOCK}
            if len(self.kept) >= 4:
                del self.kept[next(iter(self.kept))]
            self.kept[source] = (data, places)
        return self.kept[source]

    def copy(self, source, number, offset, length):
        """Bytes of the literal area of a record."""
        what = f"segment {source[2]} of {source[0]}, object {number}"
        data, places = self.segment(source)
        need(number in places, f"{what}: is not there")
        flags, whole, _, packed = unpack(data, places[number], what)
        area = read_pieces(packed, whole, what)[2] if flags & PIECES else packed
        need(offset + length <= len(area), f"{what}: {len(area)} bytes, not {offset + length}")
        return area[offset : offset + length]


def read_block(data, at, what, sources):
    flags, length, crc_plain, packed = unpack(data, at, what)
    if not flags & PIECES:
        return packed
    froms, pieces, literals = read_pieces(packed, length, what)
    block, own = [], 0
    for source, n, number, offset in pieces:
        if source == LITERAL:
            block.append(literals[own : own + n])
            own += n
        else:
            block.append(sources.copy(froms[source], number, offset, n))
    block = b"".join(block)
    check_crc(block, crc_plain, f"{what}, plain bytes")
    return block


def headers(data, end, first_object, name, crcs):
    """(object, where, type, number of filemarks) of each record. crcs: of their headers, or None."""
    at, number, n = 192, first_object, 0
    while at < end:
        what = f"segment {name}, object {number}"
        need(end - at >= 40 and data[at : at + 4] == b"REC1", f"{what}: no record at byte {at}")
        crc = struct.unpack_from("<I", data, at + 36)[0]
        check_crc(data[at : at + 36], crc, f"{what}, record header")
        need(crcs is None or crcs[n] == crc, f"{what}: is another record than the index says")
        kind, flags, ext, is_, length, stored = struct.unpack_from("<BBHQII", data, at + 4)
        size = (40 + ext + stored + 7) // 8 * 8
        need(is_ == number and size <= end - at, f"{what}: is object {is_} of {size} bytes")
        if kind in (CHUNKS, SOURCES):
            check_crc(data[at + 40 : at + 40 + stored], struct.unpack_from("<I", data, at + 28)[0], f"{what}, list")
        elif kind != BLOCK:
            need(kind == FILEMARKS and length and not (flags or ext or stored), f"{what}: type {kind}")
        yield number, at, kind, length
        number += {BLOCK: 1, FILEMARKS: length}.get(kind, 0)
        at += size
        n += 1


def records(data, end, first_object, name, crcs, sources):
    """(object, block) or (object, number of filemarks) of each record."""
    for number, at, kind, count in headers(data, end, first_object, name, crcs):
        if kind == BLOCK:
            yield number, read_block(data, at, f"segment {name}, object {number}", sources)
        elif kind == FILEMARKS:
            yield number, count


def read_segment(store, barcode, cartridge, s, sources):
    """The used records of a segment, as records() gives them."""
    what = f"segment {s.name}"
    data = store.get(f"tapes/{barcode}/seg/{s.name}")
    need(len(data) == s.size, f"{what}: {len(data)} bytes, should be {s.size}")
    of, first_object, first_file, _ = read_header(data, s.name, barcode)
    need(of == cartridge, f"{what}: of another cartridge")
    need((first_object, first_file) == (s.first_object, s.first_file), f"{what}: begins at another object")
    end, objects, _, crcs = read_footer(data, s.name)
    check_bound(data, s.crc, what)
    need(objects >= s.objects, f"{what}: {objects} objects, should be {s.objects}")
    seen = 0
    for number, what_is in records(data, end, s.first_object, s.name, crcs, sources):
        if number >= s.end:
            break
        if isinstance(what_is, int):
            what_is = min(what_is, s.end - number)
            seen += what_is
        yield number, what_is
    need(seen == s.filemarks, f"{what}: {seen} filemarks, should be {s.filemarks}")


def chain(store, barcode):
    """The segments without head and maps: from the newest one back."""
    where = f"tapes/{barcode}/seg/"
    names = [k[len(where) :] for k in store.list(where) if NAME.match(k[len(where) :])]
    need(names, f"{where}: no segments")
    newest = max(names, key=lambda n: (parse_name(n)[0], parse_name(n)[2], parse_name(n)[1]))  # of any writer
    name, end, found, cartridge = newest, None, [], None
    while name:
        data = store.get(where + name)
        of, first_object, first_file, previous = read_header(data, name, barcode)
        need(cartridge in (None, of), f"segment {name}: of another cartridge")
        cartridge = of
        index, objects, filemarks, crcs = read_footer(data, name)
        s = Segment(name, first_object, first_file, objects, filemarks, len(data))
        need(end is None or s.first_object < end <= s.end, f"segment {name}: does not join at object {end}")
        if end is not None and end < s.end:
            marks = [(n, x) for n, _, k, x in headers(data, index, first_object, name, crcs) if k == FILEMARKS]
            cut([s], marks, end)
        found.append(s)
        name, end = previous, first_object
    need(end == 0, f"the chain ends at object {end}")
    return cartridge, found[::-1]


# ---- output ----


class Files:
    """Tape files: written to a directory, listed, or only counted."""

    def __init__(self, out, show):
        self.out, self.show, self.file, self.number, self.sizes = out, show, None, 0, []
        self.blocks = self.bytes = 0
        if out:
            os.makedirs(out, exist_ok=True)
            if os.listdir(out):
                raise StoreError(f"{out}: is not empty")
        self.begin()

    def begin(self):
        self.sizes = []
        self.file = None

    def open(self):
        if self.out and not self.file:
            self.file = open(os.path.join(self.out, f"file-{self.number:05d}"), "xb")

    def block(self, data):
        self.open()
        if self.file:
            self.file.write(data)
        if self.sizes and self.sizes[-1][0] == len(data):
            self.sizes[-1][1] += 1
        else:
            self.sizes.append([len(data), 1])
        self.blocks += 1
        self.bytes += len(data)

    def end(self):
        self.open()
        if self.file:
            self.file.close()
        if self.show:
            runs = " ".join(f"{size}x{n}" if n > 1 else f"{size}" for size, n in self.sizes)
            print(f"file-{self.number:05d}: {sum(n for _, n in self.sizes)} blocks{': ' if runs else ''}{runs}")
        self.number += 1
        self.begin()

    def last(self):
        if self.sizes:  # written without a filemark behind it
            self.end()


def restore(store, args):
    if args.chain:
        cartridge, segments = chain(store, args.barcode)
    else:
        head = winning_head(store, args.barcode, args.head)
        cartridge, segments = head.cartridge, all_segments(store, args.barcode, head)
    files, sources = Files(args.out, args.list), Sources(store)
    for s in segments:
        for _, what in read_segment(store, args.barcode, cartridge, s, sources):
            if isinstance(what, int):
                for _ in range(what):
                    files.end()
            else:
                files.block(what)
    files.last()
    print(f"{args.barcode}: {files.number} files, {files.blocks} blocks, {files.bytes} bytes, {len(segments)} segments, all good")


def show_leans(store, args):
    head = winning_head(store, args.barcode, args.head)
    for s in all_segments(store, args.barcode, head):
        for lean in s.leans:
            print(f"{s.name} leans on {lean.barcode} {lean.name} ({lean.size} bytes)")
    for name in head.kept:
        print(f"{name} is kept")
    for barcode in head.leaners:
        print(f"{barcode} may lean on it")


def main():
    p = argparse.ArgumentParser(description="Restores a cartridge of s3vtl from its bucket.")
    where = p.add_mutually_exclusive_group(required=True)
    where.add_argument("--dir", help="directory of a dir store")
    where.add_argument("--s3", metavar="URL", help="http(s)://host[:port]")
    p.add_argument("--bucket")
    p.add_argument("--credentials", metavar="FILE", help="two lines: access_key = ..., secret_key = ...")
    p.add_argument("--region", default="us-east-1")
    p.add_argument("--ca", metavar="FILE", help="certificates to trust (PEM)")
    p.add_argument("--prefix", default="")
    p.add_argument("--barcode")
    p.add_argument("--head", metavar="NAME", help="this head instead of the winning one")
    p.add_argument("--chain", action="store_true", help="no head: follow the segments")
    p.add_argument("--key", metavar="HEX", action="append", type=bytes.fromhex, help="of encrypted blocks; may be repeated")
    p.add_argument("--leans", action="store_true", help="print what leans on what")
    p.add_argument("--list", action="store_true", help="print block sizes")
    p.add_argument("--out", metavar="DIRECTORY", help="write the tape files here")
    args = p.parse_args()
    KEYS.extend(args.key or [])
    if args.s3 and not (args.bucket and args.credentials):
        p.error("--s3 needs --bucket and --credentials")
    try:
        if args.dir:
            store = Dir(args.dir, args.prefix)
        else:
            store = S3(args.s3, args.bucket, args.prefix, args.credentials, args.region, args.ca)
        if args.barcode and args.leans:
            show_leans(store, args)
        elif args.barcode:
            restore(store, args)
        else:
            for barcode in sorted({k.split("/")[1] for k in store.list("tapes/")}):
                print(barcode)
    except (Damaged, StoreError, OSError) as e:
        sys.exit(f"s3vtl_reader: {e}")
    except (KeyError, TypeError, ValueError, AttributeError, struct.error) as e:
        sys.exit(f"s3vtl_reader: a field is missing or of the wrong type: {e!r}")


if __name__ == "__main__":
    main()
