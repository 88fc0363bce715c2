"""A second telling of one service's life, to hold devport/engine/lifecycle.py against.

Written from docs/lifecycle.md, docs/devport-yaml.md (`restart`, `external`) and docs/decisions/010, and not
from the code. It has no table of states: it keeps facts (what of the tree lives, why it is ending, since when
it is up) and tells the state from them, and it counts restarts by looking back at a list of them.
"""

from devport.engine.lifecycle import Action, Kind, State

SIGKILL, PATIENCE = 9, 3.0  # seconds after SIGKILL until it is given up
ASKED, ENDED, FAULT = "asked", "ended", "fault"  # why a life is ending

NOTHING, SPAWNING, RUNS, LEFT, UP_ALONE = "nothing", "spawning", "runs", "left", "up alone"
"""What of its tree there is: the spawn is asked for; the process; only others; what an `external` brought."""


def words(status):
    """An end, as a fault has it."""
    return f"killed by signal {-status}" if status < 0 else f"exited with status {status}"


class Model:
    """As Lifecycle: the same arguments, events and actions."""

    def __init__(self, restart, stop_signal, grace, *, probed, start_timeout, blocked, external):
        self.policy, self.stop_signal, self.grace = restart, stop_signal, grace
        self.probed, self.start_timeout, self.external = probed, start_timeout, external
        self.blocked, self.hopeless, self.needs = blocked, "", ""
        self.tree, self.rest = NOTHING, State.STOPPED
        self.ending, self.killed, self.up_since = None, False, None
        self.wanted, self.due = False, None
        self.restarts, self.failures = [], 0  # when, since they count; how many the delay knows of
        self.fault = self.unready = ""
        self.status, self.begun, self.was_ready = None, False, False
        self.rules = {
            Kind.UP: self.up,
            Kind.RESTART: self.up,
            Kind.DOWN: self.down,
            Kind.MET: self.dependency,
            Kind.LOST: self.dependency,
            Kind.SPAWNED: self.spawned,
            Kind.SPAWN_FAILED: self.spawn_failed,
            Kind.READY: self.ready,
            Kind.UNREADY: self.not_ready,
            Kind.UNHEALTHY: self.unhealthy,
            Kind.EXTENDED: self.extended,
            Kind.EXITED: self.exited,
            Kind.GONE: self.gone,
            Kind.TIMEOUT: self.timeout,
        }

    @property
    def state(self):
        """What is."""
        if self.tree is NOTHING:
            return self.rest
        if self.ending is not None:
            return State.KILLING if self.killed else State.STOPPING
        return State.STARTING if self.up_since is None else State.READY

    @property
    def lives(self):
        """Something of it is there, and nobody has asked for its end."""
        return self.tree is not NOTHING and self.ending is None

    def handle(self, event, now):
        """Take `event`; what is to be done."""
        return self.rules[event.kind](event, now)

    # wishes

    def up(self, event, now):
        """A start, a restart."""
        self.wanted = True
        if self.tree is NOTHING:
            if self.rest is State.WAITING:
                return []
            self.restarts, self.failures = [], 0
            self.begun &= self.rest is State.BACKOFF
            return self.begin()
        if self.ending is not None:
            self.ending = ASKED
            return []
        return self.end(ASKED, now) if event.kind is Kind.RESTART else []

    def down(self, _event, now):
        """A stop; the second one kills."""
        second, self.wanted = not self.wanted, False
        if self.lives:
            return self.end(ASKED, now)
        if self.tree is not NOTHING:
            return self.kill(now) if second and not self.killed else []
        if self.rest in (State.WAITING, State.BACKOFF):
            self.rest, self.due = State.STOPPED, None
        return []

    def dependency(self, event, _now):
        """What it needs is there, or is not (yet, or ever)."""
        self.blocked, self.hopeless, self.needs = event.kind is Kind.LOST, event.reason, event.needs
        return self.begin() if self.tree is NOTHING and self.rest is State.WAITING else []

    # facts

    def spawned(self, _event, now):
        """It executes."""
        if self.tree is not SPAWNING:
            return []
        self.tree = RUNS
        if self.lives:
            self.begun, self.status = True, None
            if not self.probed and not self.external:
                self.is_up(now)
            elif self.start_timeout is not None:
                self.due = now + self.start_timeout
        return []

    def spawn_failed(self, event, now):
        """It cannot be executed."""
        if self.tree is not SPAWNING:
            return []
        self.fault, self.status = event.reason, event.status
        return self.settle(self.ending or FAULT, now)

    def ready(self, _event, now):
        """It says that it is ready, or a probe does."""
        if self.lives and self.up_since is None:
            self.is_up(now)
        return []

    def not_ready(self, event, now):
        """A probe finds it not ready, or no longer."""
        if not self.lives:
            return []
        if self.external and self.up_since is not None:
            return self.unhealthy(event, now)
        self.look_back(now)
        self.up_since, self.unready = None, event.reason
        return []

    def unhealthy(self, event, now):
        """It has to be ended."""
        if not self.lives:
            return []
        self.fault = event.reason
        return self.end(FAULT, now, event.status)

    def extended(self, event, now):
        """It takes longer: no deadline comes earlier by this, and SIGKILL waits for nobody."""
        if self.due is not None and self.tree is not NOTHING and not self.killed:
            self.due = max(self.due, now + event.seconds)
        return []

    def exited(self, event, now):
        """Its process is gone."""
        if self.tree is not RUNS:
            return []
        if self.external and not event.leftovers:
            return self.brought_up(event, now)
        self.status = event.status
        why = self.ending or ENDED
        if self.lives:
            self.look_back(now)
            self.fault = "" if event.status in self.policy.success else words(event.status)
        if not event.leftovers:
            return self.settle(why, now)
        was_ending, self.tree = not self.lives, LEFT
        return [] if was_ending else self.end(why, now)

    def brought_up(self, event, now):
        """The command of an `external` service has ended."""
        self.tree = UP_ALONE
        if self.lives and event.status in self.policy.success:
            if not self.probed and self.up_since is None:
                self.is_up(now)
            return []
        if self.ending is not None and not self.killed:
            return [Action(self.stop_signal)]
        if self.lives:
            self.fault = words(event.status)
        self.status = event.status
        return self.end(self.ending or ENDED, now)

    def gone(self, _event, now):
        """The tree is empty."""
        return [] if self.ending is None else self.settle(self.ending, now)

    def timeout(self, _event, now):
        """Time has passed."""
        if self.due is None or now < self.due:
            return []
        match self.state:
            case State.STARTING:
                self.fault = f"not ready after {self.start_timeout:g} s"
                self.fault += f": {self.unready}" if self.unready else ""
                return self.end(FAULT, now)
            case State.STOPPING:
                return self.kill(now)
            case State.BACKOFF:
                return self.begin()
        assert self.state is State.KILLING
        self.tree, self.ending, self.killed = NOTHING, None, False
        self.fault, self.rest, self.due = "still running after SIGKILL", State.FAILED, None
        return []

    # what follows

    def is_up(self, now):
        """From now on it is ready."""
        self.up_since, self.was_ready, self.due = now, True, None
        self.fault = self.unready = ""

    def look_back(self, now):
        """It is up no longer; `reset_after` seconds make up for what was before."""
        if self.up_since is not None and now - self.up_since >= self.policy.reset_after:
            self.failures = 0
            if self.policy.window is None:
                self.restarts = []

    def begin(self):
        """A new life, unless it has to wait for one."""
        self.due = None
        if self.blocked:
            self.fault = self.hopeless or self.fault
            self.rest = State.FAILED if self.hopeless else State.WAITING
            return []
        self.tree, self.ending, self.up_since = SPAWNING, None, None
        self.unready, self.was_ready = "", False
        return [Action()]

    def end(self, why, now, number=0):
        """End what lives."""
        self.look_back(now)
        self.ending, self.killed, self.up_since, self.due = why, False, None, now + self.grace
        return [Action(number or self.stop_signal)]

    def kill(self, now):
        """It had its time."""
        self.killed, self.due = True, now + PATIENCE
        return [Action(SIGKILL)]

    def settle(self, why, now):
        """Nothing of it lives any more."""
        self.tree, self.ending, self.killed, self.up_since, self.due = NOTHING, None, False, None, None
        policy = self.policy
        if not self.wanted:
            self.rest = State.STOPPED
        elif why is ASKED:
            return self.begin()
        elif policy.on == "never" or (
            policy.on == "on_failure" and why is ENDED and self.status in policy.success
        ):
            self.rest = State.FAILED if why is FAULT else State.EXITED
        else:
            self.again(now)
        return []

    def again(self, now):
        """It is to be started again by itself, if that has not been too often."""
        most, window = self.policy.max, self.policy.window
        counted = [when for when in self.restarts if window is None or when > now - window]
        if most is not None and len(counted) >= most:
            self.rest = State.FAILED
            self.fault = self.fault or words(self.status)
            self.fault += f"; given up after {most} restart{'' if most == 1 else 's'}"
            return
        if most is not None:
            self.restarts = [*counted, now]
        self.rest = State.BACKOFF
        # No delay needs more doublings than this to come to the greatest, and no float is that long.
        self.due = now + min(self.policy.max_delay, self.policy.delay * 2 ** min(self.failures, 60))
        self.failures += 1
