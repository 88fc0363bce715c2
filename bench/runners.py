"""How each tool is told to run a set of entries: its files and its arguments; and which are on this machine.

An entry is a name and a shell command. The commands contain no `$`, which some tools would expand themselves.
This module knows nothing of what is measured.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from bench.tree import WORKLOAD

Entries = Mapping[str, str]
Arguments = Callable[[str, Entries], list[str]]

THROUGHPUT = ("throughput", "four", "long-line")
LATENCY = ("latency", "latency-flooded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """One tool: its command, and what makes its arguments from a folder and the entries."""

    name: str
    command: tuple[str, ...]
    arguments: Arguments
    version: tuple[str, ...] = ("--version",)
    limit: bool = False
    terminal: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)

    def argv(self, folder: str, entries: Entries) -> list[str]:
        """The command line that runs these entries from that folder; writes the files it names."""
        return [*self.command, *self.arguments(folder, entries)]

    def version_text(self) -> str:
        """What the tool says its version is, or where it is."""
        if self.limit:
            return "limit"
        try:
            argv = [*self.command, *self.version]
            found = subprocess.run(argv, capture_output=True, timeout=20, check=False)
        except subprocess.TimeoutExpired:
            return self.command[0]
        number = re.search(rb"\d+(\.\d+)+\S*", found.stdout + found.stderr)
        return number[0].decode() if number else self.command[0]


def write(folder: str, name: str, text: str) -> str:
    """Put a file into the folder and return its path."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def procfile(folder: str, entries: Entries) -> str:
    """The entries as a Procfile."""
    return write(folder, "Procfile", "".join(f"{name}: {command}\n" for name, command in entries.items()))


def devport(folder: str, entries: Entries) -> list[str]:
    """With everything on: names and time stamps as by default, and colours."""
    return ["start", "--color", "always", "-f", procfile(folder, entries)]


def piped(program: str) -> Arguments:
    """A limit: all entries write to one pipe, and the program that reads it is the process that we start."""

    def arguments(folder: str, entries: Entries) -> list[str]:
        together = "".join(f"({command}) &\n" for command in entries.values())
        script = write(folder, "all.sh", f"{together}wait\n")
        pipe = f"{folder}/pipe"
        return ["-c", f"mkfifo {pipe}; {WORKLOAD}=1 sh {script} > {pipe} & exec {program} < {pipe}"]

    return arguments


def overmind(folder: str, entries: Entries) -> list[str]:
    """Without ports and with its socket in our folder, so that two runs never meet."""
    return ["start", "-N", "-s", f"{folder}/overmind.sock", "-f", procfile(folder, entries)]


def concurrently(_folder: str, entries: Entries) -> list[str]:
    """It takes the commands themselves; names make its prefix comparable."""
    return ["--names", ",".join(entries), *entries.values()]


def process_compose(folder: str, entries: Entries) -> list[str]:
    """Its own file (JSON is YAML), without the screen and without the HTTP server."""
    processes = {name: {"command": command} for name, command in entries.items()}
    text = json.dumps({"version": "0.5", "processes": processes})
    return ["-f", write(folder, "process-compose.yaml", text), "-t=false", "--no-server", "up"]


def mprocs(folder: str, entries: Entries) -> list[str]:
    """Its own file (JSON is YAML)."""
    processes = {name: {"shell": command} for name, command in entries.items()}
    return ["--config", write(folder, "mprocs.yaml", json.dumps({"procs": processes}))]


LEFT_OUT_LIMIT = {"startup": "see sh", "crowd": "no manager"}
LEFT_OUT_SED = LEFT_OUT_LIMIT | dict.fromkeys(LATENCY, "writes by the block")
STARTS_ONLY = dict.fromkeys((*THROUGHPUT, *LATENCY, "crowd"), "starts only")
LEFT_OUT_SCREEN = dict.fromkeys(STARTS_ONLY, "it draws a screen, lines are not all shown")

LIMITS = (
    Runner(name="cat", command=("sh",), arguments=piped("cat"), left_out=LEFT_OUT_LIMIT, limit=True),
    Runner(
        name="sed",
        command=("sh",),
        arguments=piped("sed 's/^/web | /'"),
        left_out=LEFT_OUT_SED,
        limit=True,
    ),
    Runner(
        name="sh",
        command=("sh",),
        arguments=lambda _folder, entries: ["-c", *entries.values()],
        left_out=STARTS_ONLY,
        limit=True,
    ),
    Runner(
        name="python",
        command=(sys.executable,),
        arguments=lambda _folder, _entries: ["-c", "pass"],
        left_out=STARTS_ONLY,
        limit=True,
    ),
)
VERB = ("version",)
TOOLS = (
    Runner(name="devport", command=("devport",), arguments=devport, version=VERB),
    Runner(
        name="honcho",
        command=("honcho",),
        arguments=lambda folder, entries: ["-f", procfile(folder, entries), "start"],
        version=VERB,
    ),
    Runner(
        name="foreman",
        command=("foreman",),
        arguments=lambda folder, entries: ["start", "-f", procfile(folder, entries)],
        version=VERB,
    ),
    Runner(
        name="nf",
        command=("nf",),
        arguments=lambda folder, entries: ["start", "-j", procfile(folder, entries)],
    ),
    Runner(
        name="hivemind",
        command=("hivemind",),
        arguments=lambda folder, entries: [procfile(folder, entries)],
    ),
    Runner(name="overmind", command=("overmind",), arguments=overmind),
    Runner(
        name="goreman",
        command=("goreman",),
        arguments=lambda folder, entries: ["-f", procfile(folder, entries), "-rpc-server=false", "start"],
        version=VERB,
    ),
    Runner(name="concurrently", command=("concurrently",), arguments=concurrently),
    Runner(name="process-compose", command=("process-compose",), arguments=process_compose, version=VERB),
    Runner(
        name="mprocs",
        command=("mprocs",),
        arguments=mprocs,
        left_out=LEFT_OUT_SCREEN,
        terminal=True,
    ),
)


def found_command(name: str) -> tuple[str, ...] | None:
    """The program on PATH; for devport else the one that this interpreter can import."""
    path = shutil.which(name)
    if path:
        return (path,)
    if name != "devport" or not importlib.util.find_spec(name):
        return None
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return ("env", f"PYTHONPATH={root}", sys.executable, "-m", name)


def found_runners() -> list[Runner]:
    """What is on this machine in the order of its turns: the limits first, as a base for the others."""
    found = [(tool, found_command(tool.name)) for tool in TOOLS]
    return [*LIMITS, *(replace(tool, command=command) for tool, command in found if command)]
