"""The exports to supervisord, runit, launchd, upstart and procfile, read back; and what they refuse."""

import io
import plistlib
import re
import shlex
import subprocess

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support import export_projects, told
from support.running import need_package

from devport.encoding import encode
from devport.errors import UsageError
from devport.export import launchd, procfile, runit, sh, supervisord, upstart
from devport.export.plan import Plan
from devport.model import Listen, Probe, RestartPolicy, StopPolicy

LETTERS = st.sampled_from(
    "ab%$'\"\\`;# \t\n\r(){}=~!&|<>*?[]-_é\u00a0\u2028\x85\x1c\x7f\ufeff\ufffe\udcff\udcc3"
)
PIECES = st.sampled_from(["%(here)s", "%%", " ;", " #", "end script\n", "${1}", "$PORT", "\n_", "]]>", "\\n"])
ANY = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
WORDS = st.lists(st.one_of(LETTERS, PIECES, ANY), max_size=12).map("".join)
NAMES = st.sampled_from(["A", "b_1", "with.dot", "IFS", "OPTIND", "UID", "PS1", "PWD", "HOME", "PATH", "_"])
SPAWNS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PRINT = ("/usr/bin/printf", "%s\\0")
ENV = ("/usr/bin/env", "-0")


def unit(argv, environment=None, **given):
    """A Unit in /tmp."""
    return export_projects.unit("web", argv, cwd="/tmp", environment=environment or {}, **given)


def plan(*units, **given):
    """A Plan of them."""
    return Plan(**{"app": "demo", "root": "/tmp", "units": units, **given})


def output(argv, environment=None):
    """What `argv` prints, in pieces that end with a NUL."""
    environ = {b"PATH": b"/usr/bin:/bin", **{encode(k): encode(v) for k, v in (environment or {}).items()}}
    found = subprocess.run(
        [encode(word) for word in argv], env=environ, capture_output=True, check=True, cwd="/"
    )
    assert found.stderr == b""
    return found.stdout.split(b"\0")[:-1]


def variables(found):
    """The environment that env(1) has printed."""
    return dict(piece.partition(b"=")[::2] for piece in found)


def read_by_supervisord(text):
    """The words and the environment of the one program in `text`, as supervisord's own parser has them."""
    options = need_package("supervisor.options", "supervisor")
    parser = options.UnhosedConfigParser()
    parser.read_file(io.TextIOWrapper(io.BytesIO(encode(text)), encoding="utf-8"))
    parser.expand_here("/etc/supervisor/conf.d")
    reader = options.ServerOptions()
    reader.here = "/etc/supervisor"
    (program,) = reader.processes_from_section(parser, "program:demo-web", "demo")
    assert program.directory == "/tmp"
    return shlex.split(program.command), program.environment


def by_supervisord(one):
    """What supervisord would execute for the Unit `one`."""
    return read_by_supervisord(supervisord.render(plan(one))[0].content)


def by_launchd(one):
    """What launchd would execute, going by the property list."""
    (file,) = launchd.render(plan(one))
    job = plistlib.loads(encode(file.content))
    return job["ProgramArguments"], job["EnvironmentVariables"]


def by_upstart(one):
    """What upstart would execute: its script, given to a shell with -e."""
    text = upstart.render(plan(one))[1].content
    script = re.search(r"^script\n(.*?)^end script$", text, re.MULTILINE | re.DOTALL)[1]
    assert text.endswith("\nend script\n")
    assert text.count("end script\n") == 1 + script.count("end script\n")
    return ["/bin/sh", "-e", "-c", script], {}


def by_procfile(one):
    """What a Procfile's manager would execute: the one line, given to a shell."""
    *comments, line = procfile.render(plan(one))[0].content.splitlines()
    assert all(comment.startswith("#") for comment in comments)
    environment = procfile.render(plan(one))[1].content.splitlines()
    return ["/bin/sh", "-c", line.partition(": ")[2]], dict(each.split("=", 1) for each in environment)


def by_runit(one):
    """What the run script executes, from where it executes it, without chpst."""
    text = next(file.content for file in runit.render(plan(one)) if file.path.endswith("web/run"))
    return ["/bin/sh", "-c", text[text.index("cd /tmp") :].replace("exec chpst -P ", "exec ", 1)], {}


READERS = [by_supervisord, by_launchd, by_upstart, by_procfile, by_runit]


@pytest.mark.parametrize("reader", READERS)
@given(words=st.lists(WORDS, min_size=1, max_size=3))
@example(words=list(told.HOSTILE.values()))
@SPAWNS
def test_words(reader, words):
    """Any words arrive byte for byte."""
    assert output(*reader(unit((*PRINT, *words)))) == [encode(word) for word in words]


@pytest.mark.parametrize("reader", READERS)
@given(environment=st.dictionaries(NAMES, WORDS, max_size=3))
@example(environment={**told.HOSTILE, "BEGIN": "'a", "END": 'a"'})
@example(environment=told.ODD_NAMES)
@SPAWNS
def test_environment(reader, environment):
    """Any values arrive byte for byte, whatever the shell in between thinks of their names."""
    found = variables(output(*reader(unit(ENV, environment))))

    assert {k: found.get(encode(k)) for k in environment} == {k: encode(v) for k, v in environment.items()}


@given(text=WORDS)
@SPAWNS
def test_plain_words_need_no_shell(text):
    """Words that supervisord and launchd can read are executed as they are."""
    one = unit(("/bin/echo", text))
    if not sh.AWKWARD.search(text):
        assert by_supervisord(one)[0] == ["/bin/echo", text]
        assert by_launchd(one)[0] == ["/bin/echo", text]


@pytest.mark.parametrize("reader", READERS)
def test_no_more_in_the_environment(reader):
    """What carries awkward words leaves no variable behind."""
    found = variables(output(*reader(unit(ENV, {"A": "\r\n", "with.dot": "\n"}))))

    assert set(found) - {b"PATH", b"PWD", b"OLDPWD", b"SHLVL", b"_"} == {b"A", b"with.dot", b"PS"}


@pytest.mark.parametrize(
    ("restart", "lines"),
    [
        (RestartPolicy(), ["autorestart=false", "startsecs=0", "startretries=0"]),
        (
            RestartPolicy("on_failure", 3, success=frozenset({0, 7})),
            ["autorestart=unexpected", "exitcodes=0,7", "startsecs=5", "startretries=3"],
        ),
        (RestartPolicy("always", reset_after=0.5), ["autorestart=true", "startsecs=1"]),
    ],
)
def test_supervisord_restarts(restart, lines):
    """The restart policy is autorestart, exitcodes, startsecs and startretries."""
    text = supervisord.render(plan(unit(("true",), restart=restart)))[0].content

    assert set(lines) <= set(text.splitlines())


@pytest.mark.parametrize(
    ("restart", "keep"),
    [
        (RestartPolicy(), False),
        (RestartPolicy("on_failure"), {"SuccessfulExit": False}),
        (RestartPolicy("always"), True),
    ],
)
def test_launchd_restarts(restart, keep):
    """The restart policy is KeepAlive."""
    (file,) = launchd.render(plan(unit(("true",), restart=restart), user="nobody", log="/var/log/demo"))
    job = plistlib.loads(encode(file.content))

    assert job["KeepAlive"] == keep
    assert job["Label"] == "demo.web"
    assert job["UserName"] == "nobody"
    assert job["StandardOutPath"] == job["StandardErrorPath"] == "/var/log/demo/demo.web.log"


@pytest.mark.parametrize("format_", [supervisord, runit, launchd, upstart])
def test_refused(format_):
    """What is no process, or needs sockets, is an error that names the service."""
    listen = (Listen("http", "tcp", "127.0.0.1:19300"),)
    for given_, why in (({"external": True}, "it is external"), ({"listen": listen}, "`listen`")):
        with pytest.raises(UsageError, match=f"^cannot export web to .*{why}"):
            format_.render(plan(unit(("true",), **given_)))


@pytest.mark.parametrize("format_", [supervisord, runit, upstart])
def test_signals(format_):
    """A signal without a name is an error; one with a name is not."""
    text = "".join(file.content for file in format_.render(plan(unit(("true",), stop=StopPolicy(10)))))
    assert "USR1" in text

    with pytest.raises(UsageError, match=r"^cannot export web to .*signal 40"):
        format_.render(plan(unit(("true",), stop=StopPolicy(40))))


@pytest.mark.parametrize("format_", [supervisord, launchd])
def test_logs_that_cannot_be_named(format_):
    """A folder for logs that the file cannot name is an error."""
    with pytest.raises(UsageError, match=r"^cannot export to .*--log"):
        format_.render(plan(unit(("true",)), log="/var/log\r"))


def test_launchd_names():
    """Two that only capitals tell apart are one file to macOS, and an error."""
    one = unit(("true",))

    with pytest.raises(
        UsageError, match=r"^cannot export demo to launchd: demo.web.plist and demo.Web.plist"
    ):
        launchd.render(plan(one, one._replace(name="Web")))
    assert len(launchd.render(plan(one, one._replace(name="web.2")))) == 2


def test_procfile_names():
    """Two services that a Procfile would have to call the same are an error."""
    one = unit(("true",))

    with pytest.raises(UsageError, match=re.escape("cannot export web.2 to procfile")):
        procfile.render(plan(one._replace(name="web-2"), one._replace(name="web.2")))


@pytest.mark.parametrize("format_", [supervisord, runit, launchd, upstart])
def test_lost(format_):
    """What is not carried over is said in the file."""
    text = "".join(file.content for file in format_.render(export_projects.processes()))

    assert re.search("not carried over: .*watchdog", text)


@pytest.mark.parametrize("format_", [supervisord, runit, upstart, launchd])
def test_off(format_):
    """What does not start by itself here does not start by itself there."""
    off = format_.render(plan(unit(("true",), enable="false")))
    on = format_.render(plan(unit(("true",))))

    assert off != on


def test_home_of_the_user():
    """Who is run as another user has that user's home, unless it is said otherwise."""
    one = unit(ENV, {"LOGNAME": "me"})
    argv, _ = read_by_supervisord(supervisord.render(plan(one, user="nobody"))[0].content)
    found = variables(output(argv, {"HOME": "/root", "LOGNAME": "me"}))

    assert (found[b"HOME"], found[b"USER"], found[b"LOGNAME"]) == (b"/nonexistent", b"nobody", b"me")


def test_hostile_plan_is_read():
    """The whole of the hostile project can be read by supervisord."""
    options = need_package("supervisor.options", "supervisor")
    parser = options.UnhosedConfigParser()
    (file,) = supervisord.render(hostile := export_projects.hostile())
    parser.read_file(io.TextIOWrapper(io.BytesIO(encode(file.content)), encoding="utf-8"))
    reader = options.ServerOptions()
    reader.here = "/here"
    (group,) = reader.process_groups_from_parser(parser)

    assert {one.name for one in group.process_configs} == {f"hostile-app-{one.name}" for one in hostile.units}


@pytest.mark.parametrize(
    ("format_", "template", "path"),
    [
        (supervisord, "supervisord.conf", "demo.conf"),
        (runit, "runit-run", "demo-web/run"),
        (runit, "runit-finish", "demo-web/finish"),
        (runit, "runit-control-t", "demo-web/control/t"),
        (runit, "runit-control-k", "demo-web/control/k"),
        (runit, "runit-log-run", "demo-web/log/run"),
        (runit, "runit-check", "demo-web/check"),
        (upstart, "upstart.conf", "demo.conf"),
        (upstart, "upstart-job.conf", "demo-web.conf"),
    ],
)
def test_templates(format_, template, path):
    """A template of the user's replaces the file's own."""
    one = unit(("true",), ready=Probe("exec", ("true",)))
    files = format_.render(plan(one, templates={template: "mine\n"}))

    assert {file.path: file.content for file in files}[path] == "mine\n"
