"""How many marks of time are made."""

from bisect import bisect

from hypothesis import given
from hypothesis import strategies as st

from devport.engine.pace import BURST, RATE, Pace


def due(moments):
    """Those of `moments` that are marked."""
    pace = Pace()
    return [at for at in moments if pace.due(at)]


def test_burst_then_a_steady_rate():
    """The first of a burst each, then one in 50 ms, and after a second of quiet a burst again."""
    burst = [1000 + place / 1000 for place in range(100)]
    marked = due([*burst, *(at + 10 for at in burst)])

    assert marked[:20] == burst[:20]
    assert len(marked) == 2 * 21
    assert marked[21:41] == [at + 10 for at in burst[:20]]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300))
def test_never_more_than_it_says(pauses):
    """Whatever the rhythm, and what is not marked came less than 1/20 s after a mark."""
    moments = [1000.0]
    for pause in pauses:
        moments.append(moments[-1] + pause**4)
    marked = due(moments)

    assert marked[0] == moments[0]
    assert len(marked) <= BURST + RATE * (moments[-1] - moments[0]) + 1
    assert all(at - marked[bisect(marked, at) - 1] <= 1 / RATE + 1e-6 for at in moments)


def test_clock_that_is_set_back():
    """What comes then is marked, though the bucket is empty, and it goes on from there."""
    burst = [1000.0] * 30

    assert due([*burst, 900.0, 900.0, 900.06])[20:] == [900.0, 900.06]
