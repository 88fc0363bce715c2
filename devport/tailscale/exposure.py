"""Bringing a service to the tailnet, and back: what is asked of whom, and what is recorded when.

An exposure is recorded before it is made and forgotten only when it is gone, so there is never one that
nobody knows of. No lock is held while program or API are asked. `url` in the record says that it was
exposed from here; `tailnet` without it, that it is meant to be (or that hayeah/devport has exposed it).
"""

import os
import re
from typing import TYPE_CHECKING

from devport.errors import DevportError
from devport.registry.record import Record
from devport.registry.store import Store
from devport.tailscale.api import Api
from devport.tailscale.program import Device, Program

if TYPE_CHECKING:
    from devport.context import Context

CONSOLE = "https://login.tailscale.com/admin/services"
HOST_CHECKS = {
    "vite": "server.allowedHosts",
    "webpack": "devServer.allowedHosts",
    "django": "ALLOWED_HOSTS",
    "rails": "config.hosts",
}
"""Development servers that answer only hosts they know, and the setting that lists these."""
_WORDS = {"manage.py": "django", "webpack-dev-server": "webpack"}


class Taken(DevportError):  # noqa: N818 - the cause is said by the base class
    """The service's name in the tailnet is somebody else's."""


class Tailnet:
    """The tailnet of this machine, asked about itself at most once for a command line."""

    def __init__(self, context: "Context") -> None:
        self._context = context
        self._store = Store(context.state_dir, context.wall)
        self._found: tuple[Program, Device] | DevportError | None = None

    def up(self, record: Record, port: int | None) -> Record:
        """Expose `record`, which runs on `port`; returns the record as it is then.

        DevportError when it is not exposed, which leaves it running. What is left to do by hand is said
        on stderr.
        """
        if port is None or record.no_port:
            raise DevportError("it has no port")
        program, device = self._connect()
        name, url = service_name(record), f"https://{record.hashid}.{device.suffix}"
        if "url" not in record.extra:
            _check_target(program, name, port)
        api = self._define(record, device)
        exposed = self._note(record, url)
        try:
            program.serve(name, port)
        except DevportError as error:
            left = self._undo(program, record)
            raise DevportError(f"{error.message}{_untagged(device)}{left}") from error
        if api is not None:
            self._approve(api, record, device)
        if record.extra.get("url") != url:
            self._context.say(f"devport: hint: {host_hint(record, url)}")
        return exposed

    def down(self, record: Record, *, definition: bool) -> None:
        """Withdraw `record`; DevportError when it may still be exposed. With `definition`, ours goes too."""
        try:
            program = Program.find(self._context.environ)
            _clear(program, service_name(record))
        except DevportError as error:
            if "url" in record.extra:
                raise DevportError(
                    f"{error.message}; devport taildown --forget {record.label} if tailscale is gone for good"
                ) from error
            # It was only meant to be exposed, or another devport did it.
            self._warn(f"cannot see whether {record.label} is on the tailnet: {error.message}")
        else:
            if definition and "url" in record.extra:
                self._delete(record)
        self.forget(record)

    def forget(self, record: Record) -> None:
        """The record says that it is not on the tailnet."""
        self._store.update(record.hash, lambda old: old._replace(tailnet=False, extra=_without_url(old)))

    def _connect(self) -> tuple[Program, Device]:
        if self._found is None:
            try:
                program = Program.find(self._context.environ)
                self._found = program, program.device()
            except DevportError as error:
                self._found = error
        if isinstance(self._found, DevportError):  # it may have cost ten seconds; the next one hears the same
            raise DevportError(self._found.message)
        return self._found

    def _note(self, record: Record, url: str) -> Record:
        noted = self._store.update(
            record.hash, lambda old: old._replace(tailnet=True, extra={**old.extra, "url": url})
        )
        if noted is None:
            raise DevportError("it has just been removed")
        return noted

    def _undo(self, program: Program, before: Record) -> str:
        """Forget an exposure that certainly was not made; returns what to say of one that may have been."""
        if program.target(service_name(before)) != "":
            return f"; it may be exposed all the same: devport taildown {before.label} withdraws it"
        self._store.update(
            before.hash, lambda old: old._replace(tailnet=before.tailnet, extra=_without_url(old))
        )
        return ""

    def _define(self, record: Record, device: Device) -> Api | None:
        """The API, which now knows the service, or None; Taken if the name is another service's."""
        name = service_name(record)
        try:
            api = Api.of(self._context)
            if api is None:
                self._by_hand(record, "there is no TAILSCALE_API_KEY")
            elif not device.id:
                self._by_hand(record, "tailscale status does not name this device")
            else:
                found = api.definition(name)
                if found is None:
                    api.define(name, comment(record, device, self._context.environ.get("USER", "")))
                else:
                    self._check_owner(record, device, str(found.get("comment") or ""))
                return api
        except Taken:
            raise
        except DevportError as error:
            self._by_hand(record, error.message)
        return None

    def _check_owner(self, record: Record, device: Device, said: str) -> None:
        name = service_name(record)
        if not said.strip():
            self._warn(f"the definition of {name} does not say whose it is; it is used as it is")
        elif said.split()[:1] != [mark(record, device)]:
            raise Taken(
                f'{name} belongs to somebody else in this tailnet ("{said[:100]}");'
                f" give the service another key, or delete that definition at {CONSOLE}"
            )

    def _approve(self, api: Api, record: Record, device: Device) -> None:
        try:
            api.approve(service_name(record), device.id)
        except DevportError as error:
            self._by_hand(record, error.message)

    def _delete(self, record: Record) -> None:
        """The definition is gone if we have made it, and have a key."""
        name = service_name(record)
        try:
            if (api := Api.of(self._context)) is None:
                return
            _, device = self._connect()
            said = str((api.definition(name) or {}).get("comment") or "")
            if device.id and said.split()[:1] == [mark(record, device)]:
                api.delete(name)
        except DevportError as error:
            self._warn(f"{name} stays defined in the tailnet: {error.message}; delete it at {CONSOLE}")

    def _by_hand(self, record: Record, why: str) -> None:
        name = service_name(record)
        self._warn(
            f"cannot define and approve {name}: {why}; at {CONSOLE} define it with port tcp:443 and approve"
            f" this device, or try again later: devport tailup {record.label}"
        )

    def _warn(self, text: str) -> None:
        self._context.say(f"devport: warning: {text}")


def down(context: "Context", record: Record) -> None:
    """Withdraw `record`, which is about to be removed; DevportError when it may still be exposed."""
    try:
        Tailnet(context).down(record, definition=True)
    except DevportError as error:
        raise DevportError(f"it cannot be withdrawn from the tailnet: {error.message}") from error


def service_name(record: Record) -> str:
    """What the tailnet calls it."""
    return f"svc:{record.hashid}"


def mark(record: Record, device: Device) -> str:
    """The first word of our definitions' comments: a hashid alone may be many services' of a tailnet."""
    return f"devport:{device.id}/{os.getuid()}/{record.hash}"


def comment(record: Record, device: Device, user: str) -> str:
    """The comment of our definition: the mark, and for people what it is."""
    return " ".join(
        [mark(record, device), record.label, *([f"of {user}"] if user else []), f"on {device.name}"]
    )


def host_hint(record: Record, url: str) -> str:
    """What to do about a server that checks Host headers: this one, if it can be told, or any."""
    host = url.removeprefix("https://")
    words = {_WORDS.get(word, word) for word in re.split(r"[\s/]+", " ".join(record.cmd or ()))}
    settings = {server: setting for server, setting in HOST_CHECKS.items() if server in words} or HOST_CHECKS
    named = ", ".join(f"{server}: {setting}" for server, setting in settings.items())
    return f"if {record.label} checks Host headers, let it answer {host} ({named})"


def _check_target(program: Program, name: str, port: int) -> None:
    """Taken where this device answers for `name` with another port: another user of this machine's."""
    target = program.target(name)
    if target and not re.search(rf":{port}(\D|$)", target):
        raise Taken(
            f"{name} is served on this machine already, from {target}, by somebody else's service;"
            f" give this one another key, or withdraw that one: tailscale serve clear {name}"
        )


def _clear(program: Program, name: str) -> None:
    try:
        program.clear(name)
    except DevportError:
        if program.target(name) != "":  # it is there, or nobody can say
            raise


def _untagged(device: Device) -> str:
    return "" if device.tagged else "; this device has no tag, and only tagged ones can host a service"


def _without_url(record: Record) -> dict[str, object]:
    return {name: value for name, value in record.extra.items() if name != "url"}
