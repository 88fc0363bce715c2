"""chatty.py COUNT LOW HIGH [NAME]: numbered lines of LOW to HIGH bytes, each with a checksum at its end."""

import os
import sys
import zlib

PIECE = 5000
"""Bytes of a write: it ends within a line."""

count, low, high = map(int, sys.argv[1:4])
name = sys.argv[4] if len(sys.argv) > 4 else "line"
text = bytearray()
for number in range(count):
    head = b"%s %d " % (name.encode(), number)
    size = low + (number * 7919) % (high - low + 1)
    body = head + bytes(33 + (number + i) % 90 for i in range(max(0, size - len(head) - 9)))
    text += b"%s %08x\n" % (body, zlib.crc32(body))
    while len(text) >= PIECE or (text and number + 1 == count):
        del text[: os.write(1, text[:PIECE])]
