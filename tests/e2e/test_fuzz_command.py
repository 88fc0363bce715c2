"""The installed devport and hostile bytes: in files, on its control socket, as notifications, in records."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import socket
import statistics
import struct
import subprocess

import pytest
from support import background, frames, mutants, procs
from support.asked import answer, holder
from support.drill import trials
from support.mutants import blocks
from support.running import DEVPORT, PATIENCE

from devport.engine import client, request, unix
from devport.registry.record import UnreadableError, from_json
from devport.remote import Remote

AT_ONCE = 0.2
"""Seconds in which an honest client has its answer, whatever others do."""
SLEEPER = "exec sleep 1000"

machine = background.plain
pytestmark = [pytest.mark.drill, pytest.mark.timeout(600)]


# files

YAML = blocks("docs/devport-yaml.md", "yaml")
FOREIGN = (
    b"procs:\n  a: ls\n  b: [x, y]\n  c: {shell: x, env: {A: null}, stop: SIGINT, deps: [a]}\n",
    b"services:\n  web: {command: x 'y', environment: [A=1], depends_on: [db], restart: 'on-failure:3'}\n",
    b"processes:\n  a: {command: x, readiness_probe: {http_get: {port: 80}}, replicas: 2}\n",
)
REFUSED = {
    "deep": b"processes: " + b"[" * 50_000,
    "deeper": b"{a: " * 100_000,
    "laughs": b"a: &a [x]\n" + b"".join(b"b%d: &b%d [*a, *a]\n" % (n, n) for n in range(9)),
    "more-laughs": b"a0: &a0 [x, x]\n"
    + b"".join(b"a%d: &a%d [*a%d, *a%d, *a%d]\n" % (n, n, *(n - 1,) * 3) for n in range(1, 30)),
    "binary": bytes(range(256)) * 20,
    "nul-of-yaml": b'processes: {web: {exec: "a\\0b"}}\n',
    "nul": b"processes:\n  web: {exec: 'a\0b'}\n",
    "half-a-letter": b"processes:\n  web: {exec: \xc3}\n",
    "tag": b"processes: !!python/object/apply:os.system [touch PWNED]\n",
    "twice": b"processes: {web: {exec: a}, web: {exec: b}}\n",
    "escape": b'processes: {web: {exec: x, "\\e[2J\\e]0;x\\a": 1}}\n',
    "number": b"processes: {web: {exec: x, ports: {a: {allocate: " + b"9" * 5000 + b"}}}}\n",
    "itself": b"processes: &p {web: *p}\n",
    "large": b"processes: {web: x}\n" + b"#" * (1 << 20),
    "half": b'processes: {web: {exec: "x',
    "two": b"processes: {web: x}\n---\nprocesses: {db: y}\n",
    "unpaired": b'processes: {web: {exec: "\\ud800"}}\n',
}


NO_LINE = "no (services|entries)|nothing in it can run here|it is (a|no) "
"""Refusals of a file as a whole, which no line of it is to be blamed for."""


def complaint(done, *, many=False):
    """What a devport that refuses has to say: status 1 or 2, its own lines on stderr, no traceback."""
    assert done.returncode in {0, 1, 2}, done
    lines = done.stderr.decode().splitlines()
    assert all(line.isprintable() for line in lines), lines
    assert b"Traceback" not in done.stderr
    if done.returncode:
        assert lines, done
        assert all(line.startswith("devport: ") for line in lines), lines
        assert many or len(lines) == 1, lines
    return lines


def in_pool(devport, commands):
    """The ended `devport WORDS` of each of these, four at a time."""

    def one(words):
        return subprocess.run(
            [DEVPORT, *words],
            cwd=devport.project,
            env=devport.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, commands))


def test_hostile_documents_are_refused(devport):
    """Each of these has its one line on stderr, with the file and the line in it, and status 2."""
    for name, data in REFUSED.items():
        devport.write(f"{name}.yaml", data)
    done = in_pool(devport, [("check", "-f", f"{name}.yaml") for name in REFUSED])

    for name, one in zip(REFUSED, done, strict=True):
        [line] = complaint(one)
        assert one.returncode == 2, (name, one)
        assert re.match(rf"devport: cannot read {name}\.yaml: line [1-9]\d*: .", line), line
    assert not (devport.project / "PWNED").exists()


def test_random_documents(devport, tally):
    """Almost valid files of every kind: read, or refused in one line."""
    kinds = {
        "yaml": (YAML, ("check", "-f")),
        "procfile": ((b"web: a $PORT\nworker: A=1 b\n",), ("check", "-f")),
        "env": ((b"A=1\nexport B='c d'\nC=\"${A}\"\n",), ("check", "-f", "Procfile", "-e")),
        "import.yaml": (FOREIGN, ("import",)),
    }
    devport.procfile(web="true")
    commands = []
    for kind, (corpus, words) in kinds.items():
        for number, data in enumerate(mutants.some(corpus, kind, trials(5, 100))):
            devport.write(f"{number}.{kind}", data)
            commands.append((*words, f"{number}.{kind}"))
    for words, done in zip(commands, in_pool(devport, commands), strict=True):
        lines = complaint(done, many=words[0] == "import" or not words[-1].endswith(".yaml"))
        if done.returncode:
            file = re.escape(words[-1])
            assert re.search(rf"{file}(: line |:)[1-9]|{file}: ({NO_LINE})", lines[-1]), lines
    tally(len(commands))


# the control socket


class Attacker:
    """Connections to the socket of `holder` that do what nobody should; the same ones for the same `seed`."""

    LOGS = (b'{"id":1,"do":"logs","services":["web"],"follow":true}\n',)

    def __init__(self, holder, seed):
        self.path, self.chance, self.open = holder.socket, random.Random(seed), []

    def __enter__(self):
        """It begins."""
        return self

    def __exit__(self, *_):
        """All of it is over."""
        self.close()

    def connect(self):
        """A connection that stays until `close`; None where nobody listens any more."""
        made = socket.socket(socket.AF_UNIX)
        self.open.append(made)
        # With a time limit of Python's own, a full queue would be an error at once.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(PATIENCE), 0))
        unix.at(self.path, made.connect)
        return made

    def send(self, made, data):
        """As much of `data` as is taken: who is refused is closed."""
        made.settimeout(0.05)
        with contextlib.suppress(OSError):
            made.sendall(data)

    def strike(self, kind):
        """One of the things that nobody should do."""
        made = self.connect()
        noise = self.chance.randbytes(self.chance.randint(1, 3000))
        match kind:
            case "noise":
                self.send(made, noise)
            case "lines":
                self.send(made, noise.replace(b"\0", b"\n"))
            case "requests":
                self.ask(made, mutants.some(self.LOGS, str(noise), 20))
            case "giant":
                self.send(made, b"x" * (4 * client.LINE) + b"\n")
            case "endless":
                self.send(made, b'{"do": "' + b"x" * (client.LINE - 100))
            case "half":
                self.send(made, noise)
                made.shutdown(socket.SHUT_WR)
            case "deaf":
                self.send(made, b'{"do":"events"}\n' * 40)
            case "deep":
                self.send(made, b"[" * 60_000 + b"\n")
            case "gone":
                made.close()
            case _:
                self.send(made, b'{"do":"status"}\n' * 200)

    def ask(self, made, lines):
        """Send each of `lines`, and read what is said to them: nothing that devport did not foresee."""
        made.settimeout(PATIENCE)
        made.sendall(b"".join([*lines, b'\n{"id":"the end","do":"status"}\n']))
        with made.makefile("rb") as stream:
            for line in stream:
                reply = json.loads(line)
                foreseen(reply)
                if reply.get("id") == "the end":
                    return
        raise AssertionError("it hung up")

    def close(self):
        """All of them are gone."""
        for made in self.open:
            made.close()
        self.open.clear()


def foreseen(reply):
    """What a supervisor says is an answer or a refusal in words for people, not the text of an exception."""
    error = reply.get("error", "")
    assert not error.startswith("cannot answer"), error
    assert error.isprintable(), error


STRIKES = ("noise", "lines", "requests", "giant", "endless", "half", "deaf", "deep", "gone", "flood")


@pytest.fixture
def supervisor(devport):
    """A supervisor in the foreground with one service: who holds its lock."""
    devport.procfile(web=f"echo ready; {SLEEPER}")
    running = devport.start()
    running.ready("web")
    yield holder(devport, "web")
    assert running.stop()[0] == 143
    assert "Traceback" not in running.everything().decode(errors="replace")


def test_hostile_clients(supervisor, tally):
    """Noise, giants, lines without end, the half closed, the deaf: the next one is answered at once."""
    before = frames.open_descriptors(supervisor.pid)
    times = []
    for number in range(trials(3, 600)):
        with Attacker(supervisor, f"hostile {number}") as attacker:
            for kind in attacker.chance.sample(STRIKES, len(STRIKES)):
                attacker.strike(kind)
                times.append(answer(supervisor))
    procs.eventually(lambda: no_more(frames.open_descriptors(supervisor.pid), before), PATIENCE)

    assert statistics.median(times) < AT_ONCE
    assert procs.peak_memory(supervisor.pid) < 100 << 20
    tally(len(times))


WRONG = (
    *(None, True, False, 0, -1, 1.5, 10**30, -(10**30), 1e300, [], {}, {"web": 1}),
    *("", "x" * 500, "\ud800", "\0", "web\n", "ready", ["ready"], ["web", 3], [None], [[]], [{}]),
    *(["web", "web"], ["\udcff"], ["x" * 500]),
)
"""Values that a field of a request is not meant to have; a few are fine somewhere."""
FINE = (None, ["web", "web"])
RIGHT = {"number": int(signal.SIGURG), "hash": "0123456789", "lines": 3, "state": "ready"}


def wrong_requests():
    """For each verb, each of its fields with each wrong value, and a field that is not one of its own."""
    for do, extra in request.VERBS.items():
        whole = {"id": 1, "do": do, "services": ["web"] if do in ("status", "logs", "wait") else []}
        whole |= {name: RIGHT[name] for name in RIGHT if name in extra}
        for field in ("id", "services", "do", *sorted(extra), "nope"):
            for value in WRONG:
                if do != "stop" or field != "services" or value not in FINE:  # the run would end
                    yield {**whole, field: value}
        yield {name: value for name, value in whole.items() if name == "do"} if do != "stop" else {}


def test_fields_of_wrong_types(supervisor, tally):
    """Every verb with a wrong value in every field: an answer or a refusal, and the service lives on."""
    count = 0
    requests = list(wrong_requests())
    with Attacker(supervisor, "types") as attacker:
        for begin in range(0, len(requests), 10):  # fewer than may be unanswered
            lines = [mutants.as_json(one) + b"\n" for one in requests[begin : begin + 10]]
            attacker.ask(attacker.connect(), lines)
            attacker.close()
            count += len(lines)
    with Remote.connect(supervisor, PATIENCE) as remote:
        procs.eventually(lambda: is_ready(remote), PATIENCE)  # after its last restart
    tally(count)


def is_ready(remote):
    """The one service is."""
    [row] = remote.request("status")["services"]
    assert row["state"] == "ready", row


def no_more(found, before):
    """Nothing was left open; what was counted first may hold a client that was about to go."""
    assert found <= before


def test_thousands_of_connections(supervisor, tally):
    """Many that come and go, and more at once than there is room for: an honest client is heard."""
    before = frames.open_descriptors(supervisor.pid)
    count = trials(1500, 100_000)
    for begin in range(0, count, 500):
        with Attacker(supervisor, begin) as attacker:
            for _ in range(500):
                attacker.connect()
        answer(supervisor)
    procs.eventually(lambda: no_more(frames.open_descriptors(supervisor.pid), before), PATIENCE)

    assert statistics.median(answer(supervisor) for _ in range(9)) < AT_ONCE
    tally(count)


def test_line_without_end(supervisor):
    """A request that never ends is refused at its limit, and costs no memory beyond."""
    with Attacker(supervisor, "endless") as attacker:
        made = attacker.connect()
        with made.makefile("rb") as stream:
            assert json.loads(stream.readline())["devport"] == 1
            attacker.send(made, b"x" * (client.LINE + 1))
            made.settimeout(PATIENCE)
            assert json.loads(stream.readline())["error"].endswith(f"it is longer than {client.LINE} bytes")
        attacker.send(made, b"x" * (32 << 20))
        assert procs.peak_memory(supervisor.pid) < 60 << 20


# notifications


def test_hostile_notifications(devport, tally):
    """Noise, a megabyte, hundreds of descriptors, binary: no harm, and the service itself is heard."""
    devport.write(
        "devport.yaml",
        json.dumps({"processes": {"web": {"exec": f"echo ready; {SLEEPER}", "ready": {"notify": True}}}}),
    )
    running = devport.start()
    running.ready("web")
    asked = holder(devport, "web")
    [pid] = running.services(1)
    environ = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    path = re.search(rb"(?:^|\0)NOTIFY_SOCKET=([^\0]*)", environ)[1].decode()
    before, chance, times = frames.open_descriptors(asked.pid), random.Random("notify"), []
    box = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    box.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    box.settimeout(PATIENCE)
    unix.at(path, box.connect)
    null = os.open(os.devnull, os.O_RDONLY)
    messages = (
        b"MAINPID=1\nSTATUS=a\nWATCHDOG=1\nERRNO=x",
        b"EXTEND_TIMEOUT_USEC=1\nREADY=0\nRELOADING=1\n",
    )
    count = trials(20, 5000)
    for data in mutants.some(messages, "notify", count):
        for message in (data, chance.randbytes(chance.randint(0, 5000)), b"", b"STATUS=" + b"x" * (1 << 20)):
            with contextlib.suppress(OSError):  # EMSGSIZE, where the kernel takes no such message
                box.send(message)
        for many in (1, 3, 253):
            box.sendmsg(
                [data[:100] or b"x"],
                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, many * null.to_bytes(4, "little"))],
            )
        times.append(answer(asked))
    with Remote.connect(asked, PATIENCE) as remote:

        def heard(text):
            [row] = remote.request("status")["services"]
            assert (row["status_text"], row["state"]) == (text, "ready")

        box.send(b"STATUS=still here\nREADY=1")
        procs.eventually(lambda: heard("still here"), PATIENCE)
        box.send(b"STATUS=" + b"x" * 100_000)  # too long, and so nothing of it is taken
        for _ in range(5):
            heard("still here")
    procs.eventually(lambda: no_more(frames.open_descriptors(asked.pid), before), PATIENCE)
    os.close(null)
    box.close()

    assert statistics.median(times) < AT_ONCE
    assert running.stop()[0] == 143
    tally(count * 7)


# records


def bytes_of_records(whole, count):
    """What may stand in a record: cut, changed, another type, nothing, anything."""
    fixed = [
        b"",
        b"\0" * 4096,
        b"[" * 200_000,
        whole[: len(whole) // 2],
        whole.replace(b'"schema": 1', b'"schema": 99'),
        b'{"hash": "' + b"9" * 5000,
        random.Random("record").randbytes(3000),
    ]
    return [*fixed[:count], *mutants.some([whole], "records", max(0, count - len(fixed)))]


def test_f50_hostile_records(machine, tally):
    """Whatever is in a record, no command has a traceback; its port stays its own, the file is kept."""
    machine.devport.procfile(web=SLEEPER, other=SLEEPER)
    port = int(machine.do("port", "web"))
    paths = (machine.state / "services").glob("*.json")
    [path] = [one for one in paths if json.loads(one.read_bytes())["name"] == "web"]
    whole, shown = path.read_bytes(), re.compile(rb'"port": %d\b' % port)
    cases = bytes_of_records(whole, trials(5, 40))
    for number, data in enumerate(cases):
        path.write_bytes(data)
        verbs = [("ls",), ("port", "web"), ("ls", "--json"), ("port", "other"), ("which", str(port))]
        verbs += (
            [("start", "-d", "--no-tmux", "web")] if number % 2 else [("restart", "web"), ("logs", "web")]
        )
        verbs += [("stop", "web"), ("rm", "web")]
        for words in verbs:
            one = machine.call(*words)
            assert b"Traceback" not in one.everything(), (words, data, one.shown())
            assert one.status in {0, 1, 2, 3}, (words, data, one.shown())
            kept = kept_of(path)
            assert data in kept or words[0] == "rm" or is_fine(data, path), (words, data, kept)
            if words == ("port", "other") and shown.search(data):
                assert one.output.strip() != str(port).encode(), data
        for file in path.parent.iterdir():
            file.unlink()
    tally(len(cases))


def kept_of(path):
    """The contents of a record and of what is kept of it, not of drafts: a supervisor may just have one."""
    files = [file for file in path.parent.glob(f"{path.name}*") if ".tmp-" not in file.name]
    return [file.read_bytes() for file in files]


def is_fine(data, path):
    """Whether that is a record that devport may replace by a newer state of itself."""
    try:
        from_json(data, str(path))
    except UnreadableError:
        return False
    return True
