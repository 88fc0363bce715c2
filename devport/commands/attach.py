"""Show the window of a background service: its output, and your keys reach it.

usage: devport attach [options] [--] [TARGET]

A TARGET is an entry of this project (web, or web.2), a key, the first digits
of a hash (3 or more), or a port. Without one you choose among those that run,
with fzf where it is installed. Inside the tmux server that has the window, your
client switches to it; elsewhere tmux is attached. Its prefix and d (C-b d)
leave the window, and the service goes on; Ctrl-C in it stops the service. Where
a service has no window, its log is followed.

Options:
  -f FILE, --procfile FILE, --file FILE
                        the project that TARGET is an entry of
  --root DIR            the folder of that project
  -h, --help            show this text

For example:
  devport attach
  devport attach web
"""

import os
import re
from collections.abc import Mapping, Sequence

from devport import table
from devport.commands.arguments import Arguments, parse
from devport.commands.report import labels
from devport.commands.targets import Targets
from devport.context import Context, is_tty
from devport.encoding import decode, encode, printable
from devport.errors import DevportError, ExitStatus
from devport.inventory.rows import Row, Status
from devport.registry.record import Record
from devport.registry.store import Store
from devport.tmux import Tmux, Window, window_of

COLUMNS = (
    table.Column("NAME"),
    table.Column("PORT"),
    table.Column("FOLDER", cut=2),
    table.Column("COMMAND", cut=1),
)
NOTHING_CHOSEN = (1, 130)  # fzf: nothing matches; Esc or Ctrl-C
LONGEST_LINE = 4096


def run(context: Context, argv: Sequence[str]) -> int:
    """Show the service that `argv` names, or the one that is chosen; the status is tmux's."""
    arguments = parse(__doc__, argv)
    targets = Targets(context, arguments)
    if arguments.words:
        record = targets.records(arguments.words)[0]
    else:
        chosen = _choose(context, arguments, targets)
        if chosen is None:
            return ExitStatus.INTERRUPTED
        record = chosen
    row = targets.rows([record], live=False)[0]
    tmux = Tmux.of(context)
    window = window_of(record.run)
    if row.status is not Status.RUNNING:
        return _show_last_output(context, targets.store, row, tmux, window)
    if row.holder is not None and row.holder.mode in {"foreground", "run"}:
        raise DevportError(
            f"cannot attach to {record.label}: it runs in another terminal: {row.holder};"
            f" devport logs -f {record.hashid} follows it"
        )
    if window is None:
        return _follow(record, context)
    if not tmux.exists(window):
        raise DevportError(
            f"cannot attach to {record.label}: its window {window.id} is gone (tmux server"
            f" {printable(window.socket)}); devport restart {record.hashid} opens another"
        )
    return _show(context, record, tmux, window)


def _show(context: Context, record: Record, tmux: Tmux, window: Window) -> int:
    if tmux.is_inside(window):
        tmux.switch(window)
        return ExitStatus.OK
    if not _can_show(context, tmux, window):
        raise DevportError(
            f"cannot attach to {record.label}: this is no terminal;"
            f" devport logs -f {record.hashid} follows it"
        )
    if tmux.is_nested():
        context.say("devport: this is a tmux inside another: press the prefix twice to reach it")
    return tmux.attach(window)


def _can_show(context: Context, tmux: Tmux, window: Window) -> bool:
    """Whether there is a client that can switch to the window, or a terminal for a new one."""
    return tmux.is_inside(window) or (is_tty(context.stdin) and is_tty(context.stdout))


def _show_last_output(context: Context, store: Store, row: Row, tmux: Tmux, window: Window | None) -> int:
    """What the window of a service that does not run still shows, if it is there for certain."""
    record = row.record
    if row.why:
        raise DevportError(f"cannot attach to {record.label}: {row.why}")
    again = f"devport restart {record.hashid}" if record.env else f"devport start -d {record.entry}".rstrip()
    what = f"it has failed: {printable(row.error)}" if row.state == "failed" else "it is not running"
    if window is None or not window.server or not tmux.exists(window) or not _can_show(context, tmux, window):
        # What has no log never ran in the background, and `logs` would have nothing to show.
        logs = f"devport logs {record.hashid} shows its output, " * os.path.exists(
            store.log_path(record.hash)
        )
        raise DevportError(f"cannot attach to {record.label}: {what}; {logs}{again} starts it")
    context.say(f"devport: {record.label}: {what}: this is what it printed last; {again} starts it")
    return _show(context, record, tmux, window)


def _follow(record: Record, context: Context) -> int:
    from devport.commands import logs  # noqa: PLC0415 - for services without a window

    context.say(f"devport: {record.label} has no window: this is its log, Ctrl-C leaves it")
    return logs.run(context, ["-f", "--", record.hash])


def _choose(context: Context, arguments: Arguments, targets: Targets) -> Record | None:
    """The running service that the user picks; None for none."""
    rows = targets.rows(targets.everything(), live=False)
    running = {row.record.hash: row for row in rows if row.holder and row.holder.mode == "background"}
    names = labels([row.record for row in running.values()])
    if not (is_tty(context.stdin) and is_tty(context.stdout)):
        what = f"running: {', '.join(map(printable, names.values()))}" if names else "none is running"
        raise arguments.wrong(f"no TARGET given ({what})")
    if not running:
        raise DevportError("cannot attach: no service is running in the background")
    title, *lines = _table(context, running, names)
    hashes = list(running)
    number = _with_fzf(context, title, lines)
    if number is None:
        number = _by_number(
            context, title, lines, [{names[hash_], row.label} for hash_, row in running.items()]
        )
    return running[hashes[number - 1]].record if number else None


def _table(context: Context, rows: Mapping[str, Row], names: Mapping[str, str]) -> list[str]:
    cells = [
        [
            table.Cell(text)
            for text in (
                names[hash_],
                str(row.port or ""),
                row.record.project or row.record.cwd,
                " ".join(row.record.cmd or ()),
            )
        ]
        for hash_, row in rows.items()
    ]
    try:
        width = os.get_terminal_size(context.stdout).columns
    except OSError:
        width = 0
    return table.render(COLUMNS, cells, width=max(0, width - 6), colour=False).splitlines()


def _with_fzf(context: Context, title: str, lines: Sequence[str]) -> int | None:
    """The number, from 1, of the line that is picked in fzf, 0 for none of them; None without fzf."""
    import subprocess  # noqa: PLC0415 - the prompt needs none

    numbered = [f"0 {title}", *(f"{number} {line}" for number, line in enumerate(lines, 1))]
    options = ["--header-lines=1", "--with-nth=2..", "--no-multi", "--no-print-query", "--no-expect"]
    try:
        done = subprocess.run(
            ["fzf", *options, "--prompt=attach to> "],
            input=encode("\n".join(numbered)),
            stdout=subprocess.PIPE,
            env={encode(name): encode(value) for name, value in context.environ.items()},
            check=False,
        )
    except OSError:
        return None
    picked = re.match(r"(\d+) ", decode(done.stdout))
    if done.returncode == 0 and picked and 0 < int(picked[1]) <= len(lines):
        return int(picked[1])
    return 0 if done.returncode in NOTHING_CHOSEN else None


def _by_number(context: Context, title: str, lines: Sequence[str], names: Sequence[set[str]]) -> int:
    """The number that is typed, or that of the name; 0 for an empty line or the end of input.

    `names` holds what each line may be called.
    """
    digits = len(str(len(lines)))
    context.write(context.stdout, f"{'':>{digits}}  {title}\n")
    for number, line in enumerate(lines, 1):
        context.write(context.stdout, f"{number:>{digits}}  {line}\n")
    while True:
        context.write(context.stdout, f"attach to (1-{len(lines)}): ")
        typed = decode(os.read(context.stdin, LONGEST_LINE)).strip()
        if not typed:
            return 0
        if re.fullmatch(r"[0-9]{1,9}", typed) and 1 <= int(typed) <= len(lines):
            return int(typed)
        meant = [number for number, known in enumerate(names, 1) if typed in known]
        if len(meant) == 1:
            return meant[0]
        numbers = f"1 to {len(lines)}" if len(lines) > 1 else "1"
        wrong = f"several are called {printable(typed)}" if meant else f"no such number: {printable(typed)}"
        context.write(context.stdout, f"{wrong}; {numbers}" + (", or a name" * (not meant)) + "\n")
