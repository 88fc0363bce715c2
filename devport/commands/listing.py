"""Services as a list: a table for people, JSON for programs; shared by the verbs that show several."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from devport.commands.arguments import Arguments
from devport.commands.states import word, words
from devport.commands.view import colour
from devport.context import Context, is_tty
from devport.inventory.rows import Row, Status, fields

if TYPE_CHECKING:
    from devport.inventory.usage import Usage
    from devport.table import Cell

MINUTE, HOUR, DAY = 60, 3600, 86400
MEGABYTE = 1 << 20


def show(context: Context, arguments: Arguments, rows: Sequence[Row]) -> None:
    """The table of `rows` on stdout."""
    coloured = colour(arguments, context.environ, terminal=is_tty(context.stdout))
    context.write(context.stdout, _table(context, rows, coloured))


def show_json(context: Context, rows: Sequence[Row]) -> None:
    """A JSON array on stdout, a service a line: indented, json uses its slow half, 10 ms for a thousand."""
    lines = ",\n".join(f"  {json.dumps(fields(one))}" for one in rows)
    context.write(context.stdout, f"[\n{lines}\n]\n" if lines else "[]\n")


def _table(context: Context, rows: Sequence[Row], coloured: bool) -> str:
    from devport.inventory.usage import usage  # noqa: PLC0415 - a table only
    from devport.table import Column, render  # noqa: PLC0415

    columns = (
        Column("NAME"),
        Column("PROJECT", cut=2, drop=5),
        Column("STATUS", cut=3, least=40),
        Column("PORT", right=True),
        Column("UPTIME", right=True, drop=4),
        Column("RESTARTS", right=True, drop=3),
        Column("CPU", right=True, drop=2),
        Column("MEMORY", right=True, drop=1),
        Column("COMMAND", cut=1, drop=6),
    )
    used = usage({one.pid for one in rows if one.pid is not None})
    home = context.environ.get("HOME", "")
    cells = [_cells(one, used, home, coloured) for one in rows]
    return render(columns, cells, width=_width(context), colour=coloured)


def _width(context: Context) -> int:
    try:
        return os.get_terminal_size(context.stdout).columns
    except OSError:
        return 0


def _cells(one: Row, used: "Mapping[int, Usage]", home: str, coloured: bool) -> "list[Cell]":
    from devport.table import Cell  # noqa: PLC0415

    mine = used.get(one.pid or 0)
    uptime = one.live.get("uptime")
    port = one.port if one.status is not Status.CORRUPT or one.record.port else None
    return [
        Cell(one.label),
        Cell(_shortened(one.record.project or one.record.cwd, home)),
        Cell(words(one), _shade(one) if coloured else ""),
        Cell("" if port is None else str(port)),
        Cell(duration(uptime) if isinstance(uptime, (int, float)) else ""),
        Cell("" if one.restarts is None else str(one.restarts)),
        Cell(f"{mine.cpu:.1f}%" if mine else ""),
        Cell(f"{mine.memory / MEGABYTE:.1f}M" if mine else ""),
        Cell(command(one.record.cmd or ())),
    ]


def _shade(one: Row) -> str:
    from colorama import Fore, Style  # noqa: PLC0415 - only when colour is on

    match word(one):
        case "running" | "ready":
            return str(Fore.GREEN)
        case "failed" | "backoff" | "corrupt" | "unknown":
            return str(Fore.RED)
        case "exited" if one.error:
            return str(Fore.RED)
        case "stopped" | "exited":
            return str(Style.DIM)
        case _:
            return str(Fore.YELLOW)


def duration(seconds: float) -> str:
    """`45s`, `12m`, `3h 05m`, `2d 04h`."""
    whole = int(seconds)
    if whole < MINUTE:
        return f"{whole}s"
    if whole < HOUR:
        return f"{whole // MINUTE}m"
    if whole < DAY:
        return f"{whole // HOUR}h {whole % HOUR // MINUTE:02}m"
    return f"{whole // DAY}d {whole % DAY // HOUR:02}h"


def command(words: Sequence[str]) -> str:
    """What was declared: a shell's script without the shell."""
    match words:
        case [shell, "-c", script] if shell.endswith("sh"):
            return script
    return " ".join(words)


def _shortened(path: str, home: str) -> str:
    if home and (path == home or path.startswith(home.rstrip("/") + "/")):
        return "~" + path[len(home.rstrip("/")) :]
    return path
