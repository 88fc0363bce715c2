"""Failures of the catalogue that are a matter between one module of the engine and the kernel."""

import contextlib
import os
import resource
import select
import signal
import subprocess
import threading

import pytest
from support import procs
from support.engine import engine, make_job, python, run_until, start

from devport import kernel
from devport.engine.lifecycle import DOWN, State
from devport.engine.process import Process
from devport.engine.signals import Signals
from devport.kernel import descendants


@pytest.fixture
def loop():
    """A loop of the test's own."""
    with engine() as made:
        yield made


def _after_its_parent(parent, write):
    """Wait until the process `parent` is gone, and write what `die_with` then says of it."""
    while os.getppid() == parent:
        select.select([], [], [], 0.002)
    os.write(write, b"%d" % descendants.die_with(parent))


def test_f05_parent_that_is_dead_already():
    """The kernel does not tell of a parent that died before it was asked to: that is noticed all the same."""
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        parent = os.getpid()
        if os.fork() == 0:
            with contextlib.suppress(BaseException):
                _after_its_parent(parent, write)
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)

    with os.fdopen(read, "rb") as answer:
        assert answer.read() == b"0"


def test_f18_zombie_that_its_parent_keeps():
    """A zombie is nothing that a stop would have to wait for."""
    code = "import os,signal; os.fork() or os._exit(0); print(end='x',flush=True); signal.pause()"

    def is_there():
        assert procs.zombies(parent.pid)

    with subprocess.Popen(python(code), stdout=subprocess.PIPE) as parent:
        assert parent.stdout.read(1) == b"x"
        procs.eventually(is_there)

        found = list(descendants.below(parent.pid))

        parent.kill()
    assert found == []


def test_f02_child_of_who_died_while_it_was_looked_at(monkeypatch):
    """Listed alive, dead when it is asked for its state: what it leaves behind is found all the same."""
    listed, states = iter([[11], [11, 12]]), {11: "Z", 12: "S"}
    monkeypatch.setattr(descendants, "children", lambda _pid: next(listed))
    monkeypatch.setattr(descendants, "stat", lambda pid: descendants.Stat(states[pid], 1, pid, pid))

    assert descendants.orphans({}) == {12}


def test_f02_dead_orphans_are_nobody(monkeypatch):
    """A zombie that nobody has reaped yet is looked at twice, and no more."""
    monkeypatch.setattr(descendants, "children", lambda _pid: [11, 13])
    monkeypatch.setattr(descendants, "stat", lambda pid: descendants.Stat("Z", 1, pid, pid))

    assert descendants.orphans({13: "token"}) == set()


HEADLESS = """
import ctypes, os, signal, threading
def stay():
    while b") Z" not in open("/proc/self/stat", "rb").read(): threading.Event().wait(0.002)
    print(os.getpid(), flush=True)
    threading.Event().wait()
if os.fork() == 0:
    os.setsid()
    threading.Thread(target=stay).start()
    ctypes.CDLL(None).pthread_exit(None)
signal.pause()
"""


def test_f18_who_outlives_its_first_thread_is_no_zombie(loop):
    """The kernel tells of a process what its first thread is: a stop waits for the others as well."""
    web = make_job(loop, python(HEADLESS), on="never")
    printed = bytearray()
    web.taps.append(printed.extend)
    start(loop, web)
    run_until(loop, lambda: printed.endswith(b"\n"))
    assert procs.process(int(printed)).state == "Z"
    loop.send(web, DOWN)
    run_until(loop, lambda: web.lifecycle.state is State.STOPPED)
    if is_left := os.path.exists(f"/proc/{int(printed)}"):
        os.kill(int(printed), signal.SIGKILL)

    assert not is_left


def _next_pid_is(number):
    """Have the kernel give `number` to the next process; which it gave last. Skips where it will not."""
    try:
        with open("/proc/sys/kernel/ns_last_pid", "r+") as file:
            last = int(file.read())
            file.seek(0)
            file.write(str(number - 1))
    except OSError as error:
        pytest.skip(f"the kernel's next pid cannot be chosen here (ns_last_pid): {error.strerror}")
    return last


def _forked():
    """The pid of a process that was forked, has ended and has been reaped."""
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def test_f15_number_of_a_group_is_not_given_away(loop):
    """While a dead leader's group is being ended, its number belongs to nobody else."""
    code = (
        "import os,signal;signal.signal(15,signal.SIG_IGN);r,w=os.pipe()\n"
        "if os.fork(): os.read(r,1); os._exit(3)\n"
        "os.write(w,b'x'); signal.pause()"
    )
    web = make_job(loop, python(code), on="never", grace=60.0)
    start(loop, web)
    run_until(loop, lambda: web.lifecycle.state is State.STOPPING)
    leader = web.process.pid
    assert web.process.leftovers
    given, lasts = [], []
    for _ in range(20):  # others on this machine fork as well
        lasts.append(_next_pid_is(leader))
        given.append(_forked())
    _next_pid_is(max(lasts) + 1)  # nobody else is to meet the numbers of those who have just died

    assert leader not in given
    loop.send(web, DOWN)
    loop.send(web, DOWN)
    run_until(loop, lambda: web.lifecycle.state is State.STOPPED)


def test_f15_number_that_is_a_strangers_by_now(monkeypatch):
    """Where a dead leader has to be reaped at once, nobody is signalled who was given its number since."""
    monkeypatch.setattr(kernel, "WAITID", False)
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    leader = Process(stranger.pid, "token", None, None, shared_group=False)
    leader.exited = True

    leader.signal(signal.SIGTERM)

    stranger.kill()
    assert stranger.wait() == -signal.SIGKILL


@pytest.mark.parametrize("numbers", [(1, 15), (10, 12, 28, 20, 2), (17, 18, 28, 3)])
def test_f26_signals_at_once(numbers):
    """Of signals that come at the same moment each one is seen."""
    signals = Signals()
    try:
        for _ in range(20):
            signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
            for number in numbers * 50:  # to this thread: the others of a test's worker have it not blocked
                signal.pthread_kill(threading.get_ident(), number)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)

            assert signals.take() == set(numbers)
    finally:
        signals.close()


def test_f26_more_signals_than_the_pipe_holds():
    """The bytes that wake the loop may be lost, the signals are not."""
    signals = Signals()
    try:
        for _ in range(70_000):
            signals._note(signal.SIGWINCH, None)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(signals._write, bytes(65536))
        os.kill(os.getpid(), signal.SIGTERM)

        assert signals.take() == {signal.SIGWINCH, signal.SIGTERM}
    finally:
        signals.close()


def test_f42_descriptors_beyond_1024():
    """A descriptor above 1024, which select(2) cannot take, is as good as any other."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    kept = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        with engine() as loop:
            seen = bytearray()
            web = make_job(loop, ("sh", "-c", "echo hello; exec sleep 1000"), on="never")
            web.taps.append(seen.extend)
            start(loop, web)
            run_until(loop, lambda: bytes(seen) == b"hello\n")

            assert web.process.output > 1024
    finally:
        for one in kept:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "environment", [{"A": "a\0b"}, {"A=B": "x"}, {"A\0B": "x"}, {"A": "\ud800"}, {"A\udcff": "x\udcfe"}]
)
def test_f48_value_that_no_process_can_have(loop, environment):
    """A NUL, or what is no character, is that service's failure with a reason; what can be passed on is."""
    web = make_job(loop, ("env",), on="never", environment=environment)
    other = make_job(loop, ("sleep", "1000"), name="other")
    seen = bytearray()
    web.taps.append(seen.extend)
    start(loop, other)
    run_until(loop, lambda: other.lifecycle.state is State.READY)
    start(loop, web)
    run_until(loop, lambda: web.lifecycle.state in {State.FAILED, State.EXITED})

    text = "".join(word for pair in environment.items() for word in pair)
    if "\0" in text or "\ud800" in text:
        assert web.lifecycle.state is State.FAILED
        assert web.lifecycle.fault
    elif "A=B" not in environment:
        assert b"A\xff=x\xfe\n" in seen
    assert other.lifecycle.state is State.READY


def test_f14_others_go_on(loop):
    """What the kernel will not let die is given up, and keeps nobody: not the loop, not the others."""
    web = make_job(loop, ("sleep", "1000"), on="never", grace=0.1)
    other = make_job(loop, ("sleep", "1000"), name="other")
    start(loop, web)
    start(loop, other)
    run_until(loop, lambda: web.lifecycle.state is State.READY and other.lifecycle.state is State.READY)
    process = web.process
    process.signal = lambda _number: None  # as if it were in state D: no signal does anything
    began = loop.now()
    loop.send(web, DOWN)
    run_until(loop, lambda: web.lifecycle.state is State.FAILED)

    assert 3.0 < loop.now() - began < 10.0
    assert web.lifecycle.fault == "still running after SIGKILL"
    assert other.lifecycle.state is State.READY
    os.kill(process.pid, signal.SIGKILL)
    procs.eventually(lambda: loop.reap() or _gone(process.pid))


def _gone(pid):
    assert procs.process(pid) is None


def test_f09_signals_start_clean_without_a_shell(loop):
    """A program that no shell starts (dash clears its own mask) has no signal blocked or ignored."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        loop.spawner.ignored.append(signal.SIGUSR2)  # as where it was ignored when devport began
        seen = bytearray()
        web = make_job(loop, ("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"), on="never")
        web.taps.append(seen.extend)
        start(loop, web)
        run_until(loop, lambda: web.lifecycle.state is State.EXITED)
    finally:
        signal.signal(signal.SIGUSR2, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    assert len(seen.splitlines()) == 2
    assert [procs.settable(line.split()[1]) for line in seen.splitlines()] == [0, 0]


def test_f32_words_that_came_while_devport_was_kept_from_reading(loop):
    """A stall longer than the wait for a holder of the pipe does not cut off what he has said in it."""
    web = make_job(loop, python("print('up', flush=True); import signal; signal.pause()"), on="never")
    printed = bytearray()
    web.taps.append(printed.extend)
    start(loop, web)
    run_until(loop, lambda: printed == b"up\n")
    pipe = os.open(f"/proc/{web.process.pid}/fd/1", os.O_WRONLY)
    clock = loop.now()
    loop.now = lambda: clock
    os.kill(web.process.pid, signal.SIGKILL)
    run_until(loop, lambda: web in loop._endings)

    def stall():
        nonlocal clock
        clock += 5
        loop.at(clock, lambda: os.write(pipe, b"late words\n"))  # after the next look at the pipe

    loop.at(clock, stall)
    run_until(loop, lambda: web.lifecycle.state is State.EXITED)
    os.close(pipe)

    assert printed == b"up\nlate words\n"
