"""Tailscale's API, as far as services need it: read, define, approve and delete one.

Knows HTTP and the key, which leaves this module in one header and nowhere else: not to another host,
not over an unprotected line, not in a message. Nothing of records.
"""

import http.client
import json
import os
import re
import ssl
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

from devport.encoding import decode
from devport.errors import DevportError
from devport.registry import files

if TYPE_CHECKING:
    from devport.context import Context

BASE = "https://api.tailscale.com"
PATIENCE = 10.0
"""Seconds for one request, whatever it waits for: a name server, a connection, a byte at a time."""
LIMIT = 256 << 10
SHOWN = 200
LONGEST_KEY = 4096
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Answer(NamedTuple):
    """What the server said."""

    status: int
    body: bytes

    @property
    def good(self) -> bool:
        """Whether it did what was asked."""
        return self.status // 100 == 2  # noqa: PLR2004 - HTTP's way to say yes

    @property
    def fields(self) -> dict[str, object]:
        """The JSON object that it sent; empty for anything else."""
        try:
            found = json.loads(decode(self.body))
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


class Api:
    """The API at `base`, asked with `key`; DevportError for a base that must not see one."""

    def __init__(self, base: str, key: str, patience: float = PATIENCE) -> None:
        self._key, self._patience = key, patience
        try:
            parts = urlsplit(base)
            self.host, self._port = parts.hostname or "", parts.port
        except ValueError as error:
            raise DevportError("cannot use DEVPORT_TAILSCALE_API: it is no address") from error
        if not self.host or parts.username is not None or parts.query or parts.fragment:
            raise DevportError("cannot use DEVPORT_TAILSCALE_API: it is no address")
        self._secure = parts.scheme == "https"
        if not self._secure and not (parts.scheme == "http" and self.host in _LOOPBACK):
            raise DevportError("cannot use DEVPORT_TAILSCALE_API: the key may go over https only")
        self._path = parts.path.rstrip("/") + "/api/v2/tailnet/-/services/"

    @classmethod
    def of(cls, context: "Context") -> "Api | None":
        """The API as the environment has it; None without a key. DevportError for one that cannot be used."""
        key = _key(context)
        return None if key is None else cls(context.environ.get("DEVPORT_TAILSCALE_API") or BASE, key)

    def definition(self, name: str) -> dict[str, object] | None:
        """What the tailnet knows of service `name`; None if nobody has defined it."""
        answer = self._call("GET", name)
        if answer.status == http.HTTPStatus.NOT_FOUND:
            return None
        found = self._good(answer).fields
        if found.get("name") != name:
            raise DevportError(f"{self.host}: its answer is no service")
        return found

    def define(self, name: str, comment: str) -> None:
        """A new service `name`. Tailscale refuses to replace one that has come into being meanwhile."""
        self._good(self._call("PUT", name, {"name": name, "ports": ["tcp:443"], "comment": comment}))

    def approve(self, name: str, device: str) -> None:
        """`device` may answer for service `name`."""
        self._good(self._call("POST", f"{name}/device/{device}/approved", {"approved": True}))

    def delete(self, name: str) -> None:
        """There is no service `name` any more."""
        answer = self._call("DELETE", name)
        if answer.status != http.HTTPStatus.NOT_FOUND:
            self._good(answer)

    def _good(self, answer: Answer) -> Answer:
        if answer.good:
            return answer
        said = answer.fields.get("message")
        told = f": {self._shown(said)}" if isinstance(said, str) and said else ""
        what = f"HTTP {answer.status}{told}"
        if answer.status in {http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN}:
            what = f"the key was refused ({what})"
        elif answer.status // 100 == 3:  # noqa: PLR2004
            what = f"it redirects (HTTP {answer.status}), which is not followed"
        raise DevportError(f"{self.host}: {what}")

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Answer:
        """One request, in a thread: a name server and a slow server heed no timeout of a socket."""
        answers: list[Answer] = []
        errors: list[Exception] = []

        def exchange() -> None:
            try:
                answers.append(self._exchange(method, path, body))
            except (OSError, http.client.HTTPException, ValueError) as error:
                errors.append(error)

        thread = threading.Thread(target=exchange, daemon=True)
        thread.start()
        thread.join(self._patience)
        if answers:
            return answers[0]
        if not errors or isinstance(errors[0], TimeoutError):
            raise DevportError(f"{self.host}: no answer within {self._patience:g} s")
        # Not `from` it: its text may hold what was sent.
        raise DevportError(f"{self.host}: {self._reason(errors[0])}") from None

    def _exchange(self, method: str, path: str, body: Mapping[str, object] | None) -> Answer:
        connection = self._connection()
        try:
            headers = {
                "Authorization": f"Bearer {self._key}",
                "Accept": "application/json",
                "Content-Type": "application/json",
            }
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, self._path + quote(path, safe=":/"), data, headers)
            response = connection.getresponse()
            try:
                content = response.read(LIMIT + 1)
            finally:
                response.close()
        finally:
            connection.close()
        if len(content) > LIMIT:
            raise ValueError("its answer is too long")
        return Answer(response.status, content)

    def _connection(self) -> http.client.HTTPConnection:
        if not self._secure:
            return http.client.HTTPConnection(self.host, self._port, timeout=self._patience)
        trusted = ssl.create_default_context()
        return http.client.HTTPSConnection(self.host, self._port, timeout=self._patience, context=trusted)

    def _reason(self, error: Exception) -> str:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {error.verify_message}"
        if isinstance(error, http.client.HTTPException):
            return f"it does not speak HTTP ({type(error).__name__})"
        return self._shown((isinstance(error, OSError) and error.strerror) or str(error))

    def _shown(self, text: str) -> str:
        """`text` from outside, for a message: short, and without the key, should it have been sent back."""
        return " ".join(text.replace(self._key, "...").split())[:SHOWN]


def _key(context: "Context") -> str | None:
    """The key: in the file that DEVPORT_TAILSCALE_KEY_FILE names, else TAILSCALE_API_KEY."""
    if name := context.environ.get("DEVPORT_TAILSCALE_KEY_FILE"):
        where, key = "DEVPORT_TAILSCALE_KEY_FILE", _read(context.path(name))
    else:
        where, key = "TAILSCALE_API_KEY", context.environ.get("TAILSCALE_API_KEY", "").strip()
        if not key:
            return None
    # What else a header cannot hold would be quoted by the library's error.
    if not re.fullmatch(r"[!-~]+", key):
        raise DevportError(f"cannot use {where}: it holds no key")
    return key


def _read(path: str) -> str:
    try:
        descriptor = files.open_own(path, os.O_RDONLY)
        try:
            if os.fstat(descriptor).st_mode & files.OTHERS:
                raise DevportError(f"cannot use {path}: others may read the key in it; chmod 600 {path}")
            return decode(files.read_all(descriptor, LONGEST_KEY)).strip()
        finally:
            os.close(descriptor)
    except OSError as error:
        raise files.failed("read", path, error) from error
