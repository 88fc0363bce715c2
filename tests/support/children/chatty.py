"""chatty.py COUNT LOW HIGH [NAME]: numbered lines of LOW to HIGH bytes, each with a checksum at its end."""

import sys
import zlib

count, low, high = map(int, sys.argv[1:4])
name = sys.argv[4] if len(sys.argv) > 4 else "line"
write = sys.stdout.buffer.write
for number in range(count):
    head = b"%s %d " % (name.encode(), number)
    size = low + (number * 7919) % (high - low + 1)
    body = head + bytes(33 + (number + i) % 90 for i in range(max(0, size - len(head) - 9)))
    write(b"%s %08x\n" % (body, zlib.crc32(body)))
sys.stdout.flush()
