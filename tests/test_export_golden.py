"""Each format writes for the two fixed projects what is in tests/golden/export, byte for byte."""

import pytest
from support import export_projects

CASES = [pytest.param(*case, id=case[0]) for case in export_projects.cases()]


@pytest.mark.parametrize(("path", "format_", "plan"), CASES)
def test_golden(path, format_, plan):
    """The files are as they were read once; `python -m tests.support.export_projects` makes them anew."""
    assert export_projects.rendered(format_, plan) == export_projects.golden(path)


@pytest.mark.parametrize(("path", "format_", "plan"), CASES)
def test_pure(path, format_, plan):
    """The same plan gives the same files, and none of them is one that all may read if it has a value."""
    first = export_projects.rendered(format_, plan)

    assert export_projects.rendered(format_, plan) == first
    readable = [
        line.partition(" ")[2]
        for line in first[export_projects.LISTING].decode().splitlines()
        if line.startswith(("0644 ", "0755 "))
    ]
    assert [name for name in readable if b"s3cr3t" in first[name] or b"here's 100" in first[name]] == []


def test_no_golden_is_left():
    """Every golden folder is that of a case."""
    folders = {
        file.relative_to(export_projects.GOLDEN).as_posix()
        for file in export_projects.GOLDEN.glob("*/*")
        if file.is_dir()
    }

    assert folders == {path for path, _, _ in export_projects.cases()}
