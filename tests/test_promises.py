"""The promises: nothing of the catalogue is missing, each names tests that exist, and the page is current."""

import pathlib
import re

import pytest
from controls import control
from promises import entry
from support import promises_page

ROOT = pathlib.Path(__file__).parents[1]


def test_nothing_is_missing():
    """Every failure, security line and drill row has an entry, and no entry has a number of its own."""
    assert set(entry.NUMBERS) - entry.every().keys() == set()
    assert entry.every().keys() - set(entry.NUMBERS) == set()


@pytest.mark.parametrize("number", entry.every())
def test_an_entry_names_tests_that_exist(number):
    """One sentence, and tests that are there, or the reason why there can be none."""
    found = entry.every()[number]

    assert re.fullmatch(r"[^|\n]+\.", found.promise), "one sentence, in one cell of a table"
    assert found.tests or found.why
    for test in found.tests:
        path, function = control.function_of(test)
        assert "[" not in test
        assert function in entry.names_of(path.read_text(encoding="utf-8")), test


def test_page_is_current():
    """docs/promises.md is what the entries say."""
    assert (ROOT / "docs" / "promises.md").read_text(encoding="utf-8") == promises_page.page()
