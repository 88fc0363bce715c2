"""Which entries run and how often."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devport.errors import DevportError, UsageError
from devport.model import Dependency, Policy, Service
from devport.project.formation import check_names, parse_counts, select


def project(*names):
    return tuple(
        Service(name, name, ("/bin/sh", "-c", "x"), "/", position=position)
        for position, name in enumerate(names)
    )


WEB = project("web", "worker", "clock")


def run(*names, services=WEB, **options):
    return [service.name for service in select(services, names, **options)[0]]


def failure(*names, services=WEB, **options):
    with pytest.raises(UsageError) as caught:
        select(services, names, **options)
    assert caught.value.status == 2
    return caught.value.message


def test_without_arguments_everything_runs_once():
    """Every entry, in file order, untouched."""
    assert select(WEB) == (WEB, ())


@pytest.mark.parametrize(
    ("names", "options", "expected"),
    [
        (["web"], {}, ["web"]),
        (["clock", "web", "clock"], {}, ["web", "clock"]),
        ([], {"except_": ["clock"]}, ["web", "worker"]),
        (["web", "clock"], {"except_": ["clock"]}, ["web"]),
        ([], {"concurrency": {"web": 2}}, ["web.1", "web.2", "worker", "clock"]),
        ([], {"concurrency": {"web": 0}}, ["worker", "clock"]),
        ([], {"concurrency": {}}, ["web", "worker", "clock"]),
        ([], {"formation": {"web": 2}}, ["web.1", "web.2"]),
        ([], {"formation": {"all": 1, "web": 2}}, ["web.1", "web.2", "worker", "clock"]),
        ([], {"formation": {"all": 1, "web": 0}}, ["worker", "clock"]),
        ([], {"formation": {"all": 2}, "except_": ["web", "clock"]}, ["worker.1", "worker.2"]),
        (["web", "worker"], {"concurrency": {"web": 2}}, ["web.1", "web.2", "worker"]),
        (["web", "worker"], {"formation": {"web": 2}}, ["web.1", "web.2", "worker"]),
        (["web"], {"formation": {"all": 3}}, ["web.1", "web.2", "web.3"]),
        (["web"], {"formation": {"worker": 3}}, ["web"]),
    ],
)
def test_names_and_numbers(names, options, expected):
    """-c: unlisted run once; -m: as `all` says, else not; a named one runs; --except takes away."""
    assert run(*names, **options) == expected


def test_instances_know_their_entry_and_number():
    """An instance keeps entry and position, and counts from 0."""
    selected, _ = select(WEB, concurrency={"worker": 2}, names=["worker"])

    assert [(s.name, s.entry, s.instance, s.position) for s in selected] == [
        ("worker.1", "worker", 0, 1),
        ("worker.2", "worker", 1, 1),
    ]


RELEASE = project("release", "web")
NOTICE = ("release is left out: it runs only when it is named",)


@pytest.mark.parametrize(
    ("names", "options", "expected", "notices"),
    [
        ([], {}, ["web"], NOTICE),
        ([], {"formation": {"all": 1}}, ["web"], NOTICE),
        ([], {"concurrency": {"web": 1}}, ["web"], NOTICE),
        (["release"], {}, ["release"], ()),
        ([], {"concurrency": {"release": 1}}, ["release", "web"], ()),
        ([], {"formation": {"release": 1}}, ["release"], ()),
        ([], {"concurrency": {"release": 0}}, ["web"], ()),
        ([], {"formation": {"web": 1}}, ["web"], ()),
        (["web"], {}, ["web"], ()),
        ([], {"except_": ["release"]}, ["web"], ()),
    ],
)
def test_release_runs_only_when_named(names, options, expected, notices):
    """Heroku's one-off step is left out with a notice, unless it is named or was not asked for anyway."""
    selected, said = select(RELEASE, names, **options)

    assert ([service.name for service in selected], said) == (expected, notices)


def test_release_alone_is_nothing_to_run():
    """A project of a release only says how it is run."""
    message = failure(services=project("release"))

    assert message == "nothing to run: release is left out: it runs only when it is named"


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["wbe"], {}, "cannot find wbe: no entry is called wbe (did you mean web?)"),
        (["zzz"], {}, "cannot find zzz: no entry is called zzz (there is web, worker, clock)"),
        (["web.1"], {}, "cannot find web.1: no entry is called web.1 (did you mean web?)"),
        ([], {"except_": ["clok"]}, "cannot use --except: no entry is called clok (did you mean clock?)"),
        ([], {"concurrency": {"wb": 2}}, "cannot use -c: no entry is called wb (did you mean web?)"),
        ([], {"formation": {"wb": 0}}, "cannot use -m: no entry is called wb (did you mean web?)"),
        (
            [],
            {"concurrency": {"all": 2}},
            "cannot use -c: no entry is called all (there is web, worker, clock)",
        ),
        ([], {"formation": {"all": 0}}, "nothing to run: the names and numbers given leave nothing"),
        (["web"], {"except_": ["web"]}, "nothing to run: the names and numbers given leave nothing"),
        ([], {"formation": {}}, "nothing to run: the names and numbers given leave nothing"),
        (
            [],
            {"concurrency": {"web": 1}, "formation": {"web": 1}},
            "cannot use -c and -m together: both say how many of each run",
        ),
    ],
)
def test_what_cannot_be_run_is_a_usage_error(names, options, message):
    """Unknown names, contradictions and nothing left: status 2 and a hint."""
    assert failure(*names, **options) == message


def test_names_of_other_options_are_checked_alike():
    """`-q` and others check their names with the same function."""
    check_names(["web"], WEB, "-q")
    with pytest.raises(UsageError, match="cannot use -q: no entry is called wep"):
        check_names(["wep"], WEB, "-q")


@pytest.mark.parametrize("other", ["web.1", "web.2", "web.3"])
def test_an_instance_cannot_be_called_like_an_entry(other):
    """An entry `web.2` (YAML only) and a second `web` would be one service."""
    services = project("web", other)

    assert failure(services=services, concurrency={"web": 3}) == (
        f"cannot run web 3 times: {other} is an entry of its own"
    )
    assert failure("web", services=services, formation={"web": 3}).startswith("cannot run web 3 times")


def test_an_entry_with_a_number_is_fine_beside_fewer_instances():
    """`web.2` beside one `web`, and `web.3` beside two, are no conflict."""
    assert run(services=project("web", "web.1", "web.2")) == ["web", "web.1", "web.2"]
    assert run(services=project("web", "web.3"), concurrency={"web": 2}) == ["web.1", "web.2", "web.3"]
    assert run(services=project("web", "web.02"), concurrency={"web": 2}) == ["web.1", "web.2", "web.02"]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("web=2", {"web": 2}),
        ("web=2,worker=0", {"web": 2, "worker": 0}),
        (" web = 2 , worker=3 ", {"web": 2, "worker": 3}),
        ("all=500", {"all": 500}),
        ("web=007", {"web": 7}),
    ],
)
def test_counts(text, counts):
    """A comma list of NAME=NUMBER."""
    assert parse_counts(text, "-c") == counts


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("web", "expected NAME=NUMBER, found 'web'"),
        ("", "expected NAME=NUMBER, found ''"),
        ("web=1,", "expected NAME=NUMBER, found ''"),
        ("=1", "expected NAME=NUMBER, found '=1'"),
        ("web=", "expected a number from 0 to 500 for web, found ''"),
        ("web=x", "expected a number from 0 to 500 for web, found 'x'"),
        ("web=-1", "expected a number from 0 to 500 for web, found '-1'"),
        ("web=+1", "expected a number from 0 to 500 for web, found '+1'"),
        ("web=1.5", "expected a number from 0 to 500 for web, found '1.5'"),
        ("web=٣", "expected a number from 0 to 500 for web, found '٣'"),
        ("web=501", "expected a number from 0 to 500 for web, found '501'"),
        ("web=1,web=2", "web is there twice"),
    ],
)
def test_bad_counts(text, problem):
    """What is no list of numbers is an error that names the option."""
    with pytest.raises(UsageError) as caught:
        parse_counts(text, "--concurrency")

    assert caught.value.message == f"cannot use --concurrency {text}: {problem}"


@given(st.text(max_size=30))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_as_counts(text):
    """Only UsageError comes out."""
    try:
        counts = parse_counts(text, "-c")
    except DevportError as error:
        assert error.status == 2  # noqa: PT017 - either outcome is right
        return

    assert all(0 <= count <= 500 for count in counts.values())


NAMES = st.sampled_from(["web", "worker", "clock", "web.2", "release"])


@given(
    st.lists(NAMES, unique=True, min_size=1),
    st.lists(NAMES, max_size=3),
    st.lists(NAMES, max_size=2),
    st.none() | st.dictionaries(NAMES, st.integers(0, 4)),
    st.none() | st.dictionaries(NAMES | st.just("all"), st.integers(0, 4)),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_selection(entries, names, except_, concurrency, formation):
    """Names are unique, the file's order is kept, and nothing else comes out but UsageError."""
    services = project(*entries)
    try:
        selected, _ = select(services, names, except_, concurrency, formation)
    except UsageError:
        return

    assert len({service.name for service in selected}) == len(selected)
    assert [(s.position, s.instance) for s in selected] == sorted((s.position, s.instance) for s in selected)
    assert not {service.entry for service in selected} & set(except_)


def test_a_number_of_thousands_of_digits():
    """Python's own limit on digits does not show."""
    with pytest.raises(UsageError, match="expected a number from 0 to 500"):
        parse_counts("web=" + "1" * 10_000, "-c")


def entry(name, *after, **options):
    policy = Policy(after=tuple(Dependency(one) for one in after), task=options.pop("task", False))
    return Service(name, name, ("x",), "/", policy=policy, **options)


SHOP = (
    entry("web", "api"),
    entry("api", "db", "migrate"),
    entry("db"),
    entry("mail", "web"),
    entry("worker", "db", enable="false"),
    entry("shell", "db", enable="interactive-shell"),
    entry("migrate", "db", task=True),
    entry("seed", "db", task=True),
)
PLAIN = ["web", "api", "db", "mail", "shell", "migrate"]


@pytest.mark.parametrize(
    ("names", "options", "expected"),
    [
        ([], {}, PLAIN),
        ([], {"mode": "all"}, [*PLAIN, "seed"]),
        ([], {"mode": "single"}, ["web", "api", "db", "mail", "shell"]),
        (["api"], {}, ["api", "db", "migrate"]),
        (["api"], {"mode": "single"}, ["api"]),
        (["api"], {"mode": "after"}, ["web", "api", "mail"]),
        (["worker"], {}, ["db", "worker"]),
        (["seed"], {}, ["db", "seed"]),
        ([], {"except_": ["db"]}, ["web", "api", "mail", "shell", "migrate"]),
        ([], {"except_": ["api"]}, ["web", "db", "mail", "shell"]),
        ([], {"except_": ["migrate"]}, ["web", "api", "db", "mail", "shell"]),
        ([], {"concurrency": {"worker": 1}}, ["web", "api", "db", "mail", "worker", "shell", "migrate"]),
        (["api"], {"concurrency": {"db": 0}}, ["api", "migrate"]),
        ([], {"formation": {"api": 1}}, ["api", "db", "migrate"]),
        ([], {"formation": {"api": 1, "db": 2}}, ["api", "db.1", "db.2", "migrate"]),
        (["api"], {"concurrency": {"db": 2}}, ["api", "db.1", "db.2", "migrate"]),
        (["db"], {"mode": "after", "except_": ["mail"]}, ["web", "api", "db", "shell", "migrate", "seed"]),
    ],
)
def test_what_is_needed_comes_along(names, options, expected):
    """Dependencies start with those that need them; what is off, and tasks, only if needed or named."""
    assert run(*names, services=SHOP, **options) == expected


def waits(*names, **options):
    selected, _ = select(SHOP, names, **options)
    return {one.name: [each.name for each in one.policy.after] for one in selected}


def test_what_is_left_out_on_purpose_is_not_waited_for():
    """Neither what --except names, nor what has no instance, nor in the mode single."""
    assert waits("api") == {"api": ["db", "migrate"], "db": [], "migrate": ["db"]}
    assert waits("api", except_=["migrate"]) == {"api": ["db"], "db": []}
    assert waits("api", concurrency={"migrate": 0}) == {"api": ["db"], "db": []}
    assert waits("api", mode="single") == {"api": []}


def test_instances_wait_for_instances():
    """Each for all of them in this run."""
    found = waits("api", concurrency={"api": 2, "db": 2})

    assert found == {
        "api.1": ["db.1", "db.2", "migrate"],
        "api.2": ["db.1", "db.2", "migrate"],
        "db.1": [],
        "db.2": [],
        "migrate": ["db.1", "db.2"],
    }


def test_nothing_starts_by_itself():
    """A project of tasks says that one has to be named."""
    message = failure(services=(entry("a", task=True), entry("b", enable="false")))

    assert message == "nothing to run: no service here starts by itself; name one"


def test_release_comes_if_it_is_needed():
    """What waits for it has it started."""
    assert run(services=(entry("release"), entry("web", "release"))) == ["release", "web"]
