"""The same faults, with the same checks, for devport and for the other runners that are installed.

`python -m drill.peers` in tests/ (or `make drill`) runs them and prints a line each;
with `--record` it writes tests/promises/peers.json, from which docs/promises.md takes its table.
"""

import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from typing import NamedTuple

from support import procs
from support.running import DEVPORT, Devport, child

ENOUGH = 9.0
"""Seconds in which everything has ended, the longest fixed grace of a peer (5 s) and more."""
ATTEMPTS = 3
"""Beginnings of a round: a busy machine may need a second."""
SETTLED = 0.5
"""Seconds after which a runner has started everything; what comes earlier is a fault of its own."""
LARGE = 64 << 20
FAILED = 42
LINES = 100_000
RECORD = pathlib.Path(__file__).parents[1] / "promises" / "peers.json"


class Tool(NamedTuple):
    """A runner of services: its `command` in the project's folder, and how its version is asked."""

    name: str
    command: tuple[str, ...]
    version: tuple[str, ...]
    lives_on: bool = False  # does not end when its services have


TOOLS = (
    Tool("devport", (DEVPORT, "start", "-t", "1"), (DEVPORT, "--version")),
    Tool("honcho", ("honcho", "start"), ("honcho", "--version")),
    Tool("foreman", ("foreman", "start", "-t", "1"), ("foreman", "--version")),
    Tool("overmind", ("overmind", "start", "-t", "1"), ("overmind", "--version")),
    Tool("hivemind", ("hivemind", "--timeout", "1"), ("hivemind", "--version")),
    Tool("supervisord", ("supervisord", "-n", "-c", "supervisord.conf"), ("supervisord", "--version"), True),
)


def installed():
    """Those of the tools that can be run here."""
    return [tool for tool in TOOLS if shutil.which(tool.command[0])]


class NotBegunError(Exception):
    """The services have not come up, so that nothing was tried."""


class Round(Devport):
    """One fault for one tool, in a project of its own: what is started there is known by its tag."""

    def __init__(self, tool, folder):
        super().__init__(pathlib.Path(folder), uuid.uuid4().hex)
        self.tool = tool

    def begin(self, *ready, terminal=None, stdout=None, **entries):
        """Start the tool with `entries` (name: shell command), and wait until it shows each of `ready`."""
        self.procfile(**entries)
        self.write("supervisord.conf", self._configuration(entries))
        running = self.spawn(list(self.tool.command), terminal=terminal, stdout=stdout)
        try:
            if ready:
                running.expect_all(*ready, timeout=2 * ENOUGH)
                procs.elapse(SETTLED)
        except AssertionError as error:
            raise NotBegunError from error
        return running

    def _configuration(self, entries):
        """What a careful user of supervisord writes: whole groups are ended, after a grace of 1 s."""
        text = (
            f"[supervisord]\nlogfile=/dev/null\nlogfile_maxbytes=0\nsilent=true\npidfile={self.folder}/pid\n"
        )
        for name, command in entries.items():
            script = self.write(f"{name}.sh", command + "\n")
            text += (
                f"[program:{name}]\ncommand=/bin/sh {script}\nautorestart=false\nstartsecs=0\n"
                "stopasgroup=true\nkillasgroup=true\nstopwaitsecs=1\nredirect_stderr=true\n"
                "stdout_logfile=/dev/fd/1\nstdout_logfile_maxbytes=0\n"
            )
        return text

    def gone(self, seconds=ENOUGH):
        """Why something is left that was to be gone within `seconds`; empty if nothing is."""
        try:
            procs.gone(self.tag, seconds)
        except AssertionError:
            return f"{len(procs.tree(self.tag))} left running"
        return ""

    def ended(self, running, seconds=ENOUGH):
        """The same of the tool itself and everything it started."""
        try:
            running.finish(seconds)
        except AssertionError:
            return f"still running after {seconds:g} s"
        return self.gone(1.0)

    def clean(self):
        """Kill what is left of the round."""
        procs.kill_all(self.tag)
        self.tear_down()


# the faults: each returns why the tool did not hold, in a few words; empty if it did


def killed(at):
    """The runner is killed with SIGKILL: its services end too"""
    running = at.begin(rb"ready", a=child("stubborn"), b=child("stubborn"))
    running.send(signal.SIGKILL)
    running.finish(ENOUGH)
    return at.gone(3.0)


def told_to_end(at):
    """SIGTERM ends it with everything it started"""
    running = at.begin(rb"ready", a="echo ready; exec sleep 1000", b="exec sleep 1000")
    running.send(signal.SIGTERM)
    return at.ended(running)


def hung_up(at):
    """The terminal goes away (SIGHUP): nothing is left"""
    if at.tool.lives_on:
        return None  # reloads its configuration instead, as daemons do
    running = at.begin(rb"ready", a="echo ready; exec sleep 1000", b="exec sleep 1000")
    running.send(signal.SIGHUP)
    return at.ended(running)


def in_group(at):
    """A grandchild in the service's group ignores SIGTERM: gone all the same"""
    return _without_family(at, "group")


def in_session(at):
    """A grandchild in a session of its own: gone all the same"""
    return _without_family(at, "setsid")


def daemon(at):
    """A daemon that a service started (double fork): gone all the same"""
    return _without_family(at, "double")


def _without_family(at, kind):
    running = at.begin(rb"ready", web=child("forker", kind, "stubborn"))
    running.send(signal.SIGTERM)
    return at.ended(running)


def crashed_leader(at):
    """A service crashes and leaves a job behind: after a stop it is gone"""
    running = at.begin(rb"ready", web=child("forker", "group", "stubborn", "exit=3"), b="exec sleep 1000")
    running.send(signal.SIGTERM)
    return at.ended(running)


def second_interrupt(at):
    """A second Ctrl-C half a second after the first ends it within 2 s"""
    running = at.begin(rb"ready", web=child("stubborn"))
    running.send(signal.SIGINT)
    procs.elapse(0.5)
    if running.popen.poll() is None:
        running.send(signal.SIGINT)
    return at.ended(running, 2.0)


def early_stop(at):
    """SIGTERM in the first 300 ms: no hang, nothing left"""
    running = at.begin(a=child("stubborn"), b="exec sleep 1000", c="exec sleep 1000")
    procs.elapse(int(at.tag[:4], 16) % 300 / 1000)
    running.send(signal.SIGTERM)
    return at.ended(running)


def prompt(at):
    """A prompt without a newline is shown within 2 s"""
    running = at.begin(web="printf 'password: '; exec sleep 1000")
    try:
        running.expect(rb"password: ", timeout=2.0)
    except AssertionError:
        return "not shown"
    return ""


def held_output(at):
    """A service ends, a daemon holds its output open: the end is noticed within 4 s"""
    if at.tool.lives_on:
        return None
    running = at.begin(rb"ready", web=child("forker", "double", "exit=0"))
    try:
        running.finish(4.0)
    except AssertionError:
        return "never notices"
    return ""


def odd_bytes(at):
    """Invalid UTF-8 and NUL arrive as they were written"""
    running = at.begin(rb"ready", web=r"printf 'a\377\200\000b\342\202\nready\n'; exec sleep 1000")
    return "" if b"a\xff\x80\x00b\xe2\x82" in running.output else "changed"


def unread_output(at):
    """Nobody reads its output: SIGTERM still ends it, with everything"""
    _unread, out = at.pipe()
    running = at.begin(stdout=out, a="exec yes aaaaaaaaaaaaaaaaaaaaaaaa", b="exec yes b")
    procs.elapse(1.0)
    running.send(signal.SIGTERM)
    return at.ended(running)


def lost_reader(at):
    """The reader of its output goes away: everything ends"""
    unread, out = at.pipe()
    running = at.begin(stdout=out, a="exec yes a", b="exec sleep 1000")
    at.close(out)
    procs.elapse(0.5)
    at.close(unread)
    return at.ended(running)


def colour(at):
    """Red that a service never resets does not colour the next line"""
    if at.tool.lives_on:
        return None  # has no prefixes
    red = r"printf '\033[31mred\n'; sleep 0.2; echo ready; exec sleep 1000"
    running = at.begin(rb"ready", terminal=(80, 24), web=red)
    reset = rb"red[^\n]*\x1b\[0?m|red\r?\n\x1b\[0[;m]"  # at the end of the line, or before the next prefix
    return "" if re.search(reset, running.output) else "leaks"


def status(at):
    """The status of a service that fails (42) is its own"""
    if at.tool.lives_on:
        return None
    running = at.begin(web="echo ready; exit 42", b="exec sleep 1000")
    try:
        found = running.finish(ENOUGH)
    except AssertionError:
        return "goes on"
    return "" if found == FAILED else f"status {found}"


def last_words(at):
    """100,000 lines, then the end: none is lost"""
    running = at.begin(web="seq -f 'line %.0f' 100000; sleep 0.1; echo finished; exec sleep 0.5")
    try:
        running.expect(rb"finished", timeout=3 * ENOUGH)
    except AssertionError:
        return "the last line does not come"
    lost = LINES - running.output.count(b"line ")
    return f"{lost} lines lost" if lost else ""


def long_line(at):
    """A line of 64 MiB: all of it arrives, and the runner stays below 64 MiB"""
    running = at.begin(web="head -c 67108864 /dev/zero | tr '\\0' x; echo; echo finished; exec sleep 1000")
    running.keep = 1 << 20
    try:
        running.expect(rb"finished", timeout=3 * ENOUGH)
    except AssertionError:
        return "does not arrive"
    pids = {running.pid, *(one.pid for one in procs.tree(at.tag) if at.tool.name in one.command)}
    memory = max(procs.peak_memory(pid) for pid in pids if procs.is_alive(pid))
    return f"takes {memory >> 20} MiB" if memory >= LARGE else ""


FAULTS = (
    killed,
    told_to_end,
    hung_up,
    in_group,
    in_session,
    daemon,
    crashed_leader,
    second_interrupt,
    early_stop,
    prompt,
    held_output,
    odd_bytes,
    unread_output,
    lost_reader,
    colour,
    status,
    last_words,
    long_line,
)


def trial(tool, fault):
    """One round: why it failed, empty if it did not, None where the fault does not apply to the tool."""
    for _ in range(ATTEMPTS):
        with tempfile.TemporaryDirectory(prefix="devport-peers-") as folder:
            at = Round(tool, folder)
            try:
                return fault(at)
            except NotBegunError:
                continue
            except AssertionError as error:
                return str(error).splitlines()[0][:60]
            finally:
                at.clean()
    return "does not begin"


def measure(tool, fault, rounds):
    """`rounds` of it: how many were run, how many failed, and what was seen most often when they did."""
    seen = [trial(tool, fault) for _ in range(rounds)]
    if None in seen:
        return {"trials": 0, "failures": 0, "seen": ""}
    failures = [why for why in seen if why]
    most = max(failures, key=failures.count, default="")
    return {"trials": rounds, "failures": len(failures), "seen": most}


def version_of(tool):
    """What it says of itself."""
    said = subprocess.run(tool.version, capture_output=True, text=True, check=False, timeout=20).stdout
    return " ".join(said.split()).removeprefix(tool.name).strip()


def main(words):
    """Run all; with --record keep the result."""
    rounds = int(words[words.index("--rounds") + 1]) if "--rounds" in words else 10
    tools = installed()
    table = {}
    for fault in FAULTS:
        table[fault.__doc__] = {}
        for tool in tools:
            began = time.monotonic()
            found = table[fault.__doc__][tool.name] = measure(tool, fault, rounds)
            took = time.monotonic() - began
            counts = f"{found['failures']}/{found['trials']}"
            print(f"{fault.__name__:17} {tool.name:12} {counts} {took:6.1f} s {found['seen']}", flush=True)
    if "--record" in words:
        record = {"tools": {tool.name: version_of(tool) for tool in tools}, "faults": table}
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
