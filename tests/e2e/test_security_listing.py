"""Security: what is listed moves no terminal (S18, S19), what is named meets no shell (S14, S16)."""

import json
import os
import re
import shlex

import pytest
from support import background
from support.background import argv, python
from support.running import DEVPORT

from devport.context import Context
from devport.registry.locks import Lock, this_process

plain, windowed = background.plain, background.windowed

SEQUENCES = (
    "\x1b]0;title\x07\x1b]52;c;aGk=\x07\x1b[2J\x1b[6n\x1bP1$r\x1b\\\x1bc\x9b2J\x9d0;t\x9c"
    "\x07\b\r\v\f\x0e\x7f\u202e\u2066x"
)
"""Title, clipboard, erasing, a question, device control, a reset; C1; bells, and text backwards."""
SIZE = (300, 60)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_MOVES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\udc80-\udcff]")


def moving(data):
    """What in `data` (bytes) is no text, no line end and no colour."""
    text = data.decode("utf-8", "surrogateescape")
    text = re.sub("\r+\n", "\n", text)  # a log of a terminal, shown at one
    return _MOVES.findall(_COLOUR.sub("", text))


def at_terminal(machine, *words):
    """All that `devport WORDS` shows at a terminal, until its end."""
    running = machine.devport.spawn([DEVPORT, *words], terminal=SIZE)
    running.finish()
    return running.output


@pytest.mark.parametrize("terminal", [True, False])
def test_s18_records_of_any_text(plain, terminal):
    """What stands in a record, ours or changed by somebody else, is listed and told of as text."""
    row = plain.start("web", [*argv("signals"), SEQUENCES])
    plain.do("stop", "web")
    record = plain.record(row["hash"])
    texts = dict.fromkeys(("error", "description", "entry", "file", "last_up"), SEQUENCES)
    run = {**record["run"], "status": SEQUENCES, "tmux": f"/{SEQUENCES}", "window": "@1", "server": "1/1"}
    plain.rewrite(
        row["hash"],
        **texts,
        state="failed",
        run=run,
        cwd=f"/{SEQUENCES}",
        project=f"/{SEQUENCES}",
        name="web",
    )
    verbs = (
        *(
            ["ls"],
            ["which", row["hash"]],
            ["attach", row["hash"]],
            ["wait", row["hash"]],
            ["logs", row["hash"]],
        ),
        *(
            ["stop", row["hash"]],
            ["restart", "--no-tmux", row["hash"]],
            ["stop", SEQUENCES],
            [SEQUENCES],
            ["ls"],
        ),
    )
    told = b"".join(
        at_terminal(plain, *words) if terminal else plain.call(*words).everything() for words in verbs
    )
    (plain.state / "services" / f"{row['hash']}.json").write_text(json.dumps({**record, "hash": SEQUENCES}))
    told += (
        at_terminal(plain, "ls") + plain.call("ls").everything() + plain.call("rm", row["hash"]).everything()
    )

    assert rb"\x1b]0;title\x07" in told or b"u001b]0;title" in told
    assert moving(told) == []


def test_s18_a_holder_of_any_text(plain):
    """Nor what the one who runs a service says of himself."""
    row = plain.start("web", argv("signals"))
    plain.do("stop", "web")
    me = this_process(Context({}, f"/{SEQUENCES}", "/"), "foreground", SEQUENCES)._replace(terminal=SEQUENCES)
    lock = Lock.acquire(str(plain.state / "locks" / f"{row['hash']}.lock"), me)
    told = b"".join(at_terminal(plain, *words) for words in (["ls"], ["which", "web"], ["attach", "web"]))
    told += plain.call("start", "--no-tmux", "--key", "web", "--", *argv("signals")).everything()
    lock.release()

    assert moving(told) == []


def test_s18_files_of_any_text(plain):
    """Nor names, commands and lines of a Procfile, a devport.yaml and a .env, nor the errors about them."""
    told = b""
    cases = {
        "Procfile": f"web: true\n{SEQUENCES}\nx{SEQUENCES}: true\nno: echo {SEQUENCES}\n",
        "devport.yaml": json.dumps({"processes": {"web": {"exec": f"true {SEQUENCES}", SEQUENCES: 1}}}),
        "devport.yml": json.dumps({"processes": {SEQUENCES: {"exec": "true"}}}),
    }
    plain.devport.write(".env", f"{SEQUENCES}\nA{SEQUENCES}=1\n")
    for name, text in cases.items():
        path = plain.devport.write(name, text)
        for words in (["check"], ["start", "x"]):
            told += at_terminal(plain, *words)
        path.unlink()
    told += at_terminal(plain, "check", "-f", SEQUENCES)

    assert moving(told) == []


@pytest.mark.parametrize("verb", ["env", "import", "export", "diff"])
def test_s18_what_prints_a_file(plain, verb):
    """Nor what prints an env file, a devport.yaml or an export; in a pipe the bytes are as they are."""
    value = SEQUENCES.replace("\r", "")  # which an env file's line ends at
    plain.devport.write(".env", f"A='{value}'\n")
    exec_ = f"true '{value}'"
    plain.devport.write("devport.yaml", json.dumps({"processes": {"web": {"exec": exec_}}}))
    plain.devport.write("Procfile", f"web: true {value}\n")
    plain.devport.write(f"pc{value}.yaml", json.dumps({"processes": {"web": {"command": exec_}}}))
    words = {
        "env": ["env", "web"],
        "import": ["import", f"pc{value}.yaml"],
        "export": ["export", "tmux", "-"],
        "diff": ["export", "-n", "tmux", "out"],
    }[verb]
    told, piped = at_terminal(plain, *words), plain.call(*words).output

    assert moving(told) == []
    assert b"]0;title" in told
    assert b"\x1b]0;title" in piped or verb == "import"  # a devport.yaml has escapes of its own


def test_s18_output_of_any_bytes(plain):
    """At a terminal `logs` shows colours and text of what a service has printed, and nothing that moves."""
    printing = (
        f"import sys, signal; sys.stdout.buffer.write(b'a' + {SEQUENCES.encode()!r} + bytes(range(128, 160)))"
    )
    printing += "; print('\\x1b[31mred', 'ready', sep='\\n', flush=True); signal.pause()"
    hashes = [plain.start(key, python(printing))["hash"] for key in ("web", "api")]
    for hash_ in hashes:
        plain.logged(hash_, rb"ready")
    shown = at_terminal(plain, "logs", "web"), at_terminal(plain, "logs", "web", "api")

    assert b"\x1b]0;title" in plain.log(hashes[0])
    assert re.findall(rb"\xc2[\x80-\x9f]|[\x05\x0b\x0c\x0e\x0f]", b"".join(shown)) == []
    assert all(b"\x1b[31mred" in text for text in shown)
    assert [
        sequence for text in shown for sequence in re.findall(rb"\x1b[^\[]|\x1b\[[0-9;]*[^0-9;m]", text)
    ] == []


def test_s18_the_picker(plain):
    """Folders and commands in the list that `attach` offers."""
    folder = plain.devport.project / f"f{SEQUENCES}".replace("/", "")
    folder.mkdir()
    plain.start("web", [*argv("signals"), SEQUENCES], cwd=folder)
    running = plain.devport.spawn([DEVPORT, "attach"], terminal=SIZE, env={"PATH": "/usr/bin:/bin"})
    running.expect(rb"attach to \(1-1\): ")
    running.type(f"{SEQUENCES[:4]}\n".encode())
    running.type(b"\n")
    running.finish()

    assert moving(running.output.replace(b"^[", b"")) == []


def test_s19_json_is_ascii(plain):
    """Whatever a command prints as JSON can be printed anywhere."""
    plain.devport.write(
        "devport.yaml", json.dumps({"processes": {"web": {"exec": f"echo ü{SEQUENCES}; sleep 100"}}})
    )
    row = plain.detach()["web"]
    plain.logged(row["hash"], "ü".encode())
    verbs = (["ls", "--json"], ["which", "--json", "web"], ["env", "--json", "web"], ["logs", "--json"])
    said = [plain.do(*words) for words in (*verbs, ["restart", "--json", "web"], ["stop", "--json", "web"])]

    assert [text for text in said if not text.isascii()] == []
    assert moving("".join(said).encode()) == []


# names, words and values

WORDS = (
    "; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "' ; touch pwned; '",
    '" ; touch pwned; "',
    "\\",
    "a\nb",
    "a\tb",
    "-n",
    "--",
    "%1",
    "@1",
    "#{pane_id}",
    "#(touch pwned)",
    "\x1b[2J",
    "*",
    "~",
    "é\u202e",
    ";",
    "\\;",
    "",
    " ",
)
TELL = (
    "import json, os, sys;"
    "print(json.dumps([sys.argv[1:], os.environ.get('VALUE'), os.getcwd()]), 'ready', flush=True)"
)


def told(text):
    """What TELL has printed: its words, the value of VALUE, its folder."""
    found = re.search(rb"\[\[.*\](?= ready)", text)
    assert found, text
    return json.loads(found[0])


@pytest.mark.parametrize("how", ["window", "run", "start", "status"])
def test_s14_nothing_is_read_by_a_shell(windowed, how):
    """Words, values and the folder arrive as they are, by whatever way; nothing in them is executed."""
    folder = windowed.devport.project / "it's; touch pwned; $(touch pwned) `touch pwned` \"#(touch pwned)\n"
    folder.mkdir()
    env = {"VALUE": "".join(WORDS)}
    command = python(TELL + "; import signal; " + ("signal.pause()" if how == "window" else "0"))
    if how == "window":
        row = windowed.start("web", [*command, *WORDS], cwd=folder, env=env)
        text = windowed.logged(row["hash"], rb".*ready")[0]
    elif how == "run":
        windowed.devport.write("Procfile", f"web: {shlex.join(command)}\n", folder)
        text = windowed.call("run", "web", *WORDS, cwd=folder, env=env).everything()
    else:
        entry = {"exec": shlex.join([*command, *WORDS]), "shell": False}
        if how == "status":
            entry["status"] = shlex.join(["test", "-e", WORDS[0]])
        kind = "tasks" if how == "status" else "processes"
        windowed.devport.write("devport.yaml", json.dumps({kind: {"web": entry}}), folder)
        text = windowed.call("start", "web", "--no-prefix", cwd=folder, env=env).everything()
    words, value, where = told(text)

    assert words == list(WORDS)
    assert value == env["VALUE"]
    assert where == str(folder)
    assert list(windowed.devport.folder.rglob("pwned")) == []
    assert not os.path.exists("pwned")
