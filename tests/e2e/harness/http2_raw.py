# SPDX-License-Identifier: Apache-2.0
"""A connection that sends bytes as they are given and reads frames, whatever they are."""
import socket
import struct

from hpack import Decoder
from hyperframe.frame import PingFrame, SettingsFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 9
END_STREAM, END_HEADERS, ACK, PADDED, PRIORITY = 1, 4, 1, 8, 32
VARIES = ("date", "server", "last-modified", "etag")


class RawConnection:
    def __init__(self, port, timeout=5):
        self.s = socket.create_connection(("127.0.0.1", port), timeout)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.decoder = b"", Decoder()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def send(self, data):
        self.s.sendall(data)

    def say(self, data, pieces, expect=None):
        """Sends it in pieces of this many bytes, and asks for a sign of life behind it. What the
        server made of it, in an order of its own: a dictionary by stream. It is complete with the
        streams `expect`, or after a while of silence."""
        try:
            for at in range(0, len(data), pieces):
                self.s.sendall(data[at:at + pieces])
            self.s.sendall(SettingsFrame(0, flags=["ACK"]).serialize() +
                           PingFrame(0, opaque_data=b"the end!").serialize())
        except OSError:
            pass
        return self._answer(expect)

    def _answer(self, expect):
        streams = {"alive": False}
        self.s.settimeout(3 if expect else 1)
        try:
            while not (expect and expect.keys() <= {n for n, s in streams.items()
                                                    if n == "alive" or s.get("over")} and
                       streams["alive"] == expect["alive"]):
                kind, flags, stream, payload = self._frame()
                if kind == PING and flags & ACK and payload == b"the end!":
                    streams["alive"] = "goaway" not in streams
                elif kind == GOAWAY:
                    streams["goaway"] = {"code": struct.unpack(">I", payload[4:8])[0], "over": True}
                    streams["alive"] = False
                elif stream:
                    self._note(streams.setdefault(stream, {}), kind, flags, payload)
        except (OSError, EOFError):
            pass
        return streams

    def _note(self, s, kind, flags, payload):
        if kind == DATA:
            s["bytes"] = s.get("bytes", b"") + payload
        elif kind in (HEADERS, CONTINUATION):
            s["block"] = s.get("block", b"") + payload
            if flags & END_HEADERS:
                got = self.decoder.decode(s.pop("block"))
                s.setdefault("fields", []).append([f for f in got if f[0] not in VARIES])
        elif kind == RST_STREAM:
            s["reset"] = struct.unpack(">I", payload)[0]
        if kind == RST_STREAM or kind in (DATA, HEADERS) and flags & END_STREAM:
            s["over"] = True

    def _exactly(self, n):
        while len(self.buffer) < n:
            more = self.s.recv(1 << 16)
            if not more:
                raise EOFError
            self.buffer += more
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def _frame(self):
        head = self._exactly(9)
        n = struct.unpack(">I", b"\0" + head[:3])[0]
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        return kind, flags, stream, self._exactly(n)
