#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An independent reader of an escrow: opens the file with the secret key, from FORMAT.md alone.

  escrow_reader.py FILE KEYFILE OUT     writes the catalogue to OUT and prints the manifest

Needs the Python package cryptography, and zstandard or the command zstd."""

import base64
import struct
import subprocess
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crc32c import crc32c

HEADER, TAG = 128, 16
PREFIX = "escrow-secret:"


class Wrong(Exception):
    pass


def read_key(text):
    text = "".join(text.split())
    if not text.lower().startswith(PREFIX):
        raise Wrong(f"a secret key begins with {PREFIX}")
    raw = base64.b32decode(text[len(PREFIX):].replace("-", "").upper())
    key, check = raw[:32], raw[32:]
    if struct.pack("<I", crc32c(PREFIX.encode() + key))[:3] != check:
        raise Wrong("the key has a misread letter")
    return X25519PrivateKey.from_private_bytes(key)


def decompress(frame):
    try:
        import zstandard
        return zstandard.ZstdDecompressor().decompressobj().decompress(frame)
    except ImportError:
        return subprocess.run(["zstd", "-dcq"], input=frame, stdout=subprocess.PIPE, check=True).stdout


def open_escrow(data, secret):
    header = data[:HEADER]
    if len(header) < HEADER or header[:8] != b"S3VTLESC":
        raise Wrong("no escrow")
    version, size, _created, chunk = struct.unpack_from("<IIQI", header, 8)
    to, ephemeral = header[32:64], header[64:96]
    if struct.unpack_from("<I", header, 124)[0] != crc32c(header[:124]):
        raise Wrong("the header is damaged")
    if version != 1 or size != HEADER:
        raise Wrong(f"version {version}")
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    if secret.public_key().public_bytes(*raw) != to:
        raise Wrong("it is for another key")
    shared = secret.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    key = HKDF(hashes.SHA256(), 32, ephemeral + to, b"s3vtl escrow 1").derive(shared)
    box, plain, n, last = AESGCM(key), b"", 0, False
    pieces = [data[i:i + chunk + TAG] for i in range(HEADER, len(data), chunk + TAG)]
    for n, piece in enumerate(pieces):
        last = n == len(pieces) - 1
        try:
            plain += box.decrypt(struct.pack("<QB3x", n, last), piece, header)
        except InvalidTag:
            raise Wrong(f"chunk {n} is damaged, or not the last one") from None
    if not last:
        raise Wrong("it has no chunk")
    text = decompress(plain)
    length, = struct.unpack_from("<Q", text)
    return text[8:8 + length].decode(), text[8 + length:]


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as f, open(sys.argv[2], encoding="ascii") as k:
        try:
            manifest, catalogue = open_escrow(f.read(), read_key(k.read()))
        except Wrong as e:
            sys.exit(f"{sys.argv[1]}: {e}")
    with open(sys.argv[3], "wb") as out:
        out.write(catalogue)
    print(manifest)


main()
