"""The tailnet: what the program and the API are asked, what is recorded when, what failures cost."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
from typing import NamedTuple

import pytest
from support import procs
from support.tailscale import DEVICE, KEY, STATUS, SUFFIX, Server, Standin

from devport import tailscale
from devport.context import Context
from devport.errors import DevportError
from devport.project import environment
from devport.registry.record import Record
from devport.registry.store import Store
from devport.tailscale import Tailnet, api, listener
from devport.tailscale.api import Api
from devport.tailscale.exposure import host_hint, service_name
from devport.tailscale.program import Device, Program

HASH = "1f7a2c90be"
NAME = "svc:1f7"
URL = f"https://1f7.{SUFFIX}"
MARK = f"devport:{DEVICE}/{os.getuid()}/{HASH}"
PORT = 19007
SHORT = 0.4
"""Seconds of patience where a test is about its end."""


@pytest.fixture
def standin(tmp_path):
    """The program, alone on PATH."""
    return Standin(tmp_path / "tailscale")


@pytest.fixture
def server():
    """The API."""
    made = Server()
    yield made
    made.close()


class Desk(NamedTuple):
    """A state folder with one running service, and what it takes to expose it."""

    context: Context
    store: Store
    record: Record
    err: str

    @property
    def tailnet(self):
        """A new command line's."""
        return Tailnet(self.context)

    @property
    def now(self):
        """The record as it is on the disk."""
        return self.store.record(HASH)

    @property
    def exposed(self):
        """What the record says of the tailnet."""
        return self.now.tailnet, self.now.extra.get("url")

    @property
    def said(self):
        """All that was said."""
        with open(self.err) as file:
            return file.read()

    def without(self, *names):
        """The same without some variables."""
        environ = {name: value for name, value in self.context.environ.items() if name not in names}
        return self._replace(context=self.context._replace(environ=environ))

    def having(self, **variables):
        """The same with other variables."""
        return self._replace(context=self.context._replace(environ={**self.context.environ, **variables}))


@pytest.fixture
def desk(tmp_path, standin, server):
    """With a key, a program and an API that do what they should."""
    store = Store(str(tmp_path / "state"))
    store.prepare()
    record = Record(HASH, "1f7", key="api", port=PORT, name="api", cmd=("npm", "start"), extra={"later": 1})
    store.write([record])
    standin.watch(store.path(HASH))
    environ = {
        "PATH": str(standin.bin),
        "HOME": str(tmp_path),
        "USER": "ann",
        "TAILSCALE_API_KEY": KEY,
        "DEVPORT_TAILSCALE_API": server.base,
    }
    err = str(tmp_path / "err")
    descriptor = os.open(err, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield Desk(Context(environ, str(tmp_path), store.root, stderr=descriptor), store, record, err)
    os.close(descriptor)


def reason(call, *words, **named):
    """The message of the DevportError that `call` ends with."""
    with pytest.raises(DevportError) as caught:
        call(*words, **named)
    return caught.value.message


# the program


def test_find_needs_an_absolute_folder(standin, monkeypatch):
    """What lies in the working directory is not tailscale, whatever PATH says."""
    monkeypatch.chdir(standin.bin)

    assert Program.find({"PATH": f":.:bin:{standin.bin}"}).path == standin.program
    for path in ("", ".", ":", "bin"):
        assert "not on PATH" in reason(Program.find, {"PATH": path})


@pytest.mark.parametrize(
    "status",
    [
        {"MagicDNSSuffix": SUFFIX},
        {"MagicDNSSuffix": f"{SUFFIX}."},
        {"CurrentTailnet": {"Name": "ann@example.com", "MagicDNSSuffix": SUFFIX}},
        {"Self": {"DNSName": f"mini.{SUFFIX}."}},
        {"BackendState": "Running", "MagicDNSSuffix": SUFFIX, "Self": None},
    ],
)
def test_suffix(standin, status):
    """The names' suffix is MagicDNS's, never the tailnet's name (G80)."""
    standin.status(status)

    assert Program(standin.program, {}).device().suffix == SUFFIX


def test_device(standin):
    """Its id, its name, whether it is tagged."""
    program = Program(standin.program, {})

    assert program.device() == Device(DEVICE, "mini", SUFFIX, tagged=True)
    standin.status({**STATUS, "Self": {"ID": "../../n1", "DNSName": f"mini.{SUFFIX}", "Tags": None}})
    assert program.device() == Device("", "mini", SUFFIX, tagged=False)


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ('{"BackendState": "NeedsLogin"}', "not connected (NeedsLogin)"),
        ('{"BackendState": "Running"}', "no MagicDNS suffix"),
        ('{"MagicDNSSuffix": "a b/../c"}', "no MagicDNS suffix"),
        ('{"MagicDNSSuffix": ["x"]}', "no MagicDNS suffix"),
        ("null", "no MagicDNS suffix"),
        ("[1]", "did not print a JSON object"),
        ("{", "did not print JSON"),
        ("[" * 100_000, "did not print JSON"),
        ("\x00\xff", "did not print JSON"),
    ],
)
def test_status_is_not_trusted(standin, out, expected):
    """Whatever it prints is a message at worst."""
    standin.behave("status", {"out": out})

    assert expected in reason(Program(standin.program, {}).device)


def test_words_of_the_program(standin):
    """What is exposed, and withdrawn, as the seed says it; no name of ours is an option to it (S17)."""
    program = Program(standin.program, {})
    name = service_name(Record(HASH, "1f7", key="--bg", name="--yes"))
    program.serve(name, PORT)
    served = standin.served
    program.clear(name)

    assert standin.words == [
        ["serve", "--service", "svc:1f7", "http://localhost:19007"],
        ["serve", "clear", "svc:1f7"],
    ]
    assert (served, standin.served) == ({NAME: "http://localhost:19007"}, {})


def test_program_gets_no_key(standin):
    """The rest of the environment is the caller's."""
    Program(standin.program, {"TAILSCALE_API_KEY": KEY, "HOME": "/home/ann"}).clear(NAME)

    [call] = standin.calls
    assert call["environ"]["HOME"] == "/home/ann"
    assert "TAILSCALE_API_KEY" not in call["environ"]


def test_failure_is_one_short_line(standin):
    """What it complains of, however much that is."""
    standin.behave(
        "serve", {"status": 1, "err": "Access denied:\n  serve config denied\x1b[31m\n" + "x" * 9999}
    )
    message = reason(Program(standin.program, {}).serve, NAME, PORT)

    assert message.startswith("tailscale serve: Access denied: serve config denied")
    assert len(message) < 400


def test_silent_failure(standin):
    """One that says nothing has a status at least."""
    standin.behave("serve clear", {"status": 3})

    assert reason(Program(standin.program, {}).clear, NAME) == "tailscale serve: it ended with status 3"


def test_conflicts_are_tried_again(standin):
    """The program refuses a change that crosses another one; it wants to be asked again."""
    busy = {"status": 1, "err": "Another client is changing the serve config; please try again.\n"}
    standin.behave("serve", busy, busy, {})
    Program(standin.program, {}).serve(NAME, PORT)
    standin.behave("serve clear", busy)
    message = reason(Program(standin.program, {}).clear, NAME)

    assert [words[1] for words in standin.words] == ["--service"] * 3 + ["clear"] * 5
    assert "Another client" in message


def test_hanging_program(standin):
    """One that waits for its user is ended, and what it said is passed on."""
    standin.behave(
        "serve", {"err": "To enable HTTPS, visit:\n\n   https://login.tailscale.com/f/serve\n", "hang": 1}
    )
    before = set(procs.children(os.getpid()))
    message = reason(Program(standin.program, {}, 10 * SHORT).serve, NAME, PORT)

    assert message == (
        "tailscale serve: it did not end within 4 s, and said:"
        " To enable HTTPS, visit: https://login.tailscale.com/f/serve"
    )
    assert set(procs.children(os.getpid())) <= before


def test_endless_program(standin):
    """Its output is not kept without limit."""
    before = set(procs.children(os.getpid()))
    standin.behave("serve", {"endless": True})

    assert reason(Program(standin.program, {}).serve, NAME, PORT) == "tailscale prints without end"
    assert set(procs.children(os.getpid())) <= before


def test_program_that_cannot_run(tmp_path):
    """A file that is no program is a message."""
    path = tmp_path / "tailscale"
    path.write_text("#!/nonexistent/interpreter\n")
    path.chmod(0o755)

    assert "cannot run" in reason(Program(str(path), {}).clear, NAME)


def test_target(standin):
    """Where a name leads: nowhere, somewhere, or it cannot be told."""
    program = Program(standin.program, {})
    before = program.target(NAME)
    standin.serve(NAME, "http://localhost:19005")
    after = program.target(NAME)
    found = []
    for out in ('{"Services": {"svc:1f7": {"Tun": true}}}', "null", '{"Services": 3}', "oops"):
        standin.behave("serve status", {"out": out})
        found.append(program.target(NAME))

    assert (before, after) == ("", "http://localhost:19005")
    assert found == ["something", "", None, None]


# the API


def test_requests(server):
    """A service is read, defined with its port and comment, approved and deleted at the documented places."""
    made = Api(server.base, KEY)
    found = [made.definition(NAME)]
    made.define(NAME, "whose")
    found.append(made.definition(NAME))
    made.approve(NAME, DEVICE)
    made.delete(NAME)
    made.delete(NAME)

    body = {"name": NAME, "ports": ["tcp:443"], "comment": "whose"}
    assert found == [None, body]
    assert [(one.method, one.path, one.body) for one in server.requests] == [
        ("GET", "/api/v2/tailnet/-/services/svc:1f7", None),
        ("PUT", "/api/v2/tailnet/-/services/svc:1f7", body),
        ("GET", "/api/v2/tailnet/-/services/svc:1f7", None),
        ("POST", f"/api/v2/tailnet/-/services/svc:1f7/device/{DEVICE}/approved", {"approved": True}),
        ("DELETE", "/api/v2/tailnet/-/services/svc:1f7", None),
        ("DELETE", "/api/v2/tailnet/-/services/svc:1f7", None),
    ]
    assert {one.headers["Authorization"] for one in server.requests} == {f"Bearer {KEY}"}


def garbage(handler):
    """What is not HTTP."""
    handler.wfile.write(b"\x00\x01 hello %s\r\n\r\n" % KEY.encode())
    handler.close_connection = True


def silence(handler):
    """Nothing, for as long as the test lasts."""
    handler.server.own.released.wait()
    handler.close_connection = True


def drip(handler):
    """A byte now and then, always before any one read gives up."""
    handler.close_connection = True
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000:
        try:
            handler.wfile.write(bytes([byte]))
        except OSError:
            return
        if handler.server.own.released.wait(0.05):
            return


def hang_up(handler):
    """The connection just ends."""
    handler.close_connection = True


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            {"status": 401, "body": b'{"message": "API token invalid"}'},
            "refused (HTTP 401: API token invalid)",
        ),
        ({"status": 403, "body": b"no"}, "the key was refused (HTTP 403)"),
        ({"status": 500, "body": b'{"message": "sorry"}'}, "HTTP 500: sorry"),
        ({"status": 500, "body": json.dumps({"message": f"you\x1b sent\n{KEY}"}).encode()}, "sent ..."),
        ({"status": 503, "body": b"\xff" * 99}, "HTTP 503"),
        ({"status": 200, "body": b"<html>"}, "its answer is no service"),
        ({"status": 200, "body": b'["svc:1f7"]'}, "its answer is no service"),
        ({"status": 200, "body": b'{"name": "svc:other"}'}, "its answer is no service"),
        ({"status": 200, "body": b"[" * 200_000}, "its answer is no service"),
        ({"status": 200, "body": b"x" * (api.LIMIT + 1)}, "its answer is too long"),
        ({"act": garbage}, "does not speak HTTP (BadStatusLine)"),
        ({"act": hang_up}, "does not speak HTTP (RemoteDisconnected)"),
    ],
)
def test_bad_answers(server, fault, expected):
    """Each is a short message that names the server and never the key."""
    server.answer("GET", **fault)
    message = reason(Api(server.base, KEY).definition, NAME)

    assert message.startswith("127.0.0.1: ")
    assert expected in message
    assert len(message) < 300
    assert KEY not in message


@pytest.mark.parametrize("act", [silence, drip])
def test_slow_answers(server, act):
    """A request is given up after its time, whether nothing comes or ever a little more."""
    server.answer("GET", act=act)

    assert reason(Api(server.base, KEY, SHORT).definition, NAME) == "127.0.0.1: no answer within 0.4 s"


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(server, method, status):
    """The key goes to one host and no other."""
    other = Server()
    try:
        server.answer(method, status=status, headers={"Location": other.base + "/"})
        made = Api(server.base, KEY)
        call = {"GET": made.definition, "DELETE": made.delete}.get(method)
        call = call or (lambda name: made.define(name, "") if method == "PUT" else made.approve(name, DEVICE))

        assert f"redirects (HTTP {status}), which is not followed" in reason(call, NAME)
        assert other.requests == []
    finally:
        other.close()


def test_nobody_listens():
    """A refused connection is a message."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        made = Api(f"http://127.0.0.1:{taken.getsockname()[1]}", KEY)

        assert reason(made.definition, NAME) == "127.0.0.1: Connection refused"


@pytest.mark.parametrize(
    "base",
    [
        "http://api.tailscale.com",
        "http://192.0.2.1",
        "ftp://127.0.0.1",
        "https://",
        "https://ann:pw@api.tailscale.com",
        "https://api.tailscale.com?x",
        "https://api.tailscale.com:99999",
        "https://[",
        "api.tailscale.com",
        "//api.tailscale.com",
    ],
)
def test_bad_bases(base):
    """The key is not sent in clear text to another machine; what is no address is said without its words."""
    message = reason(Api, base, KEY)

    assert message.startswith("cannot use DEVPORT_TAILSCALE_API: ")
    assert "pw" not in message


def test_usual_base(desk):
    """Tailscale's own."""
    made = Api.of(desk.without("DEVPORT_TAILSCALE_API").context)

    assert (made.host, made._secure, made._path) == (
        "api.tailscale.com",
        True,
        "/api/v2/tailnet/-/services/",
    )
    assert Api("https://proxy.example/ts/", KEY)._path == "/ts/api/v2/tailnet/-/services/"


def test_certificates_are_verified(tmp_path):
    """A server that cannot show whose it is gets no key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    words = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-keyout", key, "-out", certificate)
    subprocess.run(["openssl", "req", *words, *subject], check=True, capture_output=True)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(certificate, key)
    server = Server(own)
    try:
        message = reason(Api(server.base, KEY).definition, NAME)
    finally:
        server.close()

    assert "its certificate is not trusted: self" in message
    assert server.requests == []


# the key


def test_key_of_the_environment(desk):
    """TAILSCALE_API_KEY; blank is none."""
    assert Api.of(desk.context)._key == KEY
    assert Api.of(desk.having(TAILSCALE_API_KEY=f" {KEY}\n").context)._key == KEY
    for nothing in ("", "  "):
        assert Api.of(desk.having(TAILSCALE_API_KEY=nothing).context) is None


def test_key_of_a_file(desk, tmp_path):
    """A private file that the environment names beats the environment's key; `~` is the home."""
    path = tmp_path / "key"
    path.write_text("tskey-of-the-file\n")
    path.chmod(0o600)

    assert Api.of(desk.having(DEVPORT_TAILSCALE_KEY_FILE="~/key").context)._key == "tskey-of-the-file"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_key_that_others_may_read(desk, tmp_path, mode):
    """It is not used, and the message says what to do."""
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(mode)

    assert f"chmod 600 {path}" in reason(Api.of, desk.having(DEVPORT_TAILSCALE_KEY_FILE=str(path)).context)


def test_key_files_that_are_none(desk, tmp_path):
    """A link, a folder, a file that is missing or too large: said, not believed."""
    real = tmp_path / "real"
    real.write_text(KEY)
    real.chmod(0o600)
    (tmp_path / "link").symlink_to(real)
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_text("k" * 5000)
    (tmp_path / "large").chmod(0o600)

    for name in ("link", "folder", "missing", "large"):
        context = desk.having(DEVPORT_TAILSCALE_KEY_FILE=str(tmp_path / name)).context
        assert "cannot read" in reason(Api.of, context)


@pytest.mark.parametrize("key", ["a b", "tskey\r\nX-Evil: 1", "schlüssel", "\x00", "\udcff"])
def test_keys_that_no_header_holds(desk, key):
    """Refused before anything is sent, and not quoted."""
    message = reason(Api.of, desk.having(TAILSCALE_API_KEY=key).context)

    assert message == "cannot use TAILSCALE_API_KEY: it holds no key"


def test_services_get_no_key():
    """What every service's environment is made of leaves it out."""
    assert "TAILSCALE_API_KEY" in environment.INTERNAL


# exposing


def test_up(desk, standin, server):
    """Defined, recorded, served, approved; in this order."""
    exposed = desk.tailnet.up(desk.record, PORT)

    assert exposed == desk.now
    assert desk.exposed == (True, URL)
    assert desk.now.extra == {"later": 1, "url": URL}
    assert standin.words == [
        ["status", "--json"],
        ["serve", "status", "--json"],
        ["serve", "--service", NAME, f"http://localhost:{PORT}"],
    ]
    assert server.asked == [f"GET {NAME}", f"PUT {NAME}", f"POST {NAME}/device/{DEVICE}/approved"]
    assert server.services[NAME] == {
        "name": NAME,
        "ports": ["tcp:443"],
        "comment": f"{MARK} api of ann on mini",
    }
    assert server.approved == [(NAME, DEVICE)]


def test_recorded_before_it_is_made(desk, standin):
    """When the program is told to serve, the record says so already (S31)."""
    desk.tailnet.up(desk.record, PORT)
    known = [call["records"][f"{HASH}.json"] for call in standin.calls]

    assert [(one["tailnet"], one.get("url")) for one in known] == [(False, None), (False, None), (True, URL)]


def test_other_changes_survive(desk):
    """What a supervisor has written since the record was read stays (G25)."""
    desk.store.update(HASH, lambda old: old._replace(last_up="2024-01-01T00:00:00Z", state="ready"))
    desk.tailnet.up(desk.record, PORT)
    desk.store.update(HASH, lambda old: old._replace(last_up="2024-01-01T00:00:30Z"))

    assert desk.exposed == (True, URL)
    assert (desk.now.state, desk.now.last_up) == ("ready", "2024-01-01T00:00:30Z")


def test_up_again(desk, standin, server):
    """A definition of our own is left as it is; serving and approving it twice does no harm."""
    exposed = desk.tailnet.up(desk.record, PORT)
    desk.tailnet.up(exposed, PORT + 1)

    assert server.asked[3:] == [f"GET {NAME}", f"POST {NAME}/device/{DEVICE}/approved"]
    assert standin.served == {NAME: f"http://localhost:{PORT + 1}"}
    assert desk.said.count("hint") == 1


def test_no_port(desk, standin):
    """What has no port is not exposed (G79), and nobody is asked."""
    assert reason(desk.tailnet.up, desk.record, None) == "it has no port"
    assert reason(desk.tailnet.up, desk.record._replace(no_port=True), PORT) == "it has no port"
    assert (standin.calls, desk.now) == ([], desk.record)


def test_no_program(desk):
    """Without tailscale nothing is exposed, and nothing recorded."""
    bare = desk.having(PATH="/nonexistent")

    assert reason(bare.tailnet.up, desk.record, PORT) == "tailscale is not installed, or not on PATH"
    assert desk.now == desk.record


@pytest.mark.parametrize("works", [True, False])
def test_status_is_asked_once(desk, standin, works):
    """However many services a command line exposes (G80), also when it is no use."""
    if not works:
        standin.behave("status", {"status": 1, "err": "is tailscaled running?"})
    tailnet = desk.tailnet
    for _ in range(3):
        if works:
            tailnet.up(desk.record, PORT)
        else:
            assert reason(tailnet.up, desk.record, PORT) == "tailscale status: is tailscaled running?"

    assert standin.words.count(["status", "--json"]) == 1


def test_no_key(desk, standin, server):
    """It is served all the same, and what is left to do is said."""
    desk.without("TAILSCALE_API_KEY").tailnet.up(desk.record, PORT)

    assert desk.exposed == (True, URL)
    assert standin.served == {NAME: f"http://localhost:{PORT}"}
    assert server.requests == []
    assert (
        "warning: cannot define and approve svc:1f7: there is no TAILSCALE_API_KEY; at"
        " https://login.tailscale.com/admin/services define it with port tcp:443 and approve this device,"
        " or try again later: devport tailup api\n"
    ) in desk.said


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 401, "body": b'{"message": "API token invalid"}'},
        {"status": 500},
        {"status": 302, "headers": {"Location": "https://evil.example/"}},
        {"act": garbage},
        {"act": hang_up},
        {"act": silence},
    ],
    ids=["401", "500", "302", "garbage", "hang-up", "silence"],
)
def test_failing_api(desk, standin, method, fault, monkeypatch, server):  # noqa: PLR0917 - its fixtures
    """Whatever call fails, however: the service is served, one warning says what to do, without the key."""
    monkeypatch.setattr(Api.__init__, "__defaults__", (SHORT,))
    server.answer(method, **fault)
    desk.tailnet.up(desk.record, PORT)

    assert desk.exposed == (True, URL)
    assert standin.served == {NAME: f"http://localhost:{PORT}"}
    assert desk.said.count("warning: cannot define and approve svc:1f7: 127.0.0.1: ") == 1
    assert KEY not in desk.said


def test_bad_key_file(desk, standin):
    """A key that cannot be used is a warning as well."""
    desk.having(DEVPORT_TAILSCALE_KEY_FILE="/nonexistent").tailnet.up(desk.record, PORT)

    assert standin.served == {NAME: f"http://localhost:{PORT}"}
    assert "cannot read /nonexistent: No such file or directory" in desk.said


def test_nameless_device(desk, standin, server):
    """Without its id a device cannot be approved; nothing is defined either."""
    standin.status({**STATUS, "Self": {}})
    desk.tailnet.up(desk.record, PORT)

    assert server.requests == []
    assert "does not name this device" in desk.said


@pytest.mark.parametrize(
    "comment",
    [
        f"devport:nOther/{os.getuid()}/{HASH} api of bob on maxi",
        f"devport:{DEVICE}/{os.getuid() + 1}/{HASH} api of bob on mini",
        f"devport:{DEVICE}/{os.getuid()}/1f7ffffffff other",
        f"{MARK}0",
        "made by hand",
    ],
)
def test_name_of_somebody_else(desk, standin, server, comment):
    """Another device's, user's or service's definition is neither replaced nor answered for (G75)."""
    server.services[NAME] = {"name": NAME, "ports": ["tcp:443"], "comment": comment}
    message = reason(desk.tailnet.up, desk.record, PORT)

    assert message.startswith(f'svc:1f7 belongs to somebody else in this tailnet ("{comment}"); give')
    assert server.asked == [f"GET {NAME}"]
    assert (standin.served, desk.now) == ({}, desk.record)


@pytest.mark.parametrize("comment", [None, "", "  "])
def test_definition_without_owner(desk, standin, server, comment):
    """One made by hand or by hayeah/devport is used, with a warning, and not replaced."""
    server.services[NAME] = {"name": NAME, "ports": ["tcp:443"], "comment": comment}
    desk.tailnet.up(desk.record, PORT)

    assert f"PUT {NAME}" not in server.asked
    assert server.approved == [(NAME, DEVICE)]
    assert "the definition of svc:1f7 does not say whose it is" in desk.said


def test_name_served_here_already(desk, standin, server):
    """Another user's service of this machine is not taken off the tailnet, also without a key."""
    standin.serve(NAME, "http://localhost:19005")
    message = reason(desk.without("TAILSCALE_API_KEY").tailnet.up, desk.record, PORT)

    assert "svc:1f7 is served on this machine already, from http://localhost:19005" in message
    assert (standin.served[NAME], desk.now) == ("http://localhost:19005", desk.record)
    assert server.requests == []


def test_served_by_another_devport(desk, standin):
    """hayeah/devport's exposure of the same port is taken over."""
    standin.serve(NAME, f"http://127.0.0.1:{PORT}")
    desk.tailnet.up(desk.record, PORT)

    assert standin.served == {NAME: f"http://localhost:{PORT}"}


@pytest.mark.parametrize("declared", [True, False])
def test_failed_serve(desk, standin, server, declared):
    """What was certainly not exposed is not recorded as exposed; a file's wish stays one."""
    desk.store.update(HASH, lambda old: old._replace(tailnet=declared))
    standin.behave("serve", {"status": 1, "err": "service hosts must be tagged nodes"})
    message = reason(desk.tailnet.up, desk.now, PORT)

    assert message == "tailscale serve: service hosts must be tagged nodes"
    assert desk.exposed == (declared, None)
    assert server.approved == []


def test_failed_serve_on_an_untagged_device(desk, standin):
    """Why is said."""
    standin.status({**STATUS, "Self": {**STATUS["Self"], "Tags": []}})
    standin.behave("serve", {"status": 1, "err": "service hosts must be tagged nodes"})

    assert "this device has no tag, and only tagged ones can host a service" in reason(
        desk.tailnet.up, desk.record, PORT
    )


def test_serve_of_which_nobody_knows(desk, standin):
    """What may have been exposed stays recorded, so that it can be withdrawn."""
    standin.behave("serve", {"status": 1, "err": "connection lost"})
    standin.behave("serve status", {}, {"status": 1})
    message = reason(desk.tailnet.up, desk.record, PORT)

    assert "it may be exposed all the same: devport taildown api withdraws it" in message
    assert desk.exposed == (True, URL)


def test_removed_meanwhile(desk, standin):
    """A service that somebody has removed is not exposed, nor its record brought back."""
    desk.store.remove(HASH)
    standin.watch(standin.folder / "status.json")

    assert reason(desk.tailnet.up, desk.record, PORT) == "it has just been removed"
    assert (standin.served, desk.now) == ({}, None)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("npm", "run", "dev"), "vite: server.allowedHosts, webpack: devServer.allowedHosts, django:"),
        (("node_modules/.bin/vite", "--port", "1"), "(vite: server.allowedHosts)"),
        (("sh", "-c", "exec ./manage.py runserver $PORT"), "(django: ALLOWED_HOSTS)"),
        (("bin/rails", "server"), "(rails: config.hosts)"),
        (("webpack-dev-server",), "(webpack: devServer.allowedHosts)"),
        (None, "rails: config.hosts)"),
    ],
)
def test_host_hint(desk, command, expected):
    """It names the host to allow, and the setting of the server that runs, if that can be told."""
    hint = host_hint(desk.record._replace(cmd=command), URL)

    assert hint.startswith(f"if api checks Host headers, let it answer 1f7.{SUFFIX} (")
    assert expected in hint


# withdrawing


@pytest.fixture
def up(desk):
    """The desk with its service exposed."""
    desk.tailnet.up(desk.record, PORT)
    return desk


def test_down(up, standin, server):
    """It is withdrawn, then forgotten; its definition stays for the next time."""
    up.tailnet.down(up.now, definition=False)

    assert up.exposed == (False, None)
    assert up.now == up.record
    assert standin.words[-1] == ["serve", "clear", NAME]
    assert standin.calls[-1]["records"][f"{HASH}.json"]["tailnet"] is True
    assert NAME in server.services


def test_failed_down(up, standin):
    """What may still be exposed stays recorded (G76)."""
    standin.behave("serve clear", {"status": 1, "err": "no daemon"})
    message = reason(up.tailnet.down, up.now, definition=False)

    assert (
        message == "tailscale serve: no daemon; devport taildown --forget api if tailscale is gone for good"
    )
    assert up.exposed == (True, URL)


def test_failed_down_of_what_is_not_there(up, standin):
    """A failure does not matter where nothing is served any more."""
    (standin.folder / "served.json").unlink()
    standin.behave("serve clear", {"status": 1, "err": "unknown service"})
    up.tailnet.down(up.now, definition=False)

    assert up.exposed == (False, None)


def test_down_without_the_program(up):
    """With an exposure it is an error; with a mere wish it is none, or it could never be removed."""
    bare = up.having(PATH="")

    assert "not on PATH; devport taildown --forget api" in reason(bare.tailnet.down, up.now, definition=False)
    up.store.update(HASH, lambda old: old._replace(extra={}))
    bare.tailnet.down(up.now, definition=True)
    assert up.exposed == (False, None)
    assert "cannot see whether api is on the tailnet" in up.said


def test_forget(up, standin):
    """Noted without asking anybody."""
    count = len(standin.calls)
    up.tailnet.forget(up.now)

    assert up.exposed == (False, None)
    assert (len(standin.calls), standin.served) == (count, {NAME: f"http://localhost:{PORT}"})


def test_down_for_rm(up, standin, server):
    """Its own definition goes with it."""
    tailscale.down(up.context, up.now)

    assert (standin.served, server.services) == ({}, {})
    assert up.exposed == (False, None)


def test_failed_down_for_rm(up, standin):
    """The message is the end of one that says what could not be removed."""
    standin.behave("serve clear", {"status": 1, "err": "no daemon"})

    assert reason(tailscale.down, up.context, up.now).startswith("it cannot be withdrawn from the tailnet: ")
    assert up.exposed == (True, URL)


@pytest.mark.parametrize("comment", ["somebody else's", "", None])
def test_definition_of_somebody_else(up, server, comment):
    """Only what we have made is deleted."""
    server.services[NAME]["comment"] = comment
    tailscale.down(up.context, up.now)

    assert NAME in server.services


def test_definition_that_cannot_be_deleted(up, standin, server):
    """A warning; the exposure is gone."""
    server.answer("DELETE", status=500)
    tailscale.down(up.context, up.now)

    assert (standin.served, up.exposed) == ({}, (False, None))
    assert "warning: svc:1f7 stays defined in the tailnet: 127.0.0.1: HTTP 500; delete it at" in up.said


def test_down_without_key(up, server):
    """Without one nobody is asked about the definition."""
    count = len(server.requests)
    tailscale.down(up.without("TAILSCALE_API_KEY").context, up.now)

    assert len(server.requests) == count
    assert "warning" not in up.said


def test_down_of_a_wish(desk, standin, server):
    """A service that only was meant to be exposed is cleared to be sure, and its name left to its owner."""
    desk.store.update(HASH, lambda old: old._replace(tailnet=True))
    tailscale.down(desk.context, desk.now)

    assert standin.words == [["serve", "clear", NAME]]
    assert server.requests == []
    assert desk.exposed == (False, None)


def test_key_appears_nowhere(up, standin, server, tmp_path):
    """Not in a record, an argument, a message or the program's environment; in requests' one header only."""
    server.answer("POST", status=500, body=json.dumps({"message": KEY}).encode())
    up.tailnet.up(up.now, PORT)
    tailscale.down(up.context, up.now)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]

    assert standin.folder / "calls" in files
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    rest = [(one.path, one.body, {**one.headers, "Authorization": ""}) for one in server.requests]
    assert KEY not in json.dumps(rest)


# who listens

LISTEN = """
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
input()
"""


@pytest.fixture
def listening():
    """A child that listens, and its port; its environment names a service."""
    environ = {**os.environ, "DEVPORT_HASH": HASH}
    popen = subprocess.Popen(
        [sys.executable, "-IS", "-c", LISTEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ
    )
    with popen:
        yield popen.pid, int(popen.stdout.readline())


def test_listeners(listening):
    """A descendant of the supervisor, or a process that carries the service's hash, is the service."""
    pid, port = listening

    assert listener.doubt(port, "0" * 10, os.getpid()) == ""
    assert listener.doubt(port, HASH, 1 << 30) == ""
    stranger = listener.doubt(port, "0" * 10, 1 << 30)
    assert f"its port {port} is answered by " in stranger
    assert f"(pid {pid}, user " in stranger


def test_nothing_listens():
    """Said, with the port."""
    ports = procs.Ports(1)
    try:
        assert listener.doubt(ports.first, HASH, 1) == f"nothing listens on its port {ports.first} yet"
    finally:
        ports.release()
