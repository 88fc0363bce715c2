"""partial.py FILE: prints a prompt without a newline, and the rest of that line once FILE exists."""

import os
import select
import sys

print("prompt> ", end="", flush=True)
while not os.path.exists(sys.argv[1]):
    select.select([], [], [], 0.01)
print("answer", flush=True)
select.select([], [], [])
