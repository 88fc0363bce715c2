"""devport without what only Linux has: the failure catalogue on a copy where those mechanisms are off.

docs/decisions/014 says what cannot hold there: no parent-death signal, and no daemon that has left its group
and its session and emptied its environment.
"""

import shutil

import pytest
from controls import control as frame
from support import drill

KERNEL = "devport/kernel/__init__.py"
OFF = (
    (KERNEL, 'LINUX = sys.platform.startswith("linux")', "LINUX = False"),
    (KERNEL, 'WAITID = hasattr(os, "waitid")', "WAITID = False"),
)
FAULTS = "tests/e2e/test_faults.py"
MATRIX = "tests/e2e/test_matrix.py"
CANNOT = "bare or f05 or f06 or both_killed or survives_both or test_process_group_killed"
CANNOT += " or test_manager_killed or test_supervisor_killed"  # one of that family is bare
CANNOT += " or (test_kill_9 and supervisor)"  # the guardian there is a shell, and knows the group alone
SHORT = (
    f"{FAULTS}::test_f01_grandchild_in_the_group_outlives_its_leader",
    f"{FAULTS}::test_f02_daemons_of_two_services",
    f"{FAULTS}::test_f04_supervisor_killed",
    f"{FAULTS}::test_f12_second_request",
    f"{FAULTS}::test_f13_stopped_process_hears_the_stop",
    "tests/e2e/test_security.py::test_s34_the_same_service_of_another_home",
)
LONG = (FAULTS, MATRIX, "tests/e2e/test_supervisor.py", SHORT[-1])


@pytest.mark.drill
@pytest.mark.timeout(900)
@pytest.mark.parametrize("tests", [LONG] if drill.is_long() else [(test,) for test in SHORT])
def test_without_the_mechanisms_of_linux(tmp_path, tests):
    """No subreaper, no parent-death signal, no pidfd, no waitid, no /proc, no sock_diag: the rest holds."""
    python = frame.environment(tmp_path / "venv", *OFF)

    finished = frame.run(python, tests, "-k", f"not ({CANNOT})", patience=20, timeout=800)

    shutil.rmtree(tmp_path / "venv")  # pytest keeps the folders of three runs
    assert finished.returncode == 0, finished.stdout[-4000:]


@pytest.mark.parametrize("name", ["orphans", "children", "stat", "below"])
def test_nothing_of_linux_is_asked(name, tmp_path):
    """The switch is one: with it off, none of the questions opens /proc by itself."""
    import subprocess  # noqa: PLC0415

    python = frame.environment(tmp_path / "venv", *OFF)
    call = {"orphans": "orphans({})", "stat": "stat(1)"}.get(name, f"{name}(1)")
    code = (
        "import builtins, sys\n"
        "from devport.kernel import descendants, portable\n"
        "seen = []\n"
        "sys.addaudithook(lambda event, args: event in ('open', 'os.listdir') and seen.append("
        "(args[0], sys._getframe(1).f_code.co_filename)))\n"
        f"found = descendants.{call}\n"
        "found = list(found) if hasattr(found, '__iter__') else found\n"
        "print([path for path, who in seen if str(path).startswith('/proc') and '/devport/kernel/' in who])\n"
    )

    assert subprocess.check_output([python, "-P", "-c", code], text=True) == "[]\n"
