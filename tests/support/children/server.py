"""A server for probes: `server.py MODE PORT [HOST [dual]]`, each connection in a thread. The modes are below.

`dual`: on `::` it takes IPv4 as well.

`tls` has the file CERTIFICATE (key and certificate).
"""

import contextlib
import os
import socket
import ssl
import sys
import threading
import time

FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def silent(_connection):
    threading.Event().wait()


def drip(connection):
    connection.recv(4096)
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 1000 + b"\r\n":
        connection.send(bytes([byte]))
        time.sleep(0.02)


def redirect(connection):
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://example.com/\r\n\r\n")


def head(connection):
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: %s\r\n" % (b"x" * 1000))


def body(connection):
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(bytes(1 << 16))


def close(_connection):
    pass


def half(connection):
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Half: ")


def garbage(connection):
    connection.recv(4096)
    connection.sendall(b"\x00\xff+OK redis says hello\r\n" * 100)


def alert(connection):
    connection.recv(4096)
    connection.sendall(b"\x15\x03\x01\0\2\2\x46")  # as a TLS server answers what is not TLS


def fine(connection):
    connection.recv(4096)
    connection.sendall(FINE)


def hints(connection):
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    time.sleep(0.05)
    connection.sendall(FINE)


def failing(connection):
    connection.recv(4096)
    connection.sendall(b"HTTP/1.0 503 Service Unavailable\n\n")


def echo(connection):
    print(connection.recv(4096), flush=True)
    connection.sendall(FINE)


def tls(connection):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.environ["CERTIFICATE"])
    with context.wrap_socket(connection, server_side=True) as secure:
        secure.recv(4096)
        for piece in (FINE[:10], FINE[10:]):  # a record each
            secure.sendall(piece)


def serve(connection, act):
    with contextlib.suppress(OSError), connection:
        act(connection)


def main(mode, port, host="127.0.0.1", dual=""):
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if ":" in host:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
    listening.bind((host, int(port)))
    listening.listen(128)
    print("listening", os.getpid(), flush=True)
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=serve, args=(connection, globals()[mode]), daemon=True).start()


main(*sys.argv[1:])
