"""What one service's end means for the run, and what the run's status is."""

import itertools

import pytest

from devport.engine.group import Group, shell_status
from devport.engine.lifecycle import AT_REST, State


@pytest.mark.parametrize("status", range(256))
def test_exit_codes_pass_through(status):
    """An exit code is the shell's status as it is."""
    assert shell_status(status) == status


@pytest.mark.parametrize(("number", "status"), [(1, 129), (2, 130), (9, 137), (15, 143), (64, 192)])
def test_signal_deaths(number, status):
    """Death by signal n is 128 + n."""
    assert shell_status(-number) == status


@pytest.mark.parametrize("status", [0, 1, 3, 143, 255])
def test_first_end_ends_the_run(status):
    """Without keep_going the first end, success or failure, stops the others; its status counts."""
    group = Group(keep_going=False)

    assert group.ended(status) is True
    assert group.stopping
    assert group.exit_status() == status


@pytest.mark.parametrize("first", [0, 1, 255])
def test_later_ends_change_nothing(first):
    """What ends because the run is ending decides nothing."""
    group = Group(keep_going=False)
    group.ended(first)

    assert group.ended(7) is False
    assert group.exit_status() == first


@pytest.mark.parametrize(
    ("statuses", "status"),
    [([0, 0, 0], 0), ([0, 3, 0], 3), ([3, 4], 3), ([0, 137, 1], 137), ([], 0)],
)
def test_keep_going(statuses, status):
    """With keep_going no end stops the rest, and the first failure is the status."""
    group = Group(keep_going=True)

    assert [group.ended(one) for one in statuses] == [False] * len(statuses)
    assert not group.stopping
    assert group.exit_status() == status


@pytest.mark.parametrize("keep_going", [False, True])
@pytest.mark.parametrize("status", [129, 130, 141, 143])
def test_interrupted(status, keep_going):
    """A signal that asks for the end is the status, whatever the services end with because of it."""
    group = Group(keep_going=keep_going)
    group.interrupted(status)

    assert group.stopping
    assert [group.ended(one) for one in (0, 143, 1)] == [False] * 3
    assert group.exit_status() == status


def test_interrupted_after_the_end_began():
    """A signal during the end changes the status no more."""
    group = Group(keep_going=False)
    group.ended(3)
    group.interrupted(130)

    assert group.exit_status() == 3


def test_interrupted_twice():
    """Of two signals the first counts."""
    group = Group(keep_going=False)
    group.interrupted(130)
    group.interrupted(143)

    assert group.exit_status() == 130


@pytest.mark.parametrize(("before", "status"), [([], 130), ([0], 130), ([0, 3], 3), ([4, 0], 4)])
def test_interrupted_while_keeping_going(before, status):
    """With keep_going, a failure before the signal is the status; a success is not."""
    group = Group(keep_going=True)
    for one in before:
        group.ended(one)
    group.interrupted(130)

    assert group.exit_status() == status


@pytest.mark.parametrize("pair", list(itertools.combinations_with_replacement(State, 2)))
def test_finished(pair):
    """The run is over when every service is at rest; backoff and waiting are not rest."""
    assert Group.finished(list(pair)) == (set(pair) <= AT_REST)


def test_finished_without_services():
    """No services, nothing to wait for."""
    assert Group.finished([])
