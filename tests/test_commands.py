"""What each verb makes of its command line: the project, the services, the options, the output."""

import io
import json
import os
import time
from typing import NamedTuple

import dotenv
import pytest

from devport import foreground, launch, passthrough
from devport.cli import main
from devport.context import Context
from devport.encoding import decode
from devport.errors import ExitStatus
from devport.model import Project, RunOptions, Service, View

PROCFILE = "web: echo web\nworker: echo worker\nclock: echo clock\n"


class Result(NamedTuple):
    """What one command line ended with, and what it printed."""

    status: int
    out: str
    err: str


class Start(NamedTuple):
    """What reached `foreground.start`."""

    project: Project
    services: tuple[Service, ...]
    options: RunOptions

    @property
    def names(self) -> list[str]:
        """The names of the instances."""
        return [service.name for service in self.services]


@pytest.fixture
def folder(tmp_path):
    """A project's folder."""
    path = tmp_path / "project"
    path.mkdir()
    (path / "Procfile").write_text(PROCFILE)
    return path


@pytest.fixture
def call(tmp_path, folder):
    """Call main() in the project's folder; keywords are the environment."""

    def call_main(
        *argv: str, cwd: str = "", stdin: bytes = b"", stdout: int | None = None, **environ: str
    ) -> Result:
        (tmp_path / "in").write_bytes(stdin)
        with (
            open(tmp_path / "in", "rb") as input_,
            open(tmp_path / "out", "w+b") as out,
            open(tmp_path / "err", "w+b") as err,
        ):
            context = Context(
                {"HOME": str(tmp_path), **environ},
                str(folder / cwd),
                str(tmp_path / "state"),
                input_.fileno(),
                out.fileno() if stdout is None else stdout,
                err.fileno(),
            )
            status = main(list(argv), context)
            out.seek(0)
            err.seek(0)
            return Result(status, decode(out.read()), decode(err.read()))

    return call_main


@pytest.fixture(autouse=True)
def frames(monkeypatch):
    """Nothing here is ever really run, whatever a bug makes of an argv."""
    for module, names in ((foreground, ["start"]), (passthrough, ["run", "run_command"])):
        for name in names:
            monkeypatch.setattr(module, name, None)


@pytest.fixture
def started(call, monkeypatch):
    """Call `devport start ARGV` and return what would have been run."""
    starts: list[Start] = []

    def fake(_context, project, services, options):
        starts.append(Start(project, services, options))
        return 0

    monkeypatch.setattr(foreground, "start", fake)

    def start(*argv: str, **keywords) -> Start:
        result = call("start", *argv, **keywords)

        assert result == Result(0, "", "")
        return starts[-1]

    return start


@pytest.fixture
def ran(call, monkeypatch):
    """Call `devport run ARGV` and return the function that was chosen and what it was given."""
    calls = []
    monkeypatch.setattr(passthrough, "run", lambda _context, *given: calls.append(("run", *given)) or 0)
    monkeypatch.setattr(
        passthrough, "run_command", lambda _context, *given: calls.append(("run_command", *given)) or 0
    )

    def run(*argv: str, **keywords):
        result = call("run", *argv, **keywords)

        assert result == Result(0, "", "")
        return calls[-1]

    return run


def refused(result: Result, message: str, status: int = 2) -> None:
    """The command ended with one message (and the usage lines, where they help), and printed nothing."""
    lines = result.err.splitlines()

    assert lines[0] == f"devport: {message}"
    assert all(line.startswith(("usage: devport ", "       devport ")) for line in lines[1:])
    assert (result.status, result.out) == (status, "")


# start: which project, which entries


def test_start_runs_every_entry_with_the_defaults(started):
    """`devport start` alone: every entry in file order, nothing asked for."""
    start = started()

    assert start.names == ["web", "worker", "clock"]
    assert start.options == RunOptions()


@pytest.mark.parametrize("spelling", ["-f", "--file", "--procfile"])
def test_start_file(started, folder, spelling):
    """The file is called as devport, honcho and foreman call it."""
    (folder / "Procfile.dev").write_text("api: echo api\n")

    assert started(spelling, "Procfile.dev").names == ["api"]


def test_start_standard_input(started):
    """`-f -` reads the Procfile from standard input."""
    assert started("-f", "-", stdin=b"piped: echo\n").names == ["piped"]


def test_start_root(started, folder):
    """--root is where commands run, whatever the file."""
    (folder / "sub").mkdir()

    assert started("-f", "Procfile", "--root", "sub").project.root == str(folder / "sub")


def test_start_env_files(started, folder):
    """Env files are a comma list, repeatable, the later winning."""
    (folder / "a.env").write_text("A=1\nB=1\nC=1\n")
    (folder / "b.env").write_text("B=2\nC=2\n")
    (folder / "c.env").write_text("C=3\n")

    assert started("-e", "a.env, b.env", "--env", "c.env").project.env == {"A": "1", "B": "2", "C": "3"}


def test_start_names(started):
    """Names choose, the file orders, and a repeated name is one entry."""
    assert started("clock", "web", "clock").names == ["web", "clock"]


def test_start_except(started):
    """--except leaves entries out; blanks around names do not count; given twice it adds up."""
    assert started("--except", " web , clock ").names == ["worker"]
    assert started("--except", "web", "--except=clock").names == ["worker"]


SHOP = """
processes: {web: {exec: x, after: api}, api: {exec: x, after: [db, migrate]}, db: x, mail: x}
tasks: {migrate: {exec: x, after: db}}
groups: {front: [web, mail], back: [api, db]}
"""


@pytest.mark.parametrize(
    ("argv", "names"),
    [
        ([], ["web", "api", "db", "mail", "migrate"]),
        (["api"], ["api", "db", "migrate"]),
        (["@front"], ["web", "api", "db", "mail", "migrate"]),
        (["--except", "@back"], ["web", "mail"]),
        (["@front", "--except", "@back,mail"], ["web"]),
        (["api.2"], ["api.2", "db", "migrate"]),
        (["web", "-c", "api=2", "--except", "api.1"], ["web", "api.2", "db", "migrate"]),
    ],
)
def test_start_takes_groups_and_what_is_needed(started, folder, argv, names):
    """`@NAME` stands for its entries; what an entry waits for starts with it."""
    (folder / "devport.yaml").write_text(SHOP)

    assert started(*argv).names == names


def test_start_waits_for_the_instances_there_are(started, folder):
    """What --except takes away is not waited for."""
    (folder / "devport.yaml").write_text(SHOP)
    web = started("web", "-c", "api=2", "--except", "api.1").services[0]

    assert [one.name for one in web.policy.after] == ["api.2"]
    assert started("-q", "@back").options.view.quiet == {"api", "db"}


def test_start_refuses_groups_that_there_are_not(call, folder):
    """The nearest one is named."""
    (folder / "devport.yaml").write_text(SHOP)

    refused(call("start", "@frnt"), "cannot find @frnt: no group is called frnt (did you mean front?)")
    refused(call("start", "-q", "@x"), "cannot use --quiet: no group is called x (there is front, back)")


def test_start_files(started, folder):
    """-f may be repeated: the later devport.yaml wins by key, and the first one's folder is the root."""
    (folder / "sub").mkdir()
    (folder / "a.yaml").write_text("processes: {web: {exec: x, cwd: sub}}")
    (folder / "sub" / "b.yaml").write_text("processes: {web: {exec: y}, db: z}")
    start = started("-f", "a.yaml", "-f", "sub/b.yaml")

    assert [(one.name, one.command[2], one.cwd) for one in start.services] == [
        ("web", "y", str(folder / "sub")),
        ("db", "z", str(folder)),
    ]


def test_start_concurrency(started):
    """-c says how many; what it does not list runs once."""
    expected = ["web.1", "web.2", "worker", "clock"]

    assert started("-c", "web=2").names == expected
    assert started("-c", "web=2", "-c", "worker=1").names == expected
    assert started("--concurrency", "web=2, worker=0").names == ["web.1", "web.2", "clock"]


def test_start_formation(started):
    """-m says how many; what it does not list runs as `all` says."""
    assert started("-m", "all=1,clock=0").names == ["web", "worker"]
    assert started("--formation=web=1").names == ["web"]


@pytest.mark.parametrize(
    ("argv", "names"),
    [
        (("web.2",), ["web.2"]),
        (("web.1",), ["web"]),
        (("worker", "web.3", "web.1"), ["web.1", "web.3", "worker"]),
        (("web", "web.2"), ["web.1", "web.2"]),
        (("-c", "web=3", "web.2"), ["web.2"]),
        (("-m", "web=3", "web.2"), ["web.2"]),
        (("-m", "all=2", "web.2", "clock"), ["web.2", "clock.1", "clock.2"]),
        (("-c", "web=3", "--except", "web.2,worker"), ["web.1", "web.3", "clock"]),
    ],
)
def test_start_instances(started, argv, names):
    """A single instance is called as `port`, `env` and what is shown call it."""
    assert started(*argv).names == names


def test_start_options_of_instances(started):
    """So it is behind -q and --reassign, as far as it runs; what runs alone is called as the entry."""
    assert started("-c", "web=2", "-q", "web.2,worker").options.view.quiet == {"web.2", "worker"}
    assert started("-q", "web.1").options.view.quiet == {"web"}
    assert started("web.2", "--reassign", "web.2").options.reassign == {"web.2"}


def test_start_an_entry_with_a_dot(started, folder):
    """What the file calls so is no instance of another."""
    (folder / "devport.yaml").write_text("processes: {web: a, web.2: b}")

    assert [service.entry for service in started("web.2").services] == ["web.2"]


def test_start_says_what_is_left_out(call, folder, started):
    """A notice (the release entry runs only when named) is a line on stderr."""
    (folder / "Procfile").write_text("web: echo\nrelease: echo\n")
    result = call("start")

    assert result.status == 0
    assert result.err == "devport: release is left out: it runs only when it is named\n"
    assert started("release").names == ["release"]


@pytest.mark.parametrize("verb", [("start",), ("run", "web"), ("check",)])
def test_warnings_are_said_once(call, folder, started, ran, verb):
    """A line of the file that is no entry is a warning with file and line, and no more."""
    (folder / "Procfile").write_text("web: echo\nnonsense\n")
    result = call(*verb)

    assert result.status == 0
    assert [line for line in result.err.splitlines() if line.startswith("devport: warning: Procfile:2")]
    assert result.err.count("warning") == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("nope",), "cannot find nope: no entry is called nope (there is web, worker, clock)"),
        (("wrker",), "cannot find wrker: no entry is called wrker (did you mean worker?)"),
        (("--except", "nope"), "cannot use --except: no entry is called nope (there is web, worker, clock)"),
        (("-q", "nope"), "cannot use --quiet: no entry is called nope (there is web, worker, clock)"),
        (
            ("--reassign", "nope"),
            "cannot use --reassign: no entry is called nope (there is web, worker, clock)",
        ),
        (
            ("-c", "web=2", "web.3"),
            "cannot find web.3: this run has no web.3 (-c web=3 has it)",
        ),
        (("-q", "web.2"), "cannot use --quiet: this run has no web.2 (-c web=2 has it)"),
        (("--except", "web.2"), "cannot find web.2: this run has no web.2 (-c web=2 has it)"),
        (("web", "--except", "web.1"), "nothing to run: the names and numbers given leave nothing"),
        (("-c", "web"), "cannot use -c web: expected NAME=NUMBER, found 'web'"),
        (("-c", "web=x"), "cannot use -c web=x: expected a number from 0 to 500 for web, found 'x'"),
        (("-m", "web=-1"), "cannot use -m web=-1: expected a number from 0 to 500 for web, found '-1'"),
        (("-c", "web=1", "-m", "web=1"), "cannot use -c and -m together: both say how many of each run"),
        (("-t", "-1"), 'cannot start: --timeout wants seconds, 0 to 1000000, not "-1"'),
        (("-p", "0"), 'cannot start: --port wants a port, 1 to 65535, not "0"'),
        (("--color", "blue"), 'cannot start: --color wants auto, always or never, not "blue"'),
        (("--pty", "--no-pty"), "cannot start: --pty and --no-pty contradict each other"),
        (
            ("--strict-ports", "--no-strict-ports"),
            "cannot start: --strict-ports and --no-strict-ports contradict each other",
        ),
        (
            ("--color=always", "--no-colour"),
            "cannot start: --color always and --no-color contradict each other",
        ),
        (
            ("--timestamp", "%S", "--no-timestamp"),
            "cannot start: --timestamp and --no-timestamp contradict each other",
        ),
        (("--timestamp", "%H\n"), 'cannot use --timestamp "%H\\n": no strftime format of one line'),
        (("-e", "gone.env"), "cannot read gone.env: No such file or directory"),
    ],
)
def test_start_refuses(call, argv, message):
    """What cannot be taken is said, status 2, and nothing is started."""
    refused(call("start", *argv), message)


# start: values for the engine


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("-t", "2.5"), RunOptions(grace=2.5)),
        (("--timeout=0",), RunOptions(grace=0.0)),
        (("-p", "6000"), RunOptions(base=6000)),
        (("--strict-ports",), RunOptions(strict=True)),
        (("--no-strict-ports",), RunOptions(strict=False)),
        (("--reassign", "web,worker"), RunOptions(reassign=frozenset({"web", "worker"}))),
        (("--env-wins",), RunOptions(env_wins=True)),
        (("--keep-going",), RunOptions(keep_going=True)),
        (("--pty",), RunOptions(pty=True)),
        (("--no-pty",), RunOptions(pty=False)),
        (("-q", "web, clock"), RunOptions(view=View(quiet=frozenset({"web", "clock"})))),
        (("--no-prefix",), RunOptions(view=View(prefix=False))),
        (("--no-timestamp",), RunOptions(view=View(timestamp=None))),
        (("--timestamp", "%S"), RunOptions(view=View(timestamp="%S"))),
        (("--timestamp", ""), RunOptions(view=View(timestamp=None))),
        (("--timestamp", "", "--no-timestamp"), RunOptions(view=View(timestamp=None))),
        (("--json",), RunOptions(view=View(json=True))),
        (("--color", "always"), RunOptions(view=View(colour=True))),
        (("--colour=always",), RunOptions(view=View(colour=True))),
        (("--color", "never", "--no-color"), RunOptions()),
    ],
)
def test_start_options(started, argv, expected):
    """Each option is one value of the run, the rest stays as it is."""
    assert started(*argv).options == expected


def test_start_port_before_env_file_before_environment(started, folder):
    """The base port: -p, else PORT of the env files, else PORT of the environment."""
    assert started(PORT="7000").options.base == 7000
    (folder / ".env").write_text("PORT=8000\n")
    assert started(PORT="7000").options.base == 8000
    assert started("-p", "9000", PORT="7000").options.base == 9000


def test_start_empty_port_counts_as_unset(started, folder):
    """An empty PORT asks for nothing, and the next source is asked."""
    (folder / ".env").write_text("PORT=\n")

    assert started(PORT="").options.base is None
    assert started(PORT="7000").options.base == 7000


def test_start_bad_port_of_the_environment(call, folder):
    """A PORT that is no port says where it comes from."""
    refused(
        call("start", PORT="x1"),
        'cannot use PORT="x1" from the environment: a port is a number from 1 to 65535',
    )
    (folder / ".env").write_text("PORT=70000\n")
    refused(
        call("start", PORT="x1"),
        'cannot use PORT="70000" from the env files: a port is a number from 1 to 65535',
    )


def test_start_port_option_hides_a_bad_one(started):
    """With -p nobody asks the environment."""
    assert started("-p", "5000", PORT="x1").options.base == 5000


@pytest.mark.parametrize(
    ("argv", "environ", "terminal", "colour"),
    [
        ((), {}, False, False),
        ((), {"TERM": "xterm"}, True, True),
        ((), {}, True, True),
        ((), {"TERM": "dumb"}, True, False),
        ((), {"TERM": "dumb", "CLICOLOR_FORCE": "1"}, True, True),
        ((), {"NO_COLOR": "1"}, True, False),
        ((), {"NO_COLOR": ""}, True, True),
        ((), {"CLICOLOR_FORCE": "1"}, False, True),
        ((), {"CLICOLOR_FORCE": "0"}, False, False),
        ((), {"CLICOLOR_FORCE": ""}, False, False),
        ((), {"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, True, False),
        (("--color=always",), {"NO_COLOR": "1"}, False, True),
        (("--color=never",), {"CLICOLOR_FORCE": "1"}, True, False),
        (("--no-color",), {"CLICOLOR_FORCE": "1"}, True, False),
        (("--no-colour",), {}, True, False),
        (("--color=auto",), {}, True, True),
        (("--color=auto",), {}, False, False),
        (("--color=auto",), {"NO_COLOR": "1"}, True, False),
    ],
)
def test_colour(started, argv, environ, terminal, colour):
    """Flag before NO_COLOR before CLICOLOR_FORCE before what stdout is."""
    leader, follower = os.openpty()
    try:
        start = started(*argv, stdout=follower if terminal else None, **environ)
    finally:
        os.close(leader)
        os.close(follower)

    assert start.options.view.colour is colour


# run


def test_run_an_entry(ran):
    """A first word that is an entry runs it, with the arguments that follow."""
    function, project, service, extra, options = ran("-t", "3", "worker", "--flag", "-t", "9")

    assert function == "run"
    assert service is project.services[1]
    assert extra == ("--flag", "-t", "9")
    assert options == RunOptions(grace=3.0)


def test_run_an_instance(ran):
    """So does the name of an instance of one."""
    function, _, service, extra, options = ran("--reassign", "web.2", "web.2", "--port")

    assert (function, service.name, service.entry, service.instance) == ("run", "web.2", "web", 1)
    assert (extra, options.reassign) == (("--port",), {"web.2"})
    assert ran("ls.2")[0] == "run_command"


def test_run_a_command(ran):
    """Any other first word is a command, with everything that follows."""
    function, project, argv, options = ran("ls", "-l", "--", "web")

    assert (function, argv, options) == ("run_command", ("ls", "-l", "--", "web"), RunOptions())
    assert project.services


def test_run_drops_the_double_dash_before_the_command(ran):
    """`devport run -- --odd` runs a command called --odd."""
    assert ran("--", "--odd", "--")[2] == ("--odd", "--")


def test_run_takes_env_files(ran, folder):
    """-e before the word is devport's."""
    (folder / "x.env").write_text("A=1\n")

    assert ran("-e", "x.env", "ls", "-e", "y")[1].env == {"A": "1"}


@pytest.mark.parametrize("argv", [(), ("--",), ("-e", "x.env")])
def test_run_wants_a_word(call, argv):
    """Nothing to run is a usage error."""
    refused(call("run", *argv), "cannot run: no NAME or COMMAND given")


def test_run_without_a_project(ran, folder):
    """A command needs no project: the env files are those beside it, and there are no entries."""
    (folder / "Procfile").unlink()
    (folder / ".env").write_text("A=1\n")
    (folder / "x.env").write_text("A=2\n")

    assert ran("ls")[1:3] == (Project(str(folder), "", (), env={"A": "1"}), ("ls",))
    assert ran("-e", "x.env", "ls")[1].env == {"A": "2"}


def test_run_in_another_folder_without_a_project(ran, folder):
    """--root says where .env is, also where there is no project."""
    (folder / "sub").mkdir()
    (folder / "sub" / ".env").write_text("A=3\n")

    assert ran("--root", "sub", "ls")[1] == Project(str(folder / "sub"), "", (), env={"A": "3"})


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("ls",), "cannot read Procfile: "),
        (("-f", "gone", "ls"), "cannot read gone: No such file or directory"),
    ],
)
def test_run_with_a_broken_project(call, folder, argv, message):
    """A project that cannot be read is an error, not an absence."""
    (folder / "Procfile").unlink()
    (folder / "Procfile").symlink_to("nowhere")
    result = call("run", *argv)

    assert result.status == ExitStatus.FAILED
    assert result.err.startswith(f"devport: {message}")


def test_run_a_command_in_spite_of_a_bad_port(ran, call):
    """A command has no port of devport's, so it may have any PORT; an entry may not."""
    assert ran("env", PORT="none")[3] == RunOptions()
    refused(
        call("run", "web", PORT="none"),
        'cannot use PORT="none" from the environment: a port is a number from 1 to 65535',
    )


# check


def test_check(call):
    """A valid Procfile is said on stderr, as honcho and foreman word it."""
    assert call("check") == Result(0, "", "Valid procfile detected (web, worker, clock)\n")


def test_check_yaml(call, folder):
    """A devport.yaml is called by its name."""
    (folder / "devport.yaml").write_text("processes:\n  web: echo\n")

    assert call("check") == Result(0, "", "Valid devport.yaml detected (web)\n")


@pytest.mark.parametrize("content", ["", "web: a\nweb: b\n"])
def test_check_finds_errors(call, folder, content):
    """No entries, or two of one name: one line, status 1."""
    (folder / "Procfile").write_text(content)
    result = call("check")

    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert result.err.startswith("devport: cannot ")


@pytest.mark.parametrize(("made", "wrong"), [(None, "not there"), ("file", "no folder"), ("folder", None)])
def test_check_working_directory(call, folder, made, wrong):
    """One that is missing is a warning with its line; no error, because a build may make it."""
    (folder / "devport.yaml").write_text("processes:\n  api: true\n  web:\n    exec: x\n    cwd: dist\n")
    if made == "file":
        (folder / "dist").write_text("")
    elif made:
        (folder / "dist").mkdir()
    warning = f"devport.yaml:3: web: cwd: {folder}/dist is {wrong}"

    assert call("check").err == "Valid devport.yaml detected (api, web)\n" + (
        f"devport: warning: {warning}\n" if wrong else ""
    )
    assert json.loads(call("check", "--json").out)["warnings"] == ([warning] if wrong else [])


def test_check_json(call, folder):
    """--json says on stdout what was read, the warnings included."""
    (folder / "Procfile").write_text("web: echo hi\nnonsense\n")
    result = call("check", "--json")
    report = json.loads(result.out)
    warnings = report.pop("warnings")

    assert (result.status, result.err) == (0, "")
    assert len(warnings) == 1
    assert report == {
        "file": str(folder / "Procfile"),
        "root": str(folder),
        "entries": [
            {
                "name": "web",
                "command": ["/bin/sh", "-c", "echo hi"],
                "source": "Procfile:1",
                "task": False,
                "after": [],
            }
        ],
        "groups": {},
    }


def test_check_json_of_a_graph(call, folder):
    """Tasks are entries, each with what it waits for; groups are there."""
    (folder / "devport.yaml").write_text(
        "processes: {web: {exec: x, after: [db, build]}, db: x}\ntasks: {build: x}\ngroups: {g: [db]}\n"
    )
    report = json.loads(call("check", "--json").out)

    assert [(one["name"], one["task"], one["after"]) for one in report["entries"]] == [
        ("web", False, ["db@ready", "build@succeeded"]),
        ("db", False, []),
        ("build", True, []),
    ]
    assert report["groups"] == {"g": ["db"]}


def test_check_bad_bytes_as_json(call, folder):
    """Bytes that are not UTF-8 are escapes in JSON, and no error."""
    (folder / "Procfile").write_bytes(b"web: echo \xff\n")

    assert json.loads(call("check", "--json").out)["entries"][0]["command"][2] == "echo \udcff"


# port and env


@pytest.fixture
def prepared(monkeypatch):
    """A stand-in for launch.prepare: ports by position, `quiet` has none; what it was asked for."""
    asked = []

    def prepare(_context, project, services, options):
        asked.append((services, options))
        launches = []
        for service in services:
            first = 19000 + 10 * service.position + service.instance
            ports = {} if service.entry == "clock" else {"http": first, "admin": first + 5}
            environment = {"HOME": "/home", "PATH": "/bin", "A": "two words", "PORT": str(first)}
            launches.append(launch.Launch(service, "0" * 10, service.command, environment, {}, ports))
        return tuple(launches)

    monkeypatch.setattr(launch, "prepare", prepare)
    return asked


@pytest.mark.parametrize(
    ("argv", "out"),
    [
        (("web",), "19000\n"),
        (("worker",), "19010\n"),
        (("web", "web"), "19000\n"),
        (("worker", "web"), "worker=19010\nweb=19000\n"),
        (("web:admin",), "19005\n"),
        (("web", "web:admin"), "web=19000\nweb:admin=19005\n"),
        (("web.1",), "19000\n"),
        (("web.2",), "19001\n"),
        (("web.2:admin",), "19006\n"),
        (("web", "--json"), '{"web": 19000}\n'),
        (("--json", "web", "worker:admin"), '{"web": 19000, "worker:admin": 19015}\n'),
    ],
)
def test_port(call, prepared, argv, out):
    """One name prints a number, several a line each; instances and named ports have a spelling."""
    assert call("port", *argv) == Result(0, out, "")


@pytest.mark.parametrize(
    ("name", "message", "status"),
    [
        ("nope", "cannot find nope: no entry is called nope (there is web, worker, clock)", 3),
        ("wbe", "cannot find wbe: no entry is called wbe (did you mean web?)", 3),
        ("web.0", "cannot find web.0: no entry is called web.0 (did you mean web?)", 3),
        ("", "cannot find : no entry is called  (there is web, worker, clock)", 3),
        ("clock", "cannot tell the port of clock: it has none (no-port)", 1),
        ("web:admn", "cannot tell the port of web: it declares no port admn (did you mean admin?)", 1),
    ],
)
def test_port_errors(call, prepared, name, message, status):
    """An unknown name has a status of its own, an entry without a port is a failure."""
    refused(call("port", name), message, status)


def test_port_passes_the_base_on(call, prepared):
    """`port` and `start` agree on the numbers because they ask with the same base."""
    call("port", "-p", "6000", "web")
    call("port", "web", PORT="7000")

    assert [options.base for _, options in prepared] == [6000, 7000]


def test_env(call, prepared):
    """What devport adds to the caller's own environment, as an env file."""
    assert call("env", "web", PATH="/bin", HOME="/home") == Result(0, "A='two words'\nPORT=19000\n", "")


def test_env_all(call, prepared):
    """--all shows the rest, too."""
    out = "HOME=/home\nPATH=/bin\nA='two words'\nPORT=19001\n"

    assert call("env", "--all", "web.2", PATH="/bin", HOME="/home") == Result(0, out, "")


def test_env_json(call, prepared):
    """--json prints one object."""
    result = call("env", "web", "--json", PATH="/bin", HOME="/home")

    assert json.loads(result.out) == {"A": "two words", "PORT": "19000"}


def test_env_wins(call, prepared):
    """--env-wins is passed on."""
    call("env", "web", "--env-wins")

    assert prepared[0][1].env_wins


@pytest.mark.parametrize(
    ("argv", "message"),
    [((), "cannot env: no NAME given"), (("web", "worker"), "cannot env: unexpected word worker")],
)
def test_env_takes_one_name(call, prepared, argv, message):
    """One entry at a time."""
    refused(call("env", *argv), message)


# port and env, with the ports that the registry really gives

YAML = """\
processes:
  web: {exec: echo, ports: {http: {}, admin: {}}, environment: {COLOUR: "red and blue"}}
  job: {exec: echo, no-port: true}
"""


def test_port_stays_the_same(call):
    """Asked twice, in any company, `port` says the same number; entries and instances have their own."""
    first = [call("port", name).out for name in ("worker", "web", "web.2")]

    assert [call("port", name).out for name in ("worker", "web", "web.2")] == first
    assert call("port", "web", "worker").out == f"web={first[1]}worker={first[0]}"
    assert call("port", "web.1").out == first[1]
    assert len(set(first)) == 3


def test_named_ports(call, folder):
    """The first port declared is the entry's, the others have their names; no-port has none."""
    (folder / "devport.yaml").write_text(YAML)
    ports = json.loads(call("port", "--json", "web", "web:http", "web:admin").out)

    assert ports["web"] == ports["web:http"] != ports["web:admin"]
    refused(call("port", "job"), "cannot tell the port of job: it has none (no-port)", 1)


def test_env_and_port_tell_the_same(call, folder):
    """What `env` prints is an env file that python-dotenv reads back, with the port that `port` prints."""
    (folder / "devport.yaml").write_text(YAML)
    (folder / ".env").write_text("FROM=file\n")
    said = json.loads(call("env", "web", "--json", LANG="C").out)
    lines = call("env", "web", LANG="C").out

    assert said["PORT"] == call("port", "web").out.strip()
    assert said["PORT_ADMIN"] == call("port", "web:admin").out.strip()
    assert (said["COLOUR"], said["FROM"]) == ("red and blue", "file")
    assert "LANG" not in said
    assert dict(dotenv.dotenv_values(stream=io.StringIO(lines))) == said


def test_env_of_an_entry_without_a_port(call, folder):
    """Such an entry has an environment, and no PORT in it."""
    (folder / "devport.yaml").write_text(YAML)

    assert "PORT" not in json.loads(call("env", "job", "--json", "--all", PORT="5").out)


# every verb that reads a project


@pytest.mark.parametrize("verb", [("start",), ("check",), ("port", "web"), ("env", "web")])
def test_no_project(call, folder, verb):
    """Without a file: what was looked for, where, and what to do; status 1."""
    (folder / "Procfile").unlink()
    result = call(*verb)

    assert result.status == ExitStatus.FAILED
    assert result.err.startswith("devport: cannot find a project: no devport.yaml and no Procfile in ")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("verb", [("check",), ("start",)])
def test_found_upwards(call, folder, started, verb):
    """From a sub-folder the project is the one around it."""
    (folder / "a" / "b").mkdir(parents=True)

    assert call(*verb, cwd="a/b").status == 0


def test_timestamps_are_formats_of_this_machine(started):
    """Every format that strftime takes is taken."""
    for text in ("%H:%M:%S", "%T", "at %F", "100%%", "é", "%"):
        view = started("--timestamp", text).options.view

        assert time.strftime(view.timestamp).isprintable()
