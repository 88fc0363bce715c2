"""Random services: what they do, and what a file says of them. Everything comes from the dice."""

import json
import shlex

from drill.world import kid

NAMES = ("a", "b", "c", "d", "e")
KEYS = ("k1", "k2")


def traits(dice):
    """What a service does."""
    found = [f"every={dice.choice([0.02, 0.05, 0.2])}"] if dice.random() < 0.8 else []
    if dice.random() < 0.35:
        found.append(f"crash={dice.choice([0, 0, 0.05, 0.3, 1, 2])}:{dice.choice([0, 1, 1, 3, 42, 255])}")
    elif dice.random() < 0.1:
        found.append(f"kill={dice.choice([0.1, 1])}")
    if dice.random() < 0.2:
        found.append(f"flood={dice.choice([100, 1000, 4000])}")
    if dice.random() < 0.4:
        found.append(f"last={dice.choice([0, 10, 500])}")
    if dice.random() < 0.2:
        found.append(f"pad={dice.choice([80, 900])}")
    if dice.random() < 0.25:
        found.append("deaf")
    if dice.random() < 0.35:
        found.append(f"daemon={dice.choice(['setsid', 'double', 'group'])}")
    if dice.random() < 0.1:
        found.append(f"closes={dice.choice([0, 0.5])}")
    if dice.random() < 0.1:
        found.append(f"stops={dice.choice([0.1, 0.7])}")
    found += [word for word in ("prompt", "junk", "forks") if dice.random() < 0.12]
    return found


def entry(world, dice, name, others):
    """A service of a devport.yaml, which may wait for some of `others`."""
    does = traits(dice)
    made = {"stop": {"timeout": dice.choice([0.3, 0.6, 1.0])}}
    match dice.randrange(6):
        case 0:
            does.append(f"binds={dice.choice([0, 0.3])}")
            made["ready"] = {"tcp": None, **_limit(dice)}
        case 1:
            does.append(f"notify={dice.choice([0, 0.4])}")
            made["ready"] = {"notify": True, **_limit(dice)}
        case 2:
            made["ready"] = {"log": f"{name}:.*:3:", **_limit(dice)}
        case 3:
            made["ready"] = {
                "exec": dice.choice(["true", "test -e src/file", "sleep 5"]),
                "period": 0.5,
                **_limit(dice),
            }
        case 4:
            does.append("binds=0")
    if dice.random() < 0.6:
        made["restart"] = {
            "on": dice.choice(["always", "on-failure", "never"]),
            "max": dice.choice([0, 2, None]),
            "delay": dice.choice([0.05, 0.3, 2]),
            "max-delay": 2,
        }
    if others and dice.random() < 0.5:
        condition = dice.choice(["", "@started", "@ready", "@completed"])
        made["after"] = [f"{dice.choice(others)}{condition}"]
    if dice.random() < 0.2:
        made["watch"] = "src"
    if dice.random() < 0.15 and any(word.startswith("binds") for word in does):
        made["live"] = {"tcp": None, "period": 0.3, "failure-threshold": 2}
    if dice.random() < 0.15:
        made["pty"] = dice.random() < 0.5
    made["exec"] = "exec " + shlex.join(kid(world, name, *does))
    return made


def _limit(dice):
    # Without one a restart waits for a minute (devport/inventory/restart.py).
    return {"timeout": dice.choice([0.5, 2, 6])}


def project(world, dice):
    """A file: its name, its text, the names of its services, and those of its tasks."""
    names = sorted(dice.sample(NAMES, dice.randint(2, 5)))
    if dice.random() < 0.15:
        lines = [f"{name}: exec {shlex.join(kid(world, name, *traits(dice)))}\n" for name in names]
        return "Procfile", "".join(lines), names
    processes, others = {}, []
    for name in names:
        processes[name] = entry(world, dice, name, others)
        others.append(name)
    document = {"processes": processes}
    if dice.random() < 0.4:
        task = {
            "exec": "exec " + shlex.join(kid(world, "t", f"crash=0.1:{dice.choice([0, 0, 1])}", "last=3"))
        }
        document["tasks"] = {"t": task}
        if dice.random() < 0.7:
            name = dice.choice(names)
            processes[name]["after"] = ["t"]
    return "devport.yaml", json.dumps(document, indent=1) + "\n", names
