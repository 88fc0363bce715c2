"""The steps of a walk. Each is drawn from the dice alone, and only then done, whatever it finds."""

import contextlib
import os
import signal
import time

from support import procs

from drill import checks, services
from drill.excuses import Kill
from drill.plants import PLANTS
from drill.services import KEYS, NAMES
from drill.world import Fault, kid

VERBS = ("stop", "restart", "restart", "signal", "rm", "logs", "wait", "start", "start", "key", "port")
SIGNALS = ("HUP", "HUP", "TERM", "USR1", "KILL", "STOP", "CONT", "INT")
GARBLES = ("half", "empty", "nul", "text", "list", "wrong")
KNOWN = {0, 1, 3, 124}
"""The statuses of a command that was understood (docs/exit-status.md)."""


class Steps:
    """Chooses and does. What it remembers for choosing comes from earlier choices only."""

    def __init__(self, world, dice, *, own_disk, plant):
        self.world, self.dice, self.own_disk, self.plant = world, dice, own_disk, plant
        self.broken = False  # the file cannot be read
        self.limited = False  # supervisors have less than they are used to
        self.in_front = False
        self.names = []
        self.up = []  # what is likely to run, as far as the steps so far can tell
        self.table = [
            (16, self.detach),
            (12, self.key),
            (14, self.verb),
            (12, self.pair),
            (4, self.whole),
            (4, self.look),
            (5, self.kill_supervisor),
            (3, self.kill_guardian),
            (4, self.kill_service),
            (2, self.kill_server),
            (4, self.window),
            (4, self.edit),
            (3, self.garble),
            (4, self.disk),
            (3, self.limits),
            (3, self.suspend),
            (14, self.front),
            (4, self.poor),
            (5, self.cut_short),
            (9, self.struck),
            (2, self.touch),
            (2, self.socket),
            (5, self.rest),
        ]
        self.write(*self.file())

    def choose(self):
        """The next step: what it is called, and the call that does it."""
        if not self.up and self.dice.random() < 0.7:
            return self.detach()
        make = self.dice.choices([one for _, one in self.table], [weight for weight, _ in self.table])[0]
        return make()

    def name(self):
        """One of those that there may be, rather one that runs."""
        if self.up and self.dice.random() < 0.6:
            return self.dice.choice(self.up)
        return self.dice.choice((*self.names, *KEYS) if self.dice.random() < 0.95 else (*NAMES, "nobody"))

    def file(self):
        """Another project, for this file."""
        where, text, self.names = services.project(self.world, self.dice)
        return where, text

    def write(self, where, text):
        """Put it in its place."""
        for name in ("Procfile", "devport.yaml"):
            (self.world.devport.project / name).unlink(missing_ok=True)
        (self.world.devport.project / "src").mkdir(exist_ok=True)
        self.world.devport.write(where, text)

    # commands

    def windows(self):
        """The option for a start."""
        return [] if self.world.windows and self.dice.random() < 0.8 else ["--no-tmux"]

    def note(self, verb, *names):
        """What `verb` is likely to make of `names`."""
        stays = [name for name in self.up if name not in names]
        self.up = stays if verb in ("stop", "rm") else sorted({*stays, *names})

    def command(self, verb, name):  # noqa: PLR0911 - a table
        """The words of one command about `name`."""
        dice = self.dice
        if verb in ("stop", "rm", "restart"):
            self.note(verb, name)
        match verb:
            case "signal":
                return ["signal", "-s", dice.choice(SIGNALS), name]
            case "logs":
                return ["logs", "-n", str(dice.choice([1, 50, 100000])), name]
            case "wait":
                return ["wait", "-t", "1", name]
            case "start":
                return ["start", "-d", *self.windows(), *([name] if name in self.names else [])]
            case "key":
                return self.start_key(name if name in KEYS else "k1")
            case "restart":
                return ["restart", *self.windows(), name]
            case "rm":
                return ["rm", *(["--force"] if dice.random() < 0.4 else []), name]
        return [verb, name]

    def start_key(self, key):
        """The words that start a service that is in no file."""
        self.note("start", key)
        dice = self.dice
        options = ["-t", str(dice.choice([0.3, 0.8]))]
        if dice.random() < 0.3:
            options += ["--restart", dice.choice(["always", "never", "on_failure"])]
        words = services.traits(dice) + (["binds=0"] if dice.random() < 0.3 else [])
        return ["start", *self.windows(), "--key", key, *options, "--", *kid(self.world, key, *words)]

    def detach(self):
        """`start -d` of all or some."""
        some = self.dice.sample(self.names, self.dice.randint(0, len(self.names)))
        self.note("start", *(some or self.names))
        words = [self.dice.choice(["start", "start", "up"]), "-d", *self.windows(), *some]
        return self.plain(words)

    def key(self):
        """A service of its own."""
        return self.plain(self.start_key(self.dice.choice(KEYS)))

    def verb(self):
        """One command about one service, or about two."""
        words = self.command(self.dice.choice(VERBS), self.name())
        return self.plain(words)

    def whole(self):
        """One command about all."""
        words = self.dice.choice([["down"], ["logs"], ["wait", "-t", "1"], ["check"]])
        if words == ["down"]:
            self.note("stop", *self.names)
        return self.plain(words)

    def look(self):
        """One that changes nothing."""
        return self.plain(
            self.dice.choice([["ls"], ["ls", "--active"], ["ls", "--here"], ["which", self.name()]])
        )

    def plain(self, words):
        """The step of one command."""
        return " ".join(self.shown(words)), lambda: self.judge(words, self.world.begin(words))

    @staticmethod
    def shown(words):
        """`words` without what is the same in all of them."""
        place = words.index("--") + 1 if "--" in words else len(words)
        return [*words[:place], *words[place + 6 :]]

    def pair(self):
        """Two commands at the same moment about one service."""
        name = self.name()
        both = [
            self.command(self.dice.choice(("start", "stop", "restart", "rm", "key", "signal")), name)
            for _ in "12"
        ]
        if self.dice.random() < 0.4:
            both.append(self.command(self.dice.choice(VERBS), name))

        def do():
            begun = [self.world.begin(words) for words in both]
            for words, one in zip(both, begun, strict=True):
                self.judge(words, one, alone=False)

        return " & ".join(" ".join(self.shown(words)) for words in both), do

    def judge(self, words, begun, *, alone=True):
        """Wait for the answer, and compare it with the world."""
        world = self.world
        answer = world.end(begun)
        if words[0] == "rm" and answer.status == 0:
            world.excuses.removals.append((begun[1].began, time.monotonic(), words[-1]))
        usual = KNOWN | ({2} if self.broken or words[0] in ("start", "up") else set())
        checks.demand(answer.status in usual, f"an unknown status: {answer}")
        checks.demand(
            answer.status == 0 or answer.err or "--json" in words, f"a failure without a word: {answer}"
        )
        if alone and words[0] == "stop" and answer.status == 0 and not world.excuses.is_full:
            checks.gone(world, words[-1])
        if alone and words[0] in ("start", "up") and answer.status == 0:  # it registers all of the file
            names = [words[words.index("--key") + 1]] if "--key" in words else self.names
            world.excuses.wrote(names=names)
        if alone and words[0] == "rm" and answer.status == 0:
            checks.gone(world, words[-1])
            checks.demand(world.hash(words[-1]) is None, f"it was removed and is still there: {answer}")

    # faults from outside

    def kill_supervisor(self):
        """Kill -9."""
        name = self.name()
        return f"kill -9 the supervisor of {name}", lambda: self.world.kill(self.world.supervisor(name), name)

    def kill_guardian(self):
        """Kill -9 of the shell above it: the supervisor ends in order."""
        name = self.name()

        def do():
            pid = self.world.supervisor(name)
            above = procs.process(pid) if pid else None
            parent = procs.process(above.parent) if above else None
            if parent and parent.command.startswith("devport -c"):
                procs.send(parent.pid, signal.SIGKILL)
                # Killed too before it has ended, nobody would be left to sweep: decision 003 says so.
                procs.eventually(lambda: checks.demand(not procs.is_alive(pid), f"{name} goes on"), 20)

        return f"kill -9 the guardian of {name}", do

    def kill_service(self):
        """Kill -9, or another signal, to what a service consists of."""
        name = self.name()
        number = self.dice.choice(
            [signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP, signal.SIGTERM]
        )

        def do():
            for one in self.world.kids(name)[: 1 if number == signal.SIGSTOP else None]:
                procs.send(one.pid, number)

        return f"kill -{number.name} what {name} consists of", do

    def kill_server(self):
        """The tmux server goes, with all windows."""
        how = self.dice.choice(["kill-server", "SIGKILL"])

        def do():
            if how == "kill-server":
                self.world.machine.tmux("kill-server", status=None)
                return
            for one in procs.tree(self.world.tag):
                if one.command.startswith("tmux"):
                    procs.send(one.pid, signal.SIGKILL)

        return f"tmux: {how}", do

    def window(self):
        """Something is done to a window."""
        name = self.name()
        what = self.dice.choice(["kill-window", "C-c", "C-z", "x", "split-window", "clear-history"])

        def do():
            hash_ = self.world.hash(name)
            record = self.world.store.records().records.get(hash_) if hash_ else None
            window = record.run.get("window") if record else None
            if not window or not self.world.windows:
                return
            if what in ("kill-window", "split-window", "clear-history"):
                words = (what, "-t", window, *(["sleep 1"] if what == "split-window" else []))
            else:
                words = ("send-keys", "-t", window, what)
            self.world.machine.tmux(*words, status=None)

        return f"window of {name}: {what}", do

    def edit(self):
        """The file changes."""
        how = self.dice.choice(["new", "new", "broken", "gone"])
        where, text = self.file()
        self.broken = how in ("broken", "gone")

        def do():
            self.write(where, text)
            if how == "broken":
                self.world.devport.write(where, text[: len(text) // 2] + "\n: : [\n")
            elif how == "gone":
                (self.world.devport.project / where).unlink()

        return f"{where} is {how}: {' '.join(self.names)}", do

    def garble(self):
        """A record is damaged by hand."""
        name, how = self.name(), self.dice.choice(GARBLES)

        def do():
            hash_ = self.world.hash(name)
            if hash_ is None:
                return
            path = self.world.store.path(hash_)
            with open(path, "rb") as file:
                data = file.read()
            new = {
                "half": data[: len(data) // 2],
                "empty": b"",
                "nul": b"\0" * len(data),
                "text": b"nonsense \xff\n",
                "list": b"[]\n",
                "wrong": data.replace(b'"port": ', b'"port": -'),
            }[how]
            self.world.excuses.garbled[hash_] = name
            with contextlib.suppress(OSError), open(path, "wb") as file:
                file.write(new)

        return f"the record of {name} is {how}", do

    def disk(self):
        """No room, some commands, room again."""
        several = [self.command(self.dice.choice(VERBS), self.name()) for _ in range(self.dice.randint(1, 3))]
        pause = self.dice.choice([0, 0.3])

        def do():
            if not self.own_disk:
                return
            self.world.fill()
            try:
                procs.elapse(pause)
                for words in several:
                    self.judge(words, self.world.begin(words))
            finally:
                self.world.empty()

        return "no room: " + "; ".join(" ".join(self.shown(words)) for words in several), do

    def limits(self):
        """A supervisor that may not open or write any more; then it may again."""
        name = self.name()
        what, soft = self.dice.choice(
            [("NOFILE", 0), ("NOFILE", 0), ("NOFILE", 2), ("FSIZE", 100), ("FSIZE", 20000)]
        )
        several = [
            self.command(self.dice.choice(("restart", "restart", "stop", "signal", "logs", "wait")), name)
        ]

        def do():
            pid = self.world.supervisor(name)
            if pid is None:
                return
            span = self.world.lacking(pid)
            # As if all descriptors but some were in use.
            used = 0
            if what == "NOFILE":
                with contextlib.suppress(OSError):
                    used = max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1
            self.world.limit(pid, what, used + soft)
            try:
                for words in several:
                    self.judge(words, self.world.begin(words))
            finally:
                self.world.limit(pid, what, None)
                span.close()

        return f"{what}: {soft} more for the supervisor of {name}: {' '.join(self.shown(several[0]))}", do

    def suspend(self):
        """A supervisor is stopped for the length of a command."""
        name = self.name()
        words = self.command(self.dice.choice(VERBS), name)

        def do():
            pid = self.world.supervisor(name)
            if pid:
                procs.send(pid, signal.SIGSTOP)
            try:
                self.judge(words, self.world.begin(words), alone=False)
            finally:
                if pid:
                    procs.send(pid, signal.SIGCONT)

        return f"SIGSTOP to the supervisor of {name}: {' '.join(self.shown(words))}; SIGCONT", do

    def poor(self):
        """A command with little: descriptors, room in files, streams."""
        words = self.command(self.dice.choice(("stop", "rm", "logs", "wait", "signal", "port")), self.name())
        setup = self.dice.choice(
            ["nofile=8", "nofile=16", "nofile=24", "fsize=100", "umask=777", "closed=1", "nproc=1"]
        )

        def do():
            self.judge(words, self.world.begin(words, setup=[setup]), alone=False)

        return f"{setup}: {' '.join(words)}", do

    def cut_short(self):
        """A command is killed on its way."""
        words = self.command(self.dice.choice(("start", "key", "stop", "restart", "rm")), self.name())
        after = self.dice.random() * 0.5

        def do():
            world = self.world
            hash_ = world.hash(words[-1])
            _, running = world.begin(words)
            procs.elapse(after)
            running.send(signal.SIGKILL)
            running.finish(10)
            if words[0] == "rm" and hash_ and not os.path.exists(world.store.log_path(hash_)):
                world.excuses.removals.append((running.began, time.monotonic(), words[-1]))
            checks.demand(b"Traceback" not in running.errors, running.shown())

        return f"killed after {after:.3f} s: {' '.join(self.shown(words))}", do

    def struck(self):
        """A fault while a command is under way."""
        verb = self.dice.choice(("start", "key", "stop", "restart", "restart", "rm"))
        words = self.command(verb, self.name())
        after = self.dice.random() * 0.4
        killers = (self.kill_supervisor, self.kill_guardian, self.kill_service, self.kill_server)
        make = self.dice.choices(killers, (2, 1, 1, 1))[0]
        said, fault = make()

        def do():
            begun = self.world.begin(words)
            procs.elapse(after)
            fault()
            self.judge(words, begun, alone=False)

        return f"{' '.join(self.shown(words))} & after {after:.3f} s {said}", do

    def touch(self):
        """A file that is watched changes."""
        return "touch src/file", lambda: self.world.devport.write("src/file", str(time.monotonic()))

    def socket(self):
        """A control socket is gone."""
        name = self.name()

        def do():
            hash_ = self.world.hash(name)
            if hash_:
                with contextlib.suppress(OSError):
                    os.unlink(self.world.store.socket_path(hash_))

        return f"unlink the socket of {name}", do

    def rest(self):
        """Time passes."""
        seconds = self.dice.choice([0.2, 0.7, 1.5])
        return f"{seconds} s", lambda: procs.elapse(seconds)

    # the foreground

    def front(self):
        """A run in the foreground: it begins, or something happens to it."""
        if not self.in_front:
            self.in_front = True
            some = self.dice.sample(self.names, self.dice.randint(0, len(self.names)))
            options = (["--keep-going"] if self.dice.random() < 0.6 else []) + (
                ["--no-prefix"] if self.dice.random() < 0.1 else []
            )
            terminal = self.dice.random() < 0.3
            words = ["start", "-t", "0.5", *options, *some]
            said = f"in front{' at a terminal' if terminal else ''}: {' '.join(words)}"
            alone = self.dice.random() < 0.6
            if alone:
                self.note("stop", *self.names)

            def do():
                if alone:
                    self.judge(["down"], self.world.begin(["down"]))
                self.world.run(words, terminal=terminal)

            return f"{'down; ' * alone}{said}", do
        what = self.dice.choice(
            [
                "stall",
                "go on",
                "INT",
                "TERM",
                "HUP",
                "INT twice",
                "QUIT",
                "kill supervisor",
                "kill guardian",
                "TSTP",
            ]
        )
        self.in_front = what in ("stall", "go on", "TSTP")
        return f"in front: {what}", lambda: self.happens(what)

    def happens(self, what):
        """`what` happens to the run in front."""
        run = self.world.foreground
        if run is None:
            return
        if what == "stall":
            self.world.stall()
        elif what == "go on":
            self.world.go_on()
        elif what == "TSTP":
            run.running.send(signal.SIGTSTP)
            procs.elapse(0.2)
            run.running.send(signal.SIGCONT)
        else:
            self.end_front(what, run)

    def end_front(self, what, run):
        """The run ends, whatever is said to it."""
        if what == "kill supervisor":
            self.world.kill(run.supervisor or run.running.pid)
        elif what == "kill guardian":
            if supervisor := run.supervisor:  # it ends at once, and need not say what it has not said yet
                self.world.excuses.kills.append(Kill(time.monotonic(), None, supervisor))
            procs.send(run.running.pid, signal.SIGKILL)
        else:
            number = getattr(signal, f"SIG{what.split()[0]}")
            run.running.send(number)
            if what.endswith("twice"):
                procs.elapse(procs.APART)
                run.running.send(number)
        self.world.ended_run()
        self.world.go_on()

    # the end

    def finish(self):
        """Everything is stopped and removed in an orderly way: then nothing at all is left."""
        world = self.world
        if world.foreground is not None:
            world.go_on()
            world.foreground.running.send(signal.SIGTERM)
            world.ended_run()
        if self.plant:
            self.prepare_plant()
            return
        known = sorted(world.hashes().values())
        if known:
            answer = world.call("stop", *known)
            checks.demand(answer.status == 0, f"the last stop: {answer}")
        checks.everything(world)
        left = sorted({*world.hashes().values(), *world.store.records().unreadable})
        if left:
            answer = world.call("rm", *left)
            checks.demand(answer.status == 0, f"the last rm: {answer}")
        checks.settled(self.nothing)

    def nothing(self):
        """No process, no record, no socket, no log."""
        world = self.world
        left = [one for one in procs.tree(world.tag) if not one.command.startswith("tmux")]
        checks.demand(not left, f"left: {left}")
        for folder in ("services", "run", "logs"):
            found = (
                sorted(os.listdir(world.devport.state / folder))
                if (world.devport.state / folder).exists()
                else []
            )
            # Drafts are swept after a minute, the sockets of killed runs when the next run begins.
            found = [name for name in found if ".json.tmp-" not in name and not name.startswith("fg-")]
            checks.demand(not found, f"left in {folder}: {found}")
        locks = world.devport.state / "locks"
        found = sorted(name for name in os.listdir(locks) if name.endswith(".lock")) if locks.exists() else []
        checks.demand(set(found) <= {"register.lock"}, f"left in locks: {found}")

    def prepare_plant(self):
        """A quiet world, in which one thing is wrong."""
        for key in KEYS:
            self.world.call("rm", key)
            self.world.call("start", "--no-tmux", "--key", key, "--", *kid(self.world, key, "every=0.02"))

    def planted(self):
        """Plant the fault: Fault if the checks do not see it."""
        checks.everything(self.world)
        PLANTS[self.plant](self.world)
        try:
            checks.everything(self.world, 1.0)
        except Fault as error:
            print(f"caught {self.plant}: {str(error)[:300]}", flush=True)
            return
        raise Fault(f"not caught: {self.plant}")
