"""Who a service is, and which record a word means."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devport.errors import DevportError, ExitStatus, UsageError
from devport.model import Service
from devport.registry.identity import (
    check_key,
    hash_of,
    hash_of_command,
    hash_of_entry,
    hash_of_key,
    hashid,
    name_of,
    resolve,
)
from devport.registry.record import Record


def service(**overrides):
    return Service(**{"name": "web", "entry": "web", "command": ("true",), "cwd": "/p", **overrides})


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:10]


def record(hash_="a" * 10, **overrides):
    return Record(**{"hash": hash_, "hashid": hash_[:3], "project": "/p", **overrides})


def test_hash_of_a_key_is_of_the_key_alone():
    """A key is global: the folder does not enter into it."""
    assert hash_of_key("shop") == sha(b"shop")


def test_hash_of_a_command_is_the_predecessors():
    """cwd, NUL, the arguments joined by NUL: a machine with records of hayeah/devport keeps them."""
    assert hash_of_command("/srv", ["go", "run", "./x"]) == sha(b"/srv\0go\0run\0./x")


def test_hash_of_an_entry_has_the_root_and_the_name():
    """Two checkouts of one project never share an identity."""
    assert hash_of_entry("/a", "web") == sha(b"/a\0entry\0web")
    assert hash_of_entry("/a", "web") != hash_of_entry("/b", "web")


def test_undecodable_bytes_enter_as_the_bytes_they_were():
    """A path that is not UTF-8 is hashed as it is on disk."""
    assert hash_of_entry("/\udcff", "web") == sha(b"/\xff\0entry\0web")


@pytest.mark.parametrize(
    ("given_service", "expected"),
    [
        (service(), hash_of_entry("/p", "web")),
        (service(name="web.1"), hash_of_entry("/p", "web")),
        (service(name="web.2", instance=1), hash_of_entry("/p", "web.2")),
        (service(key="shop"), hash_of_key("shop")),
        (service(key="shop", instance=2), hash_of_key("shop.3")),
        (service(entry="", name="true", command=("true", "x")), hash_of_command("/p", ("true", "x"))),
        (service(named=False, command=("go", "x")), hash_of_command("/p", ("go", "x"))),
        (service(named=False, instance=1), hash_of_command("/p", ("true", "2"))),
    ],
)
def test_instances_have_identities_of_their_own_and_the_first_has_the_entrys(given_service, expected):
    """The first instance is the entry itself; a command or an instance name changes nothing."""
    assert hash_of(given_service, "/p") == expected
    assert hash_of(given_service._replace(description="new"), "/p") == expected


def test_a_records_name_does_not_depend_on_the_formation():
    """`web.1` of a formation is `web` on disk."""
    assert name_of(service(name="web.1")) == "web"
    assert name_of(service(name="web.2", instance=1)) == "web.2"


@pytest.mark.parametrize(
    ("hash_", "taken", "expected"),
    [
        ("abcdef0123", [], "abc"),
        ("abcdef0123", ["abcdef0123"], "abc"),
        ("abcdef0123", ["abd0000000"], "abc"),
        ("abcdef0123", ["abc0000000", "abcd000000"], "abcde"),
        ("abcdef0123", ["abcdef0124"], "abcdef0123"),
    ],
)
def test_hashid_is_the_shortest_prefix_that_is_unique(hash_, taken, expected):
    """At least three digits, and the beginning of no other service's hash."""
    assert hashid(hash_, taken) == expected


@given(st.lists(st.text("01", min_size=10, max_size=10), unique=True, min_size=1))
def test_hashids_given_one_after_the_other_are_distinct(hashes):
    """Frozen hashids never coincide, whatever comes later."""
    ids = [hashid(hash_, hashes[:index]) for index, hash_ in enumerate(hashes)]

    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("key", ["1", "0", "web", "web-assets", "a.b", "A_", "x" * 63])
def test_good_keys_pass(key):
    """Letters, digits, dot, dash and underscore, at most 63."""
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", "ünï", "-x", "a b", "^", "a;b", ".a", "_a", "x" * 64, "a\n", "²", "a/b"])
def test_bad_keys_are_refused_at_the_door(key):
    """Nothing else gets into a file name, a window name or a host name."""
    with pytest.raises(UsageError, match="cannot use the key"):
        check_key(key)


WEB = record("aaa0000000", name="web", entry="web", port=19000)
SECOND = record("ddd0000000", name="web.2", entry="web", port=19003)
API = record("bbb0000000", name="api", entry="api", key="shop", port=19001, ports={"admin": 8080})
OTHER = record("ccc0000000", name="web", entry="web", project="/q", port=19002)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("web", WEB),
        ("web.1", WEB),
        ("web.2", SECOND),
        ("shop", API),
        ("aaa", WEB),
        ("ccc0", OTHER),
        ("19001", API),
        ("8080", API),
    ],
)
def test_a_target_is_an_entry_here_a_key_a_hash_or_a_port(target, expected):
    """The first kind that matches decides; an entry of another project is none."""
    assert resolve(target, [WEB, SECOND, API, OTHER], "/p") is expected


def test_the_entry_of_this_project_wins_over_another_ones_key():
    """Order: entry name first, then key."""
    keyed = record("ddd0000000", name="x", key="web", project="/z")

    assert resolve("web", [keyed, WEB], "/p") is WEB
    assert resolve("web", [keyed, WEB], None) is keyed


def test_a_frozen_hashid_stays_usable_when_a_longer_neighbour_comes():
    """What was printed for a service goes on meaning it."""
    first = record("9d10000000", hashid="9d1")
    second = record("9d11111111", hashid="9d11")

    assert resolve("9d1", [first, second], None) is first


@pytest.mark.parametrize("target", ["190", "1900"])
def test_a_number_that_is_a_hash_prefix_and_another_ones_port_is_ambiguous(target):
    """`rm 1900` must not remove the wrong one; both are named."""
    by_hash = record("1900abcdef", hashid="190", name="one")
    by_port = record("ffff000000", port=int(target), name="two")

    with pytest.raises(DevportError, match=r"1900abcdef.*ffff000000"):
        resolve(target, [by_port, by_hash], None)


def test_an_ambiguous_prefix_lists_the_candidates():
    """Never a guess."""
    with pytest.raises(DevportError, match=r"cannot tell which service aaa is: aaa0\d+ .*, aaa1") as caught:
        resolve("aaa", [record("aaa0000000", hashid="aaa0"), record("aaa1000000", hashid="aaa1")], None)

    assert caught.value.status == ExitStatus.FAILED


@pytest.mark.parametrize("target", ["wep", "", "aa", "9999999999999999", "a\nb", "\udcff", "AAA", "¹"])
def test_no_match_is_status_3_and_one_line(target):
    """Nothing found: the nearest name is suggested where there is one."""
    with pytest.raises(DevportError) as caught:
        resolve(target, [WEB, API, OTHER], "/p")

    assert caught.value.status == ExitStatus.NO_SUCH_SERVICE
    assert "\n" not in caught.value.message
    assert ("did you mean web?" in caught.value.message) == (target == "wep")
