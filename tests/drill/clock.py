"""Three days in seconds: a Loop whose time is a number, which leaps to whatever is due next.

Real time passes only while something that is real is under way: a process that is to end, a connection.
"""

import gc
import os
import signal
import sys

from support import engine, procs
from support.builders import view

from devport.engine.lifecycle import State
from devport.engine.loop import Loop
from devport.engine.printer import Printer
from devport.engine.signals import Signals
from devport.engine.sink import Sink
from devport.engine.spawner import Spawner
from devport.kernel import descendants

BREATH = 0.0005
"""Real seconds in which whatever was asked of the kernel has an answer, as a rule."""
UNDER_WAY = 5.0
"""Real seconds that a process may take for what it is about to do, before time leaps on."""


class Clock:
    """Seconds that pass only when somebody says so."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        """Now."""
        return self.seconds

    def wall(self):
        """The same since 1970."""
        return 1.7e9 + self.seconds


class Leaping:
    """A selector that leaps over the time in which nothing happens: `busy` says whether something is to."""

    def __init__(self, inner, clock, busy):
        self.inner, self.clock, self.busy = inner, clock, busy

    def __getattr__(self, name):
        """All else is the real selector's."""
        return getattr(self.inner, name)

    def select(self, timeout=None):
        """What is there; nothing, and `timeout` is over."""
        found = self.inner.select(0)
        if not found and timeout != 0:
            found = self.inner.select(UNDER_WAY if self.busy() else BREATH)
            if not found and self.busy():
                raise AssertionError(f"what is under way does not come to an end: {self.busy()}")
        if not found and timeout is not None:
            self.clock.seconds += timeout
        return found


class Days:
    """A Loop on such a clock; what is printed goes nowhere.

    The job "brief" ends by itself, and "beats" says when it is ready.
    """

    def __init__(self):
        self.clock = Clock()
        self.null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        descendants.become_subreaper()
        printer = Printer(Sink(self.null), view(), ["web"], now=self.clock, wall=self.clock.wall)
        self.loop = loop = Loop(printer, Spawner(), self.clock)
        loop._control = Leaping(loop._control, self.clock, self.busy)
        loop.null, loop.said, loop.transitions = self.null, Counted(), Counted()
        loop.signals = Signals()
        loop.watch(loop.signals.descriptor, lambda: signal.SIGCHLD in loop.signals.take() and loop.reap())
        self.spawned = 0
        self.owed = False  # somebody was asked for an answer
        loop.observers.append(self.observe)

    def observe(self, transition):
        """Count the lives."""
        if transition.event.kind.name == "SPAWNED":
            self.spawned += 1

    def busy(self):
        """What is about to happen by itself."""
        loop = self.loop
        under_way = ["an answer"] * self.owed + [f"guest {one.pid}" for one in loop._guests]
        for job in loop.jobs:
            process, state = job.process, job.lifecycle.state
            if process is not None and (
                job.name.startswith("brief")
                or process.report is not None
                or state in (State.STOPPING, State.KILLING)
                or (job.name == "beats" and state is State.STARTING)
            ):
                under_way.append(f"{job.name} is {state}, {process.pid}: {procs.process(process.pid)}")
        return under_way

    def pass_until(self, seconds):
        """Let the loop run until its clock says `seconds`."""
        loop = self.loop
        loop.at(seconds, wake := lambda: None)
        loop._settle()
        while self.clock.seconds < seconds:
            loop.turn(loop._timeout())
        loop.cancel(wake)

    def close(self):
        """Everything ends; time is real again."""
        self.loop._control = self.loop._control.inner
        engine.close_loop(self.loop)


class Counted:
    """A list that keeps nothing but its length: the harness is not to grow either."""

    def __init__(self):
        self.count = 0

    def append(self, _one):
        """One more."""
        self.count += 1


def weigh():
    """How many blocks of memory are allocated, how many objects the collector knows, descriptors."""
    for _ in range(3):
        gc.collect()
    return sys.getallocatedblocks(), len(gc.get_objects()), len(engine.descriptors())
