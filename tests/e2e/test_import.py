"""`devport import`: a file in, a devport.yaml out that runs."""

import stat

import pytest

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
