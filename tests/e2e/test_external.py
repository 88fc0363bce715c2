"""What a command brings up and takes down, and services that are stopped by a command, in both frames."""

import signal

from support import background, procs
from support.procs import eventually

machine = background.machine

DAEMON = """
processes:
  daemon:
    exec: |
      echo bringing up
      setsid sh -c 'echo $$ > pid; exec python3 -m http.server --bind 127.0.0.1 '$PORT >/dev/null 2>&1 &
      while [ ! -s pid ]; do sleep 0.02; done
    external: true
    ready: {http: {get: {path: /}}, period: 0.2, failure_threshold: 2}
    restart: {on: on_failure, delay: 0.05}
    stop: {exec: 'echo taking down; kill $(cat pid); rm pid'}
  web:
    exec: echo web; exec sleep 1000
    after: daemon
"""


def pid(devport):
    """The daemon's."""
    return int((devport.project / "pid").read_text())


def test_in_one_window(devport):
    """Up when its probe says so, after its command has returned; down by its stop command."""
    devport.write("devport.yaml", DAEMON)
    run = devport.start()
    run.expect(rb"bringing up")
    run.expect(rb"daemon is ready")
    run.expect(rb"web started")
    daemon = pid(devport)
    run.stop(signal.SIGINT)

    assert b"taking down" in run.output
    assert run.output.index(b"web stopped") < run.output.index(b"taking down")
    assert not procs.is_alive(daemon)


def test_killed_it_is_brought_up_again(devport):
    """Its probe notices, the stop command tidies up, and its command runs again."""
    devport.write("devport.yaml", DAEMON)
    run = devport.start()
    run.expect(rb"daemon is ready")
    procs.send(pid(devport), signal.SIGKILL)
    run.expect(rb"daemon is being stopped: ")
    run.expect(rb"taking down")
    run.expect(rb"bringing up")
    run.expect(rb"daemon is ready")
    run.stop(signal.SIGINT)


def test_in_the_background(machine, devport):
    """The same under a supervisor; a kill -9 of that leaves nothing."""
    devport.write("devport.yaml", DAEMON)
    machine.detach()
    machine.do("wait", "-t", "30")
    row = machine.row("daemon")
    daemon = pid(devport)

    assert (row["state"], row["pid"]) == ("ready", None)
    machine.do("restart", "daemon")
    assert not procs.is_alive(daemon)
    daemon = pid(devport)
    procs.send(machine.supervisor(row["hash"]), signal.SIGKILL)

    def gone():
        assert not procs.is_alive(daemon)

    eventually(gone, 20)
    machine.do("down")
    machine.nothing_left()


def test_stop_command_of_a_service(machine, devport):
    """`stop: {exec: ...}` ends a service that no signal would."""
    devport.write(
        "devport.yaml",
        """
processes:
  web:
    exec: "trap '' TERM; trap 'echo bye; exit 0' USR1; echo $$ > pid; echo up; while :; do sleep 0.02; done"
    stop: {exec: kill -USR1 $(cat pid), timeout: 30}
""",
    )
    machine.detach()
    machine.logged(machine.row("web")["hash"], rb"\nup")
    machine.do("stop", "web", timeout=20)

    assert b"bye" in machine.log(machine.row("web")["hash"])
