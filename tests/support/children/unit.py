"""A service of many ways for exported units: `unit.py WAY OUT ...`; what it saw goes to the file OUT.

dump: its words and environment as JSON.  stay: the same, and then it waits.  notify: READY=1 once OUT.go is
there.  serve: answers on the sockets it is passed.  serve-one: the same, once.  open: takes connections on
the port in its words once OUT.go is there.  order: its name behind what is in OUT.  leave: waits until
OUT.asked is there.
"""

import json
import os
import select
import signal
import socket
import sys
import time


def until(path):
    """Wait for a file."""
    while not os.path.exists(path):
        time.sleep(0.01)


def dump(out):
    """Tell in `out` how we were called."""
    text = [os.fsencode(word).decode("latin-1") for word in sys.argv[3:]]
    variables = {name.decode("latin-1"): value.decode("latin-1") for name, value in os.environb.items()}
    with open(f"{out}.new", "w", encoding="utf-8") as file:
        json.dump({"argv": text, "environment": variables, "cwd": os.getcwd(), "pid": os.getpid()}, file)
    os.replace(f"{out}.new", out)


def serve(out):
    """Say one's pid and the socket's name to everyone who connects."""
    names = os.environ["LISTEN_FDNAMES"].split(":")
    sockets = {socket.socket(fileno=3 + number): name for number, name in enumerate(names)}
    while True:
        for one in select.select(list(sockets), [], [])[0]:
            with one.accept()[0] as peer:
                peer.sendall(f"{sockets[one]} {os.getpid()}\n".encode())
            if sys.argv[1] == "serve-one":
                return


def main(way, out):
    """Go `way`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if way in ("dump", "stay"):
        dump(out)
    elif way == "notify":
        until(f"{out}.go")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
            peer.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))
    elif way in ("serve", "serve-one"):
        serve(out)
        return
    elif way == "open":
        until(f"{out}.go")
        listener = socket.create_server(("127.0.0.1", int(sys.argv[3])))
        while True:
            listener.accept()[0].close()
    elif way == "order":
        with open(out, "a", encoding="utf-8") as file:
            file.write(f"{' '.join(sys.argv[3:])}\n")
        return
    elif way == "leave":
        dump(out)
        until(f"{out}.asked")
        time.sleep(0.3)
        with open(f"{out}.left", "w", encoding="utf-8"):
            return
    if way != "dump":
        signal.pause()


main(sys.argv[1], sys.argv[2])
