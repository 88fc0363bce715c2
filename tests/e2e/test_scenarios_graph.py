"""Dependencies and tasks of whole projects; A-numbers as in test_scenarios.py."""

import signal
import socket
import time

import pytest
from support import frames, procs
from support.frames import mark, told
from support.procs import eventually
from support.running import DEVPORT, PATIENCE

frame, back = frames.frame, frames.back

FOREVER = "exec sleep 1000"


def answers(port):
    """Whether an HTTP server on `port` answers with 200."""
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        client.sendall(b"GET /devport.yaml HTTP/1.0\r\n\r\n")
        return b" 200 " in client.recv(100)


SLOW = (
    "import http.server\n"
    "mark('order', 'server')\n"
    "while not os.path.exists('go'): time.sleep(0.01)\n"
    "mark('order', 'serving')\n"
    "http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), "
    "http.server.SimpleHTTPRequestHandler).serve_forever()\n"
)


def marking(name, **others):
    """A service that marks its start in `order`, and stays."""
    return {"exec": f"{mark('order', name)}; {FOREVER}", **others}


def born(name):
    """The words of a shell that notes when its process began, in ticks of the kernel.

    Who is started first need not be the first to say so.
    """
    return f"cut -d' ' -f22 /proc/$$/stat > {name}.born"


def now(frame, name, **fields):
    """`ls` says `fields` of `name`; what its supervisor had no time to tell `ls` is missing there."""

    def check():
        row = frame.row(name)
        assert {one: row[one] for one in fields} == fields

    eventually(check)


def test_a25_one_file(frame):
    """A25, A29: conditions, chains, two producers, what is off and who waits for it; `wait` settles."""
    base = frame.devport.ports.last - 20
    http = {"http": {"get": {"path": "/devport.yaml"}}, "period": 0.1}
    producer = {"exec": "test -e %s-made", "period": 0.05}
    frame.write(
        {
            "server": {"exec": told(SLOW), "ports": {"http": {"allocate": base}}, "ready": http},
            "worker": marking("worker", after="server"),
            "follower": marking("follower", after="server@started"),
            "first": marking("first", exec=f"{born('first')}; {mark('order', 'first')}; {FOREVER}"),
            **{
                name: marking(name, exec=f"{born(name)}; {mark('order', name)}; {FOREVER}", after=after)
                for name, after in (("second", "first@started"), ("third", "devenv:processes:second@started"))
            },
            **{
                name: marking(
                    name,
                    exec=f"sleep 0.2; touch {name}-made; {FOREVER}",
                    ready={**producer, "exec": producer["exec"] % name},
                )
                for name in ("left", "right")
            },
            "consumer": {
                "exec": f"test -e left-made -a -e right-made && {mark('order', 'consumer')}; {FOREVER}",
                "after": ["left", "right"],
            },
            "off": marking("off", start={"enable": False}),
            "parked": marking("parked", after="off@started"),
            # Behind the task: who did not wait for it would be there long before.
            "set-up": marking(
                "set-up",
                after="migrate",
                before=["first"],
                exec=f"{born('set-up')}; {mark('order', 'set-up')}; exit 0",
                restart="never",
            ),
        },
        tasks={"migrate": {"exec": f"sleep 0.1; {mark('order', 'migrate')}", "before": "left"}},
    )
    frame.up()
    # set-up is a service: the default is @ready, which its end does not take back.
    early = {"server", "follower", "first", "second", "third", "consumer", "migrate", "set-up"}

    def begun():
        assert early <= set(frame.marks("order")), frame.text()

    eventually(begun, PATIENCE)
    assert "worker" not in frame.marks("order")
    frame.devport.write("go", "")
    frame.marked("order", len(early) + 2)
    frame.do("wait", "-t", "20")
    order = frame.marks("order")

    assert sorted(order) == sorted([*early, "serving", "worker"])
    births = [int(frame.marks(f"{name}.born")[0]) for name in ("set-up", "first", "second", "third")]
    assert births == sorted(births)
    assert order.index("migrate") < order.index("consumer")
    assert order.index("serving") < order.index("worker")
    assert answers(frame.row("server")["port"])
    now(frame, "parked", waiting_for="off to start")
    frame.down()


def test_a07_a08_parked(frame):
    """A7, A8: who waits for what nobody starts follows without another command, also from a window."""
    frame.write(
        {"gamma": {"exec": FOREVER, "start": False}, "beta": marking("beta", after="gamma"), "other": FOREVER}
    )
    frame.up()
    frame.reached("beta", "waiting")
    assert "beta waits for gamma, which is not running" in frame.do("wait", "-t", "20")
    frame.machine.call("start", "-d", "--no-tmux", "gamma")
    frame.marked("order", 1)
    frame.reached("beta", "ready")
    frame.down()


@pytest.mark.parametrize("fails", [False, True])
def test_a27_a28_a99_task_between_services(frame, fails):
    """A27, A28, A99: service, task, service in order; a task that fails is named, and is the end of it."""
    script = f"{mark('order', 'middle')}; echo this went wrong; exit {23 if fails else 0}"
    frame.write(
        {
            "front": {
                "exec": f"sleep 1000 & {mark('order', 'front')}; touch there; wait",
                "ready": {"exec": "test -e there"},
            },
            "end": marking("end", after="chain"),
            "unrelated": marking("unrelated", start=False),
        },
        tasks={
            "chain": {"exec": script, "after": ["front", "before"]},
            "before": {"exec": mark("order", "before")},
        },
    )
    frame.up()
    if fails:
        assert frame.reached("end", "failed")["error"].startswith("chain exited with status 23")
        said = frame.machine.refused("wait", "-t", "20")
        assert "cannot wait for chain" in said
        assert "cannot wait for end" in said
    else:
        frame.reached("end", "ready")
        frame.marked("order", 4)  # it is ready before it has said a word
    frame.said("this went wrong")
    frame.down()
    order = frame.marks("order")
    assert {"front", "before"} == set(order[:2])
    assert order[2:] == (["middle"] if fails else ["middle", "end"])


def test_a32_a109_what_cannot_be_launched(frame):
    """A32, A109: a program or a folder that is not there: said, and so it is of who waited for them."""
    frame.write(
        {
            "gone": {"exec": "./nothing-here", "shell": False, "restart": "never"},
            "lost": {"exec": "true", "cwd": "nowhere", "restart": "never"},
            "needy": marking("needy", after="gone"),
            "soft": marking("soft", after=["lost@completed", "gone@completed"]),
        }
    )
    frame.up()

    assert "cannot run ./nothing-here: No such file" in frame.reached("gone", "failed")["error"]
    assert "nowhere: No such file" in frame.reached("lost", "failed")["error"]
    assert frame.reached("needy", "failed")["error"].startswith("gone failed: cannot run ./nothing-here")
    frame.reached("soft", "ready")
    assert frame.marked("order", 1) == ["soft"]
    frame.down()


def test_a101_start_again(back):
    """A101, A104: a start brings back what was stopped, ended, given up; a diamond's task runs once."""
    back.write(
        {
            "stopped": FOREVER,
            "ended": {"exec": mark("ended"), "restart": "never"},
            "bad": {"exec": f"{mark('bad')}; exit 4", "restart": {"max": 1, "delay": 0.02}},
            "left": {"exec": FOREVER, "after": "once"},
            "right": {"exec": FOREVER, "after": "once"},
            "tip": {"exec": FOREVER, "after": ["left", "right"], "start": False},
        },
        tasks={"once": {"exec": mark("once")}},
    )
    back.up("stopped", "ended", "bad")
    back.reached("ended", "exited")
    back.reached("bad", "failed")
    back.do("stop", "stopped")
    assert back.marks("once") == []

    done = back.up("stopped", "ended", "bad", "tip")
    assert done.status in {0, 1}
    back.reached("tip", "ready")
    back.reached("stopped", "ready")
    assert len(back.marked("ended", 2)) == 2
    assert len(back.marked("bad", 4)) == 4
    assert len(back.marks("once")) == 1


def test_a103_all_at_once(back):
    """A21, A102, A103: six starts at the same moment: each service and the task once, all succeed."""
    back.write(
        {"web": {"exec": f"{mark('web')}; {FOREVER}", "after": "once"}, "db": f"{mark('db')}; {FOREVER}"},
        tasks={"once": {"exec": f"{mark('once')}; sleep 0.3"}},
    )
    starts = [back.devport.spawn([DEVPORT, "start", "-d", "--no-tmux"]) for _ in range(6)]
    assert [one.finish() for one in starts] == [0] * 6
    back.reached("web", "ready")
    back.reached("db", "ready")

    assert [len(back.marked(name, 1)) for name in ("web", "db", "once")] == [1, 1, 1]


def test_a105_a107_parked_is_transitive(frame):
    """A105, A107: a chain behind what is off is parked as a whole; behind a task that runs it is not."""
    frame.write(
        {
            "off": {"exec": FOREVER, "start": False},
            "one": {"exec": FOREVER, "after": "off"},
            "two": {"exec": FOREVER, "after": "one"},
            "busy": {"exec": FOREVER, "after": "slow"},
        },
        tasks={"slow": {"exec": f"{mark('slow')}; until [ -e go ]; do sleep 0.02; done"}},
    )
    frame.up()
    frame.marked("slow", 1)
    frame.reached("two", "waiting")
    wait = frame.devport.spawn([DEVPORT, "wait", "-t", "20"])
    procs.elapse(0.4)
    assert wait.popen.poll() is None, wait.shown()
    frame.devport.write("go", "")
    assert wait.finish() == 0
    now(frame, "two", waiting_for="one")
    frame.reached("busy", "ready")
    frame.down()


def test_a108_stop_in_the_middle(frame):
    """A108: a stop while a task of the chain runs: the task ends soon, nothing behind it starts."""
    task = f"{mark('order', 'slow')}; exec sleep 1000"
    frame.write(
        {"db": marking("db"), "web": marking("web", after="slow")},
        tasks={"slow": {"exec": task, "after": "db"}},
    )
    frame.up("-t", "30")
    frame.marked("order", 2)
    began = time.monotonic()
    frame.down()

    assert time.monotonic() - began < 20
    assert sorted(frame.marks("order")) == ["db", "slow"]


def test_a116_starter_that_goes_away(back):
    """A116: whoever waits for its start is killed: the services go on becoming ready."""
    back.write(
        {
            "db": {"exec": FOREVER, "ready": {"exec": "test -e go", "period": 0.05}},
            "web": marking("web", after="db"),
        }
    )
    starter = back.devport.spawn([DEVPORT, "start", "-d", "--no-tmux", "--wait"])
    back.reached("db", "starting")
    back.reached("web", "waiting")
    starter.send(signal.SIGKILL)
    starter.finish()
    back.devport.write("go", "")
    back.reached("web", "ready")
    assert back.marked("order", 1) == ["web"]


def test_a112_a117_environment_and_last_line(frame):
    """A112, A117: a service's own variables win; `logs -n 1` shows an unfinished last line."""
    frame.devport.write(".env", "WHO=everybody\nALL=yes\n")
    script = 'echo one; printf "%s %s" "$WHO" "$ALL"; exec sleep 1000'
    frame.write({"web": {"exec": script, "environment": {"WHO": "me"}}})
    frame.up()

    def shown():
        assert "me yes" in frame.do("logs", "-n", "1", "web")

    eventually(shown)
    assert "one" not in frame.do("logs", "-n", "1", "web")
    frame.down()
