"""Documents that are almost right: valid ones with bytes, words, lines or types changed, for parsers."""

import json
import pathlib
import random
import re

from hypothesis import strategies as st

ROOT = pathlib.Path(__file__).parents[2]

NASTY = (
    *(b"", b"\0", b"\n", b"\r\n", b"\t", b"\x1b[2J", b"\x7f", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80"),
    *("\u2028".encode(), b"\xef\xbb\xbf", "\u202e".encode(), b"\x0b", b"\x85"),
    *(
        b": ",
        b":",
        b"- ",
        b"? ",
        b"| ",
        b">-\n",
        b"#",
        b" #",
        b"---\n",
        b"...\n",
        b"%YAML 9.9\n",
        b"%TAG ! x:\n",
    ),
    *(b"&a ", b"*a", b"<<: *a", b"<<: 3", b"!!binary ", b"!!python/object:os.system ", b"!x ", b"!!set "),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b"[" * 60,
        b"{a: " * 60,
        b'"',
        b"'",
        b'"""',
        b"\\",
        b"\\x",
        b"\\ud800",
        b'"\\ud800"',
    ),
    *(
        b"~",
        b"null",
        b"yes",
        b"no",
        b"on",
        b"true",
        b"=",
        b"0x1F",
        b"1_000",
        b"1e999",
        b".inf",
        b".nan",
        b"NaN",
    ),
    *(b"-1", b"0", b"65536", b"99999", b"9" * 30, b"1" * 5000, b"0o17", b"1:30", b"2001-01-01", b"\xd9\xa3"),
    *(
        b"${",
        b"${}",
        b"${x}",
        b"${a.port}",
        b"$${a.port}",
        b"${git.root}",
        b"$",
        b"~",
        b"~nobody",
        b"/",
        b"../..",
    ),
    *(
        b"a" * 300,
        b"A=",
        b"=b",
        b"=",
        b"export ",
        b"__proto__",
        b"processes",
        b"services",
        b"procs",
        b"tasks",
    ),
    *(
        b"exec",
        b"command",
        b"after",
        b"@",
        b"web",
        b"db",
        b"@ready",
        b"@nope",
        b"\xf0\x9f\x98\x80",
        b"%n",
        b"{{.X}}",
    ),
)
"""What somewhere means something, or is none of it."""

VALUES = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        65536,
        10**30,
        1e300,
        "",
        " ",
        "x",
        "yes",
        "null",
        "\0",
        "\n",
        "a\x1b[2Jb",
    ),
    *(
        "é",
        "\u2028",
        "9" * 5000,
        "${a.port}",
        "a" * 300,
        "web",
        "@ready",
        "SIGFOO",
        "=x",
        "a=b",
        "{{",
        "'",
        '"',
    ),
    *("/etc", "~", "../x", "[", "99999", "1e5", "0x1F", "0 0", "-"),
    *([], {}, [[]], [{}], {"a": {}}, {"": ""}, ["x", 3, None], {"x": [1]}, {"exec": "x"}, {"get": {}}),
)
"""Values of every type, for a place where another is expected."""

_STEP = st.tuples(
    st.sampled_from(["replace", "insert", "cut", "twice", "word", "lines", "flip", "end"]),
    st.integers(0, 1 << 16),
    st.integers(1, 40),
    st.sampled_from(NASTY),
)


def apply(data, step, other):
    """`data` after one step; `other` is a document to take pieces of."""
    kind, place, length, token = step
    at = place % (len(data) + 1)
    end = min(len(data), at + length)
    words = list(re.finditer(rb"[\w.-]+", data))
    word = words[place % len(words)] if words else None
    lines, others = data.split(b"\n"), other.split(b"\n")
    lines.insert(place % (len(lines) + 1), others[(place * 7) % len(others)])
    return {
        "replace": data[:at] + token + data[end:],
        "insert": data[:at] + token + data[at:],
        "cut": data[:at] + data[end:],
        "twice": data[:at] + data[at:end] * 3 + data[end:],
        "word": data[: word.start()] + token + data[word.end() :] if word else token,
        "lines": b"\n".join(lines),
        "flip": data[:at] + bytes(byte ^ (1 << (place % 8)) for byte in data[at : at + 1]) + data[at + 1 :],
        "end": data[:at],
    }[kind]


def mutated(corpus):
    """Bytes: one of the documents `corpus`, a few steps away from what it was."""

    def build(data, other, steps):
        for step in steps:
            data = apply(data, step, other)
        return data

    document = st.sampled_from(tuple(corpus))
    return st.builds(build, document, document, st.lists(_STEP, min_size=1, max_size=5))


def places(node, path=()):
    """The path of each value in a document, containers before what they hold."""
    yield path
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        yield from places(value, (*path, key))


def replaced(node, path, change):
    """The document with `change(value)` at `path`."""
    if not path:
        return change(node)
    key, *rest = path
    if isinstance(node, dict):
        return {**node, key: replaced(node[key], rest, change)}
    return [*node[:key], replaced(node[key], rest, change), *node[key + 1 :]]


def retyped(documents):
    """Documents (of dict, list and plain values) with other values in some places, and keys that are new."""

    def build(document, steps):
        for place, value, key in steps:
            found = list(places(document))
            path = found[place % len(found)]

            def change(node, value=value, key=key):
                return {**node, key: value} if key is not None and isinstance(node, dict) else value

            document = replaced(document, path, change)
        return document

    keys = st.sampled_from(
        [None, None, None, "zzz", "exec", "after", "x-y", "<<", "", "env", "ports", "comand"]
    )
    steps = st.tuples(st.integers(0, 1 << 16), st.sampled_from(VALUES), keys)
    return st.builds(build, st.sampled_from(tuple(documents)), st.lists(steps, min_size=1, max_size=3))


def as_json(document):
    """`document` as bytes that every YAML and JSON reader takes, as far as it has a form there."""
    return json.dumps(document).encode()


def blocks(page, language):
    """The blocks of code of one language in a page of docs."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        match[1].encode()
        for match in re.finditer(rf"^```{language}[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]


def some(corpus, seed, count):
    """So many documents that `mutated` could make, the same ones for the same `seed`."""
    corpus = tuple(corpus)
    chance = random.Random(seed)
    kinds = ("replace", "insert", "cut", "twice", "word", "lines", "flip", "end")
    for _ in range(count):
        data, other = chance.choice(corpus), chance.choice(corpus)
        for _ in range(chance.randint(1, 5)):
            step = (
                chance.choice(kinds),
                chance.randrange(1 << 16),
                chance.randint(1, 40),
                chance.choice(NASTY),
            )
            data = apply(data, step, other)
        yield data
