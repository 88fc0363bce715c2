"""`devport export`: what is printed and what is written, templates, other packages' formats, wrong words."""

import os
import stat
import sys

import pytest

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
    assert (project.project / "units" / "shop-worker.service").exists()
    done = project.call("export", "--prune", "--except", "worker", "systemd", "units", "--app", "shop")

    assert "removed" in done.errors.decode()
    assert not (project.project / "units" / "shop-worker.service").exists()


def test_values_are_private(project):
    """Files that hold values of env files are for nobody else."""
    project.write(".env", "SECRET=hunter2\n")
    project.call("export", "systemd", "units")
    for path in (project.project / "units").iterdir():
        if b"hunter2" in path.read_bytes():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_template_of_ones_own(project):
    """A template replaces the built-in one of its name; a wrong word in it is told."""
    project.write("templates/target", "[Unit]\nDescription=mine\n")
    names = {path.name for path in (project.project / "templates").iterdir()}
    assert names == {"target"}
    project.write("bad/app.conf", "{{nope}}\n")
    project.write("bad/supervisord.conf", "{{nope}}\n")
    done = project.call("export", "--template-dir", "missing", "supervisord")

    assert done.popen.returncode == 2
    assert "cannot use --template-dir missing: No such file or directory" in done.errors.decode()


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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no FORMAT given"),
        (("sytemd", "out"), "cannot export to sytemd: there is no such format (did you mean systemd?)"),
        (("procfile", "out", "wbe"), "wbe"),
        (("--app", "a b", "procfile", "out"), "cannot call an export a b"),
        (("--user", "nobody-of-that-name", "procfile", "out"), "there is no such user"),
        (("--prune", "supervisord"), "option --prune goes with a LOCATION"),
    ],
)
def test_wrong_words(project, words, said):
    """One line, status 2, and nothing is written."""
    done = project.call("export", *words)

    assert done.popen.returncode == 2
    assert said in done.errors.decode()
    assert not (project.project / "out").exists()
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


def test_a_location_that_cannot_be_written(project):
    """One line, status 1."""
    project.write("out", "a file")
    done = project.call("export", "procfile", "out")

    assert done.popen.returncode == 1
    assert "cannot write" in done.errors.decode()
    assert sys.executable
    assert os.path.isfile(project.project / "out")


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

    assert done.popen.returncode == 1
    assert "no export of app wrote it" in done.errors.decode()
