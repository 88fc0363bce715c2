"""`devport export`: what is printed and what is written, templates, other packages' formats, wrong words."""

import os
import re
import shlex
import stat

import pytest
import yaml

from devport.errors import UsageError
from devport.export import formats

PROCFILE = "web: python3 -m http.server $PORT\nworker: echo work; exec sleep 1000\n"


@pytest.fixture
def project(devport):
    """A project of two entries."""
    devport.write("Procfile", PROCFILE)
    return devport


def test_one_file_is_printed(project):
    """Without a LOCATION, or with -, a format of one file goes to standard output."""
    first, second = project.call("export", "supervisord"), project.call("export", "supervisord", "-")

    assert (first.popen.returncode, first.output.decode()) == (0, second.output.decode())
    assert "[program:" in first.output.decode()
    assert not list(project.project.glob("*.conf"))


def test_several_files_need_a_location(project):
    """The files are named, and nothing is written."""
    done = project.call("export", "systemd")

    assert done.popen.returncode == 2
    assert "systemd writes several files" in done.errors.decode()
    assert "name a LOCATION" in done.errors.decode()


def test_ports_are_the_services_own(project):
    """What `devport port` says is what the export says, and -p counts from another one."""
    port = project.call("port", "web").output.decode().strip()
    project.call("export", "procfile", "out")
    text = (project.project / "out" / "Procfile").read_text()
    assert f"PORT={port} " in text
    project.call("export", "-p", "7000", "procfile", "out")

    assert "PORT=7000 " in (project.project / "out" / "Procfile").read_text()
    assert project.call("port", "web").output.decode().strip() == port


def test_instances_and_subsets(project):
    """-c gives instances, NAMEs choose, --except leaves out."""
    project.call("export", "-c", "worker=2", "systemd", "units", "--app", "shop")
    assert {"shop.target", "shop-worker.1.service", "shop-worker.2.service"} <= {
        path.name for path in (project.project / "units").iterdir()
    }
    project.call("export", "--except", "web", "procfile", "few")

    assert "web:" not in (project.project / "few" / "Procfile").read_text()


def test_dry_run_and_prune(project):
    """A diff of what would change; --prune takes away what is needed no more."""
    project.call("export", "systemd", "units", "--app", "shop")
    done = project.call(
        "export", "--dry-run", "--prune", "--except", "worker", "systemd", "units", "--app", "shop"
    )
    assert "+++ /dev/null" in done.output.decode()
    assert "shop-worker.service: removed, because of --prune\n" in done.output.decode()
    assert (project.project / "units" / "shop-worker.service").exists()
    done = project.call("export", "--dry-run", "--except", "worker", "systemd", "units", "--app", "shop")
    units = project.project / "units"
    assert "shop-worker" not in done.output.decode().replace("Wants=shop-web.service shop-worker.service", "")
    assert done.errors.decode() == "".join(
        f"devport: {units}/shop-worker.{kind} is of an earlier export (--prune removes it)\n"
        for kind in ("env", "service")
    )
    assert (units / "shop-worker.service").exists()
    done = project.call("export", "--prune", "--except", "worker", "systemd", "units", "--app", "shop")

    assert "removed" in done.errors.decode()
    assert not (project.project / "units" / "shop-worker.service").exists()


def test_dry_run_tells_of_modes(project):
    """A file that would only get another mode is told of, and keeps the one it has."""
    project.call("export", "supervisord", "out", "-a", "shop")
    path = project.project / "out" / "shop.conf"
    path.chmod(0o644)
    done = project.call("export", "-n", "supervisord", "out", "-a", "shop")

    assert (done.status, done.output) == (0, b"shop.conf: mode 0644 -> 0600\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_dry_run_ends_as_the_export_would(project):
    """The file of somebody else is in the diff, and an error."""
    project.write("out/shop.conf", "mine\n")
    done = project.call("export", "-n", "supervisord", "out", "-a", "shop")

    assert (done.status, b"-mine\n" in done.output) == (1, True)
    assert b"no export of shop wrote it" in done.errors


def test_values_are_private(project):
    """Files that hold values of env files are for nobody else."""
    project.write(".env", "SECRET=hunter2\n")
    project.call("export", "systemd", "units")
    for path in (project.project / "units").iterdir():
        if b"hunter2" in path.read_bytes():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_template_of_ones_own(project):
    """A template replaces the built-in one of its name; a file whose name is none is told of, not obeyed."""
    project.write("templates/supervisord-program.conf", "; mine: {{name}}")  # no line end, as some editors do
    project.write("templates/supervisrd.conf", "; not read: {{nope}}\n")
    project.write("templates/systemd.target", "of another format\n")
    done = project.call("export", "-t", "templates", "supervisord", "-a", "shop")

    assert done.status == 0
    assert done.output.decode().endswith("; mine: shop-web\n; mine: shop-worker\n")
    assert "[group:shop]" in done.output.decode()
    assert done.errors.decode() == (
        "devport: templates/supervisrd.conf is no template (did you mean supervisord.conf?)\n"
    )


NAMES = "supervisord.conf, supervisord-program.conf"
NONE = f"cannot use --template-dir templates: no template of supervisord is in it: {NAMES}"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (None, "", "cannot use --template-dir templates: No such file or directory"),
        (
            "supervisor.conf",
            "",
            f"{NONE} (did you mean supervisord.conf?)",
        ),
        ("systemd.target", "", NONE),
        ("supervisord.conf", "\xff", "cannot use --template-dir templates/supervisord.conf: it is not UTF-8"),
        ("supervisord.conf/x", "", "cannot use --template-dir templates/supervisord.conf: Is a directory"),
        (
            "supervisord.conf",
            "{{nams}}",
            "cannot use template supervisord.conf: there is no {{nams}} (did you mean names?)",
        ),
    ],
)
def test_templates_that_are_none(project, file, text, said):
    """One line that says what is wrong, and what there is."""
    if file is not None:
        path = project.write(f"templates/{file}", "")
        path.write_bytes(text.encode("latin-1"))
    done = project.call("export", "-t", "templates", "supervisord")

    assert (done.status, done.output.decode(), done.errors.decode()) == (2, "", f"devport: {said}\n")


TAKERS = {
    "user": "systemd, supervisord, runit, launchd, upstart, compose and nomad",
    "log": "systemd, supervisord, runit, launchd, upstart, process-compose and mprocs",
    "system": "systemd",
    "supervised": "tmux",
    "attach": "tmux",
}


@pytest.mark.parametrize("format_", formats.OWN)
@pytest.mark.parametrize("option", TAKERS)
def test_options_of_other_formats(option, format_):
    """What a format does not know is no option of it; the message names those that do."""
    exporter = formats.find(format_)
    takers = TAKERS[option].replace(" and ", ", ").split(", ")
    if format_ in takers:
        formats.check_options(format_, exporter, [option])
        return
    said = f"^cannot export: --{option} is for {TAKERS[option]}, not for {format_}$"
    with pytest.raises(UsageError, match=said):
        formats.check_options(format_, exporter, [option])


@pytest.mark.parametrize(
    "words",
    [("--attach", "supervisord"), ("--attach", "supervisord", "out"), ("--attach", "-n", "supervisord")],
)
def test_an_option_of_another_format(project, words):
    """One line, status 2, before anything is read or registered."""
    (project.project / "Procfile").unlink()
    done = project.call("export", *words)

    said = "devport: cannot export: --attach is for tmux, not for supervisord\n"
    assert (done.status, done.output, done.errors.decode()) == (2, b"", said)


@pytest.mark.parametrize(("shell", "status"), [("fish", 0), ("/opt/no such/zsh", 0), ("", 2), ("bin/sh", 2)])
def test_a_shell_for_another_machine(project, shell, status):
    """It need not be here; a path that hangs on where it is run from is refused."""
    done = project.call("export", "--shell", shell, "supervisord")

    assert done.status == status
    if status:
        name = shell or "''"
        said = f"devport: cannot use --shell {name}: it wants a name or an absolute path\n"
        assert done.errors.decode() == said
    else:
        assert f"command={shlex.quote(shell)} -c " in done.output.decode()


def test_devports_own_supervisor_has_its_own_shell(project):
    """A script that calls devport has no say in the shell."""
    done = project.call("export", "--shell", "bash", "--supervised", "tmux")

    assert done.status == 2
    assert "--shell does not go with --supervised" in done.errors.decode()


def test_a_format_of_another_package(project):
    """An entry point of the group devport.exporters is a format like any other."""
    package = project.folder / "plugin"
    (package / "shout-1.0.dist-info").mkdir(parents=True)
    (package / "shout-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: shout\nVersion: 1.0\n"
    )
    (package / "shout-1.0.dist-info" / "entry_points.txt").write_text("[devport.exporters]\nshout = shout\n")
    (package / "shout.py").write_text(
        "from devport.export.plan import File\n\n\n"
        "def render(plan):\n"
        "    return (File('all', ' '.join(unit.name.upper() for unit in plan.units) + '\\n'),)\n"
    )
    done = project.call("export", "shout", env={"PYTHONPATH": str(package)})

    assert (done.popen.returncode, done.output.decode()) == (0, "WEB WORKER\n")
    shared = ("--shell", "zsh", "-u", "root", "-l", "logs")
    assert project.call("export", *shared, "shout", env={"PYTHONPATH": str(package)}).status == 0
    done = project.call("export", "--system", "shout", env={"PYTHONPATH": str(package)})
    assert (done.status, b"--system is for systemd, not for shout" in done.errors) == (2, True)
    project.write("own/loud/notes", "x")
    project.write("own/loud.txt", "!")
    (package / "shout.py").write_text(
        "from devport.export.plan import File\n\n\n"
        "def render(plan):\n"
        "    return (File('all', repr(sorted(plan.templates.items()))),)\n"
    )
    done = project.call("export", "-t", "own", "shout", env={"PYTHONPATH": str(package)})
    assert (done.status, done.output, done.errors) == (0, b"[('loud.txt', '!\\n')]", b"")
    (package / "shout.py").write_text(
        "from devport.export.plan import File\n\n\n"
        "def render(plan):\n"
        "    yield File('sub/one', '1')\n"
        "    yield File('../two', '2')\n"
    )
    done = project.call("export", "shout", "out", env={"PYTHONPATH": str(package)})
    said = b"devport: cannot export to shout: ../two is not below the LOCATION\n"
    assert (done.status, done.errors) == (1, said)
    assert not (project.project / "out").exists()
    (package / "shout.py").write_text("def render(plan):\n    return plan.nothing\n")
    done = project.call("export", "shout", env={"PYTHONPATH": str(package)})
    said = b"devport: cannot export to shout: AttributeError: 'Plan' object has no attribute 'nothing'\n"
    assert (done.status, done.errors) == (1, said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no FORMAT given"),
        (("sytemd", "out"), "cannot export to sytemd: there is no such format (did you mean systemd?)"),
        (("procfile", "out", "wbe"), "wbe"),
        (("--app", "a b", "procfile", "out"), "cannot call an export a b"),
        (("--app", "", "procfile", "out"), "cannot call an export '': "),
        (("--app", 64 * "a", "procfile", "out"), "at most 63"),
        (("procfile", ""), "LOCATION is empty"),
        (("mprocs", "web"), "cannot export to web: that is an entry, and no folder"),
        (("mprocs", "@all"), "cannot export to @all: that is a group, and no folder"),
        (("mprocs", "web.2"), "cannot export to web.2: that is an entry, and no folder"),
        (("--user", "nobody-of-that-name", "systemd", "out"), "there is no such user"),
        (("--prune", "supervisord"), "option --prune goes with a LOCATION"),
    ],
)
def test_wrong_words(project, words, said):
    """One line, status 2, and nothing is written."""
    done = project.call("export", *words)

    assert done.popen.returncode == 2
    assert said in done.errors.decode()
    assert {path.name for path in project.project.iterdir()} == {"Procfile"}
    assert "Traceback" not in done.errors.decode()


@pytest.mark.parametrize("words", [(), ("--dry-run",), ("-e", "other")])
def test_the_projects_own_files_stay(project, words):
    """The Procfile and the .env that the project consists of are not replaced by an export."""
    project.write(".env", "TOKEN=a\n")
    project.write("other", "TOKEN=b\n")
    done = project.call("export", *words, "procfile", ".")

    assert done.popen.returncode == 2
    assert "Procfile: the project is read from there" in done.errors.decode()
    assert (project.project / "Procfile").read_text() == PROCFILE
    assert (project.project / ".env").read_text() == "TOKEN=a\n"


def test_an_env_file_stays(project):
    """Not the .env of a folder either, where the export is told to read that."""
    project.write("few/.env", "TOKEN=a\n")
    done = project.call("export", "-e", "few/.env", "procfile", "few")

    assert done.popen.returncode == 2
    assert ".env: the project is read from there" in done.errors.decode()
    assert [path.name for path in (project.project / "few").iterdir()] == [".env"]


@pytest.mark.parametrize("name", ["top", "service"])
def test_the_env_files_of_a_devport_yaml_stay(project, name):
    """What `env:` names, at the top or at a service, is read by the project, and no target."""
    envs = {"top": "env: out/.env\n", "service": ""}[name]
    own = {"top": "{exec: sleep 1}", "service": "{exec: sleep 1, env: out/.env}"}[name]
    path = project.write("out/.env", "TOKEN=a\n")
    project.write("devport.yaml", f"{envs}processes:\n  web: {own}\n")
    done = project.call("export", "--force", "procfile", "out")

    assert (done.status, path.read_text()) == (2, "TOKEN=a\n")
    assert ".env: the project is read from there" in done.errors.decode()


@pytest.mark.parametrize("option", [(), ("-e", "other")])
def test_what_a_devport_yaml_is_made_of_stays(project, option):
    """Its `procfile:`, a further -f, and its `env:` where -e takes the place of that, are no targets."""
    project.write("out/Procfile", "web: sleep 1\n")
    project.write("out/mprocs.yaml", "processes:\n  api: sleep 1\n")
    project.write("few/.env", "TOKEN=a\n")
    project.write("other", "TOKEN=a\n")
    project.write("devport.yaml", "procfile: out/Procfile\nenv: few/.env\n")
    files = ("-f", "devport.yaml", "-f", "out/mprocs.yaml", *option)

    for words in (("procfile", "out"), ("mprocs", "out"), ("procfile", "few")):
        done = project.call("export", *files, "--force", *words)
        assert (done.status, "the project is read from there" in done.errors.decode()) == (2, True)


@pytest.mark.parametrize("option", [(), ("--dry-run",)])
def test_a_location_that_cannot_be_written(project, option):
    """One line, status 1."""
    project.write("out", "a file")
    done = project.call("export", "procfile", "out", *option)

    said = f"devport: cannot export to {project.project / 'out'}: it is no folder\n"
    assert (done.status, done.errors.decode()) == (1, said)
    assert os.path.isfile(project.project / "out")


@pytest.mark.parametrize("location", ["./web", "web"])
def test_a_folder_that_is_called_as_an_entry(project, location):
    """One that is there is meant, and so is a path; only a bare name that is no folder is likely a slip."""
    if location == "web":
        (project.project / "web").mkdir()
    done = project.call("export", "mprocs", location)

    assert (done.status, (project.project / "web" / "mprocs.yaml").exists()) == (0, True)


def test_files_of_somebody_else(project):
    """What no export of this project wrote stays, until --force: not even one of the same name."""
    path = project.write("out/app.conf", "mine\n")
    done = project.call("export", "supervisord", "out", "-a", "app")
    assert done.popen.returncode == 1
    assert (
        "app.conf: it is there, and no export of app wrote it (--force replaces it)" in done.errors.decode()
    )
    assert path.read_text() == "mine\n"
    assert project.call("export", "--force", "supervisord", "out", "-a", "app").popen.returncode == 0
    assert project.call("export", "-p", "7000", "supervisord", "out", "-a", "app").popen.returncode == 0
    other = project.folder / "other" / "app"
    other.mkdir(parents=True)
    (other / "Procfile").write_text("db: sleep 1000\n")
    done = project.call("export", "supervisord", str(project.project / "out"), cwd=other)

    said = f"/out/app.conf: an export of app from {project.project} wrote it (--force replaces it)\n"
    assert (done.status, done.errors.decode().endswith(said)) == (1, True)


def test_what_is_left_out_is_told(project):
    """A service that starts by its name only is missed where nobody has said which are exported."""
    project.write("devport.yaml", "processes:\n  web: {exec: a}\n  debug: {exec: b, start: false}\n")
    said = b"devport: debug is left out: it starts only when it is named\n"

    assert project.call("export", "supervisord").errors == said
    for words in (("--except", "web,debug"), ("-c", "debug=1"), ("-m", "web=1")):
        assert said not in project.call("export", *words, "supervisord").errors
    assert project.call("export", "supervisord", "-", "web").errors == b""


LIST = """\
- exec: curl --header=$TOKEN $(id) $$ "" $HERE-$PORT- $DEVPORT_HASH x$EMPTY${NOT_SET}
  name: web
  ready: {exec: test -e $TOKEN}
  stop: {exec: halt $PORT}
"""


def test_values_of_a_list_stay_in_the_secret(project):
    """What a variable of a list stands for is in the Secret, and the kubelet puts it in its place."""
    (project.project / "Procfile").unlink()
    project.write(".env", "TOKEN='top $(PORT) \"secret'\nEMPTY=\n")
    project.write("devport.yaml", LIST)
    done = project.call("export", "kubernetes", env={"HERE": "caller$$"})
    found = {one["kind"]: one for one in yaml.safe_load_all(done.output)}
    [container] = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    values = found["Secret"]["stringData"]
    hash_ = container["command"][6]

    assert container["command"] == [
        *("curl", "--header=$(TOKEN)", "$$(id)", "$$$$", "", "caller$$$$-$(PORT)-", hash_, "x$(EMPTY)"),
    ]
    assert values["TOKEN"] == 'top $(PORT) "secret'
    assert "$" not in hash_  # by which devport knows its own: not in the Secret
    assert container["readinessProbe"]["exec"]["command"] == ["test", "-e", 'top $$(PORT) "secret']
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["halt", values["PORT"]]


def test_values_of_a_task_stay_in_the_secret(project):
    """So it is with the command that says whether there is something to do, which a shell runs."""
    (project.project / "Procfile").unlink()
    project.write(".env", "TOKEN=topsecret\n")
    text = "tasks:\n  go: {exec: \"zsh -c 'echo $TOKEN'\", shell: false, status: \"test -e $TOKEN/it's'\"}\n"
    project.write("devport.yaml", text.replace("it's'", "'it s'"))
    done = project.call("export", "kubernetes", "-", "go")
    jobs = [one for one in yaml.safe_load_all(done.output) if one["kind"] == "Job"]
    [container] = jobs[0]["spec"]["template"]["spec"]["containers"]

    assert container["command"][3:] == [
        *("sh", "test -e \"$${TOKEN}\"'/it s'", "zsh", "-c", "echo $(TOKEN)"),
    ]
    project.write("devport.yaml", "- {exec: \"sh -c 'echo $TOKEN'\", name: go}\n")
    done = project.call("export", "--shell", "/bin/ash", "kubernetes")
    [words] = re.findall("command:\n(?: +- .*\n)+", done.output.decode())
    assert yaml.safe_load(words) == {"command": ["/bin/ash", "-c", "echo $(TOKEN)"]}


@pytest.mark.parametrize("format_", ["kubernetes", "nomad", "launchd", "mprocs", "compose", "runit", "tmux"])
def test_nobody_misses_what_nobody_said(project, format_):
    """A service that says no `restart` has no line about it; one that says the same as usual has."""
    yaml_ = "processes:\n  web: {exec: a}\n  lazy: {exec: b%s}\n"
    (project.project / "Procfile").unlink()
    out = project.project / "out"

    def told(restart):
        project.write("devport.yaml", yaml_ % restart)
        done = project.call("export", "--force", format_, "out")
        assert (done.status, b"Traceback" in done.errors) == (0, False)
        texts = [path.read_text() for path in out.rglob("*") if path.is_file()]
        return [line for text in texts for line in text.splitlines() if "ot carried over" in line]

    assert told("") == []
    assert "restart" in str(told(", restart: {on: on-failure, max: 5, max-delay: 9}"))
    assert "restart.success" not in str(told(", restart: {on: always, success: [0, 3]}"))
