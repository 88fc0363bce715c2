"""The engine without a frame: a Loop in the test's own process, jobs as a frame makes them, and time.

The loop reaps every child of the process it runs in, and takes one that it did not start for something
that a service left behind: start no other process (subprocess, multiprocessing) while one is open. A
server that is to be a stranger runs in a thread, or is a job of the loop itself.
"""

import contextlib
import os
import signal
import sys
import time

import pytest
from support import procs
from support.builders import lifecycle, view
from support.running import CHILDREN

from devport.engine.job import Job
from devport.engine.lifecycle import AT_REST, DOWN, UP
from devport.engine.loop import Loop
from devport.engine.printer import Printer
from devport.engine.process import Command, Stdio
from devport.engine.signals import Signals
from devport.engine.sink import Sink
from devport.engine.spawner import Spawner
from devport.kernel import descendants

PATIENCE = float(os.environ.get("DEVPORT_TEST_PATIENCE", "20"))
"""Seconds for what takes milliseconds: the machine may be busy."""
LOOK = 0.05
"""Seconds after which a predicate is asked again, even if nothing happened in the loop."""


def make_loop():
    """A Loop that takes SIGCHLD; what is printed goes nowhere. `close_loop` ends it."""
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    descendants.become_subreaper()
    loop = Loop(Printer(Sink(null), view(), ["web"]), Spawner(), time.monotonic)
    loop.null = null
    loop.signals = Signals()
    loop.watch(loop.signals.descriptor, lambda: signal.SIGCHLD in loop.signals.take() and loop.reap())
    loop.transitions = []  # (name, state before, state, event), in order
    loop.observers.append(
        lambda t: loop.transitions.append((t.job.name, t.before, t.job.lifecycle.state, t.event))
    )
    loop.said = []
    return loop


def close_loop(loop):
    """Stop all jobs with SIGKILL if need be, and give everything back."""
    for job in loop.jobs:
        loop.send(job, DOWN)
        loop.send(job, DOWN)
    try:
        run_until(loop, lambda: all(job.lifecycle.state in AT_REST for job in loop.jobs) and not loop._guests)
    finally:
        loop.signals.close()
        loop.printer.sink.close()
        os.close(loop.null)
        os.close(loop.spawner.null)
        loop._outputs.close()
        loop._control.close()
        descendants._prctl(descendants.PR_SET_CHILD_SUBREAPER, 0)


@contextlib.contextmanager
def engine():
    """A Loop for the length of a `with`."""
    loop = make_loop()
    try:
        yield loop
    finally:
        close_loop(loop)


def make_job(loop, argv, *, name="web", cwd="/", environment=None, token=None, terminal=None, **policy):
    """A job of `loop` that is to execute `argv`, not started yet; `policy` as for `builders.lifecycle`."""
    token = token or f"{name}-{os.getpid()}-{len(loop.jobs)}"
    # As launch has it: all variables, and the mark by which the tree is known.
    own = {**(environment or {}), descendants.MARK: token}
    job = Job(
        name,
        command=Command(tuple(argv), own, cwd, token, dict(os.environ)),
        stdio=Stdio(terminal=terminal),
        lifecycle=lifecycle(**policy),
        stream=loop.printer.stream(name, len(loop.jobs)),
    )
    job.say = lambda text: loop.said.append(f"{name} {text}")
    loop.jobs.append(job)
    return job


def start(loop, job):
    """Want `job`."""
    loop.send(job, UP)


def python(code, *words):
    """The words that run `code` in a bare Python."""
    return (sys.executable, "-I", "-S", "-c", code, *map(str, words))


def run_until(loop, predicate, timeout=PATIENCE):
    """Let `loop` run until `predicate()`; AssertionError after `timeout` seconds."""
    late = []
    loop.at(loop.now() + timeout, give_up := lambda: late.append(True))
    loop._settle()
    while not predicate() and not late:
        due = loop._timeout()  # the predicate may be about what the loop does not see
        loop.turn(LOOK if due is None else min(due, LOOK))
    loop.cancel(give_up)
    assert not late, f"not within {timeout} s; {[(j.name, j.lifecycle.state) for j in loop.jobs]}"


def run_for(loop, seconds):
    """Let `loop` run: for what must still hold after it, never for what is to happen in it."""
    end = loop.now() + seconds
    loop.at(end, wake := lambda: None)
    run_until(loop, lambda: loop.now() >= end, seconds + PATIENCE)
    loop.cancel(wake)


@contextlib.contextmanager
def debugger(loop, pid):
    """Something like a debugger holds `pid`, a process of one of the loop's jobs, meanwhile."""
    tracer = make_job(loop, (sys.executable, "-I", str(CHILDREN / "tracer.py"), str(pid)), name="tracer")
    printed = bytearray()
    tracer.taps.append(printed.extend)
    start(loop, tracer)
    run_until(loop, lambda: b"trac" in printed)
    if b"cannot" in printed:
        pytest.skip("tracing another process is not allowed here (ptrace)")
    yield
    loop.send(tracer, DOWN)
    run_until(loop, lambda: tracer.lifecycle.state in AT_REST)


class Latency:
    """How late `loop` came to a timer of every 2 ms, at worst: `worst` in seconds.

    The time in which this process could run and others had the processor is not counted: that is the
    machine's, and the tests run side by side.
    """

    def __init__(self, loop, step=0.002):
        self.loop, self.step, self.worst = loop, step, 0.0
        self._next()

    def _next(self):
        self.queued = _queued()
        self.due = self.loop.now() + self.step
        self.loop.at(self.due, self.tick)

    def tick(self):
        """Look how late it is."""
        self.worst = max(self.worst, self.loop.now() - self.due - (_queued() - self.queued))
        self._next()

    def close(self):
        """Look no more."""
        self.loop.cancel(self.tick)


def _queued():
    """Seconds that this thread has waited for a processor so far; 0 where the kernel does not count."""
    try:
        with open("/proc/thread-self/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e9
    except OSError:
        return 0.0


def descriptors():
    """The descriptors that this process has open."""
    return procs_descriptors(os.getpid())


def procs_descriptors(pid):
    """The descriptors that `pid` has open, but for the one that lists them."""
    return {int(name) for name in os.listdir(f"/proc/{pid}/fd") if procs.is_alive(pid)}
