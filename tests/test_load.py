"""Which file is the project's, its root, its env files, and everything that cannot be read."""

import os
import subprocess
import sys
import threading

import pytest

from devport.context import Context
from devport.encoding import encode
from devport.errors import DevportError
from devport.project import load as load_module
from devport.project.expansion import expand_ports
from devport.project.load import Found, find, load, read_env_files

PROCFILE = "web: run $PORT\n"


@pytest.fixture
def root(tmp_path):
    """An empty folder, by its real path, under a HOME of its own."""
    folder = os.path.realpath(tmp_path / "p")
    os.makedirs(folder)
    return folder


def write(folder, **files):
    """Write files; in a keyword `__` is a dot and `_s_` a slash."""
    for name, text in files.items():
        path = os.path.join(folder, name.replace("_s_", "/").replace("__", "."))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())


def context(cwd, stdin=0, **environ):
    return Context({"HOME": "/home/me", **environ}, cwd, "/nonexistent", stdin=stdin)


def failure(cwd, status, environ=None, **options):
    with pytest.raises(DevportError) as caught:
        load(context(cwd, **(environ or {})), **options)
    assert caught.value.status == status
    return caught.value.message


def where(cwd, environ=None, **options):
    """Path and root, relative to `cwd`."""
    project = load(context(cwd, **(environ or {})), **options)
    return os.path.relpath(project.file, cwd), os.path.relpath(project.root, cwd)


def test_a_procfile_becomes_services(root):
    """Each entry a service in file order, run by /bin/sh in the root."""
    write(root, Procfile=b"# c\nweb: run $PORT\nclock: tick \xff\nweb.1: x\n")

    project = load(context(root))

    assert (project.root, project.file) == (root, f"{root}/Procfile")
    assert [
        (s.name, s.entry, s.command, s.cwd, s.source, s.position, s.expand) for s in project.services
    ] == [
        ("web", "web", ("/bin/sh", "-c", "run $PORT"), root, "Procfile:2", 0, False),
        ("clock", "clock", ("/bin/sh", "-c", "tick \udcff"), root, "Procfile:3", 1, False),
    ]
    assert len(project.warnings) == 1
    assert project.warnings[0].startswith("Procfile:4: ignored, ")
    assert (project.env, project.strict_ports, project.port_range) == ({}, None, None)


def test_a_devport_yaml_becomes_services(root):
    """The file's wishes are in the project."""
    write(root, devport__yaml="strict-ports: true\nport-range: 1-2\nprocesses: {web: run}\n")

    project = load(context(root))

    assert (project.file, project.strict_ports, project.port_range) == (f"{root}/devport.yaml", True, (1, 2))
    assert project.services[0].source == "devport.yaml:3"


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["Procfile", "devport.yml", "devport.yaml"], "devport.yaml"),
        (["Procfile", "devport.yml"], "devport.yml"),
        (["Procfile"], "Procfile"),
    ],
)
def test_which_file(root, files, chosen):
    """devport.yaml, else devport.yml, else Procfile."""
    for name in files:
        write(root, **{name: PROCFILE if name == "Procfile" else "- run"})

    assert where(root) == (chosen, ".")


def test_the_file_is_found_upwards(root):
    """From a sub-folder the nearest folder that has one of the three is the project."""
    write(root, Procfile=PROCFILE, a_s_devport__yaml="- run", a_s_b_s_c_s_x="", d_s___env="A=1")
    os.makedirs(f"{root}/a/b/Procfile")  # a folder of that name is none

    assert where(f"{root}/a/b/c") == ("../../devport.yaml", "../..")
    assert where(f"{root}/d") == ("../Procfile", "..")


def test_the_root_is_the_real_path(root):
    """Through a link the project is the same as without."""
    write(root, p_s_Procfile=PROCFILE)
    os.symlink(f"{root}/p", f"{root}/link")

    assert load(context(f"{root}/link")).root == f"{root}/p"
    assert load(context(root), root="link").root == f"{root}/p"
    assert load(context(root), file="link/Procfile").root == f"{root}/p"


def test_nothing_found_says_what_to_do(root):
    """No file anywhere: status 1 and a hint."""
    write(root, sub_s_x="")

    message = failure(f"{root}/sub", 1, root=".")

    assert message == (
        "cannot find a project: no devport.yaml and no Procfile in .; "
        "write a Procfile (web: COMMAND) or a devport.yaml, or name one with -f"
    )
    write(root, **{"Procfile.dev": PROCFILE})
    assert failure(f"{root}/sub", 1, root=".") == message
    assert failure(f"{root}", 1, root=".").endswith("in .; there is Procfile.dev: name it with -f")
    # Above the temporary folder nothing is promised, so upwards is asked of a name that nobody has.
    message = failure(f"{root}/sub", 1, {"PROCFILE": "Procfile.nobody.has"})
    assert message == f"cannot find Procfile.nobody.has: not in {root}/sub or above (PROCFILE names it)"


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("Procfile.dev", ("Procfile.dev", ".")),
        ("sub/Procfile", ("sub/Procfile", "sub")),
        ("./sub/../sub/my.yaml", ("sub/my.yaml", "sub")),
        ("sub/my.yml", ("sub/my.yml", "sub")),
    ],
)
def test_f_names_the_file(root, file, expected):
    """-f is relative to the working directory and its folder is the root; the extension decides."""
    write(
        root,
        Procfile="no: x",
        Procfile__dev=PROCFILE,
        sub_s_Procfile=PROCFILE,
        sub_s_my__yaml="- run",
        sub_s_my__yml="- run",
    )

    assert where(root, file=file) == expected
    assert where(root, {"PROCFILE": "Procfile"}, file=f"{root}/{file}") == expected


def test_f_expands_home(root):
    """~ in -f is HOME."""
    write(root, Procfile=PROCFILE)

    assert where(root, {"HOME": root}, file="~/Procfile") == ("Procfile", ".")


def test_root_is_looked_at_alone(root):
    """--root: only that folder, no parents; with -f it is the root of a file from anywhere."""
    write(root, Procfile=PROCFILE, sub_s_x="", other_s_Procfile=PROCFILE)

    assert where(root, root="other") == ("other/Procfile", "other")
    assert where(f"{root}/sub", root="..") == ("../Procfile", "..")
    assert where(root, root="sub", file="Procfile") == ("Procfile", "sub")
    assert "no Procfile in sub;" in failure(root, 1, root="sub")


@pytest.mark.parametrize(
    ("name", "why"), [("nope", "No such file or directory"), ("Procfile", "Not a directory")]
)
def test_root_must_be_a_folder(root, name, why):
    """A --root that is no folder is a usage error."""
    write(root, Procfile=PROCFILE)

    assert failure(root, 2, root=name) == f"cannot use --root {name}: {why}"


def test_procfile_of_the_environment(root):
    """PROCFILE beats the usual names, upwards too, and .env; an empty one is none."""
    write(
        root,
        Procfile=PROCFILE,
        Procfile__dev=PROCFILE,
        sub_s_Procfile=PROCFILE,
        sub_s___env="PROCFILE=Procfile",
    )

    assert where(f"{root}/sub", {"PROCFILE": "Procfile.dev"}) == ("../Procfile.dev", "..")
    assert where(f"{root}/sub", {"PROCFILE": ""}) == ("Procfile", ".")
    assert where(f"{root}/sub", {"PROCFILE": f"{root}/Procfile.dev"}) == ("../Procfile.dev", "..")
    assert where(f"{root}/sub", {"PROCFILE": "~/Procfile.dev", "HOME": root}) == ("../Procfile.dev", "..")


def test_procfile_of_the_env_file(root):
    """PROCFILE in .env counts in the folder of the .env, which is the root; ${} sees the environment."""
    write(root, Procfile=PROCFILE, a_s___env="PROCFILE=${D}/Procfile.dev", a_s_sub_s_Procfile__dev=PROCFILE)
    write(root, a_s_b_s___env="X=1 # no PROCFILE")

    assert where(f"{root}/a/b", {"D": "sub"}) == ("../sub/Procfile.dev", "..")
    assert where(root, {"D": "sub"}, root="a") == ("a/sub/Procfile.dev", "a")


def test_procfile_of_the_env_file_must_exist(root):
    """A PROCFILE in .env that is not there is an error, not a silent other file."""
    write(root, Procfile=PROCFILE, __env="PROCFILE=nope")

    assert failure(root, 1) == "cannot read nope: no such file (PROCFILE in .env names it)"


def test_with_e_the_default_env_file_names_nothing(root):
    """-e replaces .env in everything: PROCFILE comes from the files it names."""
    write(root, Procfile=PROCFILE, P2=PROCFILE, __env="PROCFILE=nope", a="PROCFILE=P2", b="X=1")

    assert where(root, env_files=["a,b"]) == ("P2", ".")
    assert where(root, env_files=["b"]) == ("Procfile", ".")
    assert where(root, {"PROCFILE": "Procfile"}, env_files=["a"]) == ("Procfile", ".")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("web: x\n", ["web"]),
        ("processes:\n  a: x\n", ["a"]),
        ("# c\n\nprocesses: # c\n  a: x\n", ["a"]),
        ("strict-ports: true\nprocesses: {a: x}\n", ["a"]),
        ("- go run\n", ["go"]),
        ("\ufeff# c\n- go run\n", ["go"]),
        ("---\n- go run\n", ["go"]),
        ("[go, ls]", ["go", "ls"]),
        ("processes: run it\n", ["processes"]),
        ("env: x\nweb: - y\n", ["env", "web"]),
    ],
)
def test_standard_input(root, text, names):
    """-f - is YAML or a Procfile by its content, with the working directory as root."""
    project = load_from_pipe(root, text, file="-")

    assert [service.name for service in project.services] == names
    assert (project.file, project.root) == ("-", root)


def load_from_pipe(cwd, text, **options):
    read, write_end = os.pipe()
    try:
        os.write(write_end, text.encode())
        os.close(write_end)
        return load(context(cwd, stdin=read), **options)
    finally:
        os.close(read)


def test_standard_input_has_a_root_and_a_name(root):
    """--root goes with it, and messages call it by its name."""
    os.makedirs(f"{root}/sub")

    project = load_from_pipe(root, "a: x\nb\n", file="-", root="sub")

    assert project.root == f"{root}/sub"
    assert project.warnings[0].startswith("standard input:2: ")
    with pytest.raises(DevportError, match="cannot read standard input: no entries"):
        load_from_pipe(root, "", file="-")


@pytest.mark.parametrize("text", ["web: x\n", "- {key: web, exec: x}\n"])
def test_a_pipe_by_name(root, text):
    """/dev/fd/N (`<(command)`) is read like standard input."""
    read, write_end = os.pipe()
    os.write(write_end, text.encode())
    os.close(write_end)
    try:
        project = load(context(root), file=f"/dev/fd/{read}")
    finally:
        os.close(read)

    assert ([service.name for service in project.services], project.root) == (["web"], root)


def test_a_fifo(root):
    """A FIFO is read to its end, and its folder is the root."""
    os.makedirs(f"{root}/sub")
    os.mkfifo(f"{root}/sub/fifo")
    writer = threading.Thread(target=write, args=(f"{root}/sub",), kwargs={"fifo": PROCFILE})
    writer.start()
    try:
        assert where(root, file="sub/fifo") == ("sub/fifo", "sub")
    finally:
        writer.join()


def test_what_cannot_be_read(root):
    """Missing, a folder, a broken link: status 1, the name as it was given and the reason."""
    os.makedirs(f"{root}/Proc")
    os.symlink("nowhere", f"{root}/Procfile")

    assert failure(root, 1, file="nope") == "cannot read nope: No such file or directory"
    assert failure(root, 1, file="Proc") == "cannot read Proc: Is a directory"
    assert failure(root, 1, file="Proc/x.yaml") == "cannot read Proc/x.yaml: No such file or directory"
    assert failure(root, 1) == "cannot read Procfile: No such file or directory"


def test_without_permission(root, monkeypatch):
    """A file that may not be read is an error, though another is there (simulated: root may read all)."""
    write(root, devport__yaml="- x", Procfile=PROCFILE)

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)

    assert failure(root, 1) == "cannot read devport.yaml: Permission denied"


def test_a_huge_file_is_refused(root):
    """Over 16 MiB is no Procfile; it is not read to its end."""
    with open(f"{root}/Procfile", "wb") as file:
        file.truncate(1 << 30)

    assert failure(root, 1) == "cannot read Procfile: it is longer than 16 MiB"
    assert failure(root, 1, file="/dev/zero") == "cannot read /dev/zero: it is longer than 16 MiB"


@pytest.mark.parametrize("data", ["web: x".encode("utf-16"), b"\xfe\xff\0w"])
def test_utf16_is_named(root, data):
    """What an editor on Windows may have saved is called by its name."""
    write(root, Procfile=data, devport__yaml=data)

    assert failure(root, 1, file="Procfile") == "cannot read Procfile: it is UTF-16; save it as UTF-8"
    assert failure(root, 1) == "cannot read devport.yaml: it is UTF-16; save it as UTF-8"


def test_errors_and_warnings_of_a_file_above_name_its_way(root):
    """A message about a file found above says where it is; the source stays short."""
    write(root, Procfile="web: x\nnope\n", a_s_b_s_x="")

    project = load(context(f"{root}/a/b"))

    assert project.warnings[0].startswith("../../Procfile:2: ignored")
    assert project.services[0].source == "Procfile:1"


def test_the_default_env_file(root):
    """`.env` of the root is read if it is there; its warnings come with the project's."""
    write(root, sub_s_Procfile=PROCFILE, sub_s___env="A=1\nB\n", __env="A=2")

    project = load(context(root), file="sub/Procfile")

    assert project.env == {"A": "1"}
    assert project.warnings == ("sub/.env:2: ignored, B has no value (B= sets an empty one)",)


def test_named_env_files(root):
    """-e: comma list, repeatable, relative to the working directory, ~ expanded, later wins, no .env."""
    write(root, sub_s_Procfile=PROCFILE, sub_s___env="D=1", a="A=1\nB=1", b="B=2", h_s_c="C=${B}")

    project = load(context(root, HOME=f"{root}/h"), file="sub/Procfile", env_files=["a, b", "~/c"])

    assert project.env == {"A": "1", "B": "2", "C": "2"}


def test_an_empty_e_reads_none(root):
    """`-e ''` turns the default off."""
    write(root, Procfile=PROCFILE, __env="A=1")

    assert load(context(root), env_files=[""]).env == {}


def test_env_files_that_cannot_be_read(root):
    """A named file that is missing is a usage error; a folder is an error; a folder `.env` is a warning."""
    write(root, Procfile=PROCFILE)
    os.makedirs(f"{root}/.env/bin")

    assert failure(root, 2, env_files=["nope"]) == "cannot read nope: No such file or directory"
    assert failure(root, 1, env_files=[".env"]) == "cannot read .env: Is a directory"
    assert load(context(root)).warnings == (".env is a folder and not read as an env file",)


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_what_waits_is_not_read_by_itself(root, kind):
    """Nobody writes to the FIFO: a `.env` is a warning, a project an error; a link to nothing is one too."""

    def make(name):
        os.mkfifo(f"{root}/{name}") if kind == "fifo" else os.symlink("/dev/zero", f"{root}/{name}")

    write(root, Procfile=PROCFILE)
    make(".env")
    project = load(context(root))
    os.unlink(f"{root}/.env")
    os.symlink("nowhere", f"{root}/.env")
    broken = failure(root, 2)
    os.unlink(f"{root}/Procfile")
    make("Procfile")

    assert project.env == {}
    assert project.warnings == (".env is no regular file and only with -e read as an env file",)
    assert broken == "cannot read .env: No such file or directory"
    assert failure(root, 1) == "cannot read Procfile: it is no regular file; name it with -f"


def test_env_files_of_the_yaml(root):
    """`env:` replaces .env, relative to the root; -e replaces both; a missing one is a usage error."""
    write(
        root,
        sub_s_devport__yaml="env: e\nprocesses: {a: x}",
        sub_s_e="A=yaml",
        sub_s___env="B=env",
        mine="C=mine",
    )

    assert load(context(root), root="sub").env == {"A": "yaml"}
    assert load(context(root), root="sub", env_files=["mine"]).env == {"C": "mine"}
    os.remove(f"{root}/sub/e")
    assert failure(root, 2, root="sub") == "cannot read sub/e: No such file or directory"


def test_an_env_fifo_is_read_once(root):
    """`-e <(command)` can be read only once: looking for PROCFILE in it must not use it up."""
    write(root, Procfile=PROCFILE)
    read, write_end = os.pipe()
    os.write(write_end, b"A=1\n")
    os.close(write_end)
    try:
        assert load(context(root), env_files=[f"/dev/fd/{read}"]).env == {"A": "1"}
    finally:
        os.close(read)


def test_interpolation_across_env_files(root):
    """A later file sees the environment, what was earlier, and the files before it, in that order."""
    write(root, a="X=a\nY=${X}${E}", b="Z=${X}${Y}${W}${E}", c="E=${E}c")
    paths = [f"{root}/{name}" for name in "abc"]

    values, warnings = read_env_files(context(root, E="e", X="env"), paths, {"W": "w"})

    assert values == {"X": "a", "Y": "ae", "Z": "aaewe", "E": "ec"}
    assert warnings == ()


def test_a_procfile_named_in_the_yaml(root):
    """`procfile:` is relative to the root; its warnings and errors are its own."""
    write(root, devport__yaml="procfile: p/Proc\nprocesses: {web: {cwd: w}}", p_s_Proc="web: x\nnope\n")

    project = load(context(root))

    assert [(s.name, s.command[2], s.cwd, s.source) for s in project.services] == [
        ("web", "x", f"{root}/w", "p/Proc:1")
    ]
    assert project.warnings == ("p/Proc:2: ignored, not 'NAME: COMMAND': nope",)
    os.remove(f"{root}/p/Proc")
    assert failure(root, 1) == "cannot read p/Proc: No such file or directory"


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_git_root(root, kind):
    """${git.root} is the nearest folder above with a .git, which in a worktree is a file."""
    write(root, a_s_b_s_devport__yaml="- {exec: x, cwd: '${git.root}/c'}")
    os.mkdir(f"{root}/.git")
    if kind == "file":
        write(root, a_s___git="gitdir: elsewhere")

    expected = f"{root}/a/c" if kind == "file" else f"{root}/c"
    assert load(context(root), root="a/b").services[0].cwd == expected


def test_names_that_are_not_utf8(root):
    """Folders and files may have any bytes in their names."""
    folder = encode(root) + b"/caf\xe9"
    os.makedirs(folder)
    with open(folder + b"/Procfile", "wb") as file:
        file.write(PROCFILE.encode())

    project = load(context(f"{root}/caf\udce9"))

    assert project.root == f"{root}/caf\udce9"


def test_find_alone(root):
    """`find` says path, root and the name for messages, and opens nothing but a .env."""
    write(root, Procfile=PROCFILE)

    assert find(context(root), None, None, None) == Found(f"{root}/Procfile", root, "Procfile")
    assert find(context(root), "nope/x", None, None) == Found(f"{root}/nope/x", f"{root}/nope", "nope/x")


def test_a_procfile_costs_no_parser(root):
    """Neither PyYAML nor python-dotenv nor what they pull in is imported for a plain Procfile."""
    write(root, Procfile=PROCFILE)
    program = (
        "import sys; from devport.context import Context; from devport.project.load import load;"
        f"load(Context({{}}, {root!r}, '/x'));"
        "print(*(m for m in ('yaml', 'dotenv', 'logging', 'pathlib', 'dataclasses', 'inspect', 'shlex',"
        "'difflib', 'devport.project.config') if m in sys.modules))"
    )

    # -S: what an editable installation imports is not devport's doing.
    environ = {"PYTHONPATH": os.path.dirname(os.path.dirname(load_module.__file__)) + "/.."}
    output = subprocess.run(
        [sys.executable, "-S", "-c", program], env=environ, capture_output=True, check=True
    )

    assert output.stdout == b"\n"


def test_several_files(root):
    """The later wins by key; the first one's folder is the root, and further ones may lie anywhere."""
    write(
        root,
        a_s_base__yaml="processes: {web: {exec: x, cwd: sub, pty: true}}\ngroups: {g: [web]}",
        b_s_dev__yml="processes: {web: {cwd: other}, db: y}",
    )
    project = load(context(root), file=["a/base.yaml", "b/dev.yml"])

    assert (project.root, project.file) == (f"{root}/a", f"{root}/a/base.yaml")
    assert [(one.name, one.cwd, one.source) for one in project.services] == [
        ("web", f"{root}/a/other", "base.yaml:1"),
        ("db", f"{root}/a", "dev.yml:1"),
    ]
    assert project.groups == {"g": ("web",)}
    assert (
        load(context(root), file=["a/base.yaml"]).services == load(context(root), file="a/base.yaml").services
    )
    assert load(context(root), file=["a/base.yaml", "b/dev.yml"], root="b").root == f"{root}/b"


@pytest.mark.parametrize("names", [["a.yaml", "Procfile"], ["Procfile", "a.yaml"], ["Procfile", "Procfile"]])
def test_a_procfile_cannot_be_merged(root, names):
    """The message says how to have both."""
    write(root, Procfile=PROCFILE, a__yaml="processes: {web: x}")

    assert failure(root, 2, file=names) == (
        "cannot read Procfile: a Procfile cannot be merged with other files;"
        " procfile: in a devport.yaml takes its entries"
    )


def test_several_files_one_of_which_is_wrong(root):
    """The message names it."""
    write(root, a__yaml="processes: {web: x}", sub_s_b__yaml="processes:\n  web: {pyt: true}")

    assert failure(root, 2, file=["a.yaml", "sub/b.yaml"]).startswith("cannot read sub/b.yaml: line 2: web: ")
    assert failure(root, 1, file=["a.yaml", "gone.yaml"]).startswith("cannot read gone.yaml: No such file")


def test_what_looks_like_a_port_in_a_procfile(root):
    """It is the shell's, with a devport.yaml that takes the entries and without one."""
    write(root, Procfile="web: echo ${db.port} ${X}\ndb: x\n", devport__yaml="procfile: Procfile")
    alone, taken = (load(context(root), file=name).services[0] for name in ("Procfile", "devport.yaml"))

    assert alone.command[2] == "echo ${db.port} ${X}"
    assert expand_ports(taken, {"db": {"": 1}}).command[2] == "echo ${db.port} ${X}"
