"""process-compose.yaml: what v1.122 of process-compose takes it for.

Its traps: `restart: no` is a word; a dependency without a condition (or with nothing at all) waits for the
end of the other; `${NAME}` is replaced in the whole text before it is YAML and `$$` is a dollar, `{{.NAME}}`
is a template; a command is bash's; `environment` is a list; numbers may be texts; replicas are counted from
0.
"""

import os
import re
from collections.abc import Mapping
from typing import Any

from devport.imports import tree, words
from devport.imports.draft import Draft, Entry
from devport.project.yaml_nodes import Node, Table

TOP = {"version", "name", "processes", "environment", "vars", "shell", "ordered_shutdown", "is_tui_disabled"}
KNOWN = {
    *("command", "entrypoint", "working_dir", "environment", "env_file", "vars", "description", "disabled"),
    *("is_disabled", "depends_on", "availability", "success_exit_codes", "readiness_probe", "liveness_probe"),
    *(
        "ready_log_line",
        "shutdown",
        "is_daemon",
        "is_tty",
        "is_interactive",
        "namespace",
        "replicas",
        "watch",
    ),
    *("is_template_disabled", "is_dotenv_disabled"),
}
CONDITIONS = {
    "process_started": "started",
    "process_healthy": "ready",
    "process_completed": "completed",
    "process_completed_successfully": "succeeded",
    "process_log_ready": "ready",
}
MOST = 100
"""Replicas that are written down one by one."""
_RESTART = {"always": "always", "on_failure": "on-failure"}
_NEVER = {"no", "false", "off", "exit_on_failure"}
_PORTS = {"http": "80", "https": "443"}
_PROBE_TIMES = {
    "initial-delay": "initial_delay_seconds",
    "period": "period_seconds",
    "probe-timeout": "timeout_seconds",
    "failure-threshold": "failure_threshold",
}


def draft(root: Table) -> Draft:
    """What `root` says."""
    made = Draft()
    top = tree.pairs(root)
    for key in tree.rest(top, TOP):
        made.lose(key, "merge the files first" if key == "extends" else "")
    variables = {name: value or "" for name, value in tree.assignments(top.get("vars"))}
    processes = {name: tree.pairs(node) for name, node in tree.pairs(top.get("processes")).items()}
    instances = {name: _instances(name, keys) for name, keys in processes.items()}
    made.reserve(instance for names in instances.values() for instance in names)
    for name, keys in processes.items():
        for number, instance in enumerate(instances[name]):
            entry = made.entry(instance)
            known = {**variables, "PC_REPLICA_NUM": str(number)}
            _Process(entry, keys, top, known).read()
            _depends_on(made, entry, keys, instances)
            for group in tree.texts(keys.get("namespace")):
                if group != "default":
                    made.groups.setdefault(group, []).append(entry.name)
    return made


def _instances(name: str, keys: Mapping[str, Node]) -> list[str]:
    """What its replicas are called: NAME, or NAME-0, NAME-1..."""
    number = min(tree.count(keys.get("replicas")) or 1, MOST)
    width = len(str(number))
    return [name] if number == 1 else [f"{name}-{n:0{width}d}" for n in range(number)]


def _depends_on(
    made: Draft, entry: Entry, keys: Mapping[str, Node], instances: Mapping[str, list[str]]
) -> None:
    for name, node in tree.pairs(keys.get("depends_on")).items():
        said = tree.text(tree.pairs(node).get("condition"))
        if said is None:
            entry.say(f"waits for the end of {name}: depends_on without a condition means process_completed")
        elif said not in CONDITIONS:
            entry.lose("depends_on", f"there is no condition {said}")
            continue
        for instance in instances.get(name, [name]):
            entry.after[made.name(instance)] = CONDITIONS.get(said or "", "completed")


class _Process:
    """One process, on its way into `entry`."""

    def __init__(
        self, entry: Entry, keys: Mapping[str, Node], top: Mapping[str, Node], variables: Mapping[str, str]
    ) -> None:
        self.entry, self.keys, self.top = entry, keys, top
        own = {name: value or "" for name, value in tree.assignments(keys.get("vars"))}
        self.variables = {**variables, **own}
        self.shell = tree.text(tree.pairs(top.get("shell")).get("shell_command")) or "bash"

    def read(self) -> None:
        """All keys."""
        entry, keys = self.entry, self.keys
        for key in tree.rest(keys, KNOWN):
            entry.lose(key)
        if self.shell not in {"sh", "/bin/sh"}:
            entry.keys["shell"] = self.shell
        self.command()
        self.folder()
        self.values()
        if found := self.filled("description", keys.get("description")):
            entry.keys["description"] = found
        # `is_disabled` beats `disabled`; it is a text, because a merge cannot override true with false.
        if tree.flag(keys.get("is_disabled") or keys.get("disabled")):
            entry.keys["start"] = False
        entry.keys.update({"pty": True} if tree.flag(keys.get("is_tty")) else {})
        entry.keys.update({"interactive": True} if tree.flag(keys.get("is_interactive")) else {})
        self.restart()
        self.probes()
        self.stop()
        self.watch()
        self.daemon()

    def command(self) -> None:
        """`command` for the shell, or the words of `entrypoint`."""
        entry, text = self.entry, tree.text(self.keys.get("command"))
        if text is not None and text.strip():
            if not tree.flag(self.keys.get("is_template_disabled")):
                text = self.expanded("command", text)
            entry.keys["exec"] = self.script("command", text)
        elif found := tree.texts(self.keys.get("entrypoint")):
            entry.keys["exec"] = words.command(found, words.BRACES)
        else:
            entry.keys["exec"] = "true"
            entry.say("has no command")

    def script(self, key: str, text: str) -> str:
        """`text` for a shell that replaces variables itself."""
        if inner := [part for is_variable, part in words.parts(text, words.BRACES) if is_variable]:
            names = ", ".join(f"${{{one}}}" for one in dict.fromkeys(inner))
            self.entry.say(f"{key}: {names} is replaced by its shell, when it starts")
        return words.script(text)

    def expanded(self, key: str, text: str) -> str:
        """`text` without templates."""
        found, left = words.templates(text, self.variables)
        for one in left:
            self.entry.lose(f"the template {one} in {key}")
        return found

    def filled(self, key: str, node: Node | None) -> str | None:
        """A text that no shell sees; None where it cannot be known."""
        text = tree.text(node)
        if text is None:
            return None
        found = words.plain(self.expanded(key, text), words.BRACES)
        if found is None:
            self.entry.lose(key, "it has a variable")
        return found

    def folder(self) -> None:
        """`working_dir`, and the env file below it."""
        folder = self.filled("working_dir", self.keys.get("working_dir"))
        if folder:
            self.entry.keys["cwd"] = folder
        if file := self.filled("env_file", self.keys.get("env_file")):
            self.entry.keys["env"] = [os.path.normpath(os.path.join(folder or "", file))]

    def values(self) -> None:
        """`environment` of the top and its own; a variable in a value is for its shell to replace."""
        found = dict(tree.assignments(self.top.get("environment")))
        found.update(tree.assignments(self.keys.get("environment")))
        for name, text in found.items():
            value = self.expanded(f"environment: {name}", text or "")
            if (fixed := words.plain(value, words.BRACES)) is not None:
                self.entry.environment[name] = fixed
            elif re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
                self.entry.before.append(f"export {name}={words.word(value, words.BRACES)}")
            else:
                self.entry.lose(f"environment: {name}", "it has a variable")

    def restart(self) -> None:
        """`availability`."""
        given = tree.pairs(self.keys.get("availability"))
        said = (tree.text(given.get("restart")) or "no").lower()
        for key in tree.rest(given, {"restart", "backoff_seconds", "max_restarts"}):
            self.entry.lose(f"availability: {key}")
        if said == "exit_on_failure":
            self.entry.lose(
                "availability: restart: exit_on_failure", "nothing is restarted, and the rest goes on"
            )
        if said not in _RESTART:
            if said not in _NEVER:
                self.entry.lose(f"availability: restart: {said}", "there is no such policy")
            self.entry.keys["restart"] = "never"
            return
        delay = max(1, tree.count(given.get("backoff_seconds")) or 1)
        policy: dict[str, Any] = {
            "on": _RESTART[said],
            "max": tree.count(given.get("max_restarts")) or None,
            "delay": delay,
            "max-delay": delay,
        }
        if codes := [
            int(code) for code in tree.texts(self.keys.get("success_exit_codes")) if code.isdecimal()
        ]:
            policy["success"] = codes
        self.entry.keys["restart"] = policy

    def probes(self) -> None:
        """`readiness_probe`, `liveness_probe` and `ready_log_line`."""
        if line := self.filled("ready_log_line", self.keys.get("ready_log_line")):
            self.entry.keys["ready"] = {"log": re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", line)}
        for key, other in (("ready", "readiness_probe"), ("live", "liveness_probe")):
            given = tree.pairs(self.keys.get(other))
            asked = self.asked(other, given)
            if asked is None:
                continue
            times: dict[str, float] = {}
            for name, theirs in _PROBE_TIMES.items():
                value = tree.count(given.get(theirs))
                if value is not None and (value >= 1 or name == "initial-delay"):
                    times[name] = value
            self.entry.probe(key, asked, times)

    def asked(self, key: str, given: Mapping[str, Node]) -> dict[str, Any] | None:
        """What a probe does; None where it does nothing that devport does."""
        command = tree.pairs(given.get("exec"))
        if text := tree.text(command.get("command")):
            text = self.script(f"{key}: exec", self.expanded(key, text))
            folder = self.filled(f"{key}: working_dir", command.get("working_dir"))
            return {"exec": f"cd {words.word(folder, words.BRACES)} && {text}" if folder else text}
        http = tree.pairs(given.get("http_get"))
        if not http:
            return None
        found = {
            name: self.filled(f"{key}: {name}", node) for name, node in http.items() if name != "headers"
        }
        if "headers" in http:
            self.entry.lose(f"{key}: http_get: headers")
        scheme = (found.get("scheme") or "http").lower()
        host, path = found.get("host") or "127.0.0.1", found.get("path") or "/"
        port = found.get("port") or _PORTS.get(scheme, "80")
        if (
            not re.fullmatch(r"127\.[0-9.]+|localhost|::1", host)
            or not port.isdecimal()
            or scheme not in _PORTS
        ):
            self.entry.lose(key, f"it asks {scheme}://{host}:{port}, and devport asks this machine only")
            return None
        path = path if path.startswith("/") else f"/{path}"
        status = tree.count(http.get("status_code")) or 200
        get = {"port": int(port), "path": path, "scheme": scheme, "host": host, "status": status}
        usual = {"path": "/", "scheme": "http", "host": "127.0.0.1"}
        return {"http": {"get": {name: value for name, value in get.items() if usual.get(name) != value}}}

    def stop(self) -> None:
        """`shutdown`."""
        given = tree.pairs(self.keys.get("shutdown"))
        found: dict[str, Any] = {}
        if text := tree.text(given.get("command")):
            found["exec"] = self.script("shutdown: command", text)
        number = tree.count(given.get("signal"))
        if number is not None and number != 15 and 1 <= number <= 31:  # noqa: PLR2004 - what it sends else
            found["signal"] = number
        if (timeout := tree.count(given.get("timeout_seconds"))) is not None and timeout > 0:
            found["timeout"] = timeout
        for key in tree.rest(given, {"command", "signal", "timeout_seconds", "parent_only"}):
            self.entry.lose(f"shutdown: {key}")
        if tree.flag(given.get("parent_only")):
            self.entry.lose("shutdown: parent_only", "the whole group gets the signal")
        if found:
            self.entry.keys["stop"] = found

    def watch(self) -> None:
        """`watch`: folders below the working directory."""
        given = tree.pairs(self.keys.get("watch"))
        paths, extensions, ignore = [], [], []
        folder = self.entry.keys.get("cwd", "")
        for item in getattr(given.get("paths"), "items", ()):
            one = tree.pairs(item)
            paths += [os.path.normpath(os.path.join(folder, path)) for path in tree.texts(one.get("path"))]
            ignore += tree.texts(one.get("exclude"))
            for pattern in tree.texts(one.get("include")):
                if match := re.fullmatch(r"(?:\*\*/)?\*\.([A-Za-z0-9_.-]+)", pattern):
                    extensions.append(match[1])
                else:
                    self.entry.lose(f"watch: include: {pattern}")
        for key in tree.rest(given, {"paths", "debounce"}):
            self.entry.lose(f"watch: {key}")
        further = {"extensions": extensions, "ignore": ignore}
        if paths:
            self.entry.keys["watch"] = {
                "paths": paths,
                **{name: list(dict.fromkeys(values)) for name, values in further.items() if values},
            }

    def daemon(self) -> None:
        """`is_daemon`: devport has to be able to see whether it is up."""
        if not tree.flag(self.keys.get("is_daemon")):
            return
        ready, live = self.entry.keys.get("ready", {}), self.entry.keys.get("live", {})
        if "log" in ready or not (ready or live):
            self.entry.lose("is_daemon", "nothing says whether it is up (give it ready, then external: true)")
            return
        self.entry.keys["external"] = True
