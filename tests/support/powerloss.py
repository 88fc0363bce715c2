"""What a disk may hold after a power cut: a recording of writes, and every state that they allow.

The model is a strict one, stricter than file systems are: what was written to a file is there for certain
only once that file was flushed; a new name, a rename or a removal only once its folder was. Until then each
of them may have reached the disk or not, in any combination.
"""

import itertools
import os
import pathlib
import random
from typing import NamedTuple

from support.drill import trials

MOST = trials(64, 1024)
"""So many combinations of what was not flushed are tried one by one; of more, as many are drawn."""
CALLS = ("open", "write", "fsync", "close", "replace", "rename", "link", "unlink", "ftruncate")


class Moment(NamedTuple):
    """Between two system calls: files by number, names of the folder that lead to them.

    `flushed` and `written`: what files hold for certain, and what was written. `names`: as on the disk;
    `changes`: what was done to them since, each a tuple of (name, number or None for no file).
    """

    flushed: dict[int, bytes]
    written: dict[int, bytes]
    names: dict[str, int]
    changes: tuple[tuple[tuple[str, int | None], ...], ...]


class Disk:
    """The files of `folder`, from now on; `moments` has one for each call that changed anything."""

    def __init__(self, folder):
        self.folder = folder
        self._files = {}  # what is open: a number, None for the folder
        self._written, self._flushed = {}, {}
        self._now, self._names, self._changes = {}, {}, ()
        for path in sorted(pathlib.Path(folder).iterdir()):
            self._names[path.name] = self._now[path.name] = self._new(path.read_bytes())
        self.moments = [self._moment()]

    def _new(self, data):
        number = len(self._written)
        self._written[number] = self._flushed[number] = data
        return number

    def _moment(self):
        return Moment(dict(self._flushed), dict(self._written), dict(self._names), self._changes)

    def record(self, monkeypatch):
        """Note what `os` is told to do to the folder, and do it."""
        for name in CALLS:
            monkeypatch.setattr(os, name, self._noting(name, getattr(os, name)))

    def _noting(self, name, call):
        note = getattr(self, f"_did_{name}")

        def noting(*arguments, **options):
            result = call(*arguments, **options)
            note(result, *arguments)
            if (moment := self._moment()) != self.moments[-1]:
                self.moments.append(moment)
            return result

        return noting

    def _name(self, path):
        folder, name = os.path.split(path)
        return name if folder == self.folder else None

    def _change(self, *names):
        self._changes = (*self._changes, names)
        for name, number in names:
            self._now.pop(name, None)
            if number is not None:
                self._now[name] = number

    def _did_open(self, descriptor, path, *_):
        if path == self.folder:
            self._files[descriptor] = None
        elif name := self._name(path):
            if name not in self._now:
                self._change((name, self._new(b"")))
            self._files[descriptor] = self._now[name]

    def _did_close(self, _, descriptor):
        self._files.pop(descriptor, None)

    def _did_write(self, count, descriptor, data):
        if (number := self._files.get(descriptor)) is not None:
            self._written[number] += bytes(data[:count])

    def _did_ftruncate(self, _, descriptor, length):
        if (number := self._files.get(descriptor)) is not None:
            self._written[number] = self._written[number][:length]

    def _did_fsync(self, _, descriptor):
        number = self._files.get(descriptor, -1)
        if number is None:
            self._names, self._changes = dict(self._now), ()
        elif number >= 0:
            self._flushed[number] = self._written[number]

    def _did_replace(self, _, old, new):
        if (source := self._name(old)) and (target := self._name(new)):
            self._change((source, None), (target, self._now[source]))

    _did_rename = _did_replace

    def _did_link(self, _, old, new, **_options):
        self._change((self._name(new), self._now[self._name(old)]))

    def _did_unlink(self, _, path):
        if name := self._name(path):
            self._change((name, None))


def states(moment, dice=random):
    """Every folder that a cut at `moment` may leave (names and contents), or MOST of them."""
    loose = [number for number, data in moment.written.items() if data != moment.flushed[number]]
    choices = [(False, True)] * len(moment.changes) + [range(4)] * len(loose)
    count = 2 ** len(moment.changes) * 4 ** len(loose)
    drawn = itertools.product(*choices) if count <= MOST else _drawn(choices, dice)
    for one in drawn:
        names = dict(moment.names)
        for came, change in zip(one, moment.changes, strict=False):
            for name, number in change if came else ():
                names.pop(name, None)
                if number is not None:
                    names[name] = number
        contents = dict(moment.flushed)
        for way, number in zip(one[len(moment.changes) :], loose, strict=True):
            data = moment.written[number]
            contents[number] = (moment.flushed[number], data, data[: len(data) // 2], bytes(len(data)))[way]
        yield {name: contents[number] for name, number in names.items()}


def _drawn(choices, dice):
    yield tuple(one[-1] if one[-1] is True else 1 for one in choices)  # all of it has reached the disk
    yield tuple(one[0] for one in choices)  # none
    for _ in range(MOST - 2):
        yield tuple(dice.choice(one) for one in choices)
