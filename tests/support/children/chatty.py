"""chatty.py COUNT LOW HIGH [NAME [PAUSE GATE [whole]]]: numbered lines of LOW to HIGH bytes.

Each has a checksum at its end. A write ends within a line; "whole": with it. GATE: a FIFO; it begins when
somebody has opened that for writing. PAUSE: seconds behind each write.
"""

import os
import select
import sys
import zlib

count, low, high = map(int, sys.argv[1:4])
name = sys.argv[4] if len(sys.argv) > 4 else "line"
pause = float(sys.argv[5]) if len(sys.argv) > 5 else 0.0
piece = 1 if "whole" in sys.argv else 5000
text = bytearray()
if pause:
    open(sys.argv[6], "rb").close()
for number in range(count):
    head = b"%s %d " % (name.encode(), number)
    size = low + (number * 7919) % (high - low + 1)
    body = head + bytes(33 + (number + i) % 90 for i in range(max(0, size - len(head) - 9)))
    text += b"%s %08x\n" % (body, zlib.crc32(body))
    while len(text) >= piece or (text and number + 1 == count):
        del text[: os.write(1, text[:piece] if piece > 1 else text)]
        if pause:
            select.select([], [], [], pause)
