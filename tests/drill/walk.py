"""A walk: python -m tests.drill.walk [--seed N] [--steps M] [--seconds S] [--least L] [--plant FAULT].

Every step is drawn from the seed alone, so a walk can be repeated; what devport and the kernel make of it
takes its own time. Prints the seed, the steps, and, in the end, what has been seen.
"""

import argparse
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import uuid

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent)]

from support import procs  # noqa: E402

from drill import checks, plants, steps  # noqa: E402
from drill.world import World  # noqa: E402

DISK = "32m"


def walk(seed, count, seconds, *, least=0, plant=None, only=None, folder, tag, own_disk):
    """One walk of `count` steps: how many were taken; Fault for what is wrong.

    After `seconds` it takes no more, but for the first `least`.
    """
    dice = random.Random(seed)
    world = World(folder, tag, windows=dice.random() < 0.6 and shutil.which("tmux") is not None)
    taken = steps.Steps(world, dice, own_disk=own_disk, plant=plant)
    if only:
        taken.table = [(weight, make) for weight, make in taken.table if make.__name__ in only]
    end = time.monotonic() + seconds
    try:
        number = 0
        while number < count and (number < least or time.monotonic() < end):
            number += 1
            what, do = taken.choose() if number > 2 else (taken.key if number == 1 else taken.detach)()
            print(f"{number:3} {what}", flush=True)
            do()
            checks.everything(world)
        print("    the end", flush=True)
        taken.finish()
        if plant:
            taken.planted()
    except AssertionError:
        print(world.said_in_windows(), flush=True)
        if keep := os.environ.get("DEVPORT_TEST_KEEP"):  # all that there is to look at
            for name in ("state/logs", "state/services", "project", "journals"):
                shutil.copytree(folder / name, f"{keep}/{seed}/{name}", dirs_exist_ok=True)
        raise
    else:
        world.journals.update()
        lives = world.journals.lives.values()
        print(
            f"seed {seed}: {number} steps, {len(world.said)} commands, {len(lives)} lives, "
            f"{sum(one.lines for one in lives)} lines",
            flush=True,
        )
        print("slowest answers: " + slowest(world.said), flush=True)
    finally:
        world.close()
    return number


def slowest(answers):
    """For each command the longest that it took."""
    found = {}
    for one in answers:
        found[one.words[0]] = max(found.get(one.words[0], 0.0), one.seconds)
    return ", ".join(f"{verb} {seconds:.1f} s" for verb, seconds in sorted(found.items()))


def main():
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--least", type=int, default=0, help="steps that are taken whatever --seconds says")
    parser.add_argument("--plant", choices=sorted(plants.PLANTS))
    parser.add_argument("--only", help="kinds of steps, joined by commas", default="")
    parser.add_argument("--disk", default=None, help=argparse.SUPPRESS)  # we are inside: a folder that is one
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    folder = options.disk or tempfile.mkdtemp(prefix="devport-walk-")
    if options.disk is None and os.geteuid() == 0 and _has_namespaces():
        os.mkdir(f"{folder}/state")
        words = [
            sys.executable,
            os.path.abspath(__file__),
            *sys.argv[1:],
            "--seed",
            str(seed),
            "--disk",
            folder,
        ]
        mount = 'mount -t tmpfs -o size=$0,mode=700 devport "$1/state" && shift && exec "$@"'
        os.environ.setdefault(procs.TAG, uuid.uuid4().hex)
        os.execvp("unshare", ["unshare", "--mount", "sh", "-c", mount, DISK, folder, *words])
    tag = os.environ.setdefault(procs.TAG, uuid.uuid4().hex)
    print(
        f"seed {seed}; again with: python -m tests.drill.walk --seed {seed} --steps {options.steps}",
        flush=True,
    )
    failed = False
    try:
        walk(
            seed,
            options.steps,
            options.seconds,
            least=options.least,
            plant=options.plant,
            only=options.only.split(",") if options.only else None,
            folder=pathlib.Path(folder),
            tag=tag,
            own_disk=options.disk is not None,
        )
    except AssertionError as error:
        print(f"seed {seed}: {type(error).__name__}: {error}", flush=True)
        failed = True
    finally:
        if options.disk is not None:
            subprocess.run(["umount", "--lazy", f"{folder}/state"], check=False)
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(failed)


def _has_namespaces():
    words = ["unshare", "--mount", "mount", "-t", "tmpfs", "devport", "/mnt"]
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    main()
