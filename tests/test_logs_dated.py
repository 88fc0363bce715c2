"""Lines with times: how output is cut at its marks, merged, and shown; and the times of a backlog."""

import json
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devport.context import Context
from devport.engine.backlog import MARKS, Backlog
from devport.inventory import logs
from devport.inventory.logs import LogFile, split
from devport.inventory.output import Dated, Piece, merged

NOON = 1_700_000_000.25


def clock(seconds):
    """The time in front of a line."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


@pytest.fixture
def context(tmp_path):
    """A context whose stdout is a file, at noon."""
    streams = [os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in ("in", "out", "err")]
    yield Context({}, str(tmp_path), str(tmp_path / "state"), *streams, wall=lambda: NOON)
    for stream in streams:
        os.close(stream)


def printed(context):
    return os.pread(context.stdout, 1 << 20, 0).decode()


class Tails:
    """A source with these pieces."""

    def __init__(self, *tails):
        self._tails = list(tails)

    def tails(self, _lines):
        """All of them."""
        return self._tails


# cutting


@given(
    st.lists(st.sampled_from([b"a", b"bc", b"\n", b"x\n\n", b"line\n"])).map(b"".join),
    st.lists(st.tuples(st.integers(-5, 60), st.none() | st.integers(1, 9))),
)
def test_pieces_are_the_whole(data, cuts):
    """Whatever the marks say, no byte is lost, doubled or moved, and no line is torn."""
    pieces = split(data, cuts)

    assert b"".join(piece for _, piece in pieces) == data
    assert all(piece.endswith(b"\n") for _, piece in pieces[:-1])
    assert all(piece for _, piece in pieces)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([b"a", b"bc", b"\n", b"x\n\n", b"line\n"]))))
def test_each_line_has_the_time_of_its_beginning(chunks):
    """The time of a line is that of the chunk in which it begins."""
    data, cuts, at, times = b"", [], 0, []
    for pause, chunk in chunks:
        at += pause
        cuts.append((len(data), at))
        data, times = data + chunk, times + [at] * len(chunk)
    wanted, place = [], 0
    for line in data.splitlines(keepends=True):
        wanted.append((times[place], line))
        place += len(line)

    assert [
        (at, line) for at, piece in split(data, cuts) for line in piece.splitlines(keepends=True)
    ] == wanted


@pytest.mark.parametrize(
    ("marks", "pieces"),
    [
        ("", [(None, b"one\ntwo\nthree\n")]),
        ("4 10.5\n", [(None, b"one\n"), (10.5, b"two\nthree\n")]),
        ("0 10\n8 12\n", [(10, b"one\ntwo\n"), (12, b"three\n")]),
        ("0 10\n5 12\n999 13\n", [(10, b"one\ntwo\n"), (12, b"three\n")]),
        ("0 10\nrubbish\n8 nan\n8 1e300\n8 \xff\n8", [(10, b"one\ntwo\nthree\n")]),
    ],
)
def test_marks_as_they_are_found(tmp_path, marks, pieces):
    """None, some, in the middle of a line, beyond the end, damaged: all lines are shown."""
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\nthree\n")
    (tmp_path / "log.times").write_text(marks, encoding="latin-1")
    file = LogFile(str(path))

    assert file.timed_tail(9) == pieces
    assert b"".join(piece for _, piece in file.timed_tail(2)) == b"two\nthree\n"
    file.close()


def test_marks_of_a_log_that_is_rotated_meanwhile(tmp_path):
    """They are found beside its new name, and the new file's are not taken for them."""
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    (tmp_path / "log.times").write_text("0 10\n")
    file = LogFile(str(path))
    for name in ("log", "log.times"):
        (tmp_path / name).rename(tmp_path / name.replace("log", "log.1"))
    path.write_bytes(b"two\n")
    (tmp_path / "log.times").write_text("0 20\n")

    assert file.timed_tail(9) == [(10.0, b"one\n")]
    file.close()


def test_marks_of_a_log_that_is_rotated_while_they_are_read(tmp_path, monkeypatch):
    """They may be another file's by then, and are not believed."""
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    (tmp_path / "log.times").write_text("0 10\n")

    def rotate(*_):
        path.rename(f"{path}.1")
        return b"0 20\n"

    file = LogFile(str(path))
    monkeypatch.setattr(logs.files, "read_all", rotate)

    assert file.timed_tail(9) == [(None, b"one\n")]
    file.close()


def test_file_without_marks_behind_one_that_has_some(tmp_path):
    """Its output has no time, and surely not the last of the older file; asked twice, it is the same."""
    (tmp_path / "log.1").write_bytes(b"one\n")
    (tmp_path / "log.1.times").write_text("0 10\n")
    (tmp_path / "log").write_bytes(b"two\nthree\n")
    file = LogFile(str(tmp_path / "log"))

    assert file.timed_tail(1) == [(None, b"three\n")]
    assert file.timed_tail(9) == [(10.0, b"one\n"), (None, b"two\nthree\n")]
    file.close()


# merging


def test_merged_by_time():
    """By time, unknown ones first; at the same time, and with a clock set back, each in its own order."""
    web = [Piece("web", at, b"") for at in (None, 10, 12, 12)]
    api = [Piece("api", at, b"") for at in (11, 12, 5, None, 13)]
    found = [(one.name, one.seconds) for one in merged([Tails(web), Tails(api)], 9)]

    assert [one for one in found if one[0] == "api"] == [(one.name, one.seconds) for one in api]
    assert found[:5] == [("web", None), ("web", 10), ("api", 11), ("web", 12), ("web", 12)]


# showing


def test_lines_are_shown_as_in_the_foreground(context):
    """Time, name, bar; without a time where it is not known; what comes now has the time of now."""
    display = Dated(context, ["web", "worker"], as_json=False, colour=False)
    for piece in (
        Piece("web", None, b"old\n"),
        Piece("web", 1000.0, b"one\ntwo\n"),
        Piece("worker", 1000.9, b"one\n"),
        Piece("web", 1001.0, b"three\n"),
    ):
        display.show(piece)
    display.feed("worker", b"now\n")
    display.end()

    assert printed(context) == (
        f"web    | old\n{clock(1000)} web    | one\n{clock(1000)} web    | two\n{clock(1000)} worker | one\n"
        f"{clock(1001)} web    | three\n{clock(NOON)} worker | now\n"
    )


def test_coloured_times(context):
    """The prefix has the colour of its service, the time included."""
    display = Dated(context, ["web", "api"], as_json=False, colour=True)
    display.show(Piece("api", 1000.0, b"one\n"))
    display.end()

    assert printed(context) == f"\x1b[33m{clock(1000)} api    | \x1b[0mone\n"


@pytest.mark.parametrize("as_json", [False, True])
def test_unfinished_line_keeps_its_time(context, as_json):
    """Though others' lines came after it."""
    display = Dated(context, ["web", "api"], as_json=as_json, colour=False)
    display.show(Piece("web", 1000.0, b"prompt> "))
    display.show(Piece("api", 2000.0, b"x\n"))
    display.end()
    last = printed(context).splitlines()[-1]

    if as_json:
        assert json.loads(last) == {"time": "1970-01-01T00:16:40.000Z", "service": "web", "line": "prompt> "}
    else:
        assert last == f"{clock(1000)} web    | prompt> "


def test_unfinished_line_that_is_followed(context):
    """When it has waited long enough it is shown, with its time."""
    ticking = iter(range(100))
    display = Dated(context._replace(now=lambda: next(ticking)), ["web", "api"], as_json=False, colour=False)
    display.show(Piece("web", 1000.0, b"prompt> "))
    display.show(Piece("api", 2000.0, b"x\n"))
    display.pause()

    assert printed(context).endswith(f"{clock(1000)} web    | prompt> ")


def test_one_service_alone_is_as_it_printed(context):
    """Without name, so without time."""
    display = Dated(context, ["web"], as_json=False, colour=False)
    display.show(Piece("web", 1000.0, b"one\n"))
    display.feed("web", b"two\n")
    display.end()

    assert printed(context) == "one\ntwo\n"


def test_times_in_json(context):
    """UTC, to the millisecond, null where there is none."""
    display = Dated(context, ["web"], as_json=True, colour=False)
    for seconds in (None, 1716976089.031, 1716976089.9996):
        display.show(Piece("web", seconds, b"x\n"))
    display.end()

    assert [json.loads(line)["time"] for line in printed(context).splitlines()] == [
        None,
        "2024-05-29T09:48:09.031Z",
        "2024-05-29T09:48:10.000Z",
    ]


# the backlog


def test_times_of_a_backlog():
    """From which byte of its end on which time counts."""
    now = [1000.0]
    backlog = Backlog(wall=lambda: now[0])
    for at, chunk in ((1000, b"one\n"), (1000.003, b"two\n"), (1001.5, b"three\n"), (900, b"back\n")):
        now[0] = at
        backlog.add(chunk)

    assert backlog.times(19) == [(0, 1000), (4, 1000.003), (8, 1001.5), (14, 900)]
    assert backlog.times(7) == [(0, 1001.5), (2, 900)]
    assert backlog.times(0) == [(0, 900)]
    assert Backlog().times(0) == []


def test_times_of_a_backlog_are_of_what_it_holds():
    """Those of what is gone are given up before any of what is there gets less exact."""
    now = [1000.0]
    backlog = Backlog(100, wall=lambda: now[0])
    for _ in range(20 * MARKS):
        now[0] += 1
        backlog.add(b"x" * 10)

    assert backlog.times(100) == [(10 * at, now[0] - 9 + at) for at in range(10)]


@pytest.mark.parametrize("size", [1, 1000])
def test_times_of_a_backlog_are_bounded(size):
    """However long it goes on; all bytes that are kept have one, the newest an exact one."""
    now = [1000.0]
    backlog = Backlog(4000, wall=lambda: now[0])
    for _ in range(5000):
        now[0] += 1
        backlog.add(b"x" * size)
        if backlog.total >= 4000:
            times = backlog.times(4000)
            assert len(backlog._marks) <= MARKS
            assert times[0][0] == 0
            assert times[-4:] == [(4000 - size * back, now[0] + 1 - back) for back in (4, 3, 2, 1)]
