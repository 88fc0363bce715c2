"""Supervise one registered service in this terminal; what `devport start -d` runs in each window.

usage: devport supervise HASH [STATE]

HASH is the service's whole hash, STATE the state folder in hexadecimal. No docopt: there is a
supervisor for every service, and each loads as little as it can.
"""

import os
from collections.abc import Sequence

from devport.context import Context
from devport.encoding import decode
from devport.engine.guard import guarded_small
from devport.errors import UsageError
from devport.registry.identity import is_hash
from devport.supervisor import supervise


def run(context: Context, argv: Sequence[str]) -> int:
    """Supervise the service that `argv` names."""
    try:
        hash_, state = argv if len(argv) > 1 else (argv[0], "")
        folder = decode(bytes.fromhex(state))
    except (IndexError, ValueError) as error:
        raise UsageError("cannot supervise: expected HASH and, in hexadecimal, the state folder") from error
    if not is_hash(hash_):
        raise UsageError(f"cannot supervise {hash_}: it is no service's hash")
    if folder:
        context = context._replace(state_dir=folder)
    os.chdir("/")  # holds no folder; the service goes to its own
    return guarded_small(lambda lifeline, guardian: supervise(context, hash_, lifeline, guardian))
