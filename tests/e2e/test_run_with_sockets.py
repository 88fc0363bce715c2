"""`devport run` of an entry with `listen:`: it gets its sockets, as in every other frame."""

import json
import os

from support.running import python

SERVER = (
    "import os, socket; print(os.environ['LISTEN_FDS'], os.environ['LISTEN_FDNAMES'],"
    " int(os.environ['LISTEN_PID']) == os.getpid());"
    " print(socket.socket(fileno=3).getsockname(), socket.socket(fileno=4).getsockname()[1])"
)


def test_sockets_are_passed_on(devport):
    """Bound before it begins, and gone when it has ended."""
    entry = {
        "exec": python(SERVER),
        "listen": [{"name": "admin", "path": "admin.sock"}, {"name": "http", "address": "${web.port}"}],
    }
    devport.write("devport.yaml", json.dumps({"processes": {"web": entry}}))
    run = devport.call("run", "web")
    port = devport.call("port", "web").output.decode().strip()

    assert run.status == 0, run.shown()
    assert run.output.decode().splitlines() == [
        "2 admin:http True",
        f"{devport.project}/admin.sock {port}",
    ]
    assert not os.path.exists(devport.project / "admin.sock")
