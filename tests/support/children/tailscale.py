"""tailscale.py FOLDER WORD...: the program tailscale, as the files in FOLDER say; notes each call there."""

import json
import os
import signal
import sys


def path(name):
    return os.path.join(sys.argv[1], name)


def load(name, default):
    try:
        with open(path(name)) as file:
            return json.load(file)
    except FileNotFoundError:
        return default


def save(name, value):
    with open(path(name), "w") as file:
        json.dump(value, file)


words = sys.argv[2:]
records = {}
for name in load("watched.json", []):
    with open(name) as file:
        records[os.path.basename(name)] = json.load(file)
with open(path("calls"), "a") as file:
    file.write(json.dumps({"words": words, "environ": dict(os.environ), "records": records}) + "\n")
served = load("served.json", {})
behaviour = load("behaviour.json", {})
verb = " ".join(word for word in words[:2] if not word.startswith("-"))
wish = (behaviour.get(verb) or [{}])[0]
if len(behaviour.get(verb) or []) > 1:
    save("behaviour.json", {**behaviour, verb: behaviour[verb][1:]})
print(wish.get("out", ""), end="", flush=True)
print(wish.get("err", ""), end="", file=sys.stderr, flush=True)
while "endless" in wish:
    print("y" * 65536)
if "hang" in wish:
    while True:
        signal.pause()
if wish.get("status"):
    sys.exit(wish["status"])
if verb == "status" and "out" not in wish:
    print(json.dumps(load("status.json", None)))
elif verb == "serve":
    served[words[words.index("--service") + 1]] = words[-1]
    save("served.json", served)
elif verb == "serve clear":
    served.pop(words[-1], None)
    save("served.json", served)
elif verb == "serve status" and "out" not in wish:
    services = {
        name: {"TCP": {"443": {"HTTPS": True}}, "Web": {"x:443": {"Handlers": {"/": {"Proxy": target}}}}}
        for name, target in served.items()
    }
    print(json.dumps({"Services": services} if services else {}))
