"""Templates of the formats: every text of an export is one, and a user's own replaces it."""

import contextlib
import pathlib
import plistlib
import textwrap

import pytest
import yaml
from support import export_projects
from support.export_projects import VALUES

from devport.errors import UsageError
from devport.export import compose, formats, kubernetes, launchd, mprocs, process_compose
from devport.model import Probe

NAMES = [(own, name) for own in formats.OWN for name in formats.find(own).TEMPLATES]


class Asked(dict):
    """No templates, and the names of those that were asked for."""

    def get(self, name, default=None):
        """The built-in one, always."""
        self[name] = default
        return default


def plans(format_, **given):
    """The plans that `format_` takes, all its variants among them."""
    for path, other, plan in export_projects.cases():
        if other == format_ and "hostile" not in path:
            yield plan._replace(**given)
    if format_ in export_projects.PROCESSES:
        plan = export_projects.processes(**given)
        first = plan.units[0]
        policy = first.service.policy._replace(ready=Probe("exec", ("true",)))
        yield plan._replace(units=(first._replace(service=first.service._replace(policy=policy)),))


def rendered(format_, **given):
    """The files of all of them."""
    found = []
    for plan in plans(format_, **given):
        with contextlib.suppress(UsageError):  # some take no sockets, and the ordinary project has some
            found += formats.find(format_).render(plan)
    return found


@pytest.mark.parametrize("format_", formats.OWN)
def test_every_template_is_named(format_):
    """What TEMPLATES of a format says is what it asks for, nothing more and nothing less."""
    asked = Asked()
    rendered(format_, templates=asked)

    assert {*asked} == {*formats.find(format_).TEMPLATES}


def test_no_two_templates_have_one_name():
    """So that one folder can serve all formats."""
    names = [name for _, name in NAMES]

    assert sorted(names) == sorted({*names})


@pytest.mark.parametrize(("format_", "name"), NAMES)
def test_ones_own(format_, name):
    """A template of the user's is in the files in the place of the built-in one."""
    files = rendered(format_, templates={name: "# {mine}\n"})

    assert any("# {mine}\n" in file.content for file in files)


def text(format_):
    """The one file of the hostile project."""
    (file,) = format_.render(export_projects.hostile())
    return file.content


SERVICES = [
    (compose, "compose-service.yaml", "services", "labels"),
    (mprocs, "mprocs-proc.yaml", "procs", "tty"),
    (process_compose, "process-compose-process.yaml", "processes", "is_foreground"),
]


@pytest.mark.parametrize(("format_", "name", "key", "more"), SERVICES)
def test_one_more_key(format_, name, key, more):
    """What a template adds to a service stands beside all that is quoted for it, and changes none of it."""
    built_in = yaml.safe_load(text(format_))
    own = f"{{{{name}}}}\n{{{{keys}}}}\n    {more}: mine\n"
    (file,) = format_.render(export_projects.hostile(templates={name: own}))
    found = yaml.safe_load(file.content)

    assert {service.pop(more) for service in found[key].values()} == {"mine"}
    assert found == built_in


@pytest.mark.parametrize(("format_", "name", "key", "more"), SERVICES)
def test_each_key_is_a_word(format_, name, key, more):
    """All words one by one are what `keys` is; so a template can leave one out and say it otherwise."""
    built_in = yaml.safe_load(text(format_))
    words = {word for service in built_in[key].values() for word in service}
    own = "{{name}}\n" + "".join(f"{{{{{word}}}}}\n" for word in sorted(words))
    (file,) = format_.render(export_projects.hostile(templates={name: own}))

    assert yaml.safe_load(file.content) == built_in


def test_a_dollar_of_ones_own():
    """In process-compose a template's dollar is its author's, in the parts as in the whole."""
    own = '{{name}}\n{{keys}}\n    description: "${WHO}"\n'
    plan = export_projects.hostile(templates={"process-compose-process.yaml": own})
    (file,) = process_compose.render(plan._replace(units=plan.units[2:3]))

    assert 'description: "${WHO}"\n' in file.content


def test_kubernetes():
    """A container with an image of one's own, and with limits; all else as it was."""
    deployment = kubernetes.DEPLOYMENT.replace(
        "{{containers}}",
        "      containers:\n        -\n{{name}}\n          image: shop:1\n{{command}}\n"
        "{{workingDir}}\n{{envFrom}}\n{{ports}}\n{{tty}}\n{{readinessProbe}}\n{{livenessProbe}}\n{{startupProbe}}\n{{lifecycle}}\n"
        "          resources: {limits: {memory: 1Gi}}",
    )
    plan = export_projects.processes(templates={"kubernetes-deployment.yaml": deployment})
    found = [
        list(yaml.safe_load_all(kubernetes.render(one)[0].content))
        for one in (plan, export_projects.processes())
    ]

    for document in found[0]:
        if document["kind"] == "Deployment":
            container = document["spec"]["template"]["spec"]["containers"][0]
            assert container.pop("resources") == {"limits": {"memory": "1Gi"}}
            assert container["image"] == "shop:1"
            container["image"] = "shop"
    assert found[0] == found[1]


def test_launchd():
    """A key more, and one by one: plistlib reads what it would have written."""
    plan = export_projects.hostile()
    plan = plan._replace(units=plan.units[:1])
    built_in = plistlib.loads(launchd.render(plan)[0].content.encode())
    more = launchd.TEMPLATE.replace(
        "{{keys}}", "{{keys}}\n<key>ProcessType</key><string>Interactive</string>"
    )
    single = launchd.TEMPLATE.replace("{{keys}}", "\n".join(f"{{{{{key}}}}}" for key in built_in))
    found = [
        plistlib.loads(launchd.render(plan._replace(templates={"launchd.plist": one}))[0].content.encode())
        for one in (more, single)
    ]

    assert found[0].pop("ProcessType") == "Interactive"
    assert found == [built_in, built_in]
    assert built_in["EnvironmentVariables"].items() <= VALUES.items() | {("PORT", "19000"), ("PS", "web.1")}


def test_the_documented_one():
    """The template that docs/export.md shows works: an image of one's own, and nothing of it is lost."""
    docs = (pathlib.Path(__file__).parent.parent / "docs" / "export.md").read_text()
    shown = docs[docs.index("    {{name}}\n") :].split("\n\n")[0]
    template = textwrap.dedent(shown) + "\n"
    (file,) = compose.render(export_projects.processes(templates={"compose-service.yaml": template}))
    found = yaml.safe_load(file.content)["services"]

    assert found["db"]["image"] == "shop:1"
    assert found["db"]["mem_limit"] == "1g"
    assert found["web"]["depends_on"] == {"api": {"condition": "service_started"}}
