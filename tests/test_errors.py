"""The nearest known word: a hint where somebody mistyped it, nothing where two words are alike by chance."""

import pytest

from devport.errors import nearest


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("wbe", "web"),
        ("wb", "web"),
        ("webb", "web"),
        ("wep", "web"),
        ("web.7", "web"),
        ("wroker", "worker"),
        ("time", "timeout"),
    ],
)
def test_slips(word, known):
    """Letters swapped, one missing or one too many, the last one wrong; in longer words more than that."""
    assert nearest(word, [known, "zzz"]) == f" (did you mean {known}?)"


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("nope", "ne"),
        ("bogus", "logs"),
        ("bogus", "bus"),
        ("worker", "wok"),
        ("cat", "bat"),
        ("a", "ab"),
        ("start", "sat"),
        ("db", "dx"),
    ],
)
def test_chance(word, known):
    """A short name that shares two or three letters was not meant."""
    assert nearest(word, [known]) == ""


def test_likeliest_that_was_meant():
    """A word that is likelier by its letters alone hides no other."""
    assert nearest("nope", ["ne", "nose"]) == " (did you mean nose?)"
