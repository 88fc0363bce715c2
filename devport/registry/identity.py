"""Who a service is: its hash, its short hashid, and which record a word on the command line means.

Pure: it knows no file, no lock and no clock.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from devport.encoding import encode, printable
from devport.errors import DevportError, ExitStatus, UsageError, nearest

if TYPE_CHECKING:
    from devport.model import Service
    from devport.registry.record import Record

HASH_LENGTH = 10
SHORTEST = 3
LONGEST_KEY = 63

HEX = frozenset("0123456789abcdef")
ALPHANUMERIC = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
KEY_CHARACTERS = ALPHANUMERIC | frozenset("_.-")


def _hash(text: str) -> str:
    return str(_sha256()(encode(text)).hexdigest()[:HASH_LENGTH])


def _sha256() -> Callable[[bytes], Any]:
    """`hashlib.sha256` without `hashlib`, which loads OpenSSL (3 ms): the C module behind it is enough."""
    module = "_sha2" if sys.version_info >= (3, 12) else "_sha256"
    try:
        return __import__(module).sha256  # type: ignore[no-any-return]
    except ImportError:
        return __import__("hashlib").sha256  # type: ignore[no-any-return]


def hash_of_key(key: str) -> str:
    """The hash of a service that has a key, wherever it runs."""
    return _hash(key)


def hash_of_entry(root: str, name: str) -> str:
    """The hash of entry `name` of the project at `root` (its real path); the command may change."""
    return _hash(f"{root}\0entry\0{name}")


def hash_of_command(cwd: str, argv: Iterable[str]) -> str:
    """The hash of a command that stands in no file, run in `cwd`."""
    return _hash(cwd + "\0" + "\0".join(argv))


def name_of(service: "Service") -> str:
    """The name a record keeps: `web` for the first instance, whatever a formation calls it, then `web.2`."""
    return service.entry if service.instance == 0 else f"{service.entry}.{service.instance + 1}"


def key_of(service: "Service") -> str | None:
    """The key of this very instance: `shop`, then `shop.2`; None without one."""
    if not service.key or service.instance == 0:
        return service.key or None
    return f"{service.key}.{service.instance + 1}"


def hash_of(service: "Service", root: str) -> str:
    """The hash of `service` in the project at `root`; one that nobody named is known by its command."""
    if key := key_of(service):
        return hash_of_key(key)
    if not service.entry or not service.named:
        number = () if service.instance == 0 else (str(service.instance + 1),)
        return hash_of_command(service.cwd, (*service.command, *number))
    return hash_of_entry(root, name_of(service))


def is_hash(text: str) -> bool:
    """Whether `text` is a whole hash."""
    return len(text) == HASH_LENGTH and HEX.issuperset(text)


def hashid(hash_: str, taken: Iterable[str]) -> str:
    """The shortest prefix (3 or more) of `hash_` that begins none of the full hashes `taken`."""
    others = [other for other in taken if other != hash_ and other.startswith(hash_[:SHORTEST])]
    length = SHORTEST
    while length < HASH_LENGTH and any(other.startswith(hash_[:length]) for other in others):
        length += 1
    return hash_[:length]


def check_key(key: str) -> str:
    """`key` itself; UsageError for one that a file name, a window name or a host name could not carry."""
    if 0 < len(key) <= LONGEST_KEY and key[0] in ALPHANUMERIC and KEY_CHARACTERS.issuperset(key):
        return key
    raise UsageError(
        f"cannot use the key '{printable(key)}': a key is at most {LONGEST_KEY} letters, digits, '.', '_'"
        " and '-', the first a letter or a digit"
    )


def resolve(target: str, records: Iterable["Record"], root: str | None) -> "Record":
    """The record that `target` means: an entry of the project at `root`, a key, a hash prefix, a port.

    The first of these that matches anything decides. A number that is both a hash prefix and another
    service's port is ambiguous, because the wrong guess could remove a service. DevportError for an
    ambiguous target, with status NO_SUCH_SERVICE for one that matches nothing.
    """
    everything = sorted(records, key=lambda record: record.hash)
    for found in _matches(target, everything, root):
        if found:
            return _only(target, found)
    raise DevportError(
        f"cannot find service {printable(target)}: nothing has that name, key, hash or port"
        + nearest(target, _words(everything, root)),
        ExitStatus.NO_SUCH_SERVICE,
    )


def _matches(target: str, records: "Sequence[Record]", root: str | None) -> "Iterator[list[Record]]":
    here = [record for record in records if root is not None and record.project == root]
    yield [record for record in here if record.name == target]
    # A formation shows the first of several instances as `web.1`; its record is that of `web`.
    yield [record for record in here if record.name == record.entry and f"{record.entry}.1" == target]
    yield [record for record in records if record.key == target]

    # A frozen hashid was printed and may be written down: a later neighbour does not spoil it.
    hashes = [record for record in records if record.hashid == target]
    if not hashes and len(target) >= SHORTEST:
        hashes = [record for record in records if record.hash.startswith(target)]
    ports = [record for record in records if target in map(str, (record.port, *record.ports.values()))]
    yield hashes + [record for record in ports if record not in hashes]


def _only(target: str, found: Sequence["Record"]) -> "Record":
    if len(found) == 1:
        return found[0]
    candidates = ", ".join(f"{record.hash} ({describe(record)})" for record in found)
    raise DevportError(f"cannot tell which service {printable(target)} is: {candidates}")


def describe(record: "Record") -> str:
    """`web in /home/bob/shop`, for messages."""
    return printable(f"{record.label} in {record.project or record.cwd}")


def _words(records: Iterable["Record"], root: str | None) -> list[str]:
    names = [record.name for record in records if root is not None and record.project == root]
    return [*names, *(record.key for record in records if record.key), *(record.hashid for record in records)]
