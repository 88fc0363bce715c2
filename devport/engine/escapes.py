r"""Terminal control sequences in services' output: which may pass, and whether one leaves colour behind.

Pure, on bytes. Sequences are those of ECMA-48 and xterm: CSI (`ESC [`), the strings OSC, DCS, SOS, PM
and APC (ended by BEL or ST, and here also by the end of the line, so that an unterminated one cannot
swallow another service's text), and the short ones (`ESC c`, `ESC ( B`).
"""

import re

RESET = b"\x1b[0m"

_SGR = rb"\x1b\[[0-9;:]*m"
_STRING = rb"\x1b[]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"
_CSI = rb"\x1b\[[0-?]*[ -/]*[@-~]?"
_SHORT = rb"\x1b[ -/]*[0-~]?"
_SEQUENCE = re.compile(rb"(" + _SGR + rb")|" + _STRING + rb"|" + _CSI + rb"|" + _SHORT)
_MOVING = b"\x05\x0b\x0c\x0e\x0f"
"""ENQ asks the terminal its name, VT and FF go down a line, SO and SI exchange all letters that follow."""
_C1 = re.compile(rb"\xc2[\x80-\x9f]")  # in UTF-8
_REPLACEMENT = "\ufffd".encode()  # not nothing: the bytes on both sides could make a new one
_LAST_SGR = re.compile(rb"(?s:.*)" + rb"\x1b\[([0-9;:]*)m")
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|[]PX^_][^\x07\x1b\n]{0,4096}\x1b?|[ -/]*)?\Z|\xc2\Z")


def only_colours(data: bytes, *, goes_on: bool = False) -> bytes:
    """`data` without what moves the cursor, switches screens or letters, or sets title or clipboard.

    Within a line CR, BS and HT may: progress bars need them. What `goes_on` in a later piece does not end
    in half a control that the next one could complete.
    """
    if any(control in data for control in _MOVING):  # first: what they stand between may make one sequence
        data = data.translate(None, _MOVING)
    if b"\x1b" in data:
        data = _SEQUENCE.sub(rb"\1", data)
    if b"\xc2" in data:
        data = _C1.sub(_REPLACEMENT, data)
        if goes_on and data.endswith(b"\xc2"):
            return data[:-1] + _REPLACEMENT
    return data


def plain(data: bytes) -> bytes:
    """`data` without any sequences."""
    return _SEQUENCE.sub(b"", data)


def leaves_colour(line: bytes) -> bool:
    """Whether the last colour sequence in `line` is anything but a reset."""
    last = _LAST_SGR.match(line)
    return last is not None and last[1].strip(b"0;:") != b""


def unfinished(data: bytes) -> int:
    """How many bytes at the end of `data` may be the beginning of a sequence."""
    tail = _UNFINISHED.search(data)
    return len(tail[0]) if tail else 0


def reset_lines(data: bytes) -> bytes:
    """`data` with a reset at the end of each line that would colour what comes after it."""
    if b"\x1b" not in data:
        return data
    lines = data.split(b"\n")
    return b"\n".join(line + RESET if b"\x1b" in line and leaves_colour(line) else line for line in lines)
