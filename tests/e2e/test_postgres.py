"""A real PostgreSQL, a migration and a server after it: up, killed, recovered, down, and nothing left."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest
from support import background
from support.procs import eventually

machine = background.machine

SERVER = """
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def programs():
    """Where PostgreSQL's programs are: Debian keeps them out of PATH."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if initdb is None:
        pytest.skip("initdb (PostgreSQL) is not installed")
    return pathlib.Path(initdb).resolve().parent


def unprivileged():
    """What PostgreSQL, which refuses to be root, is run by."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


@pytest.fixture
def cluster():
    """A fresh cluster in a folder that its user can reach; how to run one of its programs."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="devport-pg-"))
    as_user = unprivileged()
    folder.chmod(0o755)
    data = folder / "data"
    data.mkdir()
    if as_user:
        shutil.chown(data, "nobody", "nogroup")
    words = [*as_user, str(programs() / "initdb"), "-D", str(data), "-A", "trust", "-U", "app", "-N"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    yield folder, data
    shutil.rmtree(folder)


def project(devport, cluster):
    """devport.yaml of a database, a migration, and a server that needs both."""
    _, data = cluster
    bin_, as_user = programs(), " ".join(unprivileged())
    devport.write("server.py", SERVER)
    devport.write(
        "devport.yaml",
        f"""
processes:
  db:
    exec: exec {as_user} {bin_}/postgres -D {data} -k {data} -h 127.0.0.1 -p $PORT -c fsync=off
    ready: {{exec: "{bin_}/pg_isready -q -h 127.0.0.1 -p $PORT -d postgres -U app"}}
    restart: {{on: on_failure, delay: 0.1}}
    stop: {{signal: INT, timeout: 60}}
  web:
    exec: exec python3 server.py
    after: [migrate, db]
    ready: {{http: {{get: {{path: /}}}}}}
tasks:
  migrate:
    exec: >-
      {bin_}/psql -v ON_ERROR_STOP=1 -h 127.0.0.1 -p ${{db.port}} -U app postgres
      -c 'create table if not exists t (x int)'
    after: [db]
""",
    )


def psql(machine, cluster, text):
    """What the database answers."""
    port = machine.row("db")["port"]
    words = [programs() / "psql", "-h", "127.0.0.1", "-p", str(port), "-U", "app", "-Atc", text, "postgres"]
    return subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True).stdout.strip()


def test_background(machine, cluster, devport):
    """Up in order, wait, kill -9, recovered by itself, down: nothing is left, and its port is free."""
    project(devport, cluster)
    machine.detach()
    machine.do("wait", "-t", "60", timeout=70)
    assert machine.row("web")["state"] == "ready"
    assert psql(machine, cluster, "select count(*) from t") == "0"

    first = machine.row("db")["pid"]
    os.kill(first, signal.SIGKILL)

    def recovered():
        row = machine.row("db")
        assert row["state"] == "ready"
        assert row["pid"] != first

    eventually(recovered, 60)
    assert psql(machine, cluster, "select 1") == "1"
    machine.do("down", timeout=70)
    assert not (cluster[1] / "postmaster.pid").exists()
    machine.nothing_left()


def test_foreground(devport, cluster):
    """In one window: the database first, then the migration, then the server; Ctrl-C ends them in reverse."""
    project(devport, cluster)
    run = devport.start()
    run.expect(rb"db is ready", timeout=60)
    run.expect(rb"migrate (started|exited with status 0)")
    run.expect(rb"web is ready", timeout=60)
    status, _ = run.stop(signal.SIGINT, timeout=70)

    text = run.output
    assert status == 130
    assert text.index(b"db is ready") < text.index(b"migrate started") < text.index(b"web started")
    assert text.index(b"web stopped") < text.index(b"db stopped")
    assert not (cluster[1] / "postmaster.pid").exists()


def test_a_failed_migration_keeps_the_server_away(devport, cluster):
    """Who needs it fails with the reason; the database goes on; the run's status is the migration's."""
    project(devport, cluster)
    path = devport.project / "devport.yaml"
    path.write_text(path.read_text().replace("create table if not exists t", "create tabel t"))
    run = devport.start("--json")
    run.expect(rb'"reason": "migrate exited with status [13]"', timeout=60)
    run.expect(rb".")
    status, _ = run.stop(signal.SIGINT, timeout=70)

    assert status in {1, 3}
    assert not any(
        json.loads(line).get("event") == "started" and json.loads(line)["service"] == "web"
        for line in run.output.splitlines()
        if line.startswith(b"{")
    )
