"""A package that only tests want: missing it is a skip at home, and a failure in CI."""

import json

import pytest
from support.running import need_package


def test_a_package_that_is_there():
    """Its module is returned."""
    assert need_package("json", "json") is json


def test_at_home(monkeypatch):
    """The test is skipped, and says why."""
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match=r"^the package nothing-at-all is not installed$"):
        need_package("nothing_at_all", "nothing-at-all")


def test_in_ci(monkeypatch):
    """The test fails."""
    monkeypatch.setenv("CI", "1")

    with pytest.raises(pytest.fail.Exception, match=r"^in CI, the package nothing-at-all is not installed$"):
        need_package("nothing_at_all", "nothing-at-all")
