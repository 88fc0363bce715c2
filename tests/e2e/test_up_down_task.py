"""start --mode, @groups, tasks, up, down, wait and ls with services that need one another."""

import fcntl
import json
import os
import re
import signal
import time

import pytest
from support import background, procs
from support.procs import eventually
from support.running import DEVPORT, child

plain = background.plain

SHOP = """
processes:
  db:
    exec: {sleeper}
    restart: never
  api:
    exec: {sleeper}
    after: [db, migrate]
    restart: never
  web:
    exec: {sleeper}
    after: [api]
    restart: never
  off:
    exec: {sleeper}
    start: {{enable: false}}
  parked:
    exec: {sleeper}
    after: [off]
    start: {{enable: false}}
tasks:
  migrate:
    exec: test ! -e {folder}/bad || exit 3; echo migrated >> {folder}/ran
    after: [db]
  seed:
    exec: sh -c 'echo seeded "$@" >> {folder}/ran; exit 7' sh
    after: [db]
groups:
  backend: [db, api]
"""


@pytest.fixture
def shop(plain):
    """A project of three services in a chain, two tasks, and two services that have to be named."""
    folder = plain.devport.folder
    script = f"trap 'echo $PS >> {folder}/order; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    plain.devport.write("devport.yaml", SHOP.format(sleeper=json.dumps(script), folder=folder))
    plain.folder = folder
    return plain


def lines(path):
    """What was written down."""
    return path.read_text().split("\n")[:-1] if path.exists() else []


def running(shop):
    """The names of what runs."""
    return " ".join(sorted(shop.ls("--active")))


def runs(shop, names):
    """`names` and nothing else runs, once what has ended has given its lock back."""

    def check():
        assert running(shop) == names

    eventually(check)


def at_terminal(shop, *words, env=()):
    """`devport WORDS` at a terminal."""
    return shop.devport.spawn([DEVPORT, *words], terminal=(110, 30), env=env)


# start


@pytest.mark.parametrize(
    ("words", "expected", "ran"),
    [
        ((), "api db web", ["migrated"]),
        (("web",), "api db web", ["migrated"]),
        (("@backend",), "api db", ["migrated"]),
        (("db",), "db", []),
        (("--mode", "single", "web"), "web", []),
        (("--mode", "after", "api"), "api web", []),
        (("off",), "off", []),
    ],
)
def test_what_starts(shop, words, expected, ran):
    """What a name needs starts with it, tasks among it, and what is disabled only when it is named."""
    shop.detach(*words)
    shop.do("wait")

    runs(shop, expected)
    assert lines(shop.folder / "ran") == ran


def test_tasks_run_again_only_for_what_does_not_run(shop):
    """A second start leaves them alone; one that starts their service runs them; so does their name."""
    shop.detach()
    shop.do("wait")
    shop.detach()
    shop.do("wait")
    assert lines(shop.folder / "ran") == ["migrated"]

    shop.do("stop", "api")
    shop.detach()
    shop.do("wait")
    assert lines(shop.folder / "ran") == ["migrated"] * 2

    shop.detach("migrate")
    shop.do("wait")
    assert lines(shop.folder / "ran") == ["migrated"] * 3


@pytest.mark.parametrize("verb", ["task", "run"])
def test_what_a_task_did_in_the_foreground_counts(shop, verb):
    """A restart goes by the task's last run, wherever it was: one that succeeded was not stopped."""
    shop.detach()
    shop.do("wait")
    shop.do("stop", "api")
    shop.do(verb, "migrate")
    assert shop.do("restart", "api") == "api started\n"

    shop.do("stop", "api")
    (shop.folder / "bad").touch()
    shop.do(verb, "migrate", status=3)
    said = shop.refused("restart", "api", status=1)
    assert said == "devport: cannot start api: migrate exited with status 3\n"
    (shop.folder / "bad").unlink()
    shop.do(verb, "migrate")
    assert shop.do("restart", "api") == "api started\n"


def test_needs_that_nobody_starts(shop):
    """`start` and `wait` return, and say what is waited for; once that starts, nothing else is to be done."""
    shop.detach("parked")

    def waits():
        assert (shop.row("parked")["state"], shop.row("parked")["waiting_for"]) == ("waiting", "off")

    eventually(waits)
    assert shop.do("wait", "parked") == "parked waits for off, which is not running\n"
    assert shop.do("restart", "parked") == "parked waits for off\n"
    shop.detach("off")
    assert shop.do("wait", "parked") == "parked is ready\n"


def test_start_waits_if_it_is_told_to(shop):
    """All is ready when it returns."""
    rows = shop.detach("--wait")

    assert {name: row["state"] for name, row in rows.items()} == {
        "db": "ready",
        "migrate": "exited",
        "api": "ready",
        "web": "ready",
    }


# task


def test_task_brings_what_it_needs(shop):
    """And takes it away again; its status is the run's."""
    assert "db started" in shop.do("task", "seed", "--", "two", "words", status=7)
    assert lines(shop.folder / "ran") == ["seeded two words"]
    assert lines(shop.folder / "order") == ["db"]
    runs(shop, "")


def test_task_uses_what_runs(shop):
    """And leaves it alone."""
    before = shop.detach("db")["db"]["pid"]

    assert "db" not in shop.do("task", "migrate")
    assert lines(shop.folder / "ran") == ["migrated"]
    assert shop.row("db")["pid"] == before


def test_what_is_no_task(shop):
    """A slip gets the nearest word, a service the command that runs it."""
    assert shop.refused("task", "sed", status=3) == (
        "devport: cannot run task sed: no task is called sed (did you mean seed?)\n"
    )
    assert shop.refused("task", "db", status=3) == (
        "devport: cannot run task db: db is a service: devport start db runs it\n"
    )


def test_task_whose_need_fails(shop):
    """It does not run, and the command fails."""
    shop.devport.write(
        "devport.yaml",
        f"""
processes:
  db: {{exec: exit 5, restart: never, ready: {{exec: exit 1}}}}
tasks:
  migrate: {{exec: "echo migrated >> {shop.folder}/ran", after: [db]}}
  first: {{exec: exit 23}}
  second: {{exec: "echo second >> {shop.folder}/ran", after: [first]}}
""",
    )

    assert shop.call("task", "migrate").status != 0
    assert shop.call("task", "second").status != 0
    assert lines(shop.folder / "ran") == []


# down, stop


def test_down_goes_backwards(shop):
    """What needs others stops before those do, each gone before the next is asked."""
    shop.detach()
    shop.do("wait")

    runs(shop, "api db web")
    assert shop.do("down").splitlines() == ["web stopped", "api stopped", "db stopped"]
    assert lines(shop.folder / "order") == ["web", "api", "db"]
    assert "nothing of this project is running" in shop.call("down").errors.decode()


def test_stop_of_several_goes_backwards(shop):
    """In whatever order they are named."""
    shop.detach()
    shop.do("wait")

    shop.do("stop", "db", "web", "api")

    assert lines(shop.folder / "order") == ["web", "api", "db"]


def test_stop_of_what_others_need(shop):
    """It alone stops; who needs it is named."""
    shop.detach()
    shop.do("wait")

    done = shop.call("stop", "db")

    assert (done.status, done.output) == (0, b"db stopped\n")
    assert done.errors == b"devport: api needs db, which is stopped now\n"
    runs(shop, "api web")
    assert "needs" not in shop.call("stop", "web").errors.decode()


def test_down_ends_a_foreground_run_as_well(shop):
    """What needs its services stops first."""
    run = shop.devport.start("db")
    run.expect(rb"^[\d:]{8} db +\| up")
    shop.detach("api")
    shop.do("wait", "api")

    shop.do("down")

    assert run.finish() == 143
    assert lines(shop.folder / "order") == ["api", "db"]


# wait


def test_wait_names_what_is_not_ready(shop):
    """124 at the timeout, with the reason of each."""
    port = int(str(shop.devport.ports).partition("-")[0])
    shop.devport.write(
        "devport.yaml",
        f"""
processes:
  db: {{exec: sleep 1000, ready: {{tcp: {{port: {port}}}, period: 0.1}}}}
  api: {{exec: sleep 1000, after: [db]}}
""",
    )
    shop.detach()

    said = shop.refused("wait", "-t", "3", status=124)

    assert "cannot wait for api: it is not ready in time: it waits for db" in said
    assert "cannot wait for db: it is not ready in time: " in said
    assert "refused" in said

    def reasons():
        rows = shop.ls()
        assert rows["api"]["waiting_for"] == "db"
        assert "refused" in (rows["db"]["not_ready"] or "")

    eventually(reasons)


def test_wait_when_something_gives_up(shop):
    """1, whatever else is ready; what needed it has failed with it."""
    shop.devport.write(
        "devport.yaml",
        """
processes:
  good: {exec: sleep 1000}
  bad: {exec: exit 3, restart: {on: always, max: 1, delay: 0.1}, ready: {exec: exit 1}}
  needy: {exec: sleep 1000, after: [bad]}
""",
    )
    shop.call("start", "-d", "--no-tmux")

    done = shop.call("wait", "-t", "20")

    assert done.status == 1
    assert b"good is ready" in done.output
    assert b"cannot wait for bad" in done.errors
    assert b"cannot wait for needy" in done.errors


def test_wait_shows_what_it_waits_for(shop):
    """On a terminal, in one line that is gone in the end; Ctrl-C leaves none either."""
    shop.devport.write(
        "devport.yaml", "processes:\n  db: {exec: sleep 1000, ready: {exec: exit 1, period: 0.2}}\n"
    )
    shop.detach()
    waiting = at_terminal(shop, "wait", "-t", "4")

    waiting.expect(rb"\r\d s  db: ")
    assert waiting.finish() == 124
    assert re.search(rb"\r\x1b\[Kdevport: cannot wait for db", waiting.output)

    waiting = at_terminal(shop, "wait")
    waiting.expect(rb"\r\d s  db: ")
    waiting.type(b"\x03")
    assert waiting.finish() == 130
    assert waiting.output.endswith(b"\r\x1b[K")


# up


def test_up_is_start_where_nothing_runs(shop):
    """In the foreground, with all that is needed."""
    run = shop.devport.spawn([DEVPORT, "up", "web"])
    run.expect(rb"^[\d:]{8} web +\| up")

    assert run.stop(signal.SIGINT)[0] == 130
    assert lines(shop.folder / "order") == ["web", "api", "db"]


def test_up_detached_is_start_detached(shop):
    """Twice is as good as once."""
    shop.do("up", "-d", "--no-tmux")
    shop.do("wait")
    runs(shop, "api db web")
    before = {name: row["pid"] for name, row in shop.ls("--active").items()}

    done = shop.call("up", "-d", "--no-tmux")

    assert done.status == 0
    assert b"db, api, web run already" in done.errors
    assert {name: row["pid"] for name, row in shop.ls("--active").items()} == before


def test_up_attaches(shop):
    """The others start, all is shown, and Ctrl-C stops nothing; again and again."""
    shop.detach("db")
    supervisor = shop.supervisor(shop.row("db")["hash"])
    shown = at_terminal(shop, "up")

    shown.expect(rb"devport: db runs already; started: migrate, api, web|devport: db runs already; started: ")
    shown.expect_all(rb"db +\S*\| .*up", rb"web +\S*\| .*up")
    shown.type(b"\x03")
    shown.expect(rb"\rdevport: detached; the services go on")
    assert shown.finish() == 0
    runs(shop, "api db web")
    for _ in range(3):
        again = at_terminal(shop, "up")
        again.expect(rb"run already")
        again.expect(rb"devport down stops everything")
        again.type(b"\x03")
        assert again.finish() == 0

    def few():
        assert len(os.listdir(f"/proc/{supervisor}/fd")) < 40

    eventually(few)


def test_up_needs_a_terminal_to_attach(shop):
    """One line, and nothing is started; CI counts as no terminal."""
    shop.detach("db")

    said = shop.refused("up")
    assert said == (
        "devport: cannot start here: db runs already;"
        " devport start -d starts the others, devport logs -f shows what they print\n"
    )
    shown = at_terminal(shop, "up", env={"CI": "1"})
    shown.expect(rb"cannot start here: db runs already")
    assert shown.finish() == 1
    runs(shop, "db")


def test_up_ends_with_the_services(shop):
    """Somebody else stops everything: one line, status 0; a killed supervisor: 1."""
    shop.detach("db")
    for end, status in ((lambda: shop.do("down"), 0), (None, 1)):
        shop.detach("db")
        shown = at_terminal(shop, "up", "db")
        shown.expect(rb"devport down stops everything")
        if end is None:
            os.kill(shop.supervisor(shop.row("db")["hash"]), signal.SIGKILL)
        else:
            end()
        shown.expect(rb"devport: every service has ended")
        assert shown.finish() == status


def test_up_attaches_to_a_foreground_run(shop):
    """Its output comes from there, and it goes on."""
    run = shop.devport.start("db")
    run.expect(rb"^[\d:]{8} db +\| up")
    shown = at_terminal(shop, "up", "api")

    shown.expect(rb"devport: db runs already")
    shown.expect_all(rb"db +\S*\| .*up", rb"api +\S*\| .*up")
    shown.type(b"\x03")
    assert shown.finish() == 0
    runs(shop, "api db")
    shop.do("down")
    run.finish()


# shell

SHELL = """
processes:
  db:
    exec: {sleeper}
    restart: never
  web:
    exec: {sleeper}
    after: [db]
    start: {{enable: interactive-shell}}
    restart: never
  other: {{exec: sleep 1000}}
"""


@pytest.fixture
def house(shop):
    """A project whose web belongs to the shell, and a shell that does nothing by itself."""
    script = f"trap 'echo $PS >> {shop.folder}/order; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    shop.devport.write("devport.yaml", SHELL.format(sleeper=json.dumps(script)))
    shop.environ |= {"SHELL": "/bin/sh", "PS1": "prompt> ", "ENV": ""}
    return shop


def opened(house, *words, started=True):
    """An open shell at a terminal."""
    shell = at_terminal(house, "shell", "--no-tmux", *words)
    if started:
        shell.expect(rb"devport: started (db, web|web), to be stopped when this shell ends")
    shell.expect(rb"prompt> ")
    return shell


def test_shell_has_services_for_as_long_as_it_is_open(house):
    """With their ports; what needs others stops first; the status is the shell's."""
    shell = opened(house)
    runs(house, "db web")

    shell.type(b'echo "[$DEVPORT_SHELL $DB_PORT $OTHER_PORT]"\n')
    found = shell.expect(rb"\[1 (\d+) (\d+)\]")
    assert int(found[1]) == house.row("db")["port"]
    shell.type(b"exit 7\n")

    shell.expect(rb"devport: stopped web, db")
    assert shell.finish() == 7
    assert lines(house.folder / "order") == ["web", "db"]
    runs(house, "")


def test_shell_leaves_alone_what_ran(house):
    """It stops what it started, and what somebody started again since is somebody else's."""
    house.detach("db", "other")
    shell = opened(house)
    shell.type(b"exit\n")
    shell.expect(rb"devport: stopped web\r")
    assert shell.finish() == 0
    runs(house, "db other")

    shell = opened(house)
    house.do("stop", "web")
    house.detach("web")
    shell.type(b"exit\n")
    assert shell.finish() == 0
    runs(house, "db other web")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("whom", ["guardian", "supervisor"])
def test_shell_that_is_killed(house, number, whom):
    """Hung up, or one of its two processes killed: what it started is stopped all the same."""
    shell = opened(house)

    procs.send(shell.pid if whom == "guardian" else shell.supervisor, number)

    shell.finish()
    runs(house, "")


def test_shell_that_is_asked_to_end(house):
    """An interactive shell ignores TERM; it is told that its terminal is gone, and ends at once."""
    shell = opened(house, "-t", "60")
    began = time.monotonic()
    procs.send(shell.pid, signal.SIGTERM)
    shell.expect(rb"devport: stopped web, db")
    shell.finish()

    assert time.monotonic() - began < 15
    runs(house, "")


def test_shell_that_is_asked_to_end_while_its_services_start(house):
    """What is being started is stopped once that can be done, and no shell opens."""
    house.call("port", "db")
    web = house.row("web")["hash"]
    with open(house.state / "locks" / f"{web}.launch", "w", encoding="ascii") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        shell = at_terminal(house, "shell", "--no-tmux")

        def starting():
            assert any(
                "restart" in (words := one.command) and web in words for one in procs.tree(house.devport.tag)
            )

        eventually(starting)
        shell.type(b"\x03")
        shell.expect(rb"\^C")
    shell.expect(rb"devport: stopped web, db")

    assert shell.finish() == -signal.SIGINT
    runs(house, "")


def test_shell_in_a_shell(house):
    """It starts nothing twice, and its end stops nothing."""
    shell = opened(house)
    shell.type(b"devport shell; echo back\n".replace(b"devport", DEVPORT.encode()))
    shell.expect(rb"devport: this is a devport shell already")
    shell.expect(rb"prompt> ")
    shell.type(b"exit\n")
    shell.expect(rb"^back")
    runs(house, "db web")
    shell.type(b"exit\n")
    shell.finish()


def test_command_instead_of_a_shell(house):
    """It gets the environment, its status passes, and a warning names what is not started."""
    done = house.call("shell", "--", "sh", "-c", 'echo "[$DB_PORT]"; exit 9')

    assert done.status == 9
    assert re.search(rb"\[\d+\]", done.output)
    assert b"warning: web not started: this is no interactive shell" in done.errors
    runs(house, "")
    assert house.call("shell").status == 0  # a pipe: the shell reads its end at once
    runs(house, "")


def test_shell_whose_services_do_not_start(house):
    """All that had been started is stopped, and no shell opens."""
    house.devport.write(
        "devport.yaml",
        """
process: {start: interactive-shell}
processes:
  good: {exec: sleep 1000}
  bad: {exec: ./nothing-here, cwd: /nowhere}
""",
    )
    shell = at_terminal(house, "shell", "--no-tmux")

    shell.expect(rb"cannot start bad: ")
    shell.expect(rb"cannot open a shell: ")
    assert shell.finish() == 1
    runs(house, "")


def test_shell_needs_a_project(house, tmp_path):
    """It would be a shell like any other; a command runs all the same, as with `run`."""
    folder = tmp_path / "empty"
    folder.mkdir()

    for stdin in ({"terminal": (80, 24)}, {}):
        done = house.call("shell", cwd=folder, **stdin)
        assert done.status == 1
        assert b"devport: cannot find a project: " in done.output + done.errors
    assert house.do("shell", "echo", "hi", cwd=folder) == "hi\n"


def test_restart_of_what_failed(shop):
    """It is tried again, with a new budget."""
    shop.devport.write(
        "devport.yaml", "processes:\n  web: {exec: test -e ok && sleep 1000, restart: {max: 1, delay: 0.1}}\n"
    )
    shop.call("start", "-d", "--no-tmux")
    hash_ = next(iter(shop.ls().values()))["hash"]
    shop.ended(hash_)
    shop.devport.write("ok", "")

    assert shop.do("restart", "web") == "web started\n"


def test_chain_is_down_before_long(shop):
    """Twelve levels, each waited for, in a few seconds."""
    names = [f"s{n}" for n in range(12)]
    entries = [
        f"  {name}: {{exec: {json.dumps(child('signals'))}"
        + (f", after: [{names[n - 1]}]" if n else "")
        + "}"
        for n, name in enumerate(names)
    ]
    shop.devport.write("devport.yaml", "processes:\n" + "\n".join(entries) + "\n")
    shop.detach()
    shop.do("wait")
    began = time.monotonic()

    assert len(shop.do("down", timeout=60).splitlines()) == len(names)
    assert time.monotonic() - began < 40  # 2 s on a quiet machine
