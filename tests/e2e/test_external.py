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
    stop: {exec: 'echo taking down; kill $(cat pid); while kill -0 $(cat pid); do sleep 0.02; done; rm pid'}
  web:
    exec: echo web; exec sleep 1000
    after: daemon
"""


def pid(devport):
    """The daemon's."""
    return int((devport.project / "pid").read_text())


def ended(daemon):
    """The process `daemon` lives no more."""
    assert not procs.is_alive(daemon)


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
    machine.do("wait", "-t", "30", timeout=40)
    row = machine.row("daemon")
    daemon = pid(devport)

    assert (row["state"], row["pid"]) == ("ready", None)
    machine.do("restart", "daemon")
    assert not procs.is_alive(daemon)
    daemon = pid(devport)
    procs.send(machine.supervisor(row["hash"]), signal.SIGKILL)

    eventually(lambda: ended(daemon), 20)
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


def test_what_stays_in_its_session_outlives_the_command(devport):
    """On a terminal too nobody hangs up on a daemon that is not yet, or never, in a session of its own."""
    devport.write(
        "devport.yaml",
        """
processes:
  daemon:
    exec: 'sleep 1000 & echo $! > pid'
    external: true
    ready: {exec: 'kill -0 $(cat pid)', initial_delay: 0.2}
    stop: {exec: 'kill $(cat pid)'}
""",
    )
    run = devport.start(terminal=(80, 24))
    run.expect(rb"daemon is ready")
    daemon = pid(devport)
    assert procs.is_alive(daemon)
    run.stop(signal.SIGINT)

    eventually(lambda: ended(daemon))  # the command only asks it to


def test_in_a_window_it_outlives_the_command(machine, devport):
    """The same under a supervisor, which has a terminal for every other service."""
    devport.write(
        "devport.yaml",
        "processes: {daemon: {exec: 'sleep 1000 & echo $! > pid', external: true,"
        " ready: {exec: 'kill -0 $(cat pid)', initial_delay: 0.2},"
        " stop: {exec: 'echo going down; kill $(cat pid)'}}}",
    )
    hash_ = machine.detach()["daemon"]["hash"]
    machine.do("wait", "-t", "18")

    machine.do("down")
    machine.logged(hash_, rb"going down\r\n")  # as everything there: a window does not add the CR
    eventually(lambda: ended(pid(devport)))
    machine.nothing_left()


def test_failed_stop_command_is_told(devport):
    """In words that follow the service's name."""
    devport.write(
        "devport.yaml",
        "processes: {web: {exec: echo up; exec sleep 1000, stop: {exec: exit 3}}}",
    )
    run = devport.start()
    run.expect(rb"web +\| up")
    run.stop(signal.SIGINT)

    assert b"web was not stopped by its command (status 3)\n" in run.output
