"""The house: who may import whom, and which call has which one home (docs and design, section 3)."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

HOUSE = Path(__file__).parent.parent / "devport"

LEVELS = [  # the ground floor first; a module imports from its own package and from below
    {"devport", "errors", "encoding"},
    {"kernel"},
    {"model", "context", "table"},
    {"project", "registry"},
    {"engine", "tmux", "tailscale"},
    {"sources"},
    {"remote", "export", "imports"},
    {"launch", "herald"},
    {"claim"},
    {"foreground", "passthrough", "supervisor", "background"},
    {"inventory"},
    {"commands"},
    {"cli"},
    {"entry"},
    {"__main__"},
]
RANK = {name: rank for rank, level in enumerate(LEVELS) for name in level}

PURE = {  # the decisions: these and nothing else
    "engine/lifecycle.py": {"devport.model", "devport.errors", "devport.engine.budget", "enum", "typing"},
    "engine/budget.py": {"devport.model", "collections"},
    "engine/group.py": {
        "devport.model",
        "devport.errors",
        "devport.engine.lifecycle",
        "collections.abc",
        "typing",
    },
    "model.py": {"signal", "collections.abc", "types", "typing"},
    "errors.py": {"collections.abc", "enum", "difflib"},
    "encoding.py": set(),
    "engine/escapes.py": {"re"},
    "sources/course.py": {"devport.engine.lifecycle", "devport.model"},
    "sources/lines.py": {"devport.encoding", "devport.engine.escapes", "collections.abc", "re"},
    "engine/order.py": {"collections.abc"},
    "engine/pace.py": set(),
    "sources/conditions.py": {"devport.model", "devport.engine.lifecycle", "typing"},
}

HOMES = {  # a call: the only modules that may make it
    "time.sleep": set(),
    "print": set(),
    "os.system": set(),
    "os.popen": set(),
    "os.waitpid": {"engine/reaper.py", "engine/guard.py"},
    "os.waitid": {"engine/reaper.py", "engine/guard.py"},
    "os.wait": set(),
    "os.fork": {"engine/spawner.py", "engine/guard.py"},
    "os.killpg": {
        "engine/process.py",
        "engine/guard.py",
        "tmux/client.py",
        "tailscale/program.py",
    },  # own children of theirs
    "sys.exit": {"cli.py", "entry.py", "__main__.py"},
    "exit": set(),
    "quit": set(),
    "SystemExit": {"cli.py", "entry.py", "__main__.py"},
    "breakpoint": set(),
}
SYSTEMS = {  # what only some systems have, outside devport/kernel: where, and why it may be there
    "ctypes": {"engine/memory.py"},  # mallopt(3) of glibc, a hint
    "sys.platform": {  # a number or a name that differs, not a way to find a process
        "engine/sink.py",
        "engine/unix.py",
        "registry/ports.py",
        "commands/import.py",
    },
    "/proc": {
        "project/load.py",
        "export/runit.py",
        "registry/ports.py",
    },  # a user's path, a script, a setting
}
LONGEST = 350


class Module(NamedTuple):
    """A file of the house: its path inside, its dotted name, what it says."""

    path: str
    name: str
    text: str
    tree: ast.Module


def modules(house):
    """All of the house, by dotted name."""
    found = {}
    for file in sorted(house.rglob("*.py")):
        path = file.relative_to(house).as_posix()
        name = ".".join(["devport", *path.removesuffix(".py").split("/")]).removesuffix(".__init__")
        text = file.read_text(encoding="utf-8")
        found[name] = Module(path, name, text, ast.parse(text))
    return found


def imports(module, house):
    """What `module` imports, wherever in it, lazily or for types: (line, dotted name)."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.path}:{node.lineno}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield node.lineno, inner if inner in house else str(node.module)


def part(name):
    """The part of the house that `devport.part.module` is in."""
    return name.split(".")[1] if "." in name else name


def upward(house):
    """Imports that go up, or sideways into another part of the same level."""
    for module in house.values():
        own = part(module.name)
        for line, name in imports(module, house):
            if name.split(".")[0] != "devport" or part(name) == own:
                continue
            if RANK.get(part(name), -1) >= RANK.get(own, -1):
                yield f"{module.path}:{line}: {own} imports {name}"


def impure(house):
    """Imports of the pure modules that they may not have."""
    for module in house.values():
        allowed = PURE.get(module.path)
        if allowed is not None:
            for line, name in imports(module, house):
                if name not in allowed:
                    yield f"{module.path}:{line}: imports {name}"


def called(node):
    """`os.fork` for a call of it or a mention; None for what is neither a name nor an attribute."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else None


def strays(house):
    """Calls made away from home, or imported so that they could be."""
    for module in house.values():
        for node in ast.walk(module.tree):
            names = [called(node)]
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                if module.path not in HOMES.get(name, {module.path}):
                    yield f"{module.path}:{node.lineno}: {name}"


def particular(house):
    """What only some systems have, asked for elsewhere than in the kernel's part of the house."""
    for module in house.values():
        for node in ast.walk(module.tree):
            words = [called(node)]
            if isinstance(node, ast.Import | ast.ImportFrom):
                words = [alias.name for alias in node.names]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
                words = ["/proc"] if re.match(r"/proc(/|$)|.*\s/proc/sys", text) else []
            elif isinstance(node, ast.Attribute) and "pidfd" in node.attr:
                words = ["pidfd"]
            for word in {"ctypes", "sys.platform", "/proc", "pidfd", "_prctl"}.intersection(
                filter(None, words)
            ):
                if part(module.name) != "kernel" and module.path not in SYSTEMS.get(word, ()):
                    yield f"{module.path}:{node.lineno}: {word}"


def leftovers(house):
    """Notes to oneself that were to be dealt with before."""
    for module in house.values():
        for line, text in enumerate(module.text.splitlines(), 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text):
                yield f"{module.path}:{line}: {text.strip()}"


def too_long(house):
    """Modules to be asked whether they are one noun."""
    for module in house.values():
        if (lines := module.text.count("\n")) > LONGEST:
            yield f"{module.path}: {lines} lines"


def undocumented(house):
    """Modules that do not say what they own."""
    return (module.path for module in house.values() if not (ast.get_docstring(module.tree) or "").strip())


def unplaced(house):
    """Parts of the house that have no level."""
    return {part(name) for name in house} - RANK.keys()


RULES = [upward, impure, strays, particular, leftovers, too_long, undocumented, unplaced]


@pytest.mark.parametrize("rule", RULES)
def test_house(rule):
    """The house keeps each of the rules; what does not is named with file and line."""
    assert list(rule(modules(HOUSE))) == []


def test_pure_modules_exist():
    """The modules under the strictest rule are there under these names."""
    assert PURE.keys() <= {module.path for module in modules(HOUSE).values()}


def test_homes_exist():
    """An exception is for a module that exists under this name."""
    assert set().union(*HOMES.values()) <= {module.path for module in modules(HOUSE).values()}


def test_frames_do_not_know_each_other():
    """Frames share the engine and what is below it, and import nothing of one another or of the verbs."""
    house = modules(HOUSE)
    frames = {"foreground", "passthrough", "supervisor"}
    seen = {part(name) for frame in frames for _, name in imports(house[f"devport.{frame}"], house)}

    assert seen.isdisjoint(frames | {"commands", "cli"})


PLANTED = [
    (upward, "engine/planted.py", "from devport.commands import start\n", "engine imports devport.commands"),
    (upward, "engine/planted.py", "def f():\n    import devport.cli\n", "engine imports devport.cli"),
    (upward, "model.py", "from devport.engine.lifecycle import State\n", "model imports devport.engine"),
    (upward, "project/planted.py", "from devport import registry\n", "project imports devport.registry"),
    (upward, "errors.py", "import devport.encoding\n", "errors imports devport.encoding"),
    (impure, "engine/lifecycle.py", "import time\n", "imports time"),
    (impure, "engine/group.py", "from os import kill\n", "imports os"),
    (strays, "engine/loop.py", "import time\ntime.sleep(1)\n", "2: time.sleep"),
    (strays, "claim.py", "from time import sleep\n", "1: time.sleep"),
    (strays, "claim.py", "print('hello')\n", "1: print"),
    (strays, "claim.py", "import os\nos.fork()\n", "2: os.fork"),
    (strays, "engine/loop.py", "import os\nos.killpg(1, 9)\n", "2: os.killpg"),
    (strays, "registry/store.py", "import os\nos.waitpid(-1, 0)\n", "2: os.waitpid"),
    (strays, "commands/start.py", "import sys\nsys.exit(1)\n", "2: sys.exit"),
    (strays, "commands/start.py", "raise SystemExit(1)\n", "1: SystemExit"),
    (particular, "claim.py", "import ctypes\n", "1: ctypes"),
    (particular, "claim.py", "import sys\nMAC = sys.platform == 'darwin'\n", "2: sys.platform"),
    (particular, "claim.py", "x = open('/proc/1/stat')\n", "1: /proc"),
    (particular, "claim.py", "import os\nos.pidfd_open(1)\n", "2: pidfd"),
    (leftovers, "claim.py", "# TODO: later\n", "TODO: later"),
    (too_long, "claim.py", "x = 1\n" * 351, "351 lines"),
    (undocumented, "claim.py", "x = 1\n", "claim.py"),
    (unplaced, "helpers.py", '"""Anything."""\n', "helpers"),
]


@pytest.mark.parametrize(("rule", "path", "text", "found"), PLANTED)
def test_planted_violation_is_found(tmp_path, rule, path, text, found):
    """Each rule finds what breaks it."""
    files = {"__init__.py": '"""The house."""\n', path: text}
    for name in ("commands/__init__.py", "commands/start.py", "cli.py", "registry/__init__.py"):
        files.setdefault(name, '"""A module."""\n')
    files.setdefault("engine/lifecycle.py", '"""A module."""\n')
    files.setdefault("encoding.py", '"""A module."""\n')
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)

    violations = list(rule(modules(tmp_path)))
    assert len(violations) == 1
    assert found in violations[0]
