# SPDX-License-Identifier: Apache-2.0
"""As little of an HTTP/2 server as it takes to answer a request with frames of the test's choice."""
import socket
import struct
import threading

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def headers(stream, pairs, flags=END_HEADERS):
    """Literal fields without indexing; :status too."""
    block = b""
    for name, value in pairs:
        for text in (name.encode(), value.encode("latin-1")):
            if text == name.encode():
                block += b"\x00"
            block += bytes([len(text)]) if len(text) < 127 else \
                b"\x7f" + _more(len(text) - 127)
            block += text
    return frame(HEADERS, flags, stream, block)


def _more(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


class H2Server:
    """Answers each request, once it is whole, with what answer(stream, number of request) gives."""

    def __init__(self, answer):
        self.answer, self.requests, self.connections = answer, 0, 0
        self.bodies = {}                        # by stream, of all connections
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        stream = s.makefile("rb")
        try:
            if stream.read(len(PREFACE)) != PREFACE:
                return
            s.sendall(frame(SETTINGS, 0, 0))
            while head := stream.read(9):
                n = struct.unpack(">I", b"\0" + head[:3])[0]
                kind, flags, number = struct.unpack(">BBI", head[3:])
                payload = stream.read(n)
                if kind == DATA:
                    self.bodies[number] = self.bodies.get(number, b"") + payload
                if kind == SETTINGS and not flags & ACK:
                    s.sendall(frame(SETTINGS, ACK, 0))
                if kind in (DATA, HEADERS) and flags & END_STREAM:
                    self.requests += 1
                    s.sendall(self.answer(number, self.requests))
        except OSError:
            pass
        finally:
            s.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
