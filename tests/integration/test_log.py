"""The log of a background service: bounded, rotated, private, byte for byte; and what `logs` makes of it."""

import json
import os
import re
import stat
import time

import pytest
from support import background, procs
from support.background import python, shell
from support.procs import eventually
from support.running import DEVPORT, need

from devport.engine.log import KEPT, LIMIT, Log, Marks
from devport.inventory.logs import LogFile

machine, plain = background.machine, background.plain
windowed = background.windowed


@pytest.fixture
def path(tmp_path):
    """Where the log is."""
    return tmp_path / "web.log"


@pytest.fixture
def troubles():
    """What went wrong, as it was told."""
    return []


@pytest.fixture
def make(path, troubles):
    """Makes logs that are closed in the end."""
    made = []

    def one(**options):
        made.append(Log(str(path), troubles.append, **options))
        return made[-1]

    yield one
    for log in made:
        log.close()


class Clock:
    """A wall clock that a test sets."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        """The time."""
        return self.seconds


@pytest.fixture
def clock():
    """The time of the logs that are given it."""
    return Clock()


def marks(path):
    """What stands beside a log file."""
    return path.with_name(f"{path.name}.times").read_text()


def timed(path, lines=99):
    """The end of a log as `logs` reads it."""
    file = LogFile(str(path))
    try:
        return file.timed_tail(lines)
    finally:
        file.close()


def contents(path):
    """The files of a log, oldest first."""
    older = [path.with_name(f"{path.name}.{number}") for number in range(9, 0, -1)]
    return [one.read_bytes() for one in (*older, path) if one.exists()]


def test_bounds():
    """10 MB a file, 3 old ones."""
    assert (LIMIT, KEPT) == (10 << 20, 3)


def test_bytes_as_they_came(make, path, troubles):
    """Colours, NUL, CR, invalid UTF-8, unfinished lines: nothing is changed, nothing is added."""
    pieces = [b"\x1b[31mred\x1b[0m\r\n", b"\0", b"\xff\xfe", b"", b"no end", b"\r", b"\n" * 5]
    log = make()
    for piece in pieces:
        log.write(piece)

    assert path.read_bytes() == b"".join(pieces)
    assert troubles == []


def test_seen_at_once(make, path):
    """There is no buffer: what was written is there before the next byte comes."""
    log = make()
    for number in range(20):
        log.write(b"%d" % number)
        assert path.read_bytes().endswith(b"%d" % number)


def test_nothing_written_nothing_made(make, path):
    """A log that nobody writes to makes no file."""
    make().close()

    assert not path.exists()


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_private_whatever_the_umask(make, path, umask):
    """Mode 0600, the old files as well."""
    before = os.umask(umask)
    try:
        log = make(limit=10)
        for _ in range(3):
            log.write(b"123456789\n")
    finally:
        os.umask(before)

    assert {stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()} == {0o600}


def test_open_file_is_made_private(make, path):
    """One that was left open to others is not any longer."""
    path.write_bytes(b"old\n")
    path.chmod(0o644)
    make().write(b"new\n")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b"old\nnew\n"


def test_rotation(make, path):
    """A chunk that would go beyond the limit begins a new file; the oldest goes; chunks are never split."""
    log = make(limit=100, kept=3)
    chunks = [b"%03d " % number + b"x" * (7 + number % 30) + b"\n" for number in range(60)]
    for chunk in chunks:
        log.write(chunk)
    kept = contents(path)

    assert len(kept) == 4
    assert all(len(one) <= 100 for one in kept)
    assert b"".join(chunks).endswith(b"".join(kept))
    names = {f"web.log{end}" for end in ("", ".1", ".2", ".3")}
    assert {one.name for one in path.parent.iterdir()} == names | {f"{name}.times" for name in names}


@pytest.mark.parametrize("kept", [1, 2])
def test_fewer_old_files(make, path, kept):
    """As many as were asked for are kept."""
    log = make(limit=10, kept=kept)
    for number in range(9):
        log.write(b"%d23456789\n" % number)

    assert len(contents(path)) == kept + 1
    assert path.read_bytes() == b"823456789\n"


def test_exactly_full(make, path):
    """A file may be as large as the limit; the next byte begins another."""
    log = make(limit=10)
    log.write(b"12345")
    log.write(b"67890")
    assert contents(path) == [b"1234567890"]
    log.write(b"x")

    assert contents(path) == [b"1234567890", b"x"]


def test_chunk_beyond_the_limit(make, path):
    """It is written as a whole, alone in its file."""
    log = make(limit=10)
    for chunk in (b"a\n", b"b" * 50, b"c\n"):
        log.write(chunk)

    assert contents(path) == [b"a\n", b"b" * 50, b"c\n"]


def test_next_supervisor_goes_on(make, path):
    """A log that is there is appended to, and what it holds counts."""
    make(limit=20).write(b"1234567890\n")
    again = make(limit=20)
    again.write(b"234567\n")
    assert contents(path) == [b"1234567890\n234567\n"]
    again.write(b"34567\n")

    assert contents(path) == [b"1234567890\n234567\n", b"34567\n"]


def test_restarts_do_not_outgrow_the_limit(make, path):
    """A service that crashes for ever, each time under a new supervisor, has bounded logs all the same."""
    for number in range(30):
        log = make(limit=50, kept=2)
        log.write(b"started %03d\n" % number)
        log.write(b"crashed %03d\n" % number)
        log.close()

    assert sum(map(len, contents(path))) <= 3 * 50 + 3 * 12


def test_removed_while_open(make, path, troubles):
    """Somebody removes the file: writing goes on, and after a rotation there is a file again."""
    log = make(limit=20)
    log.write(b"123456789\n")
    path.unlink()
    log.write(b"234567890\n")
    log.write(b"345678901\n")

    assert contents(path)[-1] == b"345678901\n"
    assert troubles == []


def test_trouble_is_told_once(make, path, troubles):
    """A folder that is missing: one notice, no exception; once it is there, writing goes on."""
    folder = path.parent / "logs"
    log = make()
    log.path = str(folder / "web.log")
    for _ in range(5):
        log.write(b"lost\n")
    assert troubles == [f"cannot write {folder}/web.log: No such file or directory"]
    folder.mkdir()
    log.write(b"kept\n")
    assert (folder / "web.log").read_bytes() == b"kept\n"
    log.close()
    (folder / "web.log").unlink()
    folder.rmdir()
    log.write(b"lost\n")

    assert len(troubles) == 2


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "fifo", "device"])
def test_something_else_in_its_place(make, path, troubles, kind):
    """A link, a folder or a FIFO that somebody put there is not written to, and nobody hangs."""
    target = path.parent / "target"
    match kind:
        case "link":
            target.write_bytes(b"precious\n")
            path.symlink_to(target)
        case "dangling link":
            path.symlink_to(target)
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "device":
            try:
                os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
            except PermissionError:
                pytest.skip("only root makes devices")
    pid = os.fork()  # a FIFO may block for ever
    if pid == 0:
        status = 1
        try:
            log = make()
            log.write(b"x\n")
            status = 0 if len(troubles) == 1 else 2
        finally:
            os._exit(status)

    def check():
        found, status = os.waitpid(pid, os.WNOHANG)
        assert found == pid
        return os.waitstatus_to_exitcode(status)

    try:
        code = eventually(check)
    except AssertionError:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        raise
    assert code == 0
    assert not target.exists() or target.read_bytes() == b"precious\n"


@pytest.mark.parametrize("number", [1, 3])
def test_rotation_that_is_impossible(make, path, troubles, number):
    """A folder has an old file's name: that is told, what comes is kept, and the log stays bounded."""
    obstacle = path.with_name(f"web.log.{number}")
    obstacle.mkdir()
    (obstacle / "x").touch()
    log = make(limit=20)
    for place in range(40):
        log.write(b"line %03d\n" % place)

    assert len(troubles) >= 1
    logs = [one for one in path.parent.iterdir() if one.is_file() and one.suffix != ".times"]
    assert sum(len(one.read_bytes()) for one in logs) <= 4 * 20 + 40
    last = max(logs, key=lambda one: one.stat().st_mtime_ns)
    assert last.read_bytes().endswith(b"line 039\n")


def test_close_twice(make, path):
    """Twice is as good as once, and a later write opens it again."""
    log = make()
    log.write(b"a\n")
    log.close()
    log.close()
    log.write(b"b\n")

    assert path.read_bytes() == b"a\nb\n"


# marks of time


def test_marks(make, path, clock):
    """Where output began, to the microsecond, and at once when the clock was set back."""
    log = make(wall=clock)
    for at in (1000.0, 1000.000125, 1300.0, 900.0):
        clock.seconds = at
        log.write(b"%d\n" % at)

    assert marks(path) == "0 1000.000000\n5 1000.000125\n10 1300.000000\n15 900.000000\n"


def test_marks_of_a_flood(make, path, clock):
    """A burst has twenty, then there are twenty a second; what has none came soon after what has one."""
    log = make(wall=clock)
    for _ in range(1000):
        clock.seconds += 0.001
        log.write(b"%.6f\n" % clock.seconds)
    made = marks(path).splitlines()
    late = [float(line) - at for at, piece in timed(path, 1000) for line in piece.splitlines()]

    assert 38 <= len(made) <= 41
    assert 0 <= min(late) <= max(late) < 0.0511


def test_marks_move_with_their_file(make, path, clock):
    """Each old file has its own, and a new supervisor goes on with the last."""
    log = make(wall=clock, limit=20)
    for number in range(6):
        clock.seconds += 10
        log.write(b"line %03d\n" % number)
        if number == 4:
            log.close()
            log = make(wall=clock, limit=20)

    assert marks(path.with_name("web.log.2")) == "0 1010.000000\n9 1020.000000\n"
    assert marks(path) == "0 1050.000000\n9 1060.000000\n"
    assert timed(path) == [(1010.0 + 10 * n, b"line %03d\n" % n) for n in range(6)]
    assert timed(path, 3) == [(1010.0 + 10 * n, b"line %03d\n" % n) for n in (3, 4, 5)]


@pytest.mark.parametrize(
    ("next_", "wanted"), [(b"", "0 1002.000000\n"), (b"x\n", "0 1001.000000\n2 1002.000000\n")]
)
def test_marks_of_an_emptied_log(make, path, clock, next_, wanted):
    """Those of what is gone are gone too, though the log has begun to grow again."""
    log = make(wall=clock)
    log.write(b"one\n")
    clock.seconds += 1
    log.write(b"two\n")
    os.truncate(path, 0)
    log.write(next_)
    clock.seconds += 1
    log.write(b"three\n")

    assert marks(path) == wanted


def test_marks_are_bounded(path, clock):
    """When they are too many, old ones go: all of the output has a time, the newest an exact one."""
    beside = path.with_name("web.log.times")
    made = Marks(str(path), clock, limit=200)
    with path.open("ab", buffering=0) as log:
        for _ in range(1000):
            clock.seconds += 1
            made.mark(log.fileno())
            log.write(b"x\n")
            assert beside.stat().st_size <= 220
            assert timed(path, 2)[-2:] == [
                (at, b"x\n") for at in (clock.seconds - 1, clock.seconds) if at > 1000
            ]
    made.close()

    assert timed(path, 1000)[0][0] == 1001.0


@pytest.mark.parametrize("obstacle", ["folder", "link"])
def test_marks_that_cannot_be_written(make, path, clock, troubles, obstacle):
    """They are missing, and nothing else is: no output, no rotation, no word about it."""
    beside = path.with_name("web.log.times")
    (beside.mkdir if obstacle == "folder" else lambda: beside.symlink_to("/dev/full"))()
    log = make(wall=clock, limit=20)
    for number in range(5):
        clock.seconds += 1
        log.write(b"line %03d\n" % number)

    assert b"".join(contents(path)) == b"".join(b"line %03d\n" % n for n in range(5))
    assert troubles == []


def test_half_a_mark_is_taken_back(make, path, clock, monkeypatch):
    """A disk that takes only a part of one leaves the marks as they were."""
    log = make(wall=clock)
    log.write(b"one\n")
    clock.seconds += 1
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3] if b"1001" in data else data))
    log.write(b"two\n")
    clock.seconds += 1
    log.write(b"three\n")

    assert marks(path) == "0 1000.000000\n8 1002.000000\n"
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_old_marks_are_not_taken_for_another_file(make, path, clock):
    """An old file without marks gets none from the file that had its name before."""
    log = make(wall=clock, limit=10, kept=1)
    for name in ("one", "two"):
        log.write(b"%-9s\n" % name.encode())
    path.with_name("web.log.times").unlink()
    log.write(b"three    \n")

    assert timed(path) == [(None, b"two      \n"), (1000.0, b"three    \n")]


def test_marks_cost_twenty_writes_a_second(make, clock, monkeypatch):
    """At most, however many chunks there are."""
    counted = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: counted.append(len(data)) or write(fd, data))
    log = make(wall=clock)
    for _ in range(1000):
        clock.seconds += 0.01
        log.write(b"x")

    assert 1000 < len(counted) <= 1000 + 20 + 10 * 20


# reading


def test_tail_across_old_files(make, path):
    """The last lines, wherever a rotation cut."""
    log = make(limit=64, kept=3)
    for number in range(30):
        log.write(b"line %02d\n" % number)
    lines = b"".join(contents(path)).splitlines(keepends=True)
    for count in (0, 1, 5, 9, 20, len(lines), 99):
        file = LogFile(str(path))
        try:
            assert file.tail(count) == b"".join(lines[len(lines) - count :] if count <= len(lines) else lines)
        finally:
            file.close()


def test_following_across_rotations(make, path):
    """Who follows sees every byte once, though the file is rotated between two looks."""
    log = make(limit=50, kept=3)
    log.write(b"before\n")
    file = LogFile(str(path))
    seen = b""
    wanted = b""
    for number in range(40):
        line = b"line %02d\n" % number
        wanted += line
        log.write(line)
        while more := file.more():
            seen += more
        seen += file.more()
    while more := file.more():
        seen += more
    file.close()

    assert seen == wanted


# the supervisor's


def test_output_reaches_the_log(plain):
    """Everything, between what devport says: colours kept, the last unfinished line too."""
    script = r"printf '\033[31mred\033[0m\n'; printf 'no end'"
    row = plain.start("web", shell(script))
    plain.ended(row["hash"])
    log = plain.log(row["hash"])

    assert b"\x1b[31mred\x1b[0m\r\nno end" in log
    assert re.search(rb"devport: web started \(pid \d+, port \d+\)\n", log)
    assert b"devport: web exited with status 0\n" in log


def test_lines_of_devport_stand_alone(plain):
    """What devport says after an unfinished line begins a line of its own."""
    row = plain.start("web", shell("printf 'no end'"))
    plain.ended(row["hash"])

    assert re.search(rb"(?m)^devport: web exited", plain.log(row["hash"])), plain.log(row["hash"])


def test_started_comes_first(plain):
    """That it was started is said before what it prints."""
    for number in range(4):
        row = plain.start(f"w{number}", shell("echo hello"))
        plain.ended(row["hash"])
        assert re.match(rb"devport: w\d started .*\nhello\r\n", plain.log(row["hash"]))


def test_a_flood_is_rotated(plain):
    """80 MB leave four files of at most 10 MB, the last byte among them, in little memory."""
    code = (
        "import os, signal\n"
        "line = b'x' * 99 + b'\\n'\n"
        "import sys\n"
        "for n in range(80): sys.stdout.buffer.write(line * 10000)\n"
        "print('the end', flush=True); signal.pause()"
    )
    row = plain.start("web", python(code))
    plain.logged(row["hash"], rb"the end", timeout=60)
    files = sorted(plain.state.glob("logs/*"))
    names = [f"{row['hash']}.log{end}" for end in ("", ".1", ".2", ".3")]

    assert [one.name for one in files] == sorted([*names, *(f"{name}.times" for name in names)])
    assert all(one.stat().st_size <= LIMIT for one in files)
    assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o600}
    assert procs.peak_memory(row["supervisor"]) < 64 << 20


def test_logs_for_a_pipe_and_a_terminal(plain):
    """`logs` takes escape sequences and CR out for a pipe, and leaves colours on a terminal."""
    row = plain.start("web", shell(r"printf '\033[31mred\033[0m\n\033[2Kend\n'; exec sleep 1000"))
    plain.logged(row["hash"], rb"end\r\n")
    said = plain.do("logs", "web")
    running = plain.devport.spawn([DEVPORT, "logs", "web"], terminal=(80, 24))
    assert running.finish() == 0

    assert re.fullmatch(r"devport: web started .*\nred\nend\n", said)
    assert b"\x1b[31mred\x1b[0m" in running.output
    objects = list(map(json.loads, plain.do("logs", "--json", "web").splitlines()))[1:]
    assert [[one["service"], one["line"]] for one in objects] == [["web", "red"], ["web", "end"]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", one["time"]) for one in objects)
    assert plain.do("logs", "-n", "1", "web") == "end\n"


def test_logs_of_several(plain):
    """They are merged, each line with its time and its service's name in front."""
    for key in ("web", "api"):
        row = plain.start(key, shell(f"echo this is {key}; exec sleep 1000"))
        plain.logged(row["hash"], rb"this is")
    said = plain.do("logs", "web", "api")

    assert re.search(r"(?m)^[\d:]{8} web *\| this is web$", said)
    assert re.search(r"(?m)^[\d:]{8} api *\| this is api$", said)


def test_following_through_restarts(plain):
    """`logs -f` goes on when the service is restarted, stopped and started again."""
    row = plain.start("web", shell("echo life $$; exec sleep 1000"))
    plain.logged(row["hash"], rb"life")
    running = plain.devport.spawn([DEVPORT, "logs", "-f", "web"])
    running.expect(rb"life \d+")
    plain.do("restart", "web")
    running.expect(rb"life \d+")
    plain.do("stop", "web")
    running.expect(rb"web stopped")
    plain.do("restart", "web")
    running.expect(rb"life \d+")
    status, _ = running.stop(2)

    assert status in (0, -2, 130)


def test_log_after_the_window_is_gone(windowed):
    """What a service printed is there with its window closed, and with the tmux server killed (G23)."""
    need("tmux")
    row = windowed.start("web", shell("echo remember me; exec sleep 1000"))
    windowed.logged(row["hash"], rb"remember me")
    windowed.tmux("kill-server")
    windowed.ended(row["hash"])

    assert "remember me" in windowed.do("logs", "web")


def test_log_that_cannot_be_written(machine):
    """A log in whose place something else stands costs the log; the service runs, and the window is told."""
    script = "echo one; while ! test -e more; do sleep 0.05; done; echo two; exec sleep 1000"
    row = machine.start("web", shell(script))
    machine.do("stop", "web")
    path = machine.state / "logs" / f"{row['hash']}.log"
    path.unlink()
    path.mkdir()
    began = time.monotonic()
    assert machine.start("web", shell(script))["status"] == "running"

    assert time.monotonic() - began < 9  # not as long as a start that nobody answers is waited for
    if machine.windows:
        window = machine.window(row["hash"])
        machine.shows(window, r"(?m)^one *$")
        machine.shows(window, r"devport: cannot write ")
        (machine.project / "more").touch()
        machine.shows(window, r"(?m)^two *$")
        screen = machine.tmux("capture-pane", "-p", "-J", "-t", window)  # long lines in one piece
        assert screen.count("cannot write") == screen.count(f"{path}: Is a directory") == 1
    assert machine.do("stop", "web") == "web stopped\n"
