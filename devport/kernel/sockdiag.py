"""Which sockets of this machine listen on a port, as the kernel of Linux tells; others tell nothing."""

import _socket
import errno
import os
import struct
import sys
from collections.abc import Iterator

from devport import kernel

Sockets = dict[bytes, set[int]]
"""Listening sockets (inodes) by the address they listen on, 4 or 16 bytes."""

LISTEN = "0A"
"""The state of a listening socket in the tables."""
_OTHERS = 1000  # connections that are read past in search of a listener
_MAPPED = bytes(10) + b"\xff\xff"  # in front of an IPv4 address: the same in IPv6
_SOCK_DIAG, _BY_FAMILY, _DONE, _DUMP = 4, 20, 3, 0x301  # netlink(7); a request for a dump
_TCP_LISTEN = 10
_HEADER, _SOCKID = 16, 48  # bytes of nlmsghdr, of inet_diag_sockid
_ADDRESS, _INODE = _HEADER + 8, _HEADER + 68  # where they are in an answer
_MOST = 32 << 10
_ROW = 10  # fields of a line of /proc/net/tcp up to the inode


def listeners(port: int, host: str) -> set[int] | None:
    """The sockets (inodes) to which connections to `host`:`port` are given; None where that is not told.

    The most specific address wins, and for an IPv4 one IPv4 does; several have SO_REUSEPORT.
    """
    packed = _packed(host)
    choices = [packed, bytes(len(packed))]
    if ":" not in host:
        choices = [packed, _MAPPED + packed, bytes(4), bytes(16)]
    found = ask_kernel(port)
    if found is None:
        found = read_tables(port)
    return None if found is None else next((found[choice] for choice in choices if choice in found), set())


def ask_kernel(port: int) -> Sockets | None:
    """What listens on `port`, by sock_diag(7); None where it is not to be had (gVisor, a filter).

    /proc/net/tcp says the same, but the kernel walks through all of its connections for it: milliseconds.
    """
    if not kernel.LINUX:
        return None
    found: Sockets = {}
    families = 0
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            netlink = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, _SOCK_DIAG)
        except OSError:
            return None
        try:
            netlink.setblocking(False)
            netlink.send(_question(family, port))
            _take(netlink, found)
            families += 1
        except OSError:
            pass  # no IPv6, or no sock_diag
        finally:
            netlink.close()
    return found if families else None


def _question(family: int, port: int) -> bytes:
    """A dump of what listens on `port`: nlmsghdr and inet_diag_req_v2 of linux/inet_diag.h."""
    body = struct.pack("=BBBxI", family, _socket.IPPROTO_TCP, 0, 1 << _TCP_LISTEN)
    body += struct.pack(">H", port) + bytes(_SOCKID - 2)
    return struct.pack("=IHHII", _HEADER + len(body), _BY_FAMILY, _DUMP, 0, 0) + body


def _take(netlink: _socket.socket, found: Sockets) -> None:
    """Add what the kernel answers; OSError where that is that it does not."""
    while True:
        data = netlink.recv(_MOST)
        at = 0
        while at + _HEADER <= len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            if kind == _DONE:
                return
            if kind != _BY_FAMILY or length < _HEADER:
                raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
            family = data[at + _HEADER]
            size = 16 if family == _socket.AF_INET6 else 4
            (inode,) = struct.unpack_from("=I", data, at + _INODE)
            found.setdefault(data[at + _ADDRESS : at + _ADDRESS + size], set()).add(inode)
            at += (length + 3) & ~3


def read_tables(port: int) -> Sockets | None:
    """What listens on `port`, from /proc/net/tcp and tcp6; None where they are not there."""
    if not kernel.LINUX:
        return None
    found: Sockets = {}
    tables = 0
    for name in ("tcp", "tcp6"):
        try:
            for address, inode in _table(f"/proc/net/{name}", f":{port:04X}"):
                found.setdefault(address, set()).add(inode)
            tables += 1
        except OSError:
            pass  # no IPv6, or not Linux
    return found if tables else None


def listening_user(port: int) -> int | None:
    """Whose listener (uid) `port` has: the tables tell everyone, if not which process; None where unknown."""
    for path in ("/proc/net/tcp", "/proc/net/tcp6") if kernel.LINUX else ():
        try:
            with open(path, encoding="ascii", errors="replace") as table:
                rows = [line.split() for line in table]
        except OSError:
            continue
        for row in rows[1:]:
            if len(row) > 7 and row[3] == LISTEN and row[1].endswith(f":{port:04X}"):  # noqa: PLR2004
                return int(row[7])
    return None


def _table(path: str, ending: str) -> Iterator[tuple[bytes, int]]:
    """Address and inode of each listener whose local address ends with `ending`.

    Linux lists those that listen before all others, of which there may be very many; gVisor does not.
    """
    others = 0
    with open(path, encoding="ascii", errors="replace", buffering=4096) as table:
        next(table, "")
        for line in table:
            fields = line.split(None, _ROW)
            if len(fields) < _ROW or fields[3] != LISTEN:
                others += 1
                if others > _OTHERS:
                    return
            elif fields[1].endswith(ending):
                yield _address(fields[1][: -len(ending)]), int(fields[9])


def _address(text: str) -> bytes:
    """An address of the tables, which are words of 32 bits in the machine's order of bytes."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    return b"".join(word.to_bytes(4, sys.byteorder) for word in words)


def _packed(host: str) -> bytes:
    return _socket.inet_pton(_socket.AF_INET6 if ":" in host else _socket.AF_INET, host)
