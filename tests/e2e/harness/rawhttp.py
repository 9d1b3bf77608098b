# SPDX-License-Identifier: Apache-2.0
"""A client that sends exactly the bytes it is given and keeps exactly the bytes that came back."""
import socket


class Response:
    def __init__(self, head, body, raw, interim=()):
        self.head, self.body, self.raw = head, body, raw
        self.interim = list(interim)
        lines = head.split(b"\r\n")
        self.version, rest = lines[0].split(b" ", 1)
        self.status = int(rest[:3])
        self.headers = []
        for line in lines[1:]:
            if line:
                name, _, value = line.partition(b":")
                self.headers.append((name.decode("latin1"), value.strip().decode("latin1")))

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def header(self, name, default=None):
        got = self.all(name)
        return got[0] if got else default


class RawClient:
    """One connection. read_response() follows RFC 9112 framing and keeps the bytes as they came."""

    def __init__(self, port, host="127.0.0.1", timeout=20, rcvbuf=None, sndbuf=None):
        self.s = socket.socket()
        if rcvbuf:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if sndbuf:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
        self.s.settimeout(timeout)
        self.s.connect((host, port))
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = bytearray()
        self.raw = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.s.close()

    def send(self, data):
        self.s.sendall(data)

    def _more(self):
        data = self.s.recv(1 << 18)
        self.buf += data
        return bool(data)

    def _take(self, n):
        out = bytes(self.buf[:n])
        del self.buf[:n]
        self.raw += out
        return out

    def _until(self, mark):
        while (at := self.buf.find(mark)) < 0:
            if not self._more():
                raise EOFError(f"closed after {bytes(self.buf[:200])!r}")
        return self._take(at + len(mark))

    def _exactly(self, n):
        while len(self.buf) < n:
            if not self._more():
                raise EOFError(f"closed {n - len(self.buf)} bytes early")
        return self._take(n)

    def _to_end(self):
        while self._more():
            pass
        return self._take(len(self.buf))

    def read_response(self, method="GET"):
        self.raw = bytearray()
        interim = []
        while True:
            head = self._until(b"\r\n\r\n")
            r = Response(head, b"", head, interim)
            if 100 <= r.status < 200 and r.status != 101:
                interim.append(head)
                continue
            break
        if method == "HEAD" or r.status in (101, 204, 304):
            body = b""
        elif "chunked" in (r.header("Transfer-Encoding") or "").lower():
            body = self._chunked()
        elif r.header("Content-Length") is not None:
            body = self._exactly(int(r.header("Content-Length")))
        else:
            body = self._to_end()
        r.body, r.raw = body, bytes(self.raw)
        return r

    def _chunked(self):
        body = []
        while True:
            size = int(self._until(b"\r\n").split(b";")[0], 16)
            if not size:
                while self._until(b"\r\n") != b"\r\n":
                    pass
                return b"".join(body)
            body.append(self._exactly(size))
            self._exactly(2)

    def request(self, path="/", method="GET", headers=(), body=b"", host="test"):
        self.send(request_bytes(path, method, headers, body, host))
        return self.read_response(method)


def request_bytes(path="/", method="GET", headers=(), body=b"", host="test"):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{n}: {v}" for n, v in headers]
    if body and not any(n.lower() in ("content-length", "transfer-encoding") for n, _ in headers):
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin1") + body


def fetch(port, path="/", method="GET", headers=(), body=b"", **kw):
    """One request on its own connection."""
    with RawClient(port, **kw) as c:
        return c.request(path, method, list(headers) + [("Connection", "close")], body)
