"""Which control sequences may pass to a terminal: a corpus, and properties of any bytes at all."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devport.engine.escapes import RESET, leaves_colour, only_colours, reset_lines, unfinished

GONE = b""
MARK = "\ufffd".encode()

CORPUS = [  # what a service prints, what a terminal is given
    # colours pass
    (b"\x1b[m", b"\x1b[m"),
    (b"\x1b[0m", b"\x1b[0m"),
    (b"\x1b[1;31mred\x1b[0m", b"\x1b[1;31mred\x1b[0m"),
    (b"\x1b[38;5;208m", b"\x1b[38;5;208m"),
    (b"\x1b[38;2;1;2;3m", b"\x1b[38;2;1;2;3m"),
    (b"\x1b[38:2::1:2:3m", b"\x1b[38:2::1:2:3m"),
    (b"\x1b[4:3m", b"\x1b[4:3m"),
    # the cursor stays where it is
    (b"\x1b[A", GONE),
    (b"\x1b[10;20H", GONE),
    (b"\x1b[2J", GONE),
    (b"\x1b[K", GONE),
    (b"\x1b[1;1f", GONE),
    (b"\x1b[s\x1b[u", GONE),
    (b"\x1b7\x1b8", GONE),
    (b"\x1bM", GONE),
    (b"\x1bD\x1bE", GONE),
    (b"\x1b[5;10r", GONE),
    (b"a\x1b[3Pb\x1b[2@c", b"abc"),
    # screens and modes
    (b"\x1b[?1049h", GONE),
    (b"\x1b[?25l", GONE),
    (b"\x1b[?2004h", GONE),
    (b"\x1bc", GONE),
    (b"\x1b[!p", GONE),
    (b"\x1b=\x1b>", GONE),
    (b"\x1b[2 q", GONE),
    (b"\x1b(0lqqk\x1b(B", b"lqqk"),
    (b"\x1b#8", GONE),
    (b"\x1b%G", GONE),
    # not colours although they end in m
    (b"\x1b[?4m", GONE),
    (b"\x1b[>4;2m", GONE),
    (b"\x1b[1 m", GONE),
    # questions, whose answers would be typed into somebody's shell
    (b"\x1b[6n", GONE),
    (b"\x1b[c", GONE),
    (b"\x1b[>0q", GONE),
    # titles, clipboard, links, images
    (b"\x1b]0;title\x07after", b"after"),
    (b"\x1b]2;title\x1b\\after", b"after"),
    (b"\x1b]52;c;aGk=\x07", GONE),
    (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", b"link"),
    (b"\x1b]1337;File=inline=1:AAAA\x07", GONE),
    (b"\x1bP1;2|17/ab\x1b\\x", b"x"),
    (b"\x1bPtmux;\x1b\x1b]0;t\x07\x1b\\x", b"x"),
    (b"\x1b_Gf=24;AAAA\x1b\\x", b"x"),
    (b"\x1bXstring\x1b\\x", b"x"),
    (b"\x1b^private\x1b\\x", b"x"),
    (b"\x1bktitle\x1b\\x", b"titlex"),
    # strings without an end stop at the end of the line
    (b"\x1b]0;never ends\nnext line\n", b"\nnext line\n"),
    (b"\x1b]0;never ends", GONE),
    (b"\x1bPnever\n", b"\n"),
    (b"\x1b]0;cut \x1b[31mred", b"\x1b[31mred"),
    # sequences without an end
    (b"\x1b", GONE),
    (b"\x1b[", GONE),
    (b"\x1b[31", GONE),
    (b"\x1b[31\nm", b"\nm"),
    (b"\x1b\x1b\x1b[2J", GONE),
    (b"\x1b[\x1b[2J", GONE),
    (b"\x1b\n", b"\n"),
    # C1 controls in UTF-8
    (b"\xc2\x9b2J", MARK + b"2J"),
    (b"\xc2\x9d0;t\x07", MARK + b"0;t\x07"),
    (b"\xc2\x90q", MARK + b"q"),
    (b"\xc2\x80\xc2\x9f", MARK * 2),
    (b"\xc2\x1b[2J\x9b", MARK),
    (b"\xc2\xc2\x9b\x9b", b"\xc2" + MARK + b"\x9b"),
    # C0 controls that go down, ask, or exchange letters, and what they stood between
    (b"a\x05b\x0bc\x0cd\x0ee\x0ff", b"abcdef"),
    (b"\x1b\x0c[2J", GONE),
    (b"\xc2\x0e\x9b2J", MARK + b"2J"),
    # what only looks like one
    (b"\xc2\xa0\xc2\xb5", b"\xc2\xa0\xc2\xb5"),
    ("żółw 🐢".encode(), "żółw 🐢".encode()),
    (b"[31m no escape", b"[31m no escape"),
    (b"\r\x08\x07\t\x00\x7f", b"\r\x08\x07\t\x00\x7f"),
]

SGR = re.compile(rb"\x1b\[[0-9;:]*m")
MOVING = b"\x05\x0b\x0c\x0e\x0f"  # ENQ, VT, FF, SO, SI
PIECES = [before for before, _ in CORPUS] + [bytes([value]) for value in range(256)]
OUTPUT = st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=12).map(b"".join)


@pytest.mark.parametrize(("before", "after"), CORPUS)
def test_corpus(before, after):
    """Colours pass; whatever moves the cursor, changes modes, asks or names things does not."""
    assert only_colours(before) == after


@pytest.mark.parametrize(("before", "after"), CORPUS)
def test_corpus_within_text(before, after):
    """What stands in front of a sequence is untouched, and what stands on the next line is."""
    assert only_colours(b"before" + before + b"\nafter") == b"before" + after + b"\nafter"


@pytest.mark.parametrize("value", sorted(set(range(256)) - {0x1B, *MOVING}))
def test_single_bytes(value):
    """No other byte is touched: CR, NUL, and what is not UTF-8."""
    data = b"a" + bytes([value]) + b"b"

    assert only_colours(data) == data


def forbidden(passed):
    """What no terminal is to be given."""
    rest = SGR.sub(b"", passed)
    return re.findall(rb"\x1b|\xc2[\x80-\x9f]|[" + MOVING + rb"]", rest)


@given(OUTPUT)
def test_nothing_forbidden_passes(data):
    """What passes holds no ESC but those of colours, and no other control, however it is put together."""
    passed = only_colours(data)

    assert forbidden(passed) == []


@given(OUTPUT, OUTPUT)
@example(b"\xc2", b"\x9b2J")
@example(b"\xc2\x0e", b"\x9b2J")
@example(b"\xc2\x1b[K", b"\x9b2J")
@example(b"\x1b\x0b", b"[2J")
def test_nothing_forbidden_comes_together(first, second):
    """Nor when a line is shown in two pieces because its end is late."""
    keep = len(first) - unfinished(first)
    passed = only_colours(first[:keep], goes_on=True) + only_colours(first[keep:] + second)

    assert forbidden(passed) == []


@given(OUTPUT)
def test_idempotent(data):
    """Taking out twice takes out no more."""
    passed = only_colours(data)

    assert only_colours(passed) == passed


@given(OUTPUT)
def test_every_line_stays(data):
    """No sequence swallows the end of a line."""
    assert only_colours(data).count(b"\n") == data.count(b"\n")


@given(st.binary())
def test_plain_is_unchanged(data):
    """Bytes without ESC and without such controls are not touched."""
    plain = re.sub(rb"\x1b|\xc2|[" + MOVING + rb"]", b"", data)

    assert only_colours(plain) == plain


@given(st.text(st.characters(exclude_characters="\x1b" + MOVING.decode(), exclude_categories=("Cs",))))
def test_text_is_unchanged(text):
    """Nor is any text; only its C1 controls are."""
    assert only_colours(text.encode()).decode() == re.sub("[\x80-\x9f]", "\ufffd", text)


@given(OUTPUT, OUTPUT)
def test_lines_are_alone(first, second):
    """What a line holds does not change what passes of the next one."""
    assert only_colours(first + b"\n" + second) == only_colours(first) + b"\n" + only_colours(second)


# unfinished

SPLIT = [
    b"\x1b[31m",
    b"\x1b[10;20H",
    b"\x1b[?25l",
    b"\x1b[2 q",
    b"\x1b(B",
    b"\x1bc",
    b"\x1b]0;title\x07",
    b"\x1b]0;title\x1b\\",
    b"\x1bPdata\x1b\\",
    b"\x1b_G\x1b\\",
    b"\xc2\x9b",
    b"\xc2\xa0",
]


@pytest.mark.parametrize("sequence", SPLIT)
def test_split_sequence_is_held(sequence):
    """Wherever a sequence is cut, its beginning is known as one, and only that."""
    for cut in range(1, len(sequence)):
        assert unfinished(b"text" + sequence[:cut]) == cut, sequence[:cut]


@pytest.mark.parametrize("sequence", SPLIT)
def test_whole_sequence_is_not_held(sequence):
    """A sequence that is whole is not the beginning of one."""
    assert unfinished(b"text" + sequence) == 0
    assert unfinished(sequence + b"text") == 0


@pytest.mark.parametrize(
    ("data", "length"),
    [(b"", 0), (b"text", 0), (b"\x1b[31m\x1b", 1), (b"\x1b]0;t\n", 0), (b"\x1b]" + b"t" * 5000, 0)],
)
def test_unfinished(data, length):
    """Text is no beginning, nor is a string that went on for too long or past its line."""
    assert unfinished(data) == length


@given(st.lists(st.sampled_from([b"x", b"word ", *SPLIT]), max_size=8).map(b"".join), st.data())
def test_cut_anywhere(data, draw):
    """Holding back the unfinished end makes two halves pass what the whole does."""
    cut = draw.draw(st.integers(0, len(data)))
    keep = cut - unfinished(data[:cut])

    assert only_colours(data[:keep]) + only_colours(data[keep:]) == only_colours(data)


# colours left behind


@pytest.mark.parametrize(
    ("line", "leaves"),
    [
        (b"plain", False),
        (b"\x1b[31mred", True),
        (b"\x1b[31mred\x1b[0m", False),
        (b"\x1b[31mred\x1b[m", False),
        (b"\x1b[31mred\x1b[00m", False),
        (b"\x1b[31mred\x1b[0;0m", False),
        (b"\x1b[0m\x1b[1m", True),
        (b"\x1b[0;1m", True),
        (b"\x1b[0mplain", False),
        (b"\x1b[2J", False),
        (b"\x1b[31mred\x1b[2J", True),
        (b"\x1b[31", False),
    ],
)
def test_leaves_colour(line, leaves):
    """The last colour sequence decides: a reset, in any spelling, leaves nothing behind."""
    assert leaves_colour(line) is leaves


def test_reset_lines():
    """A reset goes to the end of each line that needs one, and to no other."""
    data = b"plain\n\x1b[31mred\n\x1b[32mgreen\x1b[0m\n\n"

    assert reset_lines(data) == b"plain\n\x1b[31mred" + RESET + b"\n\x1b[32mgreen\x1b[0m\n\n"


@given(OUTPUT)
def test_reset_lines_leaves_no_colour(data):
    """After it no line leaves colour behind, and but for resets at ends of lines the bytes are the same."""
    tidied = reset_lines(data)

    assert not any(map(leaves_colour, tidied.split(b"\n")))
    assert tidied.count(b"\n") == data.count(b"\n")
    pairs = zip(data.split(b"\n"), tidied.split(b"\n"), strict=True)
    assert all(after in {before, before + RESET} for before, after in pairs)
