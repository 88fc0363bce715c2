"""The installed `devport`, its stdout, stderr and status compared exactly: help, version, usage errors."""

import os
import subprocess
import sys

import pytest

from devport.cli import VERBS

DEVPORT = os.path.join(os.path.dirname(sys.executable), "devport")

OVERVIEW = """\
Run the services of a project, each on a port that stays the same.

usage: devport COMMAND [options] [ARG...]

Commands:
  start     run the entries of a Procfile or devport.yaml in this window
  up        the same, or show the output of what runs already
  run       run one entry alone, or any command, with the project's environment
  task      run a task, and what it needs for as long as that takes
  shell     open a shell with the project's environment, and its services
  check     say what the project's files hold, or what is wrong with them
  schema    print the JSON Schema of devport.yaml, for editors
  port      print the port of an entry
  env       print the environment of an entry
  ls        list services: which there are, which run, on which ports
  which     print what is known of a service
  attach    show the window of a background service
  logs      show what services have printed
  stop      stop services, wherever they run
  restart   restart services, in the background if they do not run
  signal    send a signal to services
  wait      wait until services are ready
  rm        stop services and forget them and their ports
  down      stop everything of this project
  tailup    expose services on the tailnet
  taildown  withdraw services from the tailnet
  export    write the entries as files for systemd, tmux and other managers
  import    turn another manager's file into a devport.yaml
  version   print the version
  help      show this text, or the usage of one command

Options:
  -h, --help         show this text, or after a command its usage
  -V, -v, --version  print the version

For example:
  devport start
  devport help start
"""

PORT = """\
Print the port of entries, the same number that `devport start` gives them.

usage: devport port [options] [--] NAME...

One NAME prints its number, several print a line NAME=NUMBER each. web.2 is the
second instance of web; web:admin is the port that web declares as admin, web
alone its first. An entry that has no port yet gets one. A NAME that is no entry
here may be a key, the first digits of a hash or a port of any service.

Options:
  -f FILE, --procfile FILE, --file FILE
                        the Procfile or devport.yaml; - is standard input; of
                        several devport.yaml the later wins, key by key
  --root DIR            run there, and read .env there, not beside FILE
  -e FILES, --env FILES
                        env files instead of .env; of several the later wins
  -p BASE, --port BASE  count new ports from BASE, 100 an entry, as foreman does
  --json                one JSON object, NAME to number
  -h, --help            show this text

For example:
  curl http://localhost:$(devport port web)/
  devport port web worker --json
"""

USAGE = "usage: devport COMMAND [options] [ARG...]\n"

START = (
    "usage: devport start [options] [NAME...]\n"
    "       devport start -d [options] [NAME...]\n"
    "       devport start [options] -- COMMAND [ARG...]\n"
)


@pytest.fixture
def devport(tmp_path):
    """Run the installed devport in an empty folder; returns (stdout, stderr, status)."""
    folder = tmp_path / "empty"
    folder.mkdir()

    def run(*argv: str, **environ: str) -> tuple[str, str, int]:
        done = subprocess.run(
            [DEVPORT, *argv],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        return done.stdout, done.stderr, done.returncode

    return run


@pytest.mark.parametrize("argv", [("--help",), ("-h",), ("help",)])
def test_help(devport, argv):
    """The overview goes to stdout."""
    assert devport(*argv) == (OVERVIEW, "", 0)


def test_nothing_given(devport):
    """Without a verb the overview goes to stderr, status 2."""
    assert devport() == ("", f"devport: no command given\n{OVERVIEW}", 2)


@pytest.mark.parametrize("argv", [("--version",), ("-V",), ("-v",), ("version",)])
def test_version(devport, argv):
    """The version is one line on stdout, also where there is no home."""
    assert devport(*argv) == ("devport 0.1.0\n", "", 0)
    if argv != ("version",):
        assert devport(*argv, HOME="") == ("devport 0.1.0\n", "", 0)


def test_help_of_port(devport):
    """The help of one verb, word for word."""
    assert devport("port", "--help") == (PORT, "", 0)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb(devport, verb):
    """However asked for, a verb's help is the same text on stdout, and begins with what it does."""
    out, err, status = devport(verb, "--help")

    assert (err, status) == ("", 0)
    assert f"\nusage: devport {verb} " in out
    assert "  -h, --help            show this text\n" in out
    assert devport("help", verb) == devport(verb, "-h") == (out, "", 0)


@pytest.mark.parametrize(
    ("argv", "err", "status"),
    [
        (("strat",), f"devport: unknown command strat (did you mean start?)\n{USAGE}", 2),
        (("help", "strat"), f"devport: unknown command strat (did you mean start?)\n{USAGE}", 2),
        (
            ("--versoin",),
            (f"devport: unknown option --versoin (did you mean --version?)\n{USAGE}"),
            2,
        ),
        (
            ("start", "--tiemout", "3"),
            f"devport: cannot start: unknown option --tiemout (did you mean --timeout?)\n{START}",
            2,
        ),
        (("--bogus", "start"), f"devport: cannot start: unknown option --bogus\n{START}", 2),
        (("start", "-t"), f"devport: cannot start: option -t needs a value\n{START}", 2),
        (("start", "--timeout"), f"devport: cannot start: option --timeout needs a value\n{START}", 2),
        (("start", "--json=yes"), f"devport: cannot start: option --json takes no value\n{START}", 2),
        (("port",), "devport: cannot port: no NAME given\nusage: devport port [options] [--] NAME...\n", 2),
        (
            ("run",),
            (
                "devport: cannot run: no NAME or COMMAND given\n"
                "usage: devport run [options] [--] NAME [ARG...]\n"
                "       devport run [options] [--] COMMAND [ARG...]\n"
            ),
            2,
        ),
        (("check", "x"), "devport: cannot check: unexpected word x\nusage: devport check [options]\n", 2),
        (("start", "-f", "gone"), "devport: cannot read gone: No such file or directory\n", 1),
    ],
)
def test_errors(devport, argv, err, status):
    """An error is one line on stderr, with the usage lines where the command line was wrong."""
    assert devport(*argv) == ("", err, status)


@pytest.mark.parametrize("verb", [("start",), ("check",), ("port", "web"), ("env", "web")])
def test_no_project(devport, tmp_path, verb):
    """In a folder without a project: what was looked for, where, and what to do."""
    err = (
        f"devport: cannot find a project: no devport.yaml and no Procfile in {tmp_path}/empty or above;"
        " write a Procfile (web: COMMAND) or a devport.yaml, or name one with -f\n"
    )

    assert devport(*verb) == ("", err, 1)


def test_bytes_in_arguments(devport):
    """An argument that is not UTF-8 is an argument, in any locale."""
    odd = os.fsdecode(b"caf\xe9")
    expected = ("", f"devport: unknown command caf\\udce9\n{USAGE}", 2)

    assert devport(odd) == devport(odd, LC_ALL="C") == expected


def test_reader_that_leaves(tmp_path):
    """`devport --help | true` ends without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [DEVPORT, "--help"], stdout=writer, stderr=subprocess.PIPE, cwd=tmp_path, timeout=60, check=False
        )
    finally:
        os.close(writer)

    assert (done.stderr, done.returncode) == (b"", 0)


def test_without_docstrings(tmp_path):
    """Under PYTHONOPTIMIZE=2 there are no usage texts; devport says so instead of a traceback."""
    done = subprocess.run(
        [DEVPORT, "start", "--help"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONOPTIMIZE": "2"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )

    assert done.stderr == "devport: cannot read the usage text: python runs without docstrings (-OO)\n"
    assert done.returncode == 1
