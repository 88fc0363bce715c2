"""Which signals are wishes to end of their own, and which are the echo of one that was counted."""

import signal

import pytest

from devport.engine.signals import BOUNCE, Debounce

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


def counted(*signals):
    """Whether each of these (number, seconds) counts, one after another."""
    debounce = Debounce()
    return [debounce.counts(number, 1000.0 + at) for number, at in signals]


@pytest.mark.parametrize("at", [0.0, BOUNCE - 0.001])
def test_the_same_at_once_is_the_same(at):
    """Whoever signals a whole tree means it once."""
    assert counted((TERM, 0.0), (TERM, at)) == [True, False]


@pytest.mark.parametrize("at", [BOUNCE + 0.001, 0.3, 1e9])
def test_the_same_later_is_another(at):
    """A tenth of a second and more apart somebody has asked again."""
    assert counted((INT, 0.0), (INT, at)) == [True, True]


def test_another_signal_is_another():
    """However quickly it comes, and the first one behind it is a third."""
    assert counted((INT, 0.0), (TERM, 0.0), (TERM, 0.05), (INT, 0.06), (HUP, 0.06)) == [
        True, True, False, True, True,
    ]  # fmt: skip


def test_held_down():
    """What repeats for ever counts again: the time is that of the one that counted, not of the last."""
    every = [(INT, n * 0.04) for n in range(10)]

    assert counted(*every) == [n % 3 == 0 for n in range(10)]
