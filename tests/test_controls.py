"""The negative controls: each names code and tests that exist, and without its protection the tests fail."""

import re
import shutil
import subprocess

import pytest
from controls import control as frame
from support import drill

FAILED = 1  # pytest's status where tests have failed, and not its own command line or collection


@pytest.mark.parametrize("name", frame.every())
def test_a_control_fits_the_code(name):
    """What it takes out is there, once; the tests it names are there."""
    control = frame.every()[name]

    for file, old, new in control.changes:
        assert frame.text_of(file).count(old) == 1
        assert old != new
    assert re.fullmatch(r"([FSPR]\d\d?)( [FSPR]\d\d?)*", control.numbers)
    for test in control.tests:
        path, function = frame.function_of(test)
        assert re.search(rf"^ *(async )?def {function}\(", path.read_text(encoding="utf-8"), re.MULTILINE), (
            test
        )


@pytest.mark.drill
@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    "name", [name for name, control in frame.every().items() if control.quick or drill.is_long()]
)
def test_without_the_protection_its_tests_fail(name, tmp_path):
    """With the protection taken out, at least one of its tests fails."""
    control = frame.every()[name]
    python = frame.environment(tmp_path / "venv", *control.changes)

    finished = frame.run(python, control.tests)
    shutil.rmtree(tmp_path / "venv")  # pytest keeps the folders of three runs

    assert finished.returncode == FAILED, finished.stdout[-3000:] + finished.stderr[-2000:]
    assert re.search(r"^\d+ failed|^FAILED", finished.stdout, re.MULTILINE), finished.stdout[-3000:]


def test_a_changed_devport_is_what_its_tests_run(tmp_path):
    """The frame itself: what is changed is what the interpreter and the command of the tests load."""
    old = '"""devport: run'
    python = frame.environment(tmp_path, ("devport/__init__.py", old, old.replace("devport", "Changed")))
    show = "import devport, sys; print(devport.__doc__[:7], devport.__file__.startswith(sys.prefix))"

    assert subprocess.check_output([python, "-P", "-c", show], text=True) == "Changed True\n"
    assert subprocess.check_output([python.with_name("devport"), "--version"], text=True).startswith(
        "devport "
    )


def test_a_text_that_is_there_twice_is_refused(tmp_path):
    """A control that could change the wrong line is an error."""
    with pytest.raises(AssertionError, match="occurs"):
        frame.environment(tmp_path, ("devport/cli.py", "import", "Import"))
