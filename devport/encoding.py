"""Bytes of the outside world as text and back, without loss, whatever the locale says.

Files, arguments and environments are UTF-8 by custom and arbitrary bytes by right. Python's own
file-system encoding follows the locale (ASCII under `LC_ALL=C`), so it is never used here.
"""


def decode(data: bytes) -> str:
    """`data` as text; bytes that are not UTF-8 become lone surrogates that `encode` turns back."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """The bytes that `decode` made `text` of."""
    return text.encode("utf-8", "surrogateescape")


def printable(text: str) -> str:
    """`text` for a message: control characters and undecodable bytes as escapes, so none moves the cursor."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
