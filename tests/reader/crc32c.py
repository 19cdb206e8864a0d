# SPDX-License-Identifier: GPL-2.0-or-later
"""CRC32C (RFC 3720 appendix B.4) in plain Python, about as fast as bytes methods allow."""

POLYNOMIAL = 0x82F63B78
LANES = 1024  # computed side by side, one byte plane at a time


def _byte_table():
    table = []
    for i in range(256):
        c = i
        for _ in range(8):
            c = (c >> 1) ^ (POLYNOMIAL if c & 1 else 0)
        table.append(c)
    return table


TABLE = _byte_table()
# The four bytes of the table's entries, for bytes.translate.
PLANES = [bytes((v >> (8 * k)) & 0xFF for v in TABLE) for k in range(4)]


def _plain(state, data):
    for b in data:
        state = TABLE[(state ^ b) & 0xFF] ^ (state >> 8)
    return state


def _matrix_times(matrix, v):
    r = 0
    for row in matrix:
        if v & 1:
            r ^= row
        v >>= 1
    return r


def _zeros_tables(length, cache={}):
    """Tables that move a state on by length zero bytes."""
    if length not in cache:
        matrix = [_plain(1 << b, b"\0") for b in range(32)]  # by one byte
        result = [1 << b for b in range(32)]
        n = length
        while n:
            if n & 1:
                result = [_matrix_times(matrix, v) for v in result]
            matrix = [_matrix_times(matrix, v) for v in matrix]
            n >>= 1
        cache[length] = [[_matrix_times(result, i << (8 * k)) for i in range(256)] for k in range(4)]
    return cache[length]


def _lanes(state, data, length):
    """LANES stretches of length bytes each: their states side by side as four planes of LANES bytes, joined at the end."""
    planes = [bytes(LANES)] * 4
    for i in range(length):
        column = int.from_bytes(data[i::length], "little") ^ int.from_bytes(planes[0], "little")
        index = column.to_bytes(LANES, "little")
        stepped = [index.translate(p) for p in PLANES]
        for k in range(3):
            both = int.from_bytes(stepped[k], "little") ^ int.from_bytes(planes[k + 1], "little")
            stepped[k] = both.to_bytes(LANES, "little")
        planes = stepped
    t0, t1, t2, t3 = _zeros_tables(length)
    for a, b, c, d in zip(*planes):
        state = t0[state & 255] ^ t1[(state >> 8) & 255] ^ t2[(state >> 16) & 255] ^ t3[state >> 24]
        state ^= a | b << 8 | c << 16 | d << 24
    return state


def crc32c(data):
    state = 0xFFFFFFFF
    length = len(data) // LANES
    done = 0
    if length >= 16:
        done = length * LANES
        state = _lanes(state, data[:done], length)
    return _plain(state, data[done:]) ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283
