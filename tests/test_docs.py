"""The pages against the code: nothing that exists is missing from them, nothing that they name is missing."""

import inspect
import pathlib
import re

import pytest
from support import commands_page

from devport import cli, foreground
from devport.engine import announcement
from devport.errors import ExitStatus
from devport.project import config, environment, listen, probe, process, settings
from devport.project.schema import kebab

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
TOP = ("README.md", "SKILL.md", "CONTRIBUTING.md", "CHANGELOG.md")
PAGES = [*(ROOT / name for name in TOP), *sorted(DOCS.glob("*.md"))]

# Options of the programs in examples, and of nobody.
OTHERS = {"--api", "--db", "--headless", "--is-done"} | {
    "--admin",
    "--admin-port",
    "--bind",
    "--fd",
    "--noinput",
    "--queue",
    "--ready",
    "--strict",
    "--tiemout",
    "--watch",
}


def options():
    """Every spelling of every option of every verb, with its verb."""
    return [(verb, spelling) for verb in cli.VERBS for spelling in commands_page.usage(verb).options]


def test_commands_page():
    """docs/commands.md is what the usage texts make it; its generator's docstring says how."""
    assert (DOCS / "commands.md").read_text() == commands_page.page()


@pytest.mark.parametrize("verb", cli.VERBS)
def test_options_are_described(verb):
    """Each spelling of each option stands in the section of its verb."""
    section = re.compile(rf"^## devport {verb}$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    text = section.search((DOCS / "commands.md").read_text())[1]
    missing = [one for other, one in options() if other == verb and not re.search(rf"{one}\b", text)]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_exist(page):
    """Each long option that a page names is an option of devport."""
    known = {spelling for _, spelling in options()} | {*cli.OWN} | OTHERS

    assert {*re.findall(r"(?<![\w-])--[a-z][a-z-]*\w", page.read_text())} - known == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_verbs_exist(page):
    """Each `devport VERB` of a page is a command of devport."""
    named = {*re.findall(r"(?:`|^\$ )devport ([a-z]+)", page.read_text(), re.MULTILINE)}

    assert named - {*cli.VERBS} == set()


KEYS = {*process.ITEM_KEYS, *process.TASK_KEYS, *config.TOP}


def test_keys_are_described():
    """Each key of devport.yaml has a heading of its own."""
    titles = {*re.findall(r"^#+ `([a-z-]+)`", (DOCS / "devport-yaml.md").read_text(), re.MULTILINE)}

    assert titles == {kebab(key) for key in KEYS} | {"allocate"}


@pytest.mark.parametrize(
    ("key", "inner"),
    [
        ("start", settings.START_KEYS),
        ("restart", settings.RESTART_KEYS),
        ("stop", settings.STOP_KEYS),
        ("ready", {**probe.READY_KEYS, **probe.GET_KEYS, **probe.HTTP_KEYS}),
        ("live", probe.LIVE_KEYS),
        ("watchdog", settings.WATCHDOG_KEYS),
        ("watch", settings.WATCH_KEYS),
        ("listen", listen.KEYS),
        ("process", config.PROCESS_KEYS),
    ],
)
def test_inner_keys_are_described(key, inner):
    """Each key of a key stands in its section, and in the example there is at least one of them."""
    sections = re.split(r"^(?=###? )", (DOCS / "devport-yaml.md").read_text(), flags=re.MULTILINE)
    text = next(one for one in sections if one.startswith(f"### `{key}`\n"))

    assert [name for name in inner if f"`{kebab(name)}" not in text and f"{{{name}:" not in text] == []
    assert "```yaml\n" in text


def test_events_are_described():
    """The table of --json's events has every event there is, and no other."""
    sources = inspect.getsource(announcement) + inspect.getsource(foreground)
    events = {*re.findall(r'"event": "([\w ]+)"|event="([\w ]+)"', sources)}
    rows = re.findall(r"^\| `([\w ]+)` \|", (DOCS / "output.md").read_text(), re.MULTILINE)

    assert {*rows} == {one or other for one, other in events}


def test_statuses_are_described():
    """The table of exit statuses has each that devport gives itself."""
    rows = {*re.findall(r"^\| (\d+) \|", (DOCS / "exit-status.md").read_text(), re.MULTILINE)}

    assert {str(status.value) for status in ExitStatus} <= rows


def test_removed_variables_are_described():
    """The page on the environment names each variable that no service inherits."""
    text = (DOCS / "environment.md").read_text()

    assert [name for name in environment.INTERNAL if f"`{name}`" not in text] == []
