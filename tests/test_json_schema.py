"""devport.schema.json: made of the tables that read the keys, and true to them."""

import pathlib
import re

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import devport
from devport.errors import DevportError
from devport.project import json_schema
from devport.project.config import Source, parse
from devport.project.yaml_nodes import Items, Scalar, compose

ROOT = pathlib.Path(__file__).parents[1]
FILE = pathlib.Path(devport.__file__).parent / "devport.schema.json"
VALIDATOR = jsonschema.Draft7Validator(json_schema.document())
BLOCK = re.compile(r"^```yaml *(.*)\n((?:.*\n)*?)```$", re.MULTILINE)


def plain(node):
    """A node as JSON has it, read as YAML 1.2 (what editors do): `on` is a text."""
    if isinstance(node, Scalar):
        if node.kind == "null":
            return None
        if node.kind == "bool" and node.text.lower() in {"true", "false"}:
            return node.text.lower() == "true"
        if node.kind in {"int", "float"} and re.fullmatch(r"-?\d+(\.\d+)?", node.text):
            return float(node.text) if "." in node.text else int(node.text)
        return node.text
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.pairs}


def examples():
    """Each good block of YAML in the pages."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for match in BLOCK.finditer(page.read_text()):
            line = page.read_text().count("\n", 0, match.start()) + 1
            if "bad" not in match[1].split():
                yield pytest.param(match[2], id=f"{page.name}-{line}")


def test_the_file_is_up_to_date():
    """`devport schema > devport/devport.schema.json` makes it."""
    assert FILE.read_text() == json_schema.text()


def test_it_is_a_schema():
    """Draft 7 has nothing against it."""
    jsonschema.Draft7Validator.check_schema(json_schema.document())


@pytest.mark.parametrize("text", [*examples()])
def test_examples(text):
    """Editors find nothing wrong with an example."""
    VALIDATOR.validate(plain(compose(text.encode())))


@pytest.mark.parametrize(
    "text",
    [
        "processes: {web: {exec: x, restart: {on: sometimes}}}",
        "processes: {web: {exec: x, no_prot: true}}",
        "processes: {web: {exec: x, ready: {http: {get: {port: 8080, pth: /}}}}}",
        "processes: {web: {exec: x, after: 'a@soon'}}",
        "processes: {web: {exec: x, watchdog: {}}}",
        "processes: {web: {exec: x, stop-timeout: 5s}}",
        "processes: {a b: x}",
        "tasks: {t: {exec: x, ports: {}}}",
        "procces: {}",
        "- {cwd: x}",
        "- 42",
    ],
)
def test_what_an_editor_finds(text):
    """Unknown keys, wrong words and wrong kinds of values, as devport itself does."""
    assert not VALIDATOR.is_valid(plain(compose(text.encode())))
    with pytest.raises(DevportError):
        parse(text.encode(), "devport.yaml", "/", "/")


def test_both_spellings():
    """Kebab-case is what an editor completes; snake_case is accepted."""
    service = "processes: {{web: {{exec: x, {}: 3, ready: {{exec: x, {}: 2}}}}}}"

    assert VALIDATOR.is_valid(plain(compose(service.format("stop-timeout", "initial-delay").encode())))
    assert VALIDATOR.is_valid(plain(compose(service.format("stop_timeout", "initial_delay").encode())))


def described(schema, path=()):
    """Each key of the schema with what it says."""
    for name, one in schema.get("properties", {}).items():
        yield (*path, name), one.get("description", "")
        yield from described(one, (*path, name))
    for inner in (*schema.get("anyOf", ()), schema.get("additionalProperties"), schema.get("items")):
        if isinstance(inner, dict):
            yield from described(inner, path)


def test_every_key_is_described():
    """One sentence each."""
    found = dict(described(json_schema.document()))

    assert len(found) > 80
    assert {path for path, text in found.items() if not re.fullmatch(r"[^\n]{5,90}\.", text)} == set()


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 99999)
    | st.text(max_size=6)
    | st.sampled_from(["a", "8080", "x@y"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
WORDS = st.sampled_from(
    ["a", "b", "web", "127.0.0.1:80", "${a.port}", "a@started", "always", "/x", "3-9", "INT"]
)


def like(schema, *, strict):
    """Values that the schema allows, more or less; unless `strict`, with junk between them."""
    found = []
    if "anyOf" in schema:
        found += [like(one, strict=strict) for one in schema["anyOf"]]
    if "enum" in schema:
        found.append(st.sampled_from(schema["enum"]))
    kinds = schema.get("type", [])
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind == "object":
            found.append(an_object(schema, strict=strict))
        elif kind == "array" and "items" in schema:
            found.append(st.lists(like(schema["items"], strict=strict), max_size=2))
        elif kind == "boolean":
            found.append(st.booleans())
        elif kind in {"integer", "number"}:
            found.append(
                st.integers(int(schema.get("minimum", 0)) or 1, min(int(schema.get("maximum", 99)), 9999))
            )
        elif kind == "null":
            found.append(st.none())
        elif kind == "string":
            found.append(WORDS)
    values = st.one_of(found)
    return values if strict else st.one_of(values, values, values, JUNK)


def an_object(schema, *, strict):
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        return st.dictionaries(st.sampled_from(["a", "b", "c"]), like(more, strict=strict), max_size=3)
    known = {name: like(one, strict=strict) for name, one in schema["properties"].items()}
    return st.lists(st.sampled_from(sorted(known)), max_size=4, unique=True).flatmap(
        lambda names: st.fixed_dictionaries(
            {name: known[name] for name in [*schema.get("required", ()), *names]}
        )
    )


def outcome(*trees):
    """Whether devport takes them as files; anything but a DevportError is a defect."""
    data, *others = (yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "replace") for tree in trees)
    more = [Source(other, "Another.file") for other in others]
    try:
        parse(data, "Some.file", "/r", "/h", more=more, git_root=lambda: "/g")
    except DevportError as error:
        assert error.message.isprintable()  # noqa: PT017 - either outcome is right
        return False
    return True


@given(like(json_schema.document(), strict=False))
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_any_file_like_one(tree):
    """Whatever stands under the known keys: a Config or one line about what is wrong."""
    outcome(tree)


@given(like(json_schema.document(), strict=False), like(json_schema.document(), strict=False))
@settings(max_examples=100, deadline=None, suppress_health_check=[*HealthCheck])
def test_any_two_files(first, second):
    """The same for two files that are merged."""
    outcome(first, second)


@given(like(json_schema.document(), strict=True))
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_what_devport_takes_the_schema_takes(tree):
    """No editor complains of a file that works."""
    if outcome(tree):
        VALIDATOR.validate(tree)
