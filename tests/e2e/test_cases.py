"""Cases a to dd of the Go runners' dossier (overmind-hivemind.md, section 9) that concern the foreground.

At least one of overmind, hivemind and goreman fails each. q and r in part, and bb, are about tmux.
"""

import json
import os
import re
import signal
import time
import zlib

import pytest
from support import procs
from support.running import DEVPORT, child, need, python

GRACE = 1.0
T = ("-t", str(GRACE))
SOON = 15.0
"""Seconds, on a busy machine, for what would take twice as long if it waited for a grace (here of 30 s)."""


def test_a_whole_output_of_a_short_process(devport):
    """`seq 1 100000` as the whole process arrives whole and in order, 50 times out of 50."""
    need("seq")
    wanted = b"".join(b"%d\n" % n for n in range(1, 100_001))
    for _ in range(10):
        several = []
        for place in range(5):
            folder = devport.project / f"p{place}"
            devport.procfile(folder, web="seq 1 100000")
            several.append(devport.start("--no-prefix", cwd=folder))
        for running in several:
            assert running.finish(60) == 0
            others = re.compile(rb"^web (?:started|exited) .*\n", re.MULTILINE)
            assert others.sub(b"", running.output) == wanted


def test_b_last_line_without_newline(devport):
    """The last line is shown although no LF ends it, on a line of its own."""
    devport.procfile(web="printf 'one\\ntwo'")
    running = devport.start()

    assert running.finish() == 0
    assert running.lines("web") == [b"one", b"two"]
    assert re.search(rb"\| two\n.* system \| web exited", running.output)


def test_c_blank_lines(devport):
    """Blank lines are kept."""
    devport.procfile(web="printf 'a\\n\\n\\nb\\n'")
    running = devport.start()

    assert running.finish() == 0
    assert running.lines("web") == [b"a", b"", b"", b"b"]


@pytest.mark.parametrize("way", ["--no-pty", "--pty"])
def test_d_long_line(devport, way):
    """A line of 200 kB is one line, whatever others say meanwhile.

    (Where the rest is late, on a machine that keeps `cat` waiting, its beginning is shown alone: hence two.)
    """
    line = bytes(33 + n % 90 for n in range(200_000))
    devport.write("data", line + b"\n")
    devport.procfile(web="cat data; sleep 0.3; cat data", other="while :; do echo tick; sleep 0.01; done")
    running = devport.start(way)

    assert running.finish() == 0
    lines = running.lines("web")
    assert b"".join(lines) == line * 2
    assert line in lines


def test_e_four_writers(devport):
    """Four writers of 3,000 lines of 200 characters: no line is mixed, split or lost."""
    devport.procfile(**{f"w{n}": child("chatty", 3000, 200, 200, f"w{n}") for n in range(4)})
    running = devport.start("--keep-going")

    assert running.finish(60) == 0
    for n in range(4):
        pieces = running.lines(f"w{n}")
        # A writer who is kept waiting within a line has its beginning shown alone.
        assert len(pieces) <= 3010
        text = b"".join(pieces)
        lines = [text[i : i + 200] for i in range(0, len(text), 200)]
        assert [int(line.split()[1]) for line in lines] == [*range(3000)]
        assert all(b"%08x" % zlib.crc32(line[:-9]) == line[-8:] for line in lines)


@pytest.mark.parametrize("way", ["--no-pty", "--pty"])
def test_f_prompt(devport, way):
    """A prompt without LF appears soon, and the rest of its line is not corrupted."""
    devport.procfile(ask=child("partial", "../answer"))
    running = devport.start(way)
    running.expect(rb"ask +\| prompt> $")
    devport.write("../answer", "")
    running.expect(rb"answer$")

    assert running.stop()[0] == 143
    assert running.lines("ask") == [b"prompt> answer"]


def until(name):
    """The words of a shell that wait for the file `name` of the project."""
    return f"until test -e {name}; do sleep 0.02; done"


def test_g_colour_does_not_bleed(devport):
    """A colour without a reset does not reach the next prefix, not even behind a line that broke off."""
    devport.procfile(
        red=rf"printf '\033[31mbegun'; {until('end')}; echo; touch ended; exec sleep 1000",
        other=f"{until('begun')}; echo plain; {until('ended')}; echo more; exec sleep 1000",
    )
    running = devport.start()
    running.expect(rb"begun")
    devport.write("begun", "")
    running.expect(rb"plain")
    devport.write("end", "")
    running.expect(rb"more")
    assert running.stop()[0] == 143

    for line in running.output.split(b"\n"):
        colours = re.findall(rb"\x1b\[([0-9;]*)m", line)
        assert colours == [] or colours[-1] in {b"", b"0"}
    assert b"\x1b[31mbegun\x1b[0m\n" in running.output


def test_h_no_colour_without_a_terminal(devport):
    """In a pipe devport adds no colour, no title, no escape at all."""
    devport.procfile(web="echo plain", other="exec sleep 1000")
    running = devport.start()

    assert running.finish() == 0
    assert b"\x1b" not in running.output


def test_i_head(devport):
    """`devport start | head -5` ends by itself and leaves no orphan."""
    need("bash")
    devport.procfile(a="while :; do echo x; sleep 0.01; done", b=child("forker", "setsid", "stubborn"))
    running = devport.spawn(["bash", "-c", f'{DEVPORT} start -t 1 | head -5; echo "${{PIPESTATUS[*]}}"'])

    assert running.finish() == 0
    assert running.output.splitlines()[-1] in {b"141 0", b"0 0"}
    assert len(running.output.splitlines()) == 6
    assert b"Traceback" not in running.errors
    assert procs.tree(devport.tag) == []


def test_j_pair_that_ignores_interrupts(devport):
    """Two services ignore INT and TERM: one INT ends them after the grace, a second one at once."""
    devport.procfile(a=child("stubborn"), b=child("stubborn"))
    running = devport.start(*T)
    running.ready("a", "b")
    status, seconds = running.stop(signal.SIGINT)
    assert status == 130
    assert seconds >= GRACE
    assert b"did not stop within 1 s, killing" in running.output

    running = devport.start("-t", "60")
    running.ready("a", "b")
    running.send(signal.SIGINT)
    running.expect(rb"SIGINT received")
    procs.elapse(procs.APART)
    status, seconds = running.stop(signal.SIGINT)
    assert status == 130
    assert seconds < SOON


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_k_signal_to_the_whole_group(devport, number):
    """A signal to the whole process group is one stop, in order, and leaves no lock or socket behind."""
    devport.procfile(web=child("signals"), worker=child("signals"))
    running = devport.start("-t", "30")
    running.ready("web", "worker")
    running.send_group(number)

    assert running.finish() == 128 + number
    assert running.output.count(b"got SIGTERM") == 2
    assert b"again" not in running.output
    assert not (devport.state / "run").exists() or list((devport.state / "run").iterdir()) == []
    again = devport.start()
    again.ready("web", "worker")
    assert again.stop()[0] == 143


def test_l_killed_manager(devport):
    """After kill -9 of devport no orphan is left, and the next start needs no cleaning up."""
    devport.procfile(web=child("listener"), worker=child("forker", "double"))
    running = devport.start(*T)
    running.ready("web", "worker")
    assert running.stop(signal.SIGKILL)[0] == -9
    procs.gone(devport.tag, SOON)
    again = devport.start(*T)
    again.ready("web", "worker")

    assert again.stop()[0] == 143


def test_m_stale_files(devport):
    """What a dead devport left in the state folder keeps nobody from starting."""
    devport.procfile(web="echo ready; exec sleep 1000")
    running = devport.start()
    running.ready("web")
    running.stop()
    [lock] = [path for path in (devport.state / "locks").iterdir() if path.name != "register.lock"]
    (devport.state / "run").mkdir(exist_ok=True)
    (devport.state / "run" / f"{lock.stem}.sock").write_bytes(b"")
    lock.write_bytes(b"\0\xffgarbage")
    (devport.state / "services" / ".tmp-1234").write_bytes(b"{")
    again = devport.start()
    again.ready("web")

    assert again.stop()[0] == 143


def test_n_second_start(devport):
    """A second start of what runs already: refused, with the pid, and a status that is not 0."""
    devport.procfile(web="echo ready; exec sleep 1000")
    first = devport.start()
    first.ready("web")
    second = devport.call("start")

    assert second.status == 1
    assert f"web is already running: pid {first.supervisor} in {devport.project}".encode() in second.errors
    assert b"started" not in second.output
    assert first.stop()[0] == 143


def test_o_segmentation_fault(devport):
    """A process that dies of SEGV: 139, and the log names the signal."""
    devport.procfile(web="kill -SEGV $$", other="exec sleep 1000")
    running = devport.start()

    assert running.finish() == 139
    assert b"web was killed by SIGSEGV" in running.output


def test_p_first_failure_decides(devport):
    """The first failure's status is devport's, although its siblings are stopped with others."""
    devport.procfile(
        a="trap 'exit 9' TERM; while :; do sleep 0.05; done",
        b="sleep 0.5; exit 5",
        c=child("stubborn"),
    )
    running = devport.start(*T)

    assert running.finish() == 5


def test_q_names_that_look_alike(devport):
    """Names such as 0, 1, web and web-assets: exactly the one that is named runs."""
    names = ["0", "1", "web", "web-assets", "web_1", "we"]
    devport.write("Procfile", "".join(f"{name}: echo I am {name} $PS\n" for name in names))
    for name in names:
        running = devport.call("start", name)

        assert running.status == 0
        assert re.findall(rb"I am .*", running.output) == [f"I am {name} {name}".encode()]


def test_r_same_name_elsewhere(devport):
    """Windows of tmux are no part of this; a neighbour of the same name in another project is left alone."""
    other = devport.project / "other"
    devport.procfile(web="echo ready; exec sleep 1000")
    devport.procfile(other, web="echo ready; exec sleep 1000")
    first, second = devport.start(), devport.start(cwd=other)
    first.ready("web")
    second.ready("web")
    assert first.stop(signal.SIGKILL)[0] == -9
    second.read(0.2)

    assert second.popen.poll() is None
    assert second.stop()[0] == 143


@pytest.mark.parametrize("words", [["--bogus"], ["-Z"], ["-t", "x"], ["-c", "web"], ["-t"]])
def test_s_bad_flag(devport, words):
    """A flag that does not exist, or says nothing sensible: status 2 at once, nothing started."""
    devport.procfile(web="touch started")
    running = devport.call("start", *words)

    assert running.status == 2
    assert running.errors.startswith(b"devport: ")
    assert not (devport.project / "started").exists()


@pytest.mark.parametrize("words", [["nobody"], ["web", "nobody"], ["--except", "nobody"], ["-q", "nobody"]])
def test_t_unknown_name(devport, words):
    """A name that is in no line: status 2 at once, a message with the name, nothing started."""
    devport.procfile(web="touch started")
    running = devport.call("start", *words)

    assert running.status == 2
    assert b"nobody" in running.errors
    assert not (devport.project / "started").exists()


def test_u_two_projects(devport):
    """Two projects at once: the end of one is nothing to the other."""
    other = devport.project / "other"
    devport.procfile(web=child("listener"), worker=child("forker", "double"))
    devport.procfile(other, web=child("listener"), worker=child("forker", "double"))
    first, second = devport.start(*T), devport.start(*T, cwd=other)
    first.ready("web", "worker")
    port = int(second.expect_all(rb"web +\| ready (\d+)", rb"worker +\| ready")[0][1])
    pids = procs.descendants(second.pid)
    assert first.stop()[0] == 143

    assert procs.descendants(second.pid) == pids
    assert procs.is_listening(port)
    assert second.stop()[0] == 143


def test_v_background_jobs(devport):
    """A background job in a line, a setsid child and one with a group of its own are gone after a stop."""
    devport.procfile(
        job="sleep 1000 & sleep 1001 & echo ready; wait",
        setsid="setsid sleep 1000 & echo ready; wait",
        pgid="set -m; sleep 1000 & echo ready; wait",
        nohup="nohup sleep 1000 >/dev/null 2>&1 & echo ready; wait",
        pipe="sleep 1000 | cat & echo ready; wait",
        nested="(setsid sh -c 'setsid sleep 1000 & sleep 1001' &) ; echo ready; sleep 1002; true",
    )
    running = devport.start(*T)
    running.ready("job", "setsid", "pgid", "nohup", "pipe", "nested")

    def all_there():
        assert len(procs.tree(devport.tag)) >= 14

    procs.eventually(all_there)

    assert running.stop()[0] == 143
    assert procs.tree(devport.tag) == []


def test_w_grandchild_that_holds_the_pipe(devport):
    """A grandchild that holds the pipe does not delay that its leader has exited."""
    devport.procfile(web="sleep 1000 & exit 4", other="exec sleep 1000")
    began = time.monotonic()
    running = devport.start("-t", "30")

    assert running.finish() == 4
    assert running.ended - began < SOON


def test_x_instant_exit_while_others_start(devport):
    """A process that ends in its first millisecond while others are still being started ends the run."""
    devport.claim(100)
    entries = {"first": "exit 6", **{f"s{n}": "exec sleep 1000" for n in range(99)}}
    devport.procfile(**entries)
    running = devport.start()

    assert running.finish() == 6
    assert procs.tree(devport.tag) == []


def test_y_150_processes(devport):
    """150 processes run, print, and end."""
    devport.claim(150)
    devport.procfile(**{f"s{n}": f"echo ready {n}; exec sleep 1000" for n in range(150)})
    running = devport.start("-t", "30")
    running.ready(*(f"s{n}" for n in range(150)))

    status, seconds = running.stop()

    assert status == 143
    assert seconds < SOON
    assert running.output.count(b" stopped\n") == 150


@pytest.mark.parametrize(
    "name",
    [
        "with blanks and 'quotes\"",
        "dots.and..more",
        "ünïcödé 日本",
        "-dash",
        "x" * 200,
        "a:b;c&d|e",
        "tab\there",
        "$HOME `id`",
    ],
    ids=["blanks", "dots", "unicode", "dash", "long", "shell", "tab", "dollar"],
)
def test_z_odd_folders(devport, name):
    """The project, HOME, TMPDIR and the state folder may be called anything."""
    base = devport.folder / name
    folder, state = base / "project", base / "state"
    (base / "tmp").mkdir(parents=True)
    devport.procfile(folder, web='pwd; echo "$TMPDIR"; echo "$PORT"; exec sleep 1000')
    env = {"TMPDIR": str(base / "tmp"), "DEVPORT_HOME": str(state), "HOME": str(base)}
    running = devport.start(cwd=folder, env=env)
    running.expect(rb"web +\| \d+$")
    assert running.stop()[0] == 143

    assert running.lines("web")[:2] == [str(folder).encode(), str(base / "tmp").encode()]


def test_z_folder_that_is_no_text(devport):
    """Not even UTF-8 has to be in its name."""
    folder = os.fsencode(devport.folder) + b"/\xff\xfe project"
    os.mkdir(folder)
    with open(folder + b"/Procfile", "wb") as file:
        file.write(b"web: pwd; exec sleep 1000\n")
    running = devport.start(cwd=folder)
    running.expect(rb"web +\| .*\xff\xfe project$")

    assert running.stop()[0] == 143


@pytest.mark.parametrize("shell", ["/bin/false", "", None, "/no/such/shell", "fish"])
def test_aa_shell(devport, shell):
    """Which SHELL the user has is nothing to a Procfile: /bin/sh runs it."""
    devport.procfile(web="test 1 = 1 && echo from $0")
    running = devport.start(env={"SHELL": shell})

    assert running.finish() == 0
    assert running.lines("web") == [b"from /bin/sh"]


def test_bb_same_environment_for_all(devport):
    """No tmux is in between: all get the same environment, whatever .tmux.conf says."""
    (devport.home / ".tmux.conf").write_text(
        "set-environment -g PATH /nowhere\nset -g destroy-unattached on\n"
    )
    devport.procfile(**{f"s{n}": "env" for n in range(5)})
    running = devport.start("--keep-going")
    assert running.finish() == 0

    own = {b"PORT", b"PS", b"DEVPORT_HASH"}
    seen = [dict(line.split(b"=", 1) for line in running.lines(f"s{n}")) for n in range(5)]
    common = [{name: value for name, value in one.items() if name not in own} for one in seen]
    assert all(one == common[0] for one in common)
    assert common[0][b"PATH"] == devport.environ["PATH"].encode()
    assert len({one[b"PORT"] for one in seen}) == 5


def test_cc_blocked_stdout_is_survived(devport):
    """Nobody reads until everything is blocked; then the reader goes on, and nothing was lost.

    (That no timer ends it, 300 s or any other, is the pure ring's, with a fake clock.)
    """
    devport.write("data", b"".join(b"%07d\n" % n for n in range(500_000)))
    devport.procfile(web="cat data")
    running = devport.start("--no-prefix")
    running.expect(rb"^0000000$")
    unread = running.stall()
    procs.idle(devport.tag, 0.5)
    assert running.popen.poll() is None
    running.out = unread

    assert running.finish(60) == 0
    assert [int(n) for n in re.findall(rb"^\d{7}$", running.output, re.MULTILINE)] == [*range(500_000)]


def test_dd_zombies(devport):
    """A process that is dead and not reaped counts as dead; devport reaps what it adopted."""
    code = "import os,select;os.fork() or os._exit(0);print('ready',flush=True);select.select([],[],[])"
    devport.procfile(web=python(code), worker=child("orphans", 20))
    running = devport.start("-t", "30")
    running.ready("web", "worker")
    supervisor = running.supervisor

    def check():
        assert procs.zombies(supervisor) == []
        assert len(procs.children(supervisor)) == 2

    procs.eventually(check)
    status, seconds = running.stop()

    assert status == 143
    assert seconds < SOON


def test_events_are_objects(devport):
    """--json: one object a line, whatever the bytes; events and lines of every service."""
    devport.procfile(web=r"printf 'a\377\0\n\033[31mred\nlast'; exit 3", other="exec sleep 1000")
    running = devport.start("--json")

    assert running.finish() == 3
    objects = [json.loads(line) for line in running.output.splitlines()]
    lines = [one["line"] for one in objects if one.get("service") == "web" and "line" in one]
    assert len(lines) == 3
    assert lines[2] == "last"
    assert {"started", "exited", "stopped"} <= {one.get("event") for one in objects}
    assert all("time" in one for one in objects)
