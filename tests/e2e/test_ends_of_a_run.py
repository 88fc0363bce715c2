"""How a run with dependencies, external services and watched files ends, and what must not end meanwhile."""

import json
import signal

import pytest
from controls import control
from support import procs
from support.drill import trials
from support.procs import eventually

PAIR = """
processes:
  db:
    exec: trap 'sleep 0.7; echo saved; exit 0' TERM; echo up; while :; do sleep 0.02; done
  web:
    exec: trap '' TERM; echo up; while :; do sleep 0.02; done
    after: db
"""


def test_second_interrupt_leaves_the_grace(devport):
    """Who is asked to end only by the second Ctrl-C is not killed because those that need it are gone."""
    devport.write("devport.yaml", PAIR)
    run = devport.start("-t", "20")
    run.expect_all(rb"db *\| up", rb"web *\| up")
    run.send(signal.SIGINT)
    run.expect(rb"SIGINT received, stopping")
    procs.elapse(procs.APART)
    run.send(signal.SIGINT)
    run.expect(rb"SIGINT received again, killing")

    assert run.finish() == 130
    assert b"saved" in run.output


SIGNALS = "devport/engine/signals.py"
LAST_WORDS = (
    "trap 'for i in 1 2 3 4 5 6; do sleep 0.05; done; echo cleaned; exit 7' TERM INT; echo ready;"
    " while :; do sleep 0.02; done"
)


@pytest.mark.parametrize("order", ["leaf first", "root first"])
@pytest.mark.parametrize(("verb", "expected"), [("start", 143), ("run", 7)])
def test_f12_every_process_is_signalled(devport, tmp_path, verb, expected, order):
    """Whoever signals the whole tree (tree-kill) means it once, though devport hears it twice."""
    devport.procfile(web=LAST_WORDS)
    # A busy machine may keep the guardian for longer than the moment in which that is one request.
    python = control.environment(tmp_path / "venv", (SIGNALS, "BOUNCE = 0.1", "BOUNCE = 10.0"))
    words = (verb, "-t", "30", "web")
    for _ in range(trials(3, 50)):
        run = devport.spawn([python.with_name("devport"), *words])
        run.expect(rb"ready")
        tree = [run.pid, *procs.descendants(run.pid)]
        for pid in tree if order == "root first" else reversed(tree):
            procs.send(pid, signal.SIGTERM)

        assert run.finish() == expected
        assert b"cleaned" in run.output
        assert b"again" not in run.output
        assert procs.tree(devport.tag) == []


def test_end_of_the_command_of_an_external_service(devport):
    """It is no end of the service, whatever `restart` says, so the run's status does not come from it."""
    devport.write(
        "devport.yaml",
        "processes:\n  db:\n    exec: 'true'\n    external: true\n    restart: never\n"
        "    ready: {exec: 'true'}\n"
        "  web:\n    exec: echo serving; exec sleep 1000\n    after: db\n",
    )
    run = devport.start()
    run.expect(rb"serving")
    run.send(signal.SIGINT)

    assert run.finish() == 130


def test_watched_in_vain(devport):
    """No change of a file starts what waits for something that has failed: such a run is over."""
    devport.write("app.py", "")
    devport.write(
        "devport.yaml",
        "processes:\n  db:\n    exec: exit 3\n    restart: never\n    ready: {exec: 'false'}\n"
        "  web:\n    exec: exec sleep 1000\n    after: db\n    watch: {paths: [app.py]}\n",
    )
    run = devport.start()

    assert run.finish() == 3
    assert b"web failed: db exited with status 3" in run.output


def test_daemon_without_its_environment(devport):
    """What an external service has brought up lives on when others end, though nothing shows whose it is."""
    begin = "setsid env -i sh -c 'echo $$ > pid; exec sleep 1000' >/dev/null 2>&1 &"
    wait = "while [ ! -s pid ]; do sleep 0.02; done"
    devport.write(
        "devport.yaml",
        f"processes:\n  db:\n    exec: {json.dumps(f'{begin} {wait}')}\n    external: true\n"
        "    ready: {exec: kill -0 $(cat pid)}\n    stop: {exec: kill $(cat pid)}\n"
        "  web:\n    exec: exit 3\n    after: db\n    restart: {on: always, delay: 0.05}\n",
    )
    run = devport.start()
    run.expect(rb"web exited(.|\n)*web exited")
    daemon = int((devport.project / "pid").read_text())
    assert procs.is_alive(daemon)
    run.send(signal.SIGINT)
    run.finish()

    def gone():
        assert not procs.is_alive(daemon)

    eventually(gone)
