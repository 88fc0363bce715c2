"""The drill of reliability.md, P34 and F86: hostile names, words, folders and values.

P34 holds twice: of tmux by itself, to which hostile words are handed, and of services, of which nothing
but a path and an id ever goes through tmux.
"""

import json
import os
import random
import re
import signal
import sys

import pytest
from support import background, procs
from support.background import argv
from support.drill import trials
from support.procs import eventually
from support.tmux import Servers

from devport.encoding import decode
from devport.tmux import Tmux
from devport.tmux.words import name_of

pytestmark = [pytest.mark.drill]

windowed = background.windowed

ODD = [
    b";",
    b"\\;",
    b"a;",
    b";;",
    b"-x",
    b"--",
    b"",
    b" ",
    b"'",
    b'"',
    b"`touch PWNED`",
    b"$(touch PWNED)",
    b"#(touch PWNED)",
    b"#{pane_pid}",
    b"%1",
    b"@1",
    b"{last}",
    b"=web",
    b":.",
    b"*",
    b"~",
    b"\n",
    b"\t\r\x1b]0;PWNED\x07",
    b"\xff\xfe",
    "ünï".encode(),
    b"; kill-server",
    b"set-option -g @pwned yes",
    b"run-shell 'touch PWNED'",
    b"%if 1",
]
"""What tmux, a shell or a terminal would take for its own."""
USERS = ("web", "0", "devport", "a.b", "x:1", "{last}", "^", "+", "@1", "w*")
"""Windows of the user's, called as services and targets are."""


def words(chance, count, without=b""):
    """`count` hostile words: an odd one, or random bytes."""
    letters = bytes(byte for byte in range(1, 256) if byte not in without)
    return [
        chance.choice(ODD)
        if chance.random() < 0.4
        else bytes(chance.choices(letters, k=chance.randrange(40)))
        for _ in range(count)
    ]


def users_windows(session):
    """What makes a `session` with USERS' windows, in one call of tmux."""
    first = ["new-session", "-d", "-s", session, "-n", USERS[0], "sleep", "1000"]
    for name in USERS[1:]:
        first += [";", "new-window", "-d", "-t", f"{session}:", "-n", name, "sleep", "1000"]
    return first


def no_file(folder):
    """Nobody has executed a word."""
    assert list(folder.rglob("PWNED")) == []


# P34: tmux


@pytest.fixture
def servers(tag, tmp_path):
    """Servers that nobody else uses."""
    made = Servers(tmp_path / "home")
    yield made
    made.tear_down()


TELL = 'printf \'%s\\0\' "$@" > "$0.draft" && mv "$0.draft" "$0"; exec sleep 1000'


@pytest.mark.timeout(600)
def test_p34_words_through_tmux(servers, tmp_path, tally):
    """Each window executes its words byte for byte under a harmless name; no other window is touched."""
    chance = random.Random(34)
    tmux = Tmux(servers.environ)
    servers.tmux(*users_windows("mine"))
    form = "#{window_id} #{pane_id} #{pane_pid} #{window_name}"
    theirs, options = servers.windows(form), servers.tmux("show-options", "-g")
    total = trials(200, 5000)
    for start in range(0, total, 50):
        names = [decode(word) for word in words(chance, 50)]
        wanted = {str(tmp_path / f"{start + n}"): words(chance, chance.randrange(1, 8)) for n in range(50)}
        made = tmux.open_windows(
            [
                (name, ("sh", "-c", TELL, path, *map(decode, asked)))
                for name, (path, asked) in zip(names, wanted.items(), strict=True)
            ]
        )

        def told(wanted=wanted):
            for path, asked in wanted.items():
                assert os.path.exists(path), path
                with open(path, "rb") as file:
                    assert file.read() == b"".join(word + b"\0" for word in asked)

        eventually(told)
        shown = dict(line.split(" ", 1) for line in servers.windows("#{window_id} #{window_name}"))
        assert [shown[one.id] for one in made] == [name_of(name) for name in names]
        tmux.close(*made)
        assert servers.windows(form) == theirs
    assert servers.tmux("show-options", "-g") == options
    no_file(tmp_path)
    tally(total)


# P34: services

SHOW = """
import json, os, sys
told = [[word.encode(errors="surrogateescape").hex() for word in sys.argv[1:]],
        os.fsencode(os.environ["ODD"]).hex(), os.getcwdb().hex()]
print("told", json.dumps(told), flush=True)
import signal; signal.pause()
"""


@pytest.mark.timeout(600)
def test_p34_services(windowed, tally):
    """Words, folder and environment of a service are what they were, and other windows stay."""
    chance = random.Random(340)
    windowed.tmux(*users_windows("devport"))
    theirs = windowed.opened("#{window_id} #{pane_pid} #{window_name}")
    total, each = trials(200, 5000), 40
    for start in range(0, total, each):
        asked = words(chance, each, without=b"$")  # `$NAME` in a word is replaced by its value
        asked = [word.replace(b"$", b"") for word in asked]
        value = b"".join(words(chance, 3))
        folder = os.path.join(os.fsencode(windowed.project), _folder(chance))
        os.makedirs(folder, exist_ok=True)
        row = windowed.start(
            f"web-{start}",
            [sys.executable, "-I", "-S", "-c", SHOW, *asked],
            cwd=folder,
            env={"ODD": decode(value)},
        )
        found = windowed.logged(row["hash"], rb"told (\[.*\])\r\n")
        argv, told, where = json.loads(found[1])
        assert [bytes.fromhex(word) for word in argv] == asked
        assert (bytes.fromhex(told), bytes.fromhex(where)) == (value, folder)
        line = procs.process(row["supervisor"]).command
        assert not any(len(word) > 8 and decode(word) in line for word in asked)
        windowed.do("rm", f"web-{start}")
        windowed.closed(f"web-{start}")
        assert windowed.opened("#{window_id} #{pane_pid} #{window_name}") == theirs
    assert "pwned" not in windowed.tmux("show-options", "-g")
    no_file(windowed.devport.folder)
    tally(total)


def _folder(chance):
    """A folder's name of hostile words."""
    name = b"".join(words(chance, 3, without=b"/")).replace(b"/", b"")
    return name.strip(b".")[:100] or b"x"


# F86

KEYS = ("web", "web-admin", "we", "devport", "devport-ui", "0", "1")


@pytest.mark.timeout(600)
def test_f86_random_operations(windowed, tally):
    """Random commands on services whose names are prefixes, numbers, the session's: each hits its own.

    The window of one that was killed stays, and is closed by the next start or by `rm`.
    """
    chance = random.Random(86)
    windowed.tmux(*users_windows("devport"))
    windowed.tmux("new-session", "-d", "-s", "devport-old", "-n", "web", "sleep", "1000")
    form = "#{session_name} #{window_id} #{pane_pid} #{window_name}"
    theirs = set(windowed.opened(form))
    before, dead, lives, total = {}, {}, dict.fromkeys(KEYS, 0), trials(20, 200)
    for _ in range(total):
        key, verb = chance.choice(KEYS), "start"
        others = {name: _life(row) for name, row in before.items() if name != key}
        if key in dead:
            verb = chance.choice(["start", "restart", "rm"])
        elif key in before:
            verb = chance.choice(["stop", "restart", "rm", "signal", "kill", "kill"])
        if verb == "start":
            hash_ = windowed.start(key, argv("signals"), "--restart", "never")["hash"]
        elif verb == "kill":
            dead[key] = before[key]
            procs.send(before[key]["pid"], signal.SIGKILL)
            windowed.ended(before[key]["hash"])
        else:
            hash_ = (before.get(key) or dead[key])["hash"]
            windowed.do(verb, *(("-s", "USR1") if verb == "signal" else ()), key)
        if verb != "kill":
            dead.pop(key, None)
        if verb in {"start", "restart"}:  # it would end of a signal before
            lives[key] += 1
            windowed.logged(hash_, rb"ready", lives[key])
        elif verb == "rm":
            lives[key] = 0
        after = windowed.ls("--active")

        assert {name: _life(row) for name, row in after.items() if name != key} == others, (verb, key)
        eventually(lambda after=after: _windows(windowed, form, theirs, [*after.values(), *dead.values()]))
        before = after
    tally(total)


def _life(row):
    return row["pid"], row["supervisor"], row["window"]


def _windows(windowed, form, theirs, rows):
    """The user's windows are as they were; beside them are those of `rows`."""
    now = set(windowed.opened(form))
    assert theirs <= now
    ours = sorted(re.search(r" (@\d+) ", line)[1] for line in now - theirs)
    assert ours == sorted(row["window"] for row in rows)
