"""A real systemd that boots an export: ../shared/bin/systemd-box with a shell in it that a test talks to."""

import contextlib
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile

import pytest
from support import procs

from devport.encoding import decode, encode
from devport.export import systemd

BOX = pathlib.Path(__file__).parents[3] / "shared" / "bin" / "systemd-box"
SKIPPED = 77
PATIENCE = 20.0
USER = "daemon"
"""Who the user manager of a box runs as."""
RUNTIME = "/run/devport-box-user"
AS_USER = (
    *("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"),
    *("env", f"XDG_RUNTIME_DIR={RUNTIME}"),
)
"""A user's systemd talks to nobody else, root neither."""
MANAGER = """\
[Unit]
Description=the systemd of a user

[Service]
Type=notify
User={user}
Environment=XDG_RUNTIME_DIR={runtime} XDG_CONFIG_HOME={folder}/config HOME={folder}
RuntimeDirectory={name}
RuntimeDirectoryMode=0700
ExecStart=/lib/systemd/systemd --user --log-target=null
Delegate=yes
"""


def unavailable(why):
    """Skip the test, but never in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"in CI, {why}")
    pytest.skip(why)


def write(folder, files):
    """The files of an export, with their modes."""
    for file in files:
        path = folder / file.path
        path.write_bytes(encode(file.content))
        path.chmod(file.mode)


@contextlib.contextmanager
def booted(plan, folder):
    """A Box with the units of `plan`; `folder` is the only one in it that can be written.

    Units that are not for the system are those of the user USER, whose own systemd the Box then talks to.
    """
    if not BOX.exists():
        unavailable(f"{BOX} is missing")
    units = folder / "units"
    units.mkdir()
    (units / "box.target").write_text("[Unit]\nDescription=nothing\n")
    is_user = "system" not in plan.options
    if is_user:
        _write_user_manager(plan, folder, units)
    else:
        write(units, systemd.render(plan))
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [str(BOX), str(units), "box.target", "/bin/sh"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "BOX_WRITABLE": str(folder), "SYSTEMD_COLORS": "0"},
        ) as popen,
    ):
        box = Box(plan, popen, errors, is_user=is_user)
        if not box.greet():
            status = popen.wait(PATIENCE)
            (unavailable if status == SKIPPED else pytest.fail)(box.errors() or "systemd did not boot")
        yield box


def _write_user_manager(plan, folder, units):
    """The units where systemd looks for a user's, and a unit of the system that is the user's systemd."""
    own = folder / "config" / "systemd" / "user"
    own.mkdir(parents=True)
    write(own, systemd.render(plan))
    for path in (folder / "config", *(folder / "config").rglob("*")):
        shutil.chown(path, USER)
    name = os.path.basename(RUNTIME)
    text = MANAGER.format(user=USER, folder=folder, runtime=RUNTIME, name=name)
    (units / "manager.service").write_text(text)


class Box:
    """A booted systemd: the shell `popen` inside of it, and what is said on its stderr."""

    def __init__(self, plan, popen, errors, *, is_user):
        self.app, self._box, self._errors = plan.app, popen, errors
        self._is_user = is_user

    def greet(self):
        """Whether it has booted."""
        try:
            self._tell("echo booted")
        except BrokenPipeError:
            return False
        if self._box.stdout.readline() != b"booted\n":
            return False
        if self._is_user:
            out, status = self.run("systemctl", "start", "manager.service")
            assert status == 0, out
        return True

    def errors(self):
        """What was said on stderr."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()

    def _tell(self, line):
        self._box.stdin.write(encode(f"{line}\n"))
        self._box.stdin.flush()

    def run(self, *words):
        """What the command `words` prints inside, and its status."""
        self._tell(f"({shlex.join(map(str, words))}) </dev/null 2>&1; printf '\\0%s\\n' $?")
        out = b""
        while b"\0" not in out:
            line = self._box.stdout.readline()
            assert line, f"the box has ended: {out!r} {self.errors()}"
            out += line
        text, _, status = out.rpartition(b"\0")
        return decode(text), int(status)

    def systemctl(self, *words):
        """What systemctl prints; AssertionError where it fails."""
        own = (*AS_USER, "systemctl", "--user") if self._is_user else ("systemctl",)
        out, status = self.run(*own, *words)
        assert status == 0, out
        return out.rstrip("\n")

    def target(self, verb, *options):
        """Do `verb` to the project's target."""
        return self.systemctl(verb, *options, f"{self.app}.target")

    def unit(self, name):
        """The unit of the service `name`."""
        return f"{self.app}-{name}.service"

    def show(self, name, key, kind="service"):
        """What systemd says of the service `name`."""
        return self.systemctl("show", f"{self.app}-{name}.{kind}", "-P", key)

    def states(self, *names):
        """The states of the services `names`."""
        return [self.show(name, "ActiveState") for name in names]

    def eventually(self, names, states):
        """Wait until the services `names` are in `states`."""

        def check():
            assert self.states(*names) == list(states)

        procs.eventually(check, PATIENCE)

    def kill(self, number, pid):
        """Send the signal `number` to `pid`, as the box counts."""
        self.run("kill", f"-{number}", pid)
