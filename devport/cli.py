"""argv -> verb -> exit status: the one place that prints an error.

Imports the verb that is asked for and no other, so that `devport --version` loads next to nothing.
Knows no option of a verb but which take a value, because options may stand before the verb.
"""

import os
import sys
from collections.abc import Sequence
from types import ModuleType

from devport import __version__
from devport.commands.usage import Answer, Misuse, Usage, leading_options, suggestion
from devport.context import Context, from_process
from devport.encoding import decode
from devport.errors import DevportError, ExitStatus, nearest

VERBS = {
    "start": "run the entries of a Procfile or devport.yaml in this window",
    "up": "the same, or show the output of what runs already",
    "run": "run one entry alone, or any command, with the project's environment",
    "task": "run a task, and what it needs for as long as that takes",
    "shell": "open a shell with the project's environment, and its services",
    "check": "say what the project's files hold, or what is wrong with them",
    "schema": "print the JSON Schema of devport.yaml, for editors",
    "port": "print the port of an entry",
    "env": "print the environment of an entry",
    "ls": "list services: which there are, which run, on which ports",
    "which": "print what is known of a service",
    "attach": "show the window of a background service",
    "logs": "show what services have printed",
    "stop": "stop services, wherever they run",
    "restart": "restart services, in the background if they do not run",
    "signal": "send a signal to services",
    "wait": "wait until services are ready",
    "rm": "stop services and forget them and their ports",
    "down": "stop everything of this project",
    "tailup": "expose services on the tailnet",
    "taildown": "withdraw services from the tailnet",
    "export": "write the entries as files for systemd, tmux and other managers",
    "import": "turn another manager's file into a devport.yaml",
    "version": "print the version",
    "help": "show this text, or the usage of one command",
}

# What other tools call it. Some of these words are near to another verb, by chance.
ELSEWHERE = {
    **dict.fromkeys(("ps", "status", "list"), "ls"),
    **dict.fromkeys(("kill", "quit"), "stop"),
    **dict.fromkeys(("connect", "echo"), "attach"),
    **dict.fromkeys(("remove", "delete"), "rm"),
    "validate": "check",
    "exec": "run",
    "log": "logs",
    "show": "which",
    "reload": "restart",
}

# For devport's own use: what a window of the tmux session runs.
HIDDEN = frozenset({"supervise"})

# The options that may stand before the verb are those of `start`; of these, the ones that take a value.
# (A test compares them with its usage text, which is not loaded for it.)
VALUED = frozenset(
    [
        *(
            "-c",
            "--concurrency",
            "-e",
            "--env",
            "--except",
            "-f",
            "--file",
            "--procfile",
            "-m",
            "--formation",
        ),
        *("-p", "--port", "-q", "--quiet", "--reassign", "--root", "-t", "--timeout", "--timestamp"),
        *("--color", "--colour", "--cwd", "--key", "--manager", "--mode", "--port-env", "--restart"),
    ]
)

OWN = {
    **dict.fromkeys(("-h", "--help"), "help"),
    **dict.fromkeys(("-V", "-v", "--version"), "version"),
}

USAGE = "usage: devport COMMAND [options] [ARG...]"

OVERVIEW = f"""\
Run the services of a project, each on a port that stays the same.

{USAGE}

Commands:
{"".join(f"  {verb:<9} {summary}" + chr(10) for verb, summary in VERBS.items())}
Options:
  -h, --help         show this text, or after a command its usage
  -V, -v, --version  print the version

For example:
  devport start
  devport help start
"""

HELP = """\
Show what devport can do, or how one command is used.

usage: devport help [options] [--] [COMMAND]

Options:
  -h, --help            show this text

For example:
  devport help start
"""


def main(argv: list[str] | None = None, context: Context | None = None) -> int:
    """The exit status of one command line, whatever it is."""
    # Messages need no more of the outside than the streams; what else fails while it is looked up is one.
    streams = context or Context({}, "/", "")
    try:
        return _dispatch(
            [decode(os.fsencode(word)) for word in sys.argv[1:]] if argv is None else argv, context
        )
    except Answer as answer:
        streams.write(streams.stdout, answer.text)
        return ExitStatus.OK
    except DevportError as error:
        streams.say(f"devport: {error.message}")
        for line in error.usage if isinstance(error, Misuse) else ():
            streams.say(line)
        return error.status
    except BrokenPipeError:
        return ExitStatus.PIPE
    except OSError as error:  # what nobody has foreseen is still one line
        streams.say(f"devport: cannot go on: {error}")
        return ExitStatus.FAILED
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED


def _dispatch(argv: list[str], context: Context | None) -> int:
    options, place = leading_options(argv, VALUED)
    own = {OWN[option] for option in options if option in OWN}
    if "version" in own:
        raise Answer(f"devport {__version__}\n")
    if place == len(argv):
        raise Answer(OVERVIEW) if own else _no_verb(options)
    verb = argv[place]
    if own:
        raise Answer(_usage(verb).text)
    before = argv[: place - 1] if argv[place - 1 : place] == ["--"] else argv[:place]
    rest = [*before, *argv[place + 1 :]]
    if verb == "help":
        words = Usage(HELP).parse(rest).words
        raise Answer(_usage(words[0]).text if words else OVERVIEW)
    if options:
        _refuse_misread(verb, options)
    status: int = _load(verb).run(context or from_process(), rest)
    return status


def _refuse_misread(verb: str, options: Sequence[str]) -> None:
    """Misuse for `-f FILE logs`: FILE is no value behind the verb, where -f is another option."""
    usage = _usage(verb)
    for option in options:
        own = usage.options.get(option[:2])
        if own and not own.argument and option[:2] in VALUED and option[1] != "-":
            raise usage.wrong(f"{option[:2]} means another option in front of {verb}: write the long one")


def _no_verb(options: Sequence[str]) -> Misuse:
    if not options:
        return Misuse("no command given", OVERVIEW.splitlines())
    known = {*OWN, *_usage("start").options}
    for option in options:
        name = option.partition("=")[0]
        if name.startswith("--") and name not in known:
            return Misuse(f"unknown option {name}{suggestion(name, known)}", [USAGE])
    return Misuse("no command given", [USAGE])


def _usage(verb: str) -> Usage:
    return Usage(HELP if verb == "help" else _load(verb).__doc__)


def _load(verb: str) -> ModuleType:
    if verb in VERBS or verb in HIDDEN:
        return __import__(f"devport.commands.{verb}", fromlist=["run"])  # `importlib` costs 1 ms
    meant = f" (did you mean {ELSEWHERE[verb]}?)" if verb in ELSEWHERE else nearest(verb, VERBS)
    reason = f"unknown command {verb}{meant}" if verb else "the command is empty"
    raise Misuse(reason, [USAGE])
