"""Registering a project: every service its record and its port, once and for ever."""

import os
import socket
from contextlib import closing

import pytest

from devport.context import Context
from devport.errors import DevportError, UsageError
from devport.model import PortRequest, Project, RestartPolicy, Service
from devport.registry.identity import hash_of_key
from devport.registry.locks import Lock, this_process
from devport.registry.record import Record, to_json, utc
from devport.registry.register import register
from devport.registry.store import Store

NOW = 1_700_000_000.0
DAY = 86400.0


def service(name="web", **overrides):
    return Service(**{"name": name, "entry": name, "command": ("run", name), "cwd": "/p", **overrides})


def project(*services, root="/p", **overrides):
    placed = tuple(one._replace(position=index) for index, one in enumerate(services))
    return Project(root, f"{root}/Procfile", placed, **overrides)


class House:
    """A state folder, and registering in it with ports that are all free but for `busy`."""

    def __init__(self, home, pool="100-109"):
        self.home = str(home)
        self.pool = pool
        self.busy = set()
        self.now = NOW

    @property
    def context(self):
        """Fixed time, private pool, nothing of the real environment."""
        return Context({"DEVPORT_PORT_RANGE": self.pool}, "/p", self.home, wall=lambda: self.now)

    @property
    def store(self):
        """A store as another process would open it."""
        return Store(self.home)

    def register(self, project_, services=None, **options):
        """Registers `services`, or all of the project's."""
        chosen = project_.services if services is None else services
        return register(
            self.context, self.store, project_, chosen, is_free=lambda port: port not in self.busy, **options
        )

    def records(self):
        """What is on disk, by name."""
        return {record.name: record for record in self.store.records().records.values()}


@pytest.fixture
def house(tmp_path):
    return House(tmp_path / "home")


@pytest.fixture
def run(house):
    """Makes a record's service look like it ran in another process."""
    locks = []

    def start(record):
        holder = this_process(house.context, "foreground")
        lock = Lock.acquire(house.store.lock_path(record.hash), holder._replace(pid=1))
        assert isinstance(lock, Lock)
        locks.append(lock)

    yield start
    for lock in locks:
        lock.release()


def test_every_entry_gets_a_port_even_one_that_does_not_run_now(house):
    """Each sees the others' ports, so all are reserved; file order numbers them."""
    plan = project(service("web"), service("api"), service("clock", no_port=True))
    done = house.register(plan, [plan.services[1]])

    assert done.ports == {"web": {"": 100}, "api": {"": 101}, "clock": {}}
    assert {name: record.port for name, record in house.records().items()} == {
        "web": 100,
        "api": 101,
        "clock": None,
    }
    assert done.notices == ()


def test_a_record_says_everything_needed_to_run_again(house):
    """The declaration is stored whole; a foreground run stores no environment."""
    restart = RestartPolicy("always", max=3)
    one = service(key="shop", port_env="VITE_PORT", restart=restart, pty=True, expand=True, description="x")
    house.register(project(one))
    record = house.records()["web"]

    assert record == Record(
        hash_of_key("shop"),
        hash_of_key("shop")[:3],
        key="shop",
        port=100,
        last_up=utc(NOW),
        project="/p",
        name="web",
        entry="web",
        file="/p/Procfile",
        port_env="VITE_PORT",
        expand=True,
        pty=True,
        restart=restart,
        description="x",
        cwd="/p",
        cmd=("run", "web"),
    )


def test_a_port_stays_whatever_else_changes(house):
    """Another command, another order, other neighbours, a busy port: the number is the same."""
    house.register(project(service("web"), service("api")))
    house.busy = {100, 101}
    done = house.register(project(service("new"), service("api"), service("web", command=("other",))))

    assert done.ports == {"new": {"": 102}, "api": {"": 101}, "web": {"": 100}}
    assert house.records()["web"].cmd == ("other",)


def test_registering_the_same_again_writes_nothing(house):
    """Only what changed is written."""
    plan = project(service("web"))
    record = house.register(plan).records["web"]
    before = os.stat(house.store.path(record.hash)).st_ino
    house.now += 60
    house.register(plan)

    assert os.stat(house.store.path(record.hash)).st_ino == before


def test_two_checkouts_get_different_ports(house):
    """Same file, another root: another identity."""
    one = house.register(project(service("web"), root="/a"))
    two = house.register(project(service("web"), root="/b"))

    assert (one.ports, two.ports) == ({"web": {"": 100}}, {"web": {"": 101}})
    assert one.records["web"].hash != two.records["web"].hash


def test_a_port_that_something_listens_on_is_passed_over(house):
    """At allocation; the default probe sees real listeners."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        house.pool = f"{port}-{port}"
        plan = project(service("web"))
        with pytest.raises(
            DevportError, match=rf"cannot give web a port: {port}-{port} are all taken; devport rm"
        ):
            register(house.context, house.store, plan, plan.services)


def test_instances_share_the_entrys_identity_only_for_the_first(house):
    """`web.1` is `web`; `web.2` has a record and a port of its own."""
    plan = project(service("web"))
    pair = [service("web")._replace(name="web.1"), service("web")._replace(name="web.2", instance=1)]
    done = house.register(plan, pair)

    assert done.ports == {"web": {"": 100}, "web.1": {"": 100}, "web.2": {"": 101}}
    assert sorted(house.records()) == ["web", "web.2"]


def test_two_services_with_one_identity_are_refused(house):
    """The same key twice, or an entry called like another's instance."""
    with pytest.raises(UsageError, match=r"cannot tell api from web \(key k\)"):
        house.register(project(service("web", key="k"), service("api", key="k")))
    second = service("web")._replace(name="web.2", instance=1)
    with pytest.raises(UsageError, match=r"cannot tell web.2 from web.2"):
        house.register(project(service("web"), service("web.2")), [second])


def test_switching_no_port_on_and_off_gives_the_same_port_back(house):
    """The reservation stays, it is only not used."""
    house.register(project(service("web")))
    off = house.register(project(service("web", no_port=True)))
    house.register(project(service("web", no_port=True), service("api")))
    on = house.register(project(service("web")))

    assert off.ports == {"web": {}}
    assert (off.records["web"].port, off.records["web"].no_port) == (100, True)
    assert on.ports == {"web": {"": 100}}


def requests(**bases):
    return tuple(PortRequest(name, base) for name, base in bases.items())


def test_named_ports_come_from_their_base_or_the_pool_and_the_first_is_port(house):
    """Upward from the base past what is busy or reserved."""
    house.busy = {8080}
    plan = project(
        service("web", ports=requests(http=8080, admin=None)), service("api", ports=requests(http=8080))
    )
    done = house.register(plan)

    assert done.ports == {"web": {"http": 8081, "admin": 100}, "api": {"http": 8082}}
    assert list(done.ports["web"]) == ["http", "admin"]
    assert (done.records["web"].port, done.records["web"].ports) == (8081, {"http": 8081, "admin": 100})


def test_a_reserved_named_port_stays_although_its_base_is_free_again(house):
    """Stability is the promise."""
    house.busy = {8080}
    plan = project(service("web", ports=requests(http=8080)))
    house.register(plan)
    house.busy = set()

    assert house.register(plan).ports == {"web": {"http": 8081}}


def test_a_port_outside_what_is_asked_for_now_is_replaced(house):
    """Another base in the file is a wish of its own."""
    house.register(project(service("web", ports=requests(http=8080))))

    assert house.register(project(service("web", ports=requests(http=9090)))).ports == {"web": {"http": 9090}}


def test_an_unnamed_port_becomes_the_first_named_one(house):
    """Giving the port a name does not change the number."""
    house.register(project(service("web")))
    done = house.register(project(service("web", ports=requests(http=None, admin=None))))

    assert done.ports == {"web": {"http": 100, "admin": 101}}
    assert house.register(project(service("web"))).ports == {"web": {"": 100}}


@pytest.mark.parametrize(("in_file", "flag"), [(True, None), (None, True), (False, True)])
def test_strict_takes_the_base_or_fails_and_names_the_owner(house, in_file, flag):
    """The flag wins over the file."""
    house.register(project(service("api", ports=requests(http=8080)), root="/q"))
    plan = project(service("web", ports=requests(http=8080)), strict_ports=in_file)
    with pytest.raises(DevportError, match=r"cannot give web port 8080: it is reserved for api in /q"):
        house.register(plan, strict=flag)

    assert house.register(plan, strict=False).ports == {"web": {"http": 8081}}


def test_strict_names_a_program_too(house):
    """Whoever listens there, not only other services."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        house.busy = {port}
        plan = project(service("web", ports=requests(http=port)))
        with pytest.raises(DevportError, match=rf"port {port}: it is in use by .* \(pid \d+, user"):
            house.register(plan, strict=True)


def test_an_entry_that_does_not_run_now_never_stops_the_others(house):
    """Its missing port is a notice."""
    house.busy = {8080}
    plan = project(service("web", ports=requests(http=8080)), service("api"))
    done = house.register(plan, [plan.services[1]], strict=True)

    assert done.ports == {"web": {}, "api": {"": 100}}
    assert done.notices == ("cannot give web port 8080: it is in use by another program",)


def test_reassign_moves_exactly_the_named_ones(house):
    """The old number is not given out again at once."""
    plan = project(service("web"), service("api"))
    house.register(plan)

    assert house.register(plan, reassign=["web"]).ports == {"web": {"": 102}, "api": {"": 101}}
    assert house.records()["web"].port == 102
    with pytest.raises(UsageError, match=r"cannot reassign wbe: no such service \(did you mean web\?\)"):
        house.register(plan, reassign=["wbe"])


def test_base_asks_for_foremans_numbers_and_changes_no_reservation(house):
    """BASE + 100 per entry by position, + 1 per instance, for this time."""
    plan = project(service("web"), service("api", ports=requests(http=None, admin=None)))
    two = plan.services[1]._replace(name="api.2", instance=1)
    done = house.register(plan, [*plan.services, two], base=5000)

    assert done.ports == {
        "web": {"": 5000},
        "api": {"http": 5100, "admin": 102},
        "api.2": {"http": 5101, "admin": 104},
    }
    assert house.register(plan).ports == {"web": {"": 100}, "api": {"http": 101, "admin": 102}}


@pytest.mark.parametrize("base", [65500, 0, -200, 70000])
def test_a_number_that_is_no_port_is_a_usage_error(house, base):
    """Nothing is written then; what does not run does not matter."""
    plan = project(service("a"), service("b"))
    with pytest.raises(UsageError, match="ports are 1 to 65535"):
        house.register(plan, base=base)

    assert house.records() == {}
    assert house.register(plan, [plan.services[0]], base=65500).ports == {"a": {"": 65500}, "b": {"": 101}}


def test_a_running_services_record_is_left_alone(house, run):
    """It says what runs; its ports are still known to the others."""
    record = house.register(project(service("web"))).records["web"]
    run(record)
    done = house.register(project(service("web", command=("new",), no_port=False), service("api")))

    assert done.records["web"] == record
    assert done.ports == {"web": {"": 100}, "api": {"": 101}}
    with pytest.raises(DevportError, match=r"cannot reassign web: it is running"):
        house.register(project(service("web")), reassign=["web"])


def test_a_key_that_runs_elsewhere_is_an_error_that_shows_both(house, run):
    """A key is global."""
    record = house.register(project(service("web", key="shop"), root="/a")).records["web"]
    run(record)
    with pytest.raises(DevportError) as caught:
        house.register(project(service("api", key="shop", cwd="/b"), root="/b"))

    message = caught.value.message
    assert "key shop is running already as web in /a (run web)" in message
    assert "this one is api in /b (run api)" in message
    assert house.records() == {"web": record}


def test_a_stopped_key_is_taken_over_with_a_notice_and_keeps_its_port(house):
    """The new one has it, environment and state of the old one do not come along."""
    first = house.register(project(service("web", key="shop"), root="/a")).records["web"]
    house.store.update(first.hash, lambda record: record._replace(env=("SECRET=1",), tailnet=True))
    done = house.register(project(service("api", key="shop", cwd="/b"), root="/b"))

    assert done.ports == {"api": {"": 100}}
    assert done.notices == ("key shop goes from web in /a (run web) to api in /b (run api)",)
    assert (done.records["api"].env, done.records["api"].tailnet) == ((), False)


def test_a_key_that_is_only_mentioned_is_not_taken_over(house):
    """Starting `api` alone does not move `web` away from the other project."""
    first = house.register(project(service("web", key="shop"), root="/a")).records["web"]
    plan = project(service("web", key="shop", cwd="/b"), service("api"), root="/b")
    done = house.register(plan, [plan.services[1]])

    assert done.records["web"] == first
    assert (done.ports["web"], done.notices) == ({"": 100}, ())


def test_a_record_of_the_predecessor_keeps_its_port(house):
    """A keyed service of hayeah/devport with the same command is adopted without a word."""
    hash_ = hash_of_key("shop")
    house.store.write(
        [Record(hash_, hash_[:5], key="shop", port=19003, cwd="/p", cmd=("run", "web"), env=("A=1",))]
    )
    done = house.register(project(service("web", key="shop")))

    assert done.ports == {"web": {"": 19003}}
    assert done.notices == ()
    assert (done.records["web"].hashid, done.records["web"].env) == (hash_[:5], ("A=1",))


def test_the_background_services_snapshot_and_exposure_stay(house):
    """A foreground run neither loses the environment nor reverts `tailup`."""
    record = house.register(project(service("web"))).records["web"]
    house.store.update(record.hash, lambda one: one._replace(env=("A=1",), tailnet=True, extra={"later": 1}))
    done = house.register(project(service("web", command=("new",))))

    assert (done.records["web"].env, done.records["web"].tailnet) == (("A=1",), True)
    assert done.records["web"].extra == {"later": 1}


def corrupt(house, record, data):
    with open(house.store.path(record.hash), "wb") as file:
        file.write(data)


def test_a_damaged_record_of_another_service_keeps_its_port_reserved(house):
    """A warning that names the file; nobody gets the number."""
    old = house.register(project(service("web"), root="/a")).records["web"]
    corrupt(house, old, to_json(old)[:200])
    done = house.register(project(service("web"), root="/b"))

    assert done.ports == {"web": {"": 101}}
    assert len(done.notices) == 1
    assert house.store.path(old.hash) in done.notices[0]
    assert "port 100 stays reserved" in done.notices[0]


@pytest.mark.parametrize("declared", [(), requests(http=None, admin=8080)])
def test_registering_over_a_damaged_record_gives_the_same_ports_and_keeps_the_file(house, declared):
    """Nothing is overwritten in silence."""
    plan = project(service("other"), service("web", ports=declared))
    old = house.register(plan)
    torn = to_json(old.records["web"])[:200]
    corrupt(house, old.records["web"], torn)
    done = house.register(plan)
    kept = [path for path in (os.listdir(house.store.services)) if ".corrupt-" in path]

    assert done.ports == old.ports
    assert "port 101 stays" in done.notices[0]
    assert len(kept) == 1
    with open(f"{house.store.services}/{kept[0]}", "rb") as file:
        assert file.read() == torn


@pytest.mark.parametrize("data", [b"", b"\0" * 512])
def test_a_record_that_shows_no_port_is_replaced_with_a_warning(house, data):
    """The port is lost, and the notice says so."""
    plan = project(service("web"))
    corrupt(house, house.register(plan).records["web"], data)
    done = house.register(plan)

    assert "its port could not be recovered" in done.notices[0]
    assert done.records["web"].port == 100


def test_a_record_of_a_newer_devport_is_never_replaced(house):
    """Its port stays reserved for others, and its own service is refused."""
    plan = project(service("web"))
    record = house.register(plan).records["web"]
    corrupt(house, record, to_json(record._replace(schema=2)))
    with pytest.raises(DevportError, match="a newer version of devport wrote it"):
        house.register(plan)

    assert house.register(project(service("web"), root="/b")).ports == {"web": {"": 101}}


def test_the_pool_is_reclaimed_only_when_it_is_exhausted(house, run):
    """Over 30 days unused and not running; the old reservation goes, the notice says whose."""
    house.pool = "100-102"
    house.now = NOW - 40 * DAY
    running = house.register(project(service("running"), root="/x")).records["running"]
    run(running)
    house.register(project(service("old"), root="/x"))
    house.now = NOW
    assert house.register(project(service("a"))).ports["a"] == {"": 102}
    done = house.register(project(service("b"), root="/z"))

    assert done.ports["b"] == {"": 101}
    assert done.notices == (f"port 101 of old in /x, unused since {utc(NOW - 40 * DAY)}, is free again",)
    assert sorted(house.records()) == ["a", "b", "running"]
    with pytest.raises(DevportError, match="cannot give c a port: 100-102 are all taken"):
        house.register(project(service("c"), root="/c"))


def test_registering_makes_a_long_unused_record_fresh(house):
    """Between its registration and its lock nobody may reclaim the port."""
    house.now = NOW - 40 * DAY
    plan = project(service("web"))
    house.register(plan)
    house.now = NOW

    assert house.register(plan).records["web"].last_up == utc(NOW)


def test_a_failed_registration_writes_nothing(house):
    """One service that cannot have its port: no record of the others either."""
    house.pool = "100-101"
    with pytest.raises(DevportError, match="cannot give c a port"):
        house.register(project(service("a"), service("b"), service("c")))

    assert house.records() == {}


def test_a_state_folder_that_cannot_be_made_is_one_line(tmp_path):
    """A file where the folder should be: no traceback."""
    (tmp_path / "file").write_text("")
    plan = project(service("web"))
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DevportError, match=r"^cannot (use|create|read) .*file"):
            House(home).register(plan)
