"""The program tailscale: found once, run without our secrets, for a limited time and a limited output.

Knows its words and what it prints; nothing of records and of the API. What it prints is not trusted.
"""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from typing import IO, NamedTuple

from devport.encoding import decode, encode
from devport.errors import DevportError
from devport.project.environment import INTERNAL

PATIENCE = 10.0
LIMIT = 16 << 20  # a large tailnet's status is some megabytes
SHOWN = 300
"""Characters of what it said that a message has room for."""
ATTEMPTS = 5
_BUSY = "another client is changing"  # two changes of the serve configuration at once: one is refused
_SUFFIX = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"
_ID = r"[A-Za-z0-9_-]{1,64}"


class Device(NamedTuple):
    """A machine in its tailnet: `suffix` ends all names (`tail1234.ts.net`), `id` is for the API."""

    id: str
    name: str
    suffix: str
    tagged: bool


class Program:
    """tailscale at `path`; no call of it takes longer than `patience` seconds."""

    def __init__(self, path: str, environ: Mapping[str, str], patience: float = PATIENCE) -> None:
        self.path, self._patience = path, patience
        self._environ = {
            encode(name): encode(value) for name, value in environ.items() if name not in INTERNAL
        }

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> "Program":
        """The one on PATH; a relative folder there does not count, whatever lies in it."""
        folders = [one for one in environ.get("PATH", "").split(os.pathsep) if one.startswith("/")]
        path = shutil.which("tailscale", path=os.pathsep.join(folders))
        if path is None:
            raise DevportError("tailscale is not installed, or not on PATH")
        return cls(path, environ)

    def device(self) -> Device:
        """The machine we are on; DevportError where it is not connected to a tailnet that has names."""
        status = _object(self._run("status", "--json"), "tailscale status")
        state = _text(status, "BackendState")
        if state not in {"", "Running"}:
            raise DevportError(f"tailscale is not connected ({state[:SHOWN]}): see tailscale status")
        name = _text(status, "Self", "DNSName")
        suffix = (
            _text(status, "MagicDNSSuffix")
            or _text(status, "CurrentTailnet", "MagicDNSSuffix")
            or name.partition(".")[2]
        ).strip(".")
        if not re.fullmatch(_SUFFIX, suffix):
            raise DevportError("tailscale status names no MagicDNS suffix: is MagicDNS switched off?")
        identity = _text(status, "Self", "ID")
        own = status.get("Self")
        tagged = isinstance(own, dict) and bool(own.get("Tags"))
        return Device(
            identity if re.fullmatch(_ID, identity) else "", name.partition(".")[0][:63], suffix, tagged
        )

    def serve(self, name: str, port: int) -> None:
        """From now on `name` is answered by what listens on `port`."""
        self._insist("serve", "--service", name, f"http://localhost:{port}")

    def clear(self, name: str) -> None:
        """Nothing here answers for `name` any more."""
        self._insist("serve", "clear", name)

    def target(self, name: str) -> str | None:
        """Where this device sends what comes for `name`: empty for nowhere, None when it does not say."""
        try:
            config = _object(self._run("serve", "status", "--json"), "tailscale serve status")
        except DevportError:
            return None
        services = config.get("Services") or {}
        if not isinstance(services, dict):
            return None
        if name not in services:
            return ""
        return ", ".join(sorted(set(_targets(services[name]))))[:SHOWN] or "something"

    def _insist(self, *words: str) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._run(*words)
            except DevportError as error:
                if attempt == ATTEMPTS or _BUSY not in error.message.lower():
                    raise
            else:
                return

    def _run(self, *words: str) -> bytes:
        """What `tailscale WORDS` prints; DevportError with what it complains of, or that it does not end."""
        what = f"tailscale {words[0]}"
        try:
            process = subprocess.Popen(
                [encode(self.path), *words],
                env=self._environ,
                cwd="/",
                stdin=subprocess.DEVNULL,  # it never asks anything
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise DevportError(f"cannot run {self.path}: {error.strerror}") from error
        with process:
            try:
                out, err, ended = _listen(process, self._patience)
            finally:
                _end(process)
        said = _shown(err) or _shown(out)
        if not ended:
            # It waits for its user where a feature of the tailnet has to be switched on, and says where.
            said = f", and said: {said}" if said else ""
            raise DevportError(f"{what}: it did not end within {self._patience:g} s{said}")
        if process.returncode:
            raise DevportError(f"{what}: {said or f'it ended with status {process.returncode}'}")
        return out


def _listen(process: subprocess.Popen[bytes], patience: float) -> tuple[bytes, bytes, bool]:
    """What `process` prints on both streams, and whether it has ended in time."""
    assert process.stdout is not None
    assert process.stderr is not None
    heard: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    streams = set(heard)
    deadline = time.monotonic() + patience
    while streams and (ready := select.select(streams, [], [], max(deadline - time.monotonic(), 0))[0]):
        for stream in ready:
            data = os.read(stream.fileno(), 65536)
            heard[stream] += data
            if not data:
                streams.discard(stream)
            if len(heard[stream]) > LIMIT:
                raise DevportError("tailscale prints without end")
    try:
        process.wait(max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        pass
    out, err = (bytes(data) for data in heard.values())
    return out, err, process.poll() is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing of `process` runs any more."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except PermissionError:  # macOS: it has ended this very moment
            pass


def _shown(data: bytes) -> str:
    """`data` as one short line."""
    return " ".join(decode(data[: SHOWN * 4]).split())[:SHOWN]


def _object(data: bytes, what: str) -> dict[str, object]:
    """The JSON object in `data`; null is an empty one."""
    try:
        found = json.loads(decode(data))
    except (ValueError, RecursionError) as error:
        raise DevportError(f"{what} did not print JSON") from error
    if found is not None and not isinstance(found, dict):
        raise DevportError(f"{what} did not print a JSON object")
    return found or {}


def _text(found: object, *names: str) -> str:
    """The text that stands under `names`, one inside the other; empty for none."""
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


def _targets(found: object) -> Iterator[str]:
    """Every address that a part of the serve configuration sends to."""
    if isinstance(found, dict):
        for name, value in found.items():
            if name in {"Proxy", "TCPForward"} and isinstance(value, str):
                yield value
            else:
                yield from _targets(value)
