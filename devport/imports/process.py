"""One process of a process-compose.yaml: its keys, on their way into an entry of the draft."""

import os
import re
from collections.abc import Mapping
from typing import Any

from devport.imports import commands, words
from devport.imports.draft import Entry
from devport.imports.tree import Source
from devport.project.schema import HIGHEST_PORT

_RESTART = {"always": "always", "on_failure": "on-failure"}
_NEVER = {"no", "false", "off", "exit_on_failure"}
_PORTS = {"http": "80", "https": "443"}
_PROBE_TIMES = {
    "initial-delay": "initial_delay_seconds",
    "period": "period_seconds",
    "probe-timeout": "timeout_seconds",
    "failure-threshold": "failure_threshold",
}
_HIGHEST_SIGNAL = 31
_HIGHEST_STATUS = 255
_KEYS = ("command", "entrypoint")


def command(source: Source) -> commands.Command:
    """What the process runs: a script, or the words of `entrypoint`."""
    if not source.is_mapping:
        return commands.Command(missing=source.problem("a mapping"))
    return commands.read(source.at(_KEYS[0]), source.at(_KEYS[1]), _KEYS)


class Process:
    """One process, on its way from `source` into `entry`."""

    def __init__(self, entry: Entry, source: Source, top: Source, variables: Mapping[str, str]) -> None:
        self.entry, self.source, self.top = entry, source, top
        own = {name: value or "" for name, value, _ in source.at("vars").assignments()}
        self.variables = {**variables, **own}

    def read(self, found: commands.Command) -> None:
        """All keys, of which `found` is what it runs."""
        entry, at = self.entry, self.source.at
        at("extends").lose("merge the files first")
        self.shell()
        self.command(found)
        self.folder()
        self.values()
        if text := self.filled(at("description"), "description"):
            entry.keys["description"] = text
        # `is_disabled` beats `disabled`; it is a text, because a merge cannot override true with false.
        disabled, beats = at("disabled").flag(), at("is_disabled")
        if beats.flag() if beats.is_there else disabled:
            entry.keys["start"] = False
        entry.keys.update({"pty": True} if at("is_tty").flag() else {})
        entry.keys.update({"interactive": True} if at("is_interactive").flag() else {})
        if at("is_dotenv_disabled").flag():
            at("is_dotenv_disabled").lose("devport gives the project's .env to all")
        self.restart()
        self.probes()
        self.stop()
        self.watch()
        self.daemon()

    def shell(self) -> None:
        """The shell of the top."""
        shell = self.top.at("shell")
        if not shell.is_there:
            self.entry.keys["shell"] = "bash"
            return
        found = shell.at("shell_command").text() or "bash"
        if found not in {"sh", "/bin/sh"}:
            self.entry.keys["shell"] = found
        argument = shell.at("shell_argument")
        if (argument.text() or "-c") != "-c":
            argument.lose("a shell is called with -c")

    def command(self, found: commands.Command) -> None:
        """A script for the shell, or a command of words."""
        text, literal = found.script, self.source.at("is_template_disabled").flag()
        if found.words:
            self.entry.keys["exec"] = words.command(found.words, words.BRACES)
        else:
            text = text if literal else self.expanded("command", text)
            self.entry.keys["exec"] = self.script("command", text)

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
            self.entry.say(f"the template {one} in {key} is not carried over")
        return found

    def filled(self, source: Source, key: str, *, number: bool = False) -> str | None:
        """A text (or a `number`) that no shell sees; None where it cannot be known."""
        text = source.scalar() if number else source.text()
        if text is None:
            return None
        found = words.plain(self.expanded(key, text), words.BRACES)
        if found is None:
            source.lose("it has a variable")
        return found

    def folder(self) -> None:
        """`working_dir`, and the env file below it."""
        folder = self.filled(self.source.at("working_dir"), "working_dir")
        if folder:
            self.entry.keys["cwd"] = folder
        if file := self.filled(self.source.at("env_file"), "env_file"):
            self.entry.keys["env"] = [os.path.normpath(os.path.join(folder or "", file))]

    def values(self) -> None:
        """`environment` of the top and its own; a variable in a value is for its shell to replace."""
        given = [*self.top.at("environment").assignments(), *self.source.at("environment").assignments()]
        for name, (text, source) in {name: (text, source) for name, text, source in given}.items():
            value = self.expanded(f"environment: {name}", text or "")
            if (fixed := words.plain(value, words.BRACES)) is not None:
                self.entry.set(name, fixed, source)
            elif re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
                self.entry.before.append(f"export {name}={words.word(value, words.BRACES)}")
            else:
                source.lose("it has a variable")

    def restart(self) -> None:
        """`availability`."""
        given = self.source.at("availability")
        policy = given.at("restart")
        said = (policy.scalar() or "no").lower()
        codes = self.source.at("success_exit_codes")
        delay = max(1, given.at("backoff_seconds").count() or 1)
        most = given.at("max_restarts").count() or None
        if said not in _RESTART:
            if said == "exit_on_failure":
                policy.lose("exit_on_failure: nothing is restarted, and the rest goes on")
            elif said not in _NEVER:
                policy.lose(f"there is no such policy: {said}")
            self.entry.keys["restart"] = "never"
            for one in (codes, given.at("backoff_seconds"), given.at("max_restarts")):
                if one.is_there:
                    one.lose("nothing is restarted")
            return
        found: dict[str, Any] = {"on": _RESTART[said], "max": most, "delay": delay, "max-delay": delay}
        if success := self.statuses(codes):
            found["success"] = success
        self.entry.keys["restart"] = found

    @staticmethod
    def statuses(codes: Source) -> list[int]:
        """Exit statuses that are no failure."""
        found = []
        for one in codes.items() if codes.is_list else [codes]:
            status = one.count()
            if status is not None and status <= _HIGHEST_STATUS:
                found.append(status)
            elif status is not None:
                one.lose(f"{status} is no exit status")
        return found

    def probes(self) -> None:
        """`readiness_probe`, `liveness_probe` and `ready_log_line`."""
        waited = self.source.at("ready_log_line")
        if line := self.filled(waited, "ready_log_line"):
            self.entry.keys["ready"] = {"log": re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", line)}
        for key, other in (("ready", "readiness_probe"), ("live", "liveness_probe")):
            given = self.source.at(other)
            if not given.is_there:
                continue
            asked = self.asked(other, given)
            if asked is None:
                continue
            times: dict[str, float] = {}
            for name, theirs in _PROBE_TIMES.items():
                value = given.at(theirs).count()
                if value is not None and (value >= 1 or name == "initial-delay"):
                    times[name] = value
            if (given.at("success_threshold").count() or 1) > 1:
                given.at("success_threshold").lose("one success is enough, as it is there")
            if key in self.entry.keys:
                waited.lose(f"there is a {other}")
            self.entry.probe(key, asked, times)

    def asked(self, key: str, given: Source) -> dict[str, Any] | None:
        """What a probe does; None where it does nothing that devport does."""
        command = given.at("exec")
        if command.is_there and (text := command.at("command").text()):
            text = self.script(f"{key}: exec", self.expanded(key, text))
            folder = self.filled(command.at("working_dir"), f"{key}: working_dir")
            return {"exec": f"cd {words.word(folder, words.BRACES)} && {text}" if folder else text}
        http = given.at("http_get")
        if not http.is_mapping:
            is_empty = not command.is_there or command.at("command").text() == ""
            if given.is_mapping and not http.is_there and is_empty:
                given.lose("it does nothing")
            return None
        found = {
            one: self.filled(http.at(one), key, number=one == "port")
            for one in ("scheme", "host", "path", "port")
        }
        scheme = (found["scheme"] or "http").lower()
        host, path = found["host"] or "127.0.0.1", found["path"] or "/"
        port = found["port"] or _PORTS.get(scheme, "80")
        if not re.fullmatch(r"127\.[0-9.]+|localhost|::1", host) or scheme not in _PORTS:
            given.lose(f"it asks {scheme}://{host}:{port}, and devport asks this machine only")
            return None
        if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= HIGHEST_PORT:
            given.lose(f"{port} is no port")
            return None
        path = path if path.startswith("/") else f"/{path}"
        status = http.at("status_code").count() or 200
        get = {"port": int(port), "path": path, "scheme": scheme, "host": host, "status": status}
        usual = {"path": "/", "scheme": "http", "host": "127.0.0.1"}
        return {"http": {"get": {name: value for name, value in get.items() if usual.get(name) != value}}}

    def stop(self) -> None:
        """`shutdown`."""
        given = self.source.at("shutdown")
        found: dict[str, Any] = {}
        if text := given.at("command").text():
            found["exec"] = self.script("shutdown: command", text)
        number = given.at("signal").count()
        if number is not None and number > _HIGHEST_SIGNAL:
            given.at("signal").lose(f"{number} is no signal")
        elif number and number != 15:  # noqa: PLR2004 - what it sends else
            found["signal"] = number
        if timeout := given.at("timeout_seconds").count():
            found["timeout"] = timeout
        if given.at("parent_only").flag():
            given.at("parent_only").lose("the whole group gets the signal")
        if found:
            self.entry.keys["stop"] = found

    def watch(self) -> None:
        """`watch`: folders below the working directory."""
        given = self.source.at("watch")
        if not given.is_there:
            return
        paths, extensions, ignore = [], [], []
        folder = self.entry.keys.get("cwd", "")
        for item in given.at("paths").items():
            if not item.at("path").is_there:
                item.lose("there is no path")
                continue
            paths += [os.path.normpath(os.path.join(folder, path)) for path in item.at("path").texts()]
            ignore += item.at("exclude").texts()
            for pattern in item.at("include").texts():
                if match := re.fullmatch(r"(?:\*\*/)?\*\.([A-Za-z0-9_.-]+)", pattern):
                    extensions.append(match[1])
                else:
                    self.entry.say(f"watch: include: {pattern} is not carried over", item.line)
        if given.at("debounce").seconds() is not None:
            given.at("debounce").lose("devport has its own, until the last of several changes")
        further = {"extensions": extensions, "ignore": ignore}
        if paths:
            self.entry.keys["watch"] = {
                "paths": paths,
                **{name: list(dict.fromkeys(values)) for name, values in further.items() if values},
            }

    def daemon(self) -> None:
        """`is_daemon`: devport has to be able to see whether it is up."""
        given = self.source.at("is_daemon")
        if not given.flag():
            return
        ready, live = self.entry.keys.get("ready", {}), self.entry.keys.get("live", {})
        if "log" in ready or not (ready or live):
            given.lose("nothing says whether it is up (give it ready, then external: true)")
            return
        self.entry.keys["external"] = True
