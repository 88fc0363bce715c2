"""The score of the pure tests: how many small changes of the lifecycle and the group they notice.

python tests/support/mutation.py FOLDER [CHILDREN]

`make mutation` runs it. mutmut is installed into a virtual environment in FOLDER, and works on a copy. What
it found is in docs/mutation.md. The last line is the score; the status is 1 if it is below 90 %.
"""

import configparser
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import venv

TOOL = "mutmut==3.8.1"
MUTATED = ("devport/engine/lifecycle.py", "devport/engine/group.py")
TESTS = (
    "tests/test_lifecycle.py",
    "tests/test_lifecycle_facts.py",
    "tests/test_lifecycle_matrix.py",
    "tests/test_lifecycle_walks.py",
    "tests/test_group.py",
    "tests/test_group_walks.py",
)
LEFT_OUT = (  # long, or about bugs of their own
    "tests/test_lifecycle_walks.py::test_walks[",
    "tests/test_lifecycle_walks.py::test_planted",
    "tests/test_lifecycle_walks.py::test_rules_find_it",
    "tests/test_group_walks.py::test_a_planted",
)
ENOUGH = 90.0  # per cent
KILLED, SURVIVED = {1, 3}, {0}  # exit statuses of pytest, as mutmut keeps them
ROOT = pathlib.Path(__file__).parents[2]


def tools(folder):
    """The virtual environment in `folder`; its programs' folder."""
    if not (folder / "bin" / "mutmut").exists():
        venv.create(folder, with_pip=True)
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg")
        wanted = setup["options"]["install_requires"].split()  # devport itself is the copy
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, TOOL, "pytest", "pytest-timeout", "hypothesis", *wanted], check=True)
    return folder / "bin"


def copy(folder):
    """What mutmut works on."""
    for name in ("devport", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tests").mkdir()
    shutil.copytree(ROOT / "tests" / "support", folder / "tests" / "support")
    for name in ("tests/conftest.py", "setup.cfg", *TESTS):
        shutil.copy(ROOT / name, folder / name)
    chosen = [f"--deselect={name}" for name in LEFT_OUT]
    settings = {
        "source_paths": ["devport"],
        "only_mutate": MUTATED,
        "also_copy": ["docs", "tests"],
        "pytest_add_cli_args_test_selection": TESTS,
        "pytest_add_cli_args": ["-p", "no:cacheprovider", *chosen],
        "timeout_multiplier": 30.0,
        "timeout_constant": 60.0,  # the machine may be busy: a timeout would look like a find
    }
    lines = [
        f"{key} = {json.dumps(list(value) if isinstance(value, tuple) else value)}"
        for key, value in settings.items()
    ]
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text("\n".join([text, "[tool.mutmut]", *lines, ""]), encoding="utf-8")


def show(binaries, folder, name):
    """The change `name` in a few lines."""
    shown = subprocess.run(
        [binaries / "mutmut", "show", name], cwd=folder, capture_output=True, text=True, check=False
    ).stdout
    lines = [line for line in shown.splitlines() if line[:1] in {"-", "+"} and line[:3] not in {"---", "+++"}]
    return "\n".join([name, *lines])


def main(place, children="2"):
    """Run it all."""
    binaries = tools(pathlib.Path(place).absolute())
    with tempfile.TemporaryDirectory(prefix="devport-mutation-") as made:
        folder = pathlib.Path(made)
        copy(folder)
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        subprocess.run(
            [binaries / "mutmut", "run", "--max-children", children], cwd=folder, env=clean, check=False
        )
        counts = {}
        for file in MUTATED:
            meta = json.loads((folder / "mutants" / f"{file}.meta").read_text(encoding="utf-8"))
            counts[file] = meta["exit_code_by_key"]
        print()
        for name in (name for codes in counts.values() for name, code in codes.items() if code not in KILLED):
            print(show(binaries, folder, name))
    total = found = 0
    for file, codes in counts.items():
        killed, survived = (sum(code in which for code in codes.values()) for which in (KILLED, SURVIVED))
        print(f"{file}: {len(codes)} mutants, {killed} killed, {survived} survived")
        total, found = total + len(codes), found + killed
    score = 100.0 * found / total
    print(f"{TOOL}: {found} of {total} mutants killed, {score:.1f} %")
    return 0 if score >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
