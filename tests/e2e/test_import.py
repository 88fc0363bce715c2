"""`devport import`: a file in, a devport.yaml out that runs."""

import os
import stat

import pytest
from support.running import DEVPORT

PROCESS_COMPOSE = """
version: "0.5"
processes:
  db:
    command: 'echo "db on $${PORT}"; exec sleep 100'
    environment: ["PORT=27017", 'ODD=a "b" $$c']
    availability: {restart: no}
    log_location: db.log
  web:
    command: 'echo "web $$ODD"; exec sleep 100'
    depends_on: {db: {condition: process_started}}
"""


def test_runs(devport):
    """What was imported is checked, and runs."""
    devport.write("process-compose.yaml", PROCESS_COMPOSE)
    done = devport.call("import", "process-compose.yaml", "-o", "devport.yaml")
    assert (done.status, done.output) == (0, b"")
    assert done.errors == b"devport: db: log_location is not carried over\n"
    assert stat.S_IMODE((devport.project / "devport.yaml").stat().st_mode) == 0o600
    assert devport.call("check").status == 0

    text = (devport.project / "devport.yaml").read_text().replace("strict-ports: true", "strict-ports: false")
    devport.write("devport.yaml", text)
    running = devport.start()
    running.expect_all(rb"db  *\| db on \d+", rb"web  *\| web $")
    assert running.stop()[0] == 143


def test_prints(devport):
    """Without -o it is printed, and nothing is written."""
    devport.write("mprocs.yaml", "procs: {a: 'echo hi'}\n")
    done = devport.call("import", "mprocs.yaml")

    assert done.status == 0
    assert done.output.startswith(b"# written by `devport import` from mprocs.yaml\nprocesses:\n  a:\n")
    assert [one.name for one in devport.project.iterdir()] == ["mprocs.yaml"]


def test_never_replaces(devport):
    """A file that is there stays, unless --force says otherwise."""
    devport.write("mprocs.yaml", "procs: {a: 'echo hi'}\n")
    devport.write("devport.yaml", "mine")
    (devport.project / "devport.yaml").chmod(0o644)
    refused = devport.call("import", "mprocs.yaml", "-o", "devport.yaml")

    assert refused.status == 1
    assert refused.errors.endswith(b"devport.yaml: it is there already (--force replaces it)\n")
    assert (devport.project / "devport.yaml").read_text() == "mine"
    assert devport.call("import", "mprocs.yaml", "-o", "devport.yaml", "--force").status == 0
    assert stat.S_IMODE((devport.project / "devport.yaml").stat().st_mode) == 0o600
    assert devport.call("check").status == 0


@pytest.mark.parametrize("output", ["mprocs.yaml", "sub/../mprocs.yaml", "link.yaml", "hard.yaml"])
def test_never_replaces_what_it_reads(devport, output):
    """Not even by force: what was not carried over would be lost. By name and as standard input."""
    devport.write("mprocs.yaml", "procs: {a: 'echo hi'}\n")
    (devport.project / "sub").mkdir()
    (devport.project / "link.yaml").symlink_to("mprocs.yaml")
    os.link(devport.project / "mprocs.yaml", devport.project / "hard.yaml")
    with (devport.project / "mprocs.yaml").open() as file:
        for name in ("mprocs.yaml", "-"):
            done = devport.call("import", name, "-o", output, "--force", stdin=file)
            assert done.status == 2
            assert done.errors.endswith(b": that is the file that is imported\n")
    assert (devport.project / "mprocs.yaml").read_text() == "procs: {a: 'echo hi'}\n"


def test_standard_input(devport):
    """`-` is what is piped in, as with -f of the other verbs."""
    devport.write("mprocs.yaml", "procs: {a: 'echo hi'}\n")
    with (devport.project / "mprocs.yaml").open() as file:
        done = devport.call("import", "-", stdin=file)

    assert (done.status, done.errors) == (0, b"")
    assert done.output.startswith(b"# written by `devport import` from standard input\nprocesses:\n  a:\n")
    nothing = devport.call("import", "-")
    assert nothing.status == 2
    assert nothing.errors.startswith(b"devport: cannot import standard input: ")


def test_replaces_as_a_whole(devport):
    """A disk without room leaves the old file as it was, nothing beside it; a link stays one."""
    devport.write("mprocs.yaml", "procs: {a: 'echo hi'}\n")
    devport.write("old.yaml", "mine")
    (devport.project / "devport.yaml").symlink_to("old.yaml")
    words = ("import", "mprocs.yaml", "-o", "devport.yaml", "--force")
    script = 'trap "" XFSZ; ulimit -f 0; exec "$@" 2>/dev/null'
    full = devport.spawn(["/bin/sh", "-c", script, "sh", DEVPORT, *words])

    assert full.finish() == 1
    fresh = devport.spawn(["/bin/sh", "-c", script, "sh", DEVPORT, *words[:3], "new.yaml"])
    assert fresh.finish() == 1
    assert (devport.project / "old.yaml").read_text() == "mine"
    assert {one.name for one in devport.project.iterdir()} == {"mprocs.yaml", "old.yaml", "devport.yaml"}
    assert devport.call(*words).status == 0
    assert (devport.project / "devport.yaml").is_symlink()
    assert (devport.project / "old.yaml").read_text().startswith("# written by ")


def test_writes_into_a_pipe(devport):
    """What is no file is written to, not replaced."""
    devport.write("mprocs.yaml", "procs: {a: 'echo hi'}\n")
    done = devport.call("import", "mprocs.yaml", "-o", "/dev/stdout", "--force")

    assert done.status == 0
    assert done.output.startswith(b"# written by ")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("nothing.yaml",), 1, "nothing.yaml: No such file or directory\n"),
        (("Procfile",), 2, "cannot import Procfile: "),
        ((), 2, "no FILE given"),
        (("Procfile", "--force"), 2, "option --force goes with -o"),
    ],
)
def test_errors(devport, words, status, said):
    """What cannot be read, is none of the three, or is asked for wrongly."""
    devport.procfile(web="x")
    done = devport.call("import", *words)

    assert done.status == status
    assert said in done.errors.decode()
