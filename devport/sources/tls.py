"""The client's side of TLS, in memory: bytes in, bytes out. Loading it takes 3 MB and 10 ms.

Certificates are not verified: one for localhost is nobody's.
"""

import ssl

PIECE = 16 << 10
"""Bytes that are taken out of it at once: what a TLS record holds at most."""


class Tls:
    """The client's side of TLS in memory, which sends `said` once it may.

    `plain` is what the server said and nobody took, `ended`: it says no more.
    """

    def __init__(self, name: str, said: bytes) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._context = _context()
        self._object: ssl.SSLObject = self._context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=name
        )
        self._said = said
        self._shaken = self.ended = False
        self.plain = b""

    def take(self, data: bytes | None) -> bytes:
        """Take what came (nothing: the end; None: not yet) and return what is to be sent.

        Raises ssl.SSLError, an OSError, for what is not TLS.
        """
        if data is not None:
            self._incoming.write(data) if data else self._incoming.write_eof()
        try:
            if not self._shaken:
                self._object.do_handshake()
                self._shaken = True
                self._object.write(self._said)
            while piece := self._object.read(PIECE):
                self.plain += piece
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            if not self._shaken:
                raise
            self.ended = True
        return self._outgoing.read()

    @staticmethod
    def what(error: OSError) -> str:
        """What OpenSSL calls it, in a few words."""
        return str(getattr(error, "reason", None) or "the connection was closed").lower().replace("_", " ")


_contexts: list[ssl.SSLContext] = []


def _context() -> ssl.SSLContext:
    """The one context of all checks: making it is what takes time."""
    if not _contexts:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # a certificate for localhost is nobody's
        _contexts.append(context)
    return _contexts[0]
