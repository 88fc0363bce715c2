"""Negative controls: devport with one protection taken out, on which the tests of that protection must fail.

tini's idea: a test of a protection is worth something only if it fails without it. A control is data; what
runs it is tests/test_controls.py.
"""

import compileall
import functools
import importlib
import importlib.util
import os
import pathlib
import pkgutil
import re
import shutil
import subprocess
import sys
import tempfile
from typing import NamedTuple

from support import drill

import controls

ROOT = pathlib.Path(__file__).parents[2]
PATIENCE = 120.0
"""Seconds in which the tests of a control have come to an end, the universal time limit of a test."""
IMPATIENT = 6.0
"""Seconds, so that broken code does not hold up a test for the 20 s that a busy machine may want."""


class Control(NamedTuple):
    """One protection that is taken out.

    `numbers`: what of the catalogue it is for, "F02 F06". `file`: below the repository, "devport/...".
    `old` occurs there once and is replaced by `new`. `tests`: what must fail then, at least one of it, as
    pytest takes it. `quick`: it does in some 3 s, so that `make test` runs it too.
    `also`: more that is taken out, (file, old, new), where a second protection covers the first.
    """

    name: str
    numbers: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    quick: bool = False
    also: tuple[tuple[str, str, str], ...] = ()

    @property
    def changes(self):
        """All that is taken out: (file, old, new)."""
        return ((self.file, self.old, self.new), *self.also)


@functools.cache
def every():
    """All controls, by name."""
    found = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(controls.__path__)):
        for control in getattr(importlib.import_module(f"controls.{module}"), "CONTROLS", ()):
            assert control.name not in found, f"two controls are called {control.name}"
            found[control.name] = control
    return found


def package():
    """The folder of the devport that is under test."""
    return pathlib.Path(importlib.util.find_spec("devport").origin).parent


def text_of(file):
    """What is in `file`, "devport/...", before any change."""
    return (package().parent / file).read_text(encoding="utf-8")


@functools.cache
def _pristine():
    """A compiled copy of the package; one a test process."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="devport-control-"))
    shutil.copytree(package(), folder / "devport", ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(folder, quiet=2)
    import atexit  # noqa: PLC0415 - with what it is for

    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def environment(folder, *changes):
    """A virtual environment in `folder` whose devport has `changes` (file, old text, new text); its python.

    Its other packages are those of this one. Nothing is installed: a `pyvenv.cfg`, a link and a path file are
    what makes a virtual environment (the site module's documentation).
    """
    library = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    binaries = folder / "bin"
    binaries.mkdir(parents=True)
    shutil.copytree(_pristine(), library)
    ours = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (library / "others.pth").write_text("\n".join(ours) + "\n", encoding="utf-8")
    home = os.path.dirname(os.path.realpath(sys.executable))
    (folder / "pyvenv.cfg").write_text(
        f"home = {home}\ninclude-system-site-packages = false\n", encoding="utf-8"
    )
    python = binaries / "python"
    python.symlink_to(os.path.realpath(sys.executable))
    command = binaries / "devport"
    command.write_text(f"#!{python}\nfrom devport.entry import entry\n\nentry()\n", encoding="utf-8")
    command.chmod(0o755)
    for name, old, new in changes:
        path = library / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {name}"
        path.write_text(text.replace(old, new), encoding="utf-8")
    return python


def run(python, tests, *options, patience=IMPATIENT, timeout=PATIENCE):
    """Run `tests` on that devport: the finished process; 0 where all passed, 1 where some failed.

    `patience`: seconds for which a test waits for what is to happen; `timeout` for all of them.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    clean.pop("PYTHONPATH", None)
    clean.pop(drill.REPORT, None)  # what a broken devport does is no trial
    clean["DEVPORT_TEST_PATIENCE"] = str(patience)
    clean["PYTHONSAFEPATH"] = "1"  # not the devport of the checkout, where it runs
    return subprocess.run(
        [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *options, *tests],
        cwd=ROOT,
        env=clean,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def function_of(test):
    """The file of `test` and the name of its function, without parameters."""
    name, _, function = test.partition("::")
    return ROOT / name, re.sub(r"\[.*", "", function.rpartition("::")[2])
