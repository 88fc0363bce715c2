"""Tables for a terminal: alignment, narrow windows, colours, and texts that would move the cursor."""

import pytest
from colorama import Fore, Style
from hypothesis import given
from hypothesis import strategies as st

from devport.table import CUT, NARROWEST, Cell, Column, columns_of, render, shorten

NAME, PORT, COMMAND = Column("NAME"), Column("PORT", right=True), Column("COMMAND", cut=1)
PROJECT = Column("PROJECT", cut=2)


def table(columns, *rows, width=0, colour=False):
    return render(columns, [[Cell(text) for text in row] for row in rows], width=width, colour=colour)


def test_columns_are_aligned():
    """Texts to the left, numbers to the right, two blanks between, none at the end of a line."""
    text = table((NAME, PORT, COMMAND), ("web", "19000", "npm run dev"), ("worker", "80", ""))

    assert text == "NAME     PORT  COMMAND\nweb     19000  npm run dev\nworker     80\n"


def test_no_rows_are_a_title():
    """A table without services still says what its columns are."""
    assert table((NAME, PORT)) == "NAME  PORT\n"


def test_narrow_window_cuts_the_command():
    """What is too wide is taken from the column that may be cut, which says so."""
    text = table((NAME, COMMAND), ("web", "a long command line"), width=16)

    assert text.splitlines()[1] == "web   a long co…"


def test_narrower_window_cuts_the_next_column():
    """Once the command has its least, the project gives way; the rest never does."""
    text = table((NAME, PROJECT, COMMAND), ("web", "/home/bob/shop", "npm run dev"), width=24)

    assert text.splitlines()[1] == "web   /home/bo…  npm ru…"


def test_narrowest_window():
    """Below that lines are longer than the window, and nothing else is lost."""
    text = table((NAME, PROJECT, COMMAND), ("web", "/home/bob/shop", "npm run dev"), width=3)

    assert text.splitlines()[1] == f"web   /home/{CUT}  npm ru{CUT}"
    assert len(f"npm ru{CUT}") == NARROWEST


def test_wide_enough_window_cuts_nothing():
    """A line that just fits is whole."""
    assert table((NAME, COMMAND), ("web", "0123456789"), width=16).splitlines()[1] == "web   0123456789"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("\x1b]0;pwned\x07", "\\x1b]0;pwned\\x07"),
        ("a\u202eb", "a\\u202eb"),
        ("\x9b2J", "\\x9b2J"),
        ("\udcff", "\\udcff"),
        ("\t", "\\t"),
    ],
)
def test_control_characters_are_escaped(text, shown):
    """Whatever a record says, it moves no cursor, sets no title and turns no direction round."""
    assert table((NAME, PORT), (text, "1")).splitlines()[1].split() == [shown, "1"]


def test_wide_characters():
    """CJK takes two columns, a combining accent none."""
    assert [columns_of(text) for text in ("日本", "e\u0301", "abc")] == [4, 1, 3]
    assert table((NAME, PORT), ("日本語", "1"), ("abc", "2")) == "NAME    PORT\n日本語     1\nabc        2\n"


@given(st.text(max_size=30), st.integers(0, 20))
def test_shortened_texts_fit(text, room):
    """Never wider than the room, untouched if it fits."""
    short = shorten(text, room)

    assert columns_of(short) <= room
    assert short == text or columns_of(text) > room


def test_colour_does_not_change_the_alignment():
    """Sequences stand around the text, not around the padding, and never after nothing."""
    rows = [
        [Cell("web", Fore.GREEN), Cell("1")],
        [Cell("worker"), Cell("2")],
        [Cell("", Fore.RED), Cell("3")],
    ]

    plain = render((NAME, PORT), rows, width=0, colour=False)
    coloured = render((NAME, PORT), rows, width=0, colour=True)

    assert f"{Fore.GREEN}web{Style.RESET_ALL}        1\n" in coloured
    assert coloured.startswith(f"{Style.BRIGHT}NAME{Style.RESET_ALL}")
    for sequence in (Fore.GREEN, Fore.RED, Style.BRIGHT, Style.RESET_ALL):
        coloured = coloured.replace(sequence, "")
    assert coloured == plain


def test_columns_are_left_out_where_nothing_else_helps():
    """First the cuttable ones shrink to their least, then the lowest number goes."""
    columns = (Column("NAME"), Column("STATE", cut=1, least=8), Column("CPU", drop=1), Column("UP", drop=2))
    cells = [[Cell("web"), Cell("waiting for db"), Cell("0.5%"), Cell("12m")]]

    def titles(width):
        lines = render(columns, cells, width=width, colour=False).splitlines()
        assert max(map(len, lines)) <= width
        return lines[0].split(), lines[1]

    assert titles(80)[0] == ["NAME", "STATE", "CPU", "UP"]
    assert titles(25) == (["NAME", "STATE", "CPU", "UP"], "web   waiting…  0.5%  12m")
    assert titles(24) == (["NAME", "STATE", "UP"], "web   waiting for …  12m")
    assert titles(15) == (["NAME", "STATE"], "web   waiting …")
