"""A table for a terminal: columns aligned, cells coloured, no line wider than the window.

Pure: texts in, lines out. Whatever a cell says, it stays one line of its own column: what would move
the cursor is shown as an escape. Knows nothing of services.
"""

from collections.abc import Sequence
from typing import NamedTuple

from devport.encoding import printable

GAP = "  "
CUT = "…"
NARROWEST = 7
"""Columns that a column which may be cut keeps at least."""

_DOUBLE = "WF"
_COMBINING = "Mn", "Me"


class Column(NamedTuple):
    """`right`: numbers. `cut`: may be shortened where the window is too narrow, the lowest number first.

    `least` columns of it stay then. `drop`: left out where that does not help, the lowest number first.
    """

    title: str
    right: bool = False
    cut: int = 0
    least: int = NARROWEST
    drop: int = 0


class Cell(NamedTuple):
    """A text, and the escape sequence that begins its colour (empty: none)."""

    text: str
    colour: str = ""


def render(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, width: int, colour: bool) -> str:
    """The table, a title line first, each line ended by LF; `width` 0 means as wide as it gets."""
    bold, reset = _styles() if colour else ("", "")
    lines = [[Cell(column.title, bold) for column in columns], *rows]
    texts = [[printable(cell.text) for cell in line] for line in lines]
    widths = [max(map(columns_of, column)) for column in zip(*texts, strict=True)]
    kept = _kept(columns, widths, width)
    columns, widths = [columns[place] for place in kept], [widths[place] for place in kept]
    lines, texts = ([[line[place] for place in kept] for line in table] for table in (lines, texts))  # type: ignore[assignment]
    widths = _fit(columns, widths, width)
    out = []
    for line, shown in zip(lines, texts, strict=True):
        parts = []
        for column, cell, text, room in zip(columns, line, shown, widths, strict=True):
            cut = shorten(text, room)
            padding = " " * (room - columns_of(cut))
            painted = f"{cell.colour}{cut}{reset}" if colour and cell.colour and cut else cut
            parts.append(padding + painted if column.right else painted + padding)
        out.append(GAP.join(parts).rstrip() + "\n")
    return "".join(out)


def _styles() -> tuple[str, str]:
    from colorama import Style  # noqa: PLC0415 - only when colour is on

    return str(Style.BRIGHT), str(Style.RESET_ALL)


def _kept(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """The places of the columns that there is room for, those that may be cut as short as they get."""
    least = [
        min(room, column.least) if column.cut else room for column, room in zip(columns, widths, strict=True)
    ]
    kept = list(range(len(columns)))
    for _, place in sorted((column.drop, place) for place, column in enumerate(columns) if column.drop):
        if width and sum(least[one] for one in kept) + len(GAP) * (len(kept) - 1) > width:
            kept.remove(place)
    return kept


def _fit(columns: Sequence[Column], widths: list[int], width: int) -> list[int]:
    """`widths`, those of columns that may be cut reduced until a line fits, as far as it goes."""
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - width if width else 0
    order = sorted((column.cut, place) for place, column in enumerate(columns) if column.cut)
    for _, place in order:
        less = max(0, min(excess, widths[place] - columns[place].least))
        widths[place] -= less
        excess -= less
    return widths


def columns_of(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width  # noqa: PLC0415 - for what is not ASCII

    return sum(
        0 if category(character) in _COMBINING else 2 if east_asian_width(character) in _DOUBLE else 1
        for character in text
    )


def shorten(text: str, room: int) -> str:
    """`text` in at most `room` columns, its end marked where some is missing."""
    if columns_of(text) <= room:
        return text
    used = 0
    for place, character in enumerate(text):
        used += columns_of(character)
        if used > room - 1:
            return text[:place] + CUT * min(room, 1)
    return text
