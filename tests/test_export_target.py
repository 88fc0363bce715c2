"""Writing an export: whole files with the right mode, what would change, and what of an earlier one goes."""

import json
import os
import shutil
import stat
import subprocess

import pytest

from devport.errors import DevportError, UsageError
from devport.export.plan import PRIVATE, PROGRAM, File, Plan, fill
from devport.export.target import Changes, Target

WEB, DB = File("web.service", "web\n"), File("units/db.service", "db\n", PRIVATE)


@pytest.fixture
def target(tmp_path):
    """A target in a folder that is not there yet."""
    return Target(str(tmp_path / "out"), "shop", "systemd")


def names(target):
    """The files below the target's folder, but for its manifest."""
    found = []
    for folder, _, files in os.walk(target.location):
        found += [os.path.relpath(os.path.join(folder, name), target.location) for name in files]
    return sorted(name for name in found if not name.startswith(".devport-export"))


def test_writes_with_modes(target):
    """Folders are made; whatever the umask, a file has its own mode from its first moment."""
    before = os.umask(0)
    try:
        changes = target.write([WEB, DB, File("run", "#!/bin/sh\n", PROGRAM)])
    finally:
        os.umask(before)

    modes = {
        name: stat.S_IMODE(os.stat(os.path.join(target.location, name)).st_mode) for name in names(target)
    }
    assert modes == {"web.service": 0o644, "units/db.service": 0o600, "run": 0o755}
    assert changes == Changes(written=("web.service", "units/db.service", "run"))


def test_nothing_to_do(target):
    """The same export again writes nothing; another mode alone is a change."""
    target.write([WEB, DB])

    assert target.write([WEB, DB]) == Changes(unchanged=("web.service", "units/db.service"))
    assert target.write([WEB._replace(mode=PRIVATE), DB]).written == ("web.service",)


def test_stale_ones_stay_unless_pruned(target):
    """What is needed no more is told of; --prune removes it, and the folder that it leaves empty."""
    target.write([WEB, DB])

    assert target.write([WEB]).stale == ("units/db.service",)
    assert names(target) == ["units/db.service", "web.service"]
    assert target.write([WEB], prune=True).removed == ("units/db.service",)
    assert names(target) == ["web.service"]
    assert not os.path.exists(os.path.join(target.location, "units"))


def test_never_what_somebody_changed(target):
    """A stale file that was edited is no longer ours."""
    target.write([WEB, DB])
    with open(os.path.join(target.location, DB.path), "a", encoding="utf-8") as file:
        file.write("mine\n")
    changes = target.write([WEB], prune=True)

    assert (changes.removed, changes.kept) == ((), ("units/db.service",))
    assert "units/db.service" in names(target)


def test_never_what_is_not_ours(target):
    """Other files, and other apps' exports in the same folder, are not touched."""
    target.write([WEB, DB])
    other = Target(target.location, "shop2", "systemd")
    other.write([File("other.service", "x")])
    with open(os.path.join(target.location, "mine"), "w", encoding="utf-8"):
        pass
    target.write([], prune=True)

    assert names(target) == ["mine", "other.service"]


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../secret"])
def test_a_manifest_that_was_tampered_with(target, tmp_path, path):
    """What it says of files outside of the folder is not believed."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    target.write([WEB])
    manifest = os.path.join(target.location, ".devport-export-shop-systemd.json")
    with open(manifest, "w", encoding="utf-8") as file:
        json.dump({"files": {path: "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}}, file)
    target.write([WEB], prune=True)

    assert secret.exists()
    assert os.path.exists("/etc/passwd")


@pytest.mark.parametrize("text", ["", "[]", '{"files": 1}', "not json", '{"files": {"a": 1}}'])
def test_a_manifest_that_is_none(target, text):
    """It is as if there had been no export before."""
    target.write([WEB])
    with open(
        os.path.join(target.location, ".devport-export-shop-systemd.json"), "w", encoding="utf-8"
    ) as file:
        file.write(text)

    assert target.write([DB], prune=True).removed == ()
    assert "web.service" in names(target)


def test_diff(target):
    """What would change, and nothing is written."""
    target.write([WEB, DB])
    said = target.diff([WEB._replace(content="web 2\n"), File("new", "n")], prune=True)

    assert "-web\n+web 2\n" in said
    assert "+n\n\\ No newline at end of file\n" in said
    assert "--- units/db.service\n+++ /dev/null\n" in said
    assert names(target) == ["units/db.service", "web.service"]
    assert target.diff([WEB, DB]) == ""


def test_what_a_diff_does_not_say(target):
    """New files, removed ones and other modes have a line of their own, also where a file is empty."""
    target.write([WEB, DB, File("gone", "")])
    said = target.diff([WEB._replace(mode=PRIVATE), DB, File("down", "", PROGRAM)], prune=True)

    assert said == "web.service: mode 0644 -> 0600\ndown: new, mode 0755\ngone: removed, because of --prune\n"


def test_the_diff_is_one_that_patch_takes(target):
    """Only a line feed ends a line, whatever else Python takes for one."""
    if shutil.which("patch") is None:
        pytest.skip("patch is not installed")
    old, new = "a\r\nb\x0cc\u2028d\x1ce\nf", "a\r\nb\x0cc\u2028d\x1cE\nf\ng\x85h"
    target.write([File("web", old)])
    said = target.diff([File("web", new)])
    subprocess.run(["patch", "--binary", "-s", "web"], cwd=target.location, input=said.encode(), check=True)

    with open(os.path.join(target.location, "web"), "rb") as file:
        assert file.read().decode() == new


def test_what_is_left(target):
    """Before anything is written: what stays though nothing needs it, unless --prune, and what was edited."""
    target.write([WEB, DB, File("mine", "a")])
    with open(os.path.join(target.location, "mine"), "a", encoding="utf-8") as file:
        file.write("b")

    assert target.left([WEB]) == Changes(stale=("units/db.service",), kept=("mine",))
    assert target.left([WEB], prune=True) == Changes(kept=("mine",))


def test_a_folder_that_cannot_be_written(tmp_path):
    """One line that names what is in the way."""
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DevportError, match=rf"^cannot export to {tmp_path}/out: it is no folder$"):
        Target(str(tmp_path / "out"), "shop", "systemd").write([WEB])


def test_a_link_is_replaced_and_not_followed(target, tmp_path):
    """What a link points to stays as it is."""
    outside = tmp_path / "outside"
    outside.write_text("theirs")
    os.makedirs(target.location)
    os.symlink(outside, os.path.join(target.location, WEB.path))
    target.write([WEB])

    assert outside.read_text() == "theirs"
    assert not os.path.islink(os.path.join(target.location, WEB.path))


PLAN = Plan("shop", "/shop", ())


def test_fill():
    """Words are replaced; a line of nothing but an empty word goes, other empty lines stay."""
    text = "a={{a}}\n{{nothing}}\n\nb={{a}}{{nothing}}\n"

    assert (
        fill(PLAN, "unit", text, {"a": "$1 \\1 {{b}}", "nothing": ""}) == "a=$1 \\1 {{b}}\n\nb=$1 \\1 {{b}}\n"
    )


def test_fill_with_the_users_template():
    """A template of the same name replaces the built-in one."""
    plan = PLAN._replace(templates={"unit": "mine {{a}}\n"})

    assert fill(plan, "unit", "built in\n", {"a": 1}) == "mine 1\n"


def test_fill_with_a_word_that_there_is_not():
    """The template and the nearest word are named."""
    with pytest.raises(UsageError, match=r"cannot use template unit: there is no \{\{usr\}\}.*user"):
        fill(PLAN._replace(templates={"unit": "{{usr}}"}), "unit", "", {"user": "x"})
