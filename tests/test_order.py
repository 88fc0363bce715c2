"""Who is asked to end before whom."""

from hypothesis import given
from hypothesis import strategies as st

from devport.engine.order import StopOrder


def test_without_needs_all_at_once():
    """Nobody waits for anybody."""
    order = StopOrder({"a": [], "b": [], "c": []})

    assert order.next(lambda _one: False) == ["a", "b", "c"]
    assert order.next(lambda _one: True) == []


def test_chain_from_its_end():
    """What others need goes after them."""
    order = StopOrder({"db": [], "api": ["db"], "web": ["api"]})
    gone = set()

    for name in ("web", "api", "db"):
        assert order.next(gone.__contains__) == [name]
        assert order.next(gone.__contains__) == []
        gone.add(name)


def test_needs_outside_of_the_run():
    """What runs elsewhere is not ours to stop."""
    assert StopOrder({"web": ["elsewhere"]}).next(lambda _one: False) == ["web"]


@given(st.lists(st.lists(st.integers(0, 19), max_size=4), min_size=1, max_size=20))
def test_everybody_once_and_never_too_early(needs):
    """Each is named exactly once, and only when all that need it are at rest."""
    graph = {number: [other for other in others if other < number] for number, others in enumerate(needs)}
    order, gone, named = StopOrder(graph), set(), []
    while found := order.next(gone.__contains__):
        for one in found:
            assert all(one not in others or other in gone for other, others in graph.items())
        named += found
        gone.update(found)

    assert sorted(named) == sorted(graph)
