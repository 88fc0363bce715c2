"""Who waits for whom: cycles, what starts with what, groups on a command line, the order of a stop."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devport.errors import UsageError
from devport.model import Dependency, Policy, Project, Service
from devport.project.graph import MODES, bind, closure, cycle, levels, members, started, without


def service(name, *after, enable="true", task=False):
    """The entry `name`, after others (`db`, `db@started`)."""
    found = (one.partition("@") for one in after)
    needs = tuple(Dependency(one, condition or "ready") for one, _, condition in found)
    policy = Policy(after=needs, task=task)
    return Service(name, name, ("x",), "/", policy=policy, enable=enable, source=f"devport.yaml:{len(name)}")


def names(services):
    return [one.name for one in services]


def waits(services):
    """What each waits for."""
    return {one.name: [each.name for each in one.policy.after] for one in services}


# web -> api -> db, migrate -> db; api -> migrate; mail -> web; worker is off, and after it comes cron
SHOP = (
    service("web", "api"),
    service("api", "db", "migrate@succeeded"),
    service("db"),
    service("migrate", "db", task=True),
    service("mail", "web@started"),
    service("worker", "queue", enable="false"),
    service("queue"),
    service("cron", "worker"),
    service("seed", "db", task=True),
)


@pytest.mark.parametrize(
    ("roots", "mode", "expected"),
    [
        (["web"], "single", ["web"]),
        (["web"], "before", ["web", "api", "db", "migrate"]),
        (["web"], "after", ["web", "mail"]),
        (["web"], "all", ["web", "api", "db", "migrate", "mail"]),
        (["db"], "before", ["db"]),
        (["db"], "after", ["web", "api", "db", "migrate", "mail", "seed"]),
        (["migrate"], "before", ["db", "migrate"]),
        (["migrate"], "all", ["web", "api", "db", "migrate", "mail"]),
        (["cron"], "before", ["cron"]),
        (["cron", "worker"], "before", ["worker", "queue", "cron"]),
        (["worker"], "before", ["worker", "queue"]),
        (["worker"], "after", ["worker", "cron"]),
        (["queue"], "after", ["queue"]),
        ([], "all", []),
    ],
)
def test_closure(roots, mode, expected):
    """In file order: what is needed, what needs it, both or neither; what is off only if it is named."""
    assert names(closure(SHOP, roots, mode)) == expected


def test_what_was_left_out_is_not_waited_for():
    """In the modes that leave it out on purpose; what is merely off is waited for until it is there."""
    assert waits(closure(SHOP, ["web", "mail"], "single")) == {"web": [], "mail": ["web"]}
    assert waits(closure(SHOP, ["db"], "after"))["api"] == ["db", "migrate"]
    assert waits(closure(SHOP, ["web"], "after")) == {"web": [], "mail": ["web"]}
    assert waits(closure(SHOP, ["cron"], "before")) == {"cron": ["worker"]}
    assert waits(closure(SHOP, ["cron"], "all")) == {"cron": ["worker"]}


PROJECT = Project("/", "devport.yaml", SHOP, groups={"front": ("web", "mail"), "jobs": ("worker", "seed")})


@pytest.mark.parametrize(
    ("given_names", "mode", "expected"),
    [
        ([], "before", ["web", "api", "db", "migrate", "mail", "queue", "cron"]),
        ([], "all", ["web", "api", "db", "migrate", "mail", "queue", "cron", "seed"]),
        ([], "single", ["web", "api", "db", "mail", "queue", "cron"]),
        (["@front"], "before", ["web", "api", "db", "migrate", "mail"]),
        (["@jobs"], "single", ["worker", "seed"]),
        (["seed", "@jobs", "worker"], "before", ["db", "worker", "queue", "seed"]),
    ],
)
def test_what_names_mean(given_names, mode, expected):
    """Entries, tasks and groups; without names every service that is on, and the tasks that it needs."""
    roots = members(given_names, PROJECT.groups) or started(SHOP)

    assert names(closure(SHOP, roots, mode)) == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("@frnt", "cannot find @frnt: no group is called frnt (did you mean front?)"),
        ("@zzz", "cannot find @zzz: no group is called zzz (there is front, jobs)"),
    ],
)
def test_unknown_groups(name, message):
    """The nearest word is named."""
    with pytest.raises(UsageError) as caught:
        members([name], PROJECT.groups)

    assert caught.value.message == message


def test_members():
    """`@GROUP` stands for its entries, wherever names are given."""
    assert members(["mail", "@front", "x"], PROJECT.groups) == ("mail", "web", "x")
    with pytest.raises(UsageError, match=r"cannot use --except: no group is called x \(there are none\)"):
        members(["@x"], {}, "--except")


@pytest.mark.parametrize(
    ("services", "found"),
    [
        ([service("a")], ()),
        ([service("a", "b"), service("b")], ()),
        ([service("a", "a")], ("a", "a")),
        ([service("a", "b"), service("b", "a")], ("a", "b", "a")),
        ([service("z", "a"), service("a", "b"), service("b", "c"), service("c", "a")], ("a", "b", "c", "a")),
        ([service("a", "b", "c"), service("b", "d"), service("c", "d"), service("d")], ()),
        ([service("a", "gone")], ()),
    ],
)
def test_cycle(services, found):
    """The way round, each waiting for the next; a diamond is none."""
    assert cycle(services) == found


def instances(one, count):
    return [one._replace(name=f"{one.entry}.{n + 1}", instance=n) for n in range(count)]


def test_bind():
    """Each instance waits for every instance of the run; what is not in it keeps its entry's name."""
    found = bind([*instances(service("web", "api", "db@started"), 2), *instances(service("api"), 2)])

    assert waits(found) == {
        "web.1": ["api.1", "api.2", "db"],
        "web.2": ["api.1", "api.2", "db"],
        "api.1": [],
        "api.2": [],
    }
    assert found[0].policy.after[2].condition == "started"


def test_levels():
    """Steps in file order; a stop goes through them backwards."""
    assert [names(step) for step in levels(SHOP)] == [
        ["db", "queue"],
        ["migrate", "worker", "seed"],
        ["api", "cron"],
        ["web"],
        ["mail"],
    ]
    run = bind([*instances(service("web", "api"), 2), *instances(service("api"), 2)])

    assert [names(step) for step in levels(run)] == [["api.1", "api.2"], ["web.1", "web.2"]]
    assert [names(step) for step in levels([service("a", "b"), service("b", "a")])] == [["a", "b"]]


def test_without():
    """Nothing to drop leaves the very same service."""
    assert without(SHOP[0], ["x"]) is SHOP[0]
    assert waits([without(SHOP[1], ["db"])]) == {"api": ["migrate"]}


NAMES = [f"s{n}" for n in range(7)]


@st.composite
def graphs(draw):
    """Services with any edges, cycles and unknown names among them."""
    edges = st.lists(st.sampled_from([*NAMES, "gone"]), max_size=3)
    return [
        service(name, *draw(edges), enable=draw(st.sampled_from(["true", "false"])), task=draw(st.booleans()))
        for name in NAMES
    ]


@given(graphs(), st.lists(st.sampled_from(NAMES), unique=True), st.sampled_from(MODES))
@settings(deadline=None)
def test_any_graph(services, roots, mode):
    """A cycle is one; a closure holds its roots and is whole; levels lose nobody and respect the order."""
    found = cycle(services)
    edges = waits(services)
    for one, needed in pairwise(found):
        assert needed in edges[one]
    if found:
        assert found[0] == found[-1]
    chosen = closure(services, roots, mode)
    assert set(roots) <= {*names(chosen)}
    assert names(closure(services, names(chosen), mode)) == names(chosen) or mode == "all"
    if mode in {"before", "all"}:
        on = {one.name for one in services if one.enable != "false"}
        assert all(need in names(chosen) for one in chosen for need in edges[one.name] if need in on)
    steps = levels(chosen)
    assert sorted(one.name for step in steps for one in step) == sorted(names(chosen))
    if not found:
        place = {one.name: number for number, step in enumerate(steps) for one in step}
        assert all(
            place[need] < place[one.name] for one in chosen for need in edges[one.name] if need in place
        )
