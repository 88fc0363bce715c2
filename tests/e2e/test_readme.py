"""Every block of README.md, SKILL.md and docs/*.md is tried: projects checked, commands run, output compared.

The pages show what a reader would see; how a block is tried stands in its info string, which is not:

    procfile, yaml   a new project in an empty folder; it passes `devport check` without warnings.
                     `bad`: it does not, and the next block shows what is said. `add`: the file joins the
                     project above. `file=NAME`: the file is called so. `empty`: written, not checked.
    dotenv, python, text with file=NAME
                     that file of the project
    console          each `$ COMMAND` is run in the project, and what follows is what it prints.
                     `unordered`: in any order. A line `^C` is typed once everything above it is there;
                     a last line `...` leaves the command running for the blocks that follow.
    sh               for the reader's machine, not run; `make X` must exist. `run`: each line is run in the
                     project and succeeds.
    json             valid JSON

Times, pids, hashes and the user are alike whatever they are; the ports 19000 and up are those of the
test's own range, and /home/ann is its home.
"""

import json
import pathlib
import re
import signal
import sys
from typing import NamedTuple

import pytest
from support import background, procs
from support.running import DEVPORT

windowed = background.windowed

ROOT = pathlib.Path(__file__).parents[2]
GENERATED = {"commands.md", "lifecycle.md"}
PAGES = [
    ROOT / "README.md",
    *sorted(page for page in (ROOT / "docs").glob("*.md") if page.name not in GENERATED),
]
SKILL = ROOT / "SKILL.md"
LINKED = [
    *PAGES,
    SKILL,
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*/*.md")),
]

FENCE = re.compile(r"^```(\S*) *(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
FILES = {"procfile": "Procfile", "yaml": "devport.yaml", "dotenv": ".env"}
FIRST = 19000  # where the pages' ports begin
COMMANDS = re.compile(r"make (\w+)|git clone \S+|cd \S+|(pip|pipx) install \.|(export )?[A-Z_]+=\S+")
ALIKE = (
    (r"^\d\d:\d\d:\d\d ", "TIME "),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "TIME"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r'(\bpid|"pid":) \d+', r"\1 N"),
    (r"\b[0-9a-f]{10}\b", "HASH"),
    (r"\buser [\w-]+", "user U"),
)


class Block(NamedTuple):
    """One fenced block, and where it stands."""

    page: pathlib.Path
    line: int
    kind: str
    words: tuple[str, ...]
    text: str

    def word(self, name: str) -> str:
        """The value of NAME=VALUE among the directives."""
        return next((word.partition("=")[2] for word in self.words if word.startswith(f"{name}=")), "")


class Command(NamedTuple):
    """A line to be typed, and what is printed; `...` at the end of that: it goes on."""

    text: str
    expected: list[str]
    goes_on: bool


def blocks(page):
    """The blocks of a page."""
    text = page.read_text()
    return [
        Block(page, text.count("\n", 0, match.start()) + 1, match[1], tuple(match[2].split()), match[3])
        for match in FENCE.finditer(text)
    ]


def scenes(pages):
    """The blocks of all `pages`, those that share a project together."""
    found = []
    for page in pages:
        scene = []
        for block in blocks(page):
            new = block.kind in {"procfile", "yaml"} and "add" not in block.words
            if new and scene:
                found.append(scene)
                scene = []
            scene.append(block)
        found.append(scene)
    return [scene for scene in found if scene]


def commands(block):
    """What a console block has typed."""
    found = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:], [], goes_on=False))
        elif line == "...":
            found[-1] = found[-1]._replace(goes_on=True)
        else:
            found[-1].expected.append(line)
    return found


class Reader:
    """Somebody who follows a page, in a home and with ports of their own."""

    def __init__(self, devport):
        self.devport = devport
        self.folder = devport.home / "shop"
        self.folder.mkdir()
        self.status = 0
        self.left = []
        bin_ = pathlib.Path(sys.executable).parent
        self.environ = {"DEVPORT_HOME": None, "PATH": f"{bin_}:{devport.environ['PATH']}"}

    def follow(self, block):
        """Do what `block` says."""
        name = block.word("file") or FILES.get(block.kind, "")
        if block.kind == "console":
            for command in commands(block):
                self.type(command, in_order="unordered" not in block.words)
        elif name:
            self.devport.write(name, block.text, self.folder)
            if not {"bad", "empty"} & {*block.words} and block.kind in {"procfile", "yaml"}:
                self.check(name)
        elif block.kind == "json":
            for line in block.text.splitlines() if block.text.count("\n{") else [block.text]:
                json.loads(line)
        elif "run" in block.words:
            for line in block.text.splitlines():
                running = self.devport.spawn(["/bin/sh", "-c", line], cwd=self.folder, env=self.environ)
                assert running.finish() == 0, f"{line}\n{running.shown()}"
        else:
            assert block.kind == "sh", f"a block of kind '{block.kind}' is not tried"
            for line in block.text.splitlines():
                assert COMMANDS.fullmatch(line.partition(" #")[0].strip()), line

    def check(self, name):
        """The project passes `devport check`, with nothing to say but that; its folders are there."""
        for cwd in re.findall(r'[ {]cwd: "?(?:\$\{project.root\}/)?(\w+)', (self.folder / name).read_text()):
            (self.folder / cwd).mkdir(exist_ok=True)
        done = self.devport.call("check", "-f", name, cwd=self.folder, env=self.environ)

        assert (done.status, done.errors.decode().count("\n")) == (0, 1), done.errors.decode()

    def type(self, command, *, in_order):
        """Run `command` and compare what it prints."""
        text = re.sub(r"\b19\d{3}\b", lambda match: self.port(int(match[0]), FIRST), command.text)
        # `exec`, so that a signal meets devport and no shell that would die of it.
        become = "exec " if command.goes_on or "^C" in command.expected else ""
        line = f"exec 2>&1; (exit {self.status}); {become}{text}"
        running = self.devport.spawn(["/bin/sh", "-c", line], cwd=self.folder, env=self.environ)
        expected = [self.alike(one) for one in command.expected if one != "^C"]
        for place in [place for place, one in enumerate(command.expected) if one == "^C"]:
            self.await_lines(running, place - command.expected[:place].count("^C"))
            running.send(signal.SIGINT)
        if command.goes_on:
            self.await_lines(running, len(expected))
            self.left.append(running)
        else:
            status = running.finish()
            self.status = status if status >= 0 else 128 - status
        printed = self.printed(running)
        if not in_order:
            printed, expected = sorted(printed), sorted(expected)

        assert printed == expected, running.shown()

    def await_lines(self, running, count):
        """Wait until `count` lines are there."""

        def check():
            running.read(0.05)
            assert len(self.printed(running)) >= count, running.shown()

        procs.eventually(check, 20)

    def printed(self, running):
        """The whole lines printed so far, as they would stand on the page."""
        text = running.output.decode().replace(str(self.devport.home), "/home/ann")
        lines = text.rpartition("\n")[0].splitlines() if text else []
        first = self.devport.ports.first
        return [
            self.alike(re.sub(r"\b\d{5}\b", lambda match: self.port(int(match[0]), first), line))
            for line in lines
        ]

    def port(self, number, first):
        """A port of one range, counted from `first`, as the port of the other."""
        other = self.devport.ports.first if first == FIRST else FIRST
        here = 0 <= number - first <= self.devport.ports.last - self.devport.ports.first
        return str(number - first + other) if here else str(number)

    @staticmethod
    def alike(line):
        """`line` with what differs from run to run made alike."""
        for pattern, text in ALIKE:
            line = re.sub(pattern, text, line)
        return line.rstrip()

    def leave(self):
        """Stop what was left running."""
        for running in self.left:
            running.stop()


@pytest.mark.parametrize(
    "scene", [pytest.param(scene, id=f"{scene[0].page.name}-{scene[0].line}") for scene in scenes(PAGES)]
)
def test_page(devport, scene):
    """What a page shows is what happens."""
    reader = Reader(devport)
    for block in scene:
        try:
            reader.follow(block)
        except AssertionError as error:
            error.add_note(f"{block.page.relative_to(ROOT)}:{block.line}")
            raise
    reader.leave()


@pytest.mark.parametrize("scene", scenes([SKILL]), ids=lambda scene: f"line-{scene[0].line}")
def test_skill(windowed, scene):
    """What SKILL.md tells an agent to type works, with windows, and leaves nothing running."""
    reader = Reader(windowed.devport)
    for block in scene:
        reader.follow(block)
    windowed.nothing_left()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_bad_examples_are_explained(page):
    """A bad example is followed by what devport says of it."""
    found = blocks(page)
    for block, following in zip(found, [*found, None][1:], strict=True):
        if "bad" in block.words:
            assert getattr(following, "kind", "nothing") == "console", f"{page.name}:{block.line}"


def test_make_targets():
    """Each `make X` of a page is a target of the Makefile."""
    targets = {*re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)}
    for page in LINKED:
        typed = "".join(block.text for block in blocks(page) if block.kind == "sh")
        named = re.findall(r"`make (\w+)`", page.read_text()) + re.findall(r"(?m)^make (\w+)", typed)

        assert {*named} <= targets, page.name


def anchors(page):
    """The fragments that GitHub gives the headings of a page."""
    text = FENCE.sub("", page.read_text())
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_links(page):
    """Relative links lead to files, and to headings in them."""
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text())):
        if "://" in target:
            continue
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page

        assert file.exists(), target
        assert not fragment or fragment in anchors(file), target


def test_every_page_is_reached():
    """README.md links to each page of docs/."""
    text = (ROOT / "README.md").read_text()
    pages = [page for page in (ROOT / "docs").glob("*.md") if page.name != "lifecycle.md"]

    assert [page.name for page in pages if f"](docs/{page.name})" not in text] == []


def test_demo(devport):
    """`make demo` runs Procfile.example: jobs go round, and Ctrl-C ends it."""
    demo = devport.spawn([DEVPORT, "start", "-f", "Procfile.example"], cwd=ROOT)
    demo.expect(rb"worker \| did 'job 1'$")

    assert demo.stop(signal.SIGINT)[0] == 130
