"""Exit statuses: those of services pass through; what devport's own mean."""

import json
import os
import signal
import sys

import pytest
from support import procs
from support.running import DEVPORT, PATIENCE, child

CATCHABLE = sorted(
    number
    for number in signal.valid_signals()
    if number not in {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
    and number not in {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH}
)
SOME = [0, 1, 2, 3, 42, 63, 64, 126, 127, 128, 129, 130, 137, 143, 200, 254, 255]


def test_all_exit_codes_are_reported(devport):
    """Of 256 services, each with a status of its own, every one is reported with it."""
    devport.claim(256)
    devport.procfile(**{f"s{n}": f"exit {n}" for n in range(256)})
    running = devport.start("--keep-going", "--json")
    status = running.finish(60)

    events = [json.loads(line) for line in running.output.splitlines()]
    exits = [(event["service"], event["status"]) for event in events if event.get("event") == "exited"]
    assert sorted(exits) == sorted((f"s{n}", n) for n in range(256))
    assert status == next(code for _, code in exits if code)


def test_all_signal_deaths_are_reported(devport):
    """The same for every signal that ends a process, real-time ones too: 128 + n."""
    devport.claim(100)
    kill = "import os,sys,signal;os.kill(os.getpid(),int(sys.argv[1]))"
    devport.write("die.py", f"import resource;resource.setrlimit(resource.RLIMIT_CORE,(0,0));{kill}")
    devport.procfile(**{f"s{n:d}": f"exec {sys.executable} -I -S die.py {n:d}" for n in CATCHABLE})
    running = devport.start("--keep-going", "--json")
    status = running.finish(60)

    events = [json.loads(line) for line in running.output.splitlines()]
    exits = [(event["service"], event["status"]) for event in events if event.get("event") == "exited"]
    # Python itself ignores PIPE and XFSZ, and INT is an exception of its own that ends in the same death.
    ignored = {signal.SIGPIPE, signal.SIGXFSZ}
    expected = {f"s{n:d}": 0 if n in ignored else 128 + n for n in CATCHABLE}
    assert dict(exits) == expected
    assert status == next(code for _, code in exits if code)


def test_start_exits_as_its_service(devport):
    """The first exit of a service is the run's end, and its status devport's."""
    for batch in (SOME[n : n + 6] for n in range(0, len(SOME), 6)):
        several = []
        for code in batch:
            folder = devport.project / str(code)
            devport.procfile(folder, web=f"exit {code}", other="exec sleep 1000")
            several.append(devport.start(cwd=folder))

        assert [running.finish() for running in several] == batch


def test_run_exits_as_its_command(devport):
    """So does `devport run`, with an entry and with a command, for exit codes from 0 to 255."""
    devport.write("Procfile", "".join(f"s{n}: exit {n}\n" for n in (0, 7, 255)))
    codes = [*range(0, 256, 5), *SOME]
    for batch in (codes[n : n + 8] for n in range(0, len(codes), 8)):
        several = [devport.run("sh", "-c", f"exit {code}") for code in batch]
        assert [running.finish() for running in several] == batch
    for code in (0, 7, 255):
        assert devport.run(f"s{code}").finish() == code


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV, signal.SIGHUP]
)
def test_signal_deaths(devport, number):
    """128 + n, for `start` and for `run`."""
    devport.procfile(web=f"kill -{number:d} $$", other="exec sleep 1000")
    running = [
        devport.run("sh", "-c", f"kill -{number:d} $$"),
        devport.run("web"),
    ]

    assert [one.finish() for one in running] == [128 + number] * 2
    assert devport.start().finish() == 128 + number


@pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)],
)
def test_stopped_from_outside(devport, number, expected):
    """INT, TERM, HUP: 130, 143, 129, whatever the services' statuses are."""
    devport.procfile(
        a="trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done",
        b="trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done",
        c=child("stubborn"),
    )
    running = devport.start("-t", "1")
    running.ready("a", "b", "c")

    assert running.stop(number)[0] == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_run_stopped_from_outside(devport, number):
    """`devport run` hands the signal on, and the command's status is its own: an answer, or 128 + n."""
    devport.procfile(
        web=child("signals", "keep"),
        polite="trap 'exit 7' TERM INT HUP; echo ready; while :; do sleep 0.05; done",
    )
    running = devport.run("polite")
    running.expect(rb"ready")
    assert running.stop(number)[0] == 7

    running = devport.run("sh", "-c", "echo ready; exec sleep 1000")
    running.expect(rb"ready")
    assert running.stop(number)[0] in {128 + number, 128 + signal.SIGTERM}


def test_keep_going(devport):
    """With --keep-going the rest runs on, and the status is the first failure's, not the first end's."""

    def then(name):
        return f"until test -e ../{name}; do sleep 0.02; done"

    devport.procfile(
        good="exit 0",
        bad=f"{then('good')}; exit 5",
        worse=f"{then('bad')}; exit 6",
        last=f"{then('worse')}; echo still here",
    )
    running = devport.start("--keep-going")
    for name in ("good", "bad", "worse"):
        running.expect(rf"{name} exited with status".encode())
        devport.write(f"../{name}", "")

    assert running.finish() == 5
    assert b"still here" in running.output
    assert b"stopped" not in running.output


def test_keep_going_all_well(devport):
    """All end well: 0."""
    devport.procfile(a="exit 0", b="sleep 0.2")

    assert devport.start("--keep-going").finish() == 0


def test_keep_going_and_a_signal(devport):
    """A failure that was there before the signal decides; without one the signal does."""
    devport.procfile(bad="exit 5", web="echo ready; exec sleep 1000")
    running = devport.start("--keep-going")
    running.expect_all(rb"bad exited with status 5", rb"web +\| ready")
    assert running.stop(signal.SIGINT)[0] in {5, 130}

    devport.procfile(good="exit 0", web="echo ready; exec sleep 1000")
    running = devport.start("--keep-going")
    running.expect_all(rb"good exited with status 0", rb"web +\| ready")
    assert running.stop(signal.SIGINT)[0] == 130


def test_not_found_and_not_executable(devport):
    """127 and 126, for `start` and `run`, with a shell and without."""
    devport.write("plain", "text\n")
    devport.procfile(missing="./nowhere", plain="./plain", other="exec sleep 1000")

    assert devport.run("no-such-command-at-all").finish() == 127
    assert devport.run("./plain").finish() == 126
    assert devport.run("missing").finish() == 127
    assert devport.run("plain").finish() == 126
    assert devport.start("missing", "other").finish() == 127
    assert devport.start("plain", "other").finish() == 126


def test_simultaneous_ends(devport):
    """Of two that end together one status is devport's, never another number."""
    os.mkfifo(devport.folder / "go")
    devport.procfile(**{f"s{n}": f"echo ready; read x <../go; exit {n}" for n in range(10, 20)})
    running = devport.start()
    running.ready(*(f"s{n}" for n in range(10, 20)))
    (devport.folder / "go").write_bytes(b"")

    assert running.finish() in range(10, 20)


def test_configuration_errors(devport):
    """No project, no entry, a file that cannot be read: 1 and a message; nothing else on stdout."""
    missing = devport.call("start")
    assert (missing.status, missing.output) == (1, b"")
    assert missing.errors.startswith(b"devport: ")

    devport.write("Procfile", "# nothing\n")
    empty = devport.call("start")
    assert (empty.status, empty.output) == (1, b"")

    devport.write("Procfile", "a: true\na: true\n")
    twice = devport.call("start")
    assert (twice.status, twice.output) == (1, b"")
    assert b"line 2" in twice.errors

    named = devport.call("start", "-f", "nowhere")
    assert (named.status, named.output) == (1, b"")


def has_swallowed(running):
    """Whether Python itself has taken the interrupt, and the run goes on; False once it has ended."""

    def check():
        running.read(0.01)
        swallowed = b"KeyboardInterrupt" in running.errors and b"ready" in running.output
        assert swallowed or running.popen.poll() is not None, running.shown()
        return running.popen.poll() is None

    return procs.eventually(check, PATIENCE)


def test_interrupted_while_python_comes_up(devport):
    """An INT at any moment of the first 60 ms: a status that means INT, no traceback, nothing left."""
    devport.procfile(web="echo ready; exec sleep 1000")
    ends = []
    for place in range(20):
        running = devport.spawn([DEVPORT, "start"])
        procs.elapse(place * 0.003)
        running.send(signal.SIGINT)
        if has_swallowed(running):
            running.send(signal.SIGINT)
        ends.append((running.finish(), running.errors))
        procs.gone(devport.tag)

    for status, errors in ends:
        # Before devport's first line Python says what it likes: 1 and a traceback of its own start.
        assert status in {130, -signal.SIGINT} or b"KeyboardInterrupt" in errors, errors
        assert b"devport/cli.py" not in errors
