"""Which changed files count, and which a service changes itself: decisions from values alone."""

import pytest

from devport.model import Watch
from devport.sources.sieve import Sieve, compiled
from devport.sources.watch import OWN_DOING, Guard


def sieve(*paths, rules=None, top="/p", **watch):
    """A Sieve of the project /p; `rules` are folders' .gitignore files, `top` holds the .git."""
    rules = rules or {}
    watch.setdefault("root", "/p")
    return Sieve(
        Watch(paths or ("/p/src",), **watch),
        lambda folder: rules.get(folder, "").splitlines(),
        lambda folder: folder == top,
    )


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("/p/src/a.py", True),
        ("/p/src/deep/er/a.py", True),
        ("/p/src/UPPER", True),
        ("/p/other/a.py", False),
        ("/p/srcs/a.py", False),
        ("/elsewhere/a.py", False),
        ("/p/src/.hidden", False),
        ("/p/src/.git/HEAD", False),
        ("/p/src/__pycache__/a.py", False),
        ("/p/src/node_modules/x/index.js", False),
        ("/p/src/a.py~", False),
        ("/p/src/.a.py.swp", False),
        ("/p/src/a.py.swp", False),
        ("/p/src/#a.py#", False),
        ("/p/src/4913", False),
        ("/p/src/a.bak", False),
        ("/p/src/a.pyc", False),
    ],
)
def test_defaults(path, counts):
    """Below a listed folder all files count but hidden ones, and those that tools and editors make."""
    assert sieve().counts(path) is counts


@pytest.mark.parametrize(
    ("path", "counts"),
    [("a.rs", True), ("Cargo.toml", True), ("a.py", False), ("rs", False), ("x.d.ts", True), ("a.ts", False)],
)
def test_extensions(path, counts):
    """With or without their dot; also those of two parts."""
    assert sieve(extensions=("rs", ".toml", "d.ts")).counts(f"/p/src/{path}") is counts


@pytest.mark.parametrize(
    ("pattern", "path", "counts"),
    [
        ("*.log", "/p/src/a.log", False),
        ("*.log", "/p/src/deep/a.log", False),
        ("target", "/p/src/target/x", False),
        ("target/", "/p/src/target/x", False),
        ("target/", "/p/src/target", True),
        ("src/gen/*.py", "/p/src/gen/a.py", False),
        ("/gen", "/p/src/gen/a.py", True),
        ("gen/**/x", "/p/src/gen/x", True),
        ("**/gen/**/x", "/p/src/gen/a/b/x", False),
        ("/src/a?.py", "/p/src/a1.py", False),
        ("[ab].py", "/p/src/c.py", True),
    ],
)
def test_ignore(pattern, path, counts):
    """Patterns as in a .gitignore that lies in the project's folder."""
    assert sieve(ignore=(pattern,)).counts(path) is counts


def test_last_pattern_decides():
    """`!` takes a file back in."""
    ignoring = sieve(ignore=("*.log", "!keep.log"))

    assert not ignoring.counts("/p/src/a.log")
    assert ignoring.counts("/p/src/keep.log")


def test_ignored_folder_takes_all_along():
    """As with git, nothing below an ignored folder can be taken back in."""
    assert not sieve(ignore=("gen/", "!keep.py")).enters("/p/src/gen")


@pytest.mark.parametrize(
    ("rules", "path", "counts"),
    [
        ({"/p": "*.log"}, "/p/src/a.log", False),
        ({"/p": "/dist"}, "/p/src/dist/a", True),
        ({"/p/src": "/dist"}, "/p/src/dist/a", False),
        ({"/p": "*.log", "/p/src": "!a.log"}, "/p/src/a.log", True),
        ({"/p": "!a.log", "/p/src": "*.log"}, "/p/src/a.log", False),
        ({"/p": "/*\n!/src"}, "/p/src/a.py", True),
        ({"/p": "# a.py\n\n"}, "/p/src/a.py", True),
        ({"/": "a.py"}, "/p/src/a.py", True),
    ],
)
def test_gitignore(rules, path, counts):
    """The .gitignore files of a working copy, the nearest first; none above its top."""
    assert sieve(rules=rules).counts(path) is counts


def test_gitignore_without_a_working_copy():
    """Then the project's folder is the top."""
    without = sieve(rules={"/p": "*.log", "/": "*.py"}, top=None)

    assert not without.counts("/p/src/a.log")
    assert without.counts("/p/src/a.py")


def test_own_patterns_come_before_gitignore():
    """`ignore` with `!` has devport watch what git is not to have, hidden or not."""
    own = sieve(ignore=("!dist", "!.env"), rules={"/p": "dist\n"})

    assert own.counts("/p/src/dist/a.js")
    assert own.counts("/p/src/.env")


def test_listed_path_counts():
    """Whatever is listed itself counts: hidden, git-ignored, of another extension."""
    listed = sieve("/p/.env", "/p/dist", extensions=("js",), rules={"/p": ".env\ndist\n", "/p/dist": "x.js"})

    assert listed.counts("/p/.env")
    assert listed.counts("/p/dist/a.js")
    assert not listed.counts("/p/dist/x.js")
    assert not listed.counts("/p/other.js")


def test_project_in_a_hidden_folder():
    """Only what is below the listed path is asked about."""
    assert sieve("/home/.work/p/src", root="/home/.work/p", top=None).counts("/home/.work/p/src/a.py")


def test_path_outside_of_the_project():
    """Patterns without a slash hold there too."""
    outside = sieve("/lib/shared", ignore=("*.log",), top=None)

    assert outside.counts("/lib/shared/a.py")
    assert not outside.counts("/lib/shared/a.log")


def test_line_that_is_no_pattern():
    """The other lines hold."""
    assert compiled(["!", "*.log"]).check_file("a.log").include is True


def test_leads():
    """What has to be there for a listed path to be there."""
    assert sieve().leads("/p")
    assert sieve().leads("/p/src")
    assert not sieve().leads("/p/src/a")
    assert not sieve().leads("/p/s")


A, B = frozenset({"/p/a"}), frozenset({"/p/b"})
NONE = frozenset()


def suspicious(guard, files, after=1.0, times=1):
    """`files` change `after` seconds behind each of `times` restarts; what the guard said last."""
    for _ in range(times):
        guard.began(0.0)
        said = guard.judge(files, after)
    return said


def test_own_doing_is_found():
    """The third restart in a row with the same file changed behind it is the last for that file."""
    guard = Guard()

    assert guard.judge(A, 0.0) == (A, NONE)
    assert suspicious(guard, A, times=2) == (A, NONE)
    assert suspicious(guard, A) == (NONE, A)
    assert suspicious(guard, A) == (NONE, NONE)
    assert suspicious(guard, A | B) == (B, NONE)


def test_who_saves_often_is_believed_again():
    """What was found out counts again when it changes long after a start; the second time is for good."""
    guard = Guard()
    guard.judge(A, 0.0)
    suspicious(guard, A, times=3)

    assert guard.judge(A, 200.0) == (A, NONE)
    suspicious(guard, A, times=2)
    assert suspicious(guard, A) == (NONE, A)
    assert guard.judge(A, 1000.0) == (NONE, NONE)


def test_own_doing_among_others():
    """What changed each time is found among what did not; the rest restarts."""
    guard = Guard()
    guard.judge(A, 0.0)
    suspicious(guard, A | B)
    suspicious(guard, A)

    assert suspicious(guard, A | B) == (B, A)


@pytest.mark.parametrize("after", [OWN_DOING + 0.1, 60])
def test_later_change_is_the_users(after):
    """No number of changes long after a restart is suspicious."""
    guard = Guard()
    guard.judge(A, 0.0)

    assert suspicious(guard, A, after=after, times=10) == (A, NONE)


def test_row_is_broken():
    """By a change of another file, or by one that came late."""
    guard = Guard()
    guard.judge(A, 0.0)
    suspicious(guard, A, times=2)
    suspicious(guard, B)
    assert suspicious(guard, A, times=2) == (A, NONE)
    suspicious(guard, A, after=60)

    assert suspicious(guard, A, times=2) == (A, NONE)


def test_first_start_is_no_restart():
    """A change right behind the service's first start is the first reason for a restart."""
    guard = Guard()
    guard.began(0.0)
    guard.judge(A, 1.0)

    assert suspicious(guard, A, times=2) == (A, NONE)


def test_reset():
    """After a restart by hand every file is trusted again."""
    guard = Guard()
    guard.judge(A, 0.0)
    suspicious(guard, A, times=3)
    guard.reset()

    assert guard.judge(A, 0.0) == (A, NONE)
