"""A script that opens a session of tmux with a window for each service.

No word of the project goes through tmux, which reads formats in names and folders, a `;` at the end of a
word, and hands on its server's environment: a window executes the script itself, with a word that says
which service it is for. Windows are found again by an option of their pane, whatever they are called.
"""

import re
import shlex
from collections import Counter

from devport.encoding import encode
from devport.errors import UsageError
from devport.export import sh
from devport.export.lost import lost_to_a_starter, refuse
from devport.export.plan import PRIVATE_PROGRAM, File, Plan, Unit, fill

EXTENSION = ".sh"

WINDOWS = """\
#!/bin/sh
# {{app}} in tmux, as `devport export tmux` wrote it: a session with a window for each service.
# Run it again for what is missing: what runs is left alone, what has ended is started again.

# What the window of a service executes.
service() {
    case $1 in
{{services}}
    esac
}

if [ "${1-}" = service ]; then
    [ $# -lt 3 ] || tmux wait-for "$3"
    unset TMUX TMUX_PANE
    service "$2"
    exit
fi

session={{app}}
case $0 in /*) self=$0 ;; *) self=$PWD/$0 ;; esac
if ! [ -f "$self" ]; then
    echo "$session: save this script to a file first: the windows execute it" >&2
    exit 2
fi
# A ; that ends a word would end the command.
case $self in *\\;) self="${self%;}\\;" ;; esac

if tmux has-session -t "=$session" 2>/dev/null; then
    if [ "$(tmux show-options -qv -t "=$session:" @devport-export)" != "$session" ]; then
        echo "$session: there is a session of this name already that is not this script's" >&2
        exit 1
    fi
fi

# open KEY NAME: a window for the service, unless there is one in which it runs.
open() {
    set -- "$1" "$2" $(
        tmux list-panes -s -t "=$session:" -F '#{@devport-service} #{pane_id} #{pane_dead}' 2>/dev/null |
            grep "^$1 "
    )
    if [ -z "${4-}" ]; then
        make "$1" "$2"
    elif [ "$5" = 1 ]; then
        tmux respawn-pane -t "$4" /bin/sh "$self" service "$1"
    fi
}

# The window waits until it is known and stays behind its service's end.
make() {
    token="devport-$$-$1"
    if tmux has-session -t "=$session" 2>/dev/null; then
        set -- "$1" "$2" new-window -d -t "=$session:"
    else
        set -- "$1" "$2" new-session -d -s "$session"
    fi
    key=$1 name=$2
    shift 2
    pane=$(
        tmux "$@" -n "$name" -P -F '#{pane_id}' /bin/sh "$self" service "$key" "$token" \\; \\
            set-option -t "=$session:" @devport-export "$session" \\; \\
            set-option -t "=$session:" destroy-unattached off
    ) &&
        tmux set-option -p -t "$pane" remain-on-exit on \\; \\
            set-option -p -t "$pane" @devport-service "$key" \\; \\
            set-option -w -t "$pane" allow-rename off \\; \\
            rename-window -t "$pane" "$name" \\; \\
            wait-for -S "$token"
}

{{windows}}
{{attach}}
"""

ATTACH = """
if [ -n "${TMUX-}" ]; then
    exec tmux switch-client -t "=$session"
fi
exec tmux attach-session -t "=$session\""""

SUPERVISED = """\
#!/bin/sh
# {{app}} in tmux, as `devport export tmux --supervised` wrote it: each service in a window of the session
# devport, in which devport's own supervisor runs it. Run it again for what is missing.
cd {{root}} || exit
{{start}} || exit
{{attach}}
"""

TAKES = frozenset({"shell", "template-dir", "supervised", "attach"})
TEMPLATES = {"tmux.sh": WINDOWS, "tmux-supervised.sh": SUPERVISED}
_SAFE = re.compile("[A-Za-z0-9-]")
_KEPT = {"interactive"}


def render(plan: Plan) -> tuple[File, ...]:
    """`APP.sh`."""
    made = _supervised(plan) if "supervised" in plan.options else _windows(plan)
    return (File(f"{plan.app}{EXTENSION}", made, PRIVATE_PROGRAM),)


def _windows(plan: Plan) -> str:
    for unit in plan.units:
        refuse(unit, "tmux")
    opened = [f"open {_key(unit)} {_name(unit)} || exit" for unit in plan.units]
    values = {
        "app": plan.app,
        "services": "\n".join(map(_service, plan.units)),
        "windows": "\n".join(opened),
        "attach": ATTACH if "attach" in plan.options else "",
    }
    return fill(plan, "tmux.sh", WINDOWS, values)


def _key(unit: Unit) -> str:
    """Its name in letters that neither sh nor grep nor tmux reads anything into; no two are alike."""
    return "".join(chr(byte) if _SAFE.match(chr(byte)) else f"_{byte:02x}" for byte in encode(unit.name))


def _name(unit: Unit) -> str:
    """What people see: never an option, a target or a format."""
    return re.sub("[^A-Za-z0-9_-]|^-", "_", unit.name)


def _service(unit: Unit) -> str:
    losses = lost_to_a_starter(unit, _KEPT)
    said = [f"        # Not carried over: {', '.join(losses)}"] if losses else []
    line = sh.Line(sh.NEVER)
    folder, *others = sh.commands(line, unit.environment, unit.argv, folder=unit.cwd)
    steps = [f"        {one}" for one in (f"{folder} || exit", *others, ";;")]
    return "\n".join([f"    {_key(unit)})", *said, *steps])


def _supervised(plan: Plan) -> str:
    entries = Counter(unit.service.entry for unit in plan.units if not unit.service.policy.task)
    counts = [f"{name}={count}" for name, count in entries.items() if count > 1]
    if plan.shell != "/bin/sh":
        raise UsageError("cannot export to tmux: --shell does not go with --supervised: devport has its own")
    if "-" in plan.origin:
        raise UsageError(
            "cannot export to tmux: --supervised reads the project's file again, and it is standard input"
        )
    start = ["devport", "start", "-d", "--root", plan.root, *plan.origin]
    start += ["-c", ",".join(counts)] if counts else []
    values = {
        "app": plan.app,
        "root": shlex.quote(plan.root),
        "start": shlex.join([*start, *entries]),
        "attach": shlex.join(["exec", "devport", "attach", next(iter(entries))])
        if "attach" in plan.options and entries
        else "",
    }
    return fill(plan, "tmux-supervised.sh", SUPERVISED, values)
