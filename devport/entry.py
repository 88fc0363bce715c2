"""The installed `devport`: this process made fit for `main`, and ended without a tear-down.

Imports next to nothing, so that Ctrl-C in the first milliseconds ends devport in silence and not in
a traceback out of an import.
"""

import _signal  # type: ignore[import-not-found]  # `signal` itself costs a millisecond, in which it may be interrupted
import gc
import os
import sys

_STDERR = 2


def entry() -> None:
    """Run `main` on this process.

    Taking an interpreter apart costs 3 ms, and collecting garbage while everything made is still in use
    costs 3 more; the frames switch collection on again.
    """
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    gc.disable()
    _import_nothing_from_here()
    _open_standard_streams()
    from devport.cli import main  # noqa: PLC0415 - not before Ctrl-C is harmless

    os._exit(main())


def _import_nothing_from_here() -> None:
    """No json.py of the working folder is taken for Python's: `python -m` and an empty PYTHONPATH look there.

    What Python itself has imported until now is beyond us (`python -P -m devport`, or the command, looks
    nowhere else). Behind the standard library nothing is in front of anything: that stays.
    """
    try:
        here = os.getcwd()
    except OSError:
        return
    library = os.path.dirname(os.__file__)
    place = sys.path.index(library) if library in sys.path else len(sys.path)
    sys.path[:place] = [folder for folder in sys.path[:place] if folder not in {"", here}]


def _open_standard_streams() -> None:
    """Where the caller closed one, /dev/null: else the next file opened would become our output."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
