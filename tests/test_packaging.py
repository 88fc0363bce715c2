"""What is installed: one version, one entry point, types, and the seven packages that were agreed on."""

import ast
import configparser
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import devport

ROOT = Path(__file__).parent.parent
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

AGREED = {"docopt-ng", "pathspec", "python-dotenv", "colorama", "psutil", "PyYAML", "watchfiles"}


def names(requirements):
    """The packages of a list in setup.cfg."""
    return {re.match(r"[A-Za-z0-9_.-]+", line)[0] for line in requirements.split("\n") if line.strip()}


def test_version_is_written_once():
    """The version is in devport/__init__.py; setup.cfg asks for it there, pyproject.toml has none."""
    assert SETUP["metadata"]["version"] == "attr: devport.__version__"
    assert "project" not in PROJECT
    written = [
        path.relative_to(ROOT).as_posix()
        for path in [*ROOT.glob("devport/**/*.py"), ROOT / "setup.cfg", ROOT / "pyproject.toml"]
        if re.search(rf"""["'= ]{re.escape(devport.__version__)}["'\s]""", path.read_text(encoding="utf-8"))
    ]
    assert written == ["devport/__init__.py"]


def test_version_is_a_release():
    """Three numbers."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", devport.__version__)


def test_entry_point():
    """One command, `devport`, and what it names can be called."""
    (line,) = SETUP["options.entry_points"]["console_scripts"].strip().splitlines()
    command, _, target = line.partition("=")
    module, _, function = target.strip().partition(":")

    assert command.strip() == "devport"
    assert callable(getattr(__import__(module, fromlist=[function]), function))


def test_dependencies():
    """The seven packages that were agreed on are needed, each with a lowest version, and no other."""
    requirements = SETUP["options"]["install_requires"]

    assert names(requirements) == AGREED
    assert all(">=" in line for line in requirements.split("\n") if line)


def test_extras_hold_no_more_than_tools():
    """What only tests and benchmarks need is in extras, and nothing there is needed to run."""
    extras = SETUP["options.extras_require"]

    assert set(extras) == {"test", "bench"}
    assert AGREED.isdisjoint(names(extras["test"]) | names(extras["bench"]))


def imported():
    """The top-level packages that devport's modules import, wherever in them."""
    for path in ROOT.glob("devport/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield (node.module or "").split(".")[0]


def test_imports_are_dependencies():
    """Nothing is imported but the standard library, what is declared, and devport itself."""
    declared = {"docopt", "pathspec", "dotenv", "colorama", "psutil", "yaml", "watchfiles"}

    assert set(imported()) <= sys.stdlib_module_names | declared | {"devport"}


def test_python_version():
    """The Python that setup.cfg asks for is the one that the linter checks for and the classifiers name."""
    assert SETUP["options"]["python_requires"] == ">=3.11"
    assert PROJECT["tool"]["ruff"]["target-version"] == "py311"
    assert "Programming Language :: Python :: 3.11" in SETUP["metadata"]["classifiers"]


def test_py_typed():
    """The package says that it is typed, and the marker is installed with it."""
    assert (ROOT / "devport" / "py.typed").read_bytes() == b""
    assert SETUP["options.package_data"]["devport"].split() == ["py.typed", "devport.schema.json"]
    assert "Typing :: Typed" in SETUP["metadata"]["classifiers"]


def test_license():
    """MIT, and the text is there."""
    assert SETUP["metadata"]["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")


@pytest.mark.parametrize("arguments", [["version"], ["--version"], ["-V"]])
def test_python_m(arguments):
    """`python -m devport` is the same as `devport`: version, status 0, nothing on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "devport", *arguments], capture_output=True, cwd=ROOT, timeout=30, check=False
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == f"devport {devport.__version__}\n".encode()


def test_installed_version():
    """What is installed is what is tested."""
    assert importlib.metadata.version("devport") == devport.__version__
