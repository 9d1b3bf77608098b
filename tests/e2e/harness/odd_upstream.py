# SPDX-License-Identifier: Apache-2.0
"""An upstream that answers well or badly, as the path says, and notes what it was asked."""
import re
import socket
import struct
import threading
import time

from .upstream import Received


def letters(n, seed=0):
    """n bytes that show when one is lost, doubled or moved."""
    line = b"%08d abcdefghijklmnopqrstuvwxyz0123456789\n"
    return b"".join(line % (seed + i) for i in range(n // 46 + 1))[:n]


class Asked(Received):
    """A request, and how its connection went on."""
    body_complete = True


class Connection:
    def __init__(self, upstream, sock, number):
        self.upstream, self.s, self.number = upstream, sock, number
        self.buf = bytearray()

    # -- bytes --
    def more(self):
        data = self.s.recv(65536)
        self.buf += data
        return bool(data)

    def until(self, mark):
        while (at := self.buf.find(mark)) < 0:
            if not self.more():
                return None
        out = bytes(self.buf[:at + len(mark)])
        del self.buf[:at + len(mark)]
        return out

    def exactly(self, n):
        while len(self.buf) < n and self.more():
            pass
        out = bytes(self.buf[:n])
        del self.buf[:n]
        return out

    def send(self, data):
        self.s.sendall(data)

    def reset(self):
        """Closes so that the peer gets a RST."""
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.s.close()

    # -- messages --
    def read_body(self, r):
        if (r.header("Expect") or "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in (r.header("Transfer-Encoding") or "").lower():
            parts = []
            while (line := self.until(b"\r\n")) is not None:
                size = int(line.split(b";")[0], 16)
                if not size:
                    while (line := self.until(b"\r\n")) not in (b"\r\n", None):
                        pass
                    r.body_complete = line is not None
                    break
                parts.append(self.exactly(size))
                self.exactly(2)
            else:
                r.body_complete = False
            r.body = b"".join(parts)
        elif r.header("Content-Length"):
            n = int(r.header("Content-Length"))
            r.body = self.exactly(n)
            r.body_complete = len(r.body) == n

    def head(self, status, *lines, reason=b"Words"):
        self.send(b"HTTP/1.1 %d %s\r\n" % (status, reason)
                  + b"".join(line + b"\r\n" for line in lines) + b"\r\n")

    def whole(self, status, body, *lines, method="GET"):
        length = [] if status in (204, 304) else [b"Content-Length: %d" % len(body)]
        self.head(status, *lines, *length)
        if method != "HEAD" and status not in (204, 304):
            self.send(body)

    def serve(self):
        try:
            while (head := self.until(b"\r\n\r\n")) is not None:
                r = Asked(head, connection=self.number)
                self.upstream.begun.append(r.target)
                words = [w for w in r.path.split("/") if w]
                name, arg = words[0].replace("-", "_"), words[1] if len(words) > 1 else "0"
                early = getattr(self, "early_" + name, None)
                if early:
                    self.upstream.note(r)
                    if not early(r, arg):
                        return
                    continue
                self.read_body(r)
                self.upstream.note(r)
                do = getattr(self, "do_" + name, self.do_unknown)
                if not r.body_complete or not do(r, arg):
                    return
                if (r.header("Connection") or "").lower() == "close" or \
                        head.split(b"\r\n")[0].endswith(b"1.0"):
                    return
        except (ConnectionError, socket.timeout, OSError):
            pass
        finally:
            self.s.close()
            self.upstream.gone(self)

    # -- answers: true to keep the connection --
    def do_ok(self, r, n):
        self.whole(200, letters(int(n)), b"Content-Type: text/plain", method=r.method)
        return True

    def do_unknown(self, r, _):
        return self.do_status(r, "404")

    def do_echo(self, r, _):
        self.whole(200, r.body, b"Content-Type: application/octet-stream", method=r.method)
        return True

    def do_status(self, r, code):
        self.whole(int(code), b"answer %d\n" % int(code), b"Content-Type: text/plain",
                   b"X-Extra: yes", method=r.method)
        return True

    def do_once_status(self, r, code):
        """The code the first time this target is asked for, then 200."""
        seen = sum(a.target == r.target for a in self.upstream.asked)
        return self.do_status(r, code if seen == 1 else "200")

    def do_chunked(self, r, n):
        self.head(200, b"Content-Type: text/plain", b"Transfer-Encoding: chunked",
                  b"Trailer: X-Sum")
        if r.method == "HEAD":
            return True
        body, at, size = letters(int(n)), 0, 1
        while at < len(body):
            part = body[at:at + size]
            self.send(b"%x;note=1\r\n%s\r\n" % (len(part), part))
            at, size = at + size, size * 3 % 5003 + 1
        self.send(b"0\r\nX-Sum: 7\r\n\r\n")
        return True

    def do_until_close(self, r, n):
        self.head(200, b"Content-Type: text/plain")
        if r.method != "HEAD":
            self.send(letters(int(n)))
        return False

    def do_http10(self, r, n):
        self.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + letters(int(n)))
        return False

    def do_reset_before(self, *_):
        self.reset()
        return False

    def do_close_before(self, *_):
        return False

    def do_reset_mid(self, r, n):
        self.head(200, b"Content-Length: %s" % n.encode())
        self.send(letters(int(n) // 2))
        # The half must have arrived: a reset throws away what was not read.
        self.upstream.released.wait(20)
        self.reset()
        return False

    def do_close_mid(self, r, n):
        self.head(200, b"Content-Length: %s" % n.encode())
        self.send(letters(int(n) // 2))
        return False

    def do_close_mid_chunked(self, r, n):
        self.head(200, b"Transfer-Encoding: chunked")
        self.send(b"%x\r\n%s" % (int(n), letters(int(n) // 2)))
        return False

    def do_cut_head(self, *_):
        self.send(b"HTTP/1.1 200 OK\r\nContent-Ty")
        return False

    def do_garbage(self, *_):
        self.send(b"\x00\x01\x02 this is no HTTP at all\r\n\r\n")
        return False

    def do_stall(self, *_):
        """Says nothing until it is let go or the peer has enough."""
        self.upstream.released.wait(20)
        return False

    def do_stall_mid(self, r, n):
        self.head(200, b"Content-Length: %s" % n.encode())
        self.send(letters(int(n) // 2))
        self.upstream.released.wait(20)
        return False

    def do_slow(self, r, ms):
        time.sleep(int(ms) / 1000)
        return self.do_ok(r, "64")

    def do_trickle(self, r, n):
        body = letters(int(n))
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body:
            self.send(bytes([byte]))
        return True

    def do_interim(self, r, n):
        self.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        self.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        return self.do_ok(r, n)

    def do_interim_close(self, r, n):
        self.do_interim(r, n)
        return False

    def do_big_header(self, r, n):
        self.whole(200, b"big\n", b"X-Big: " + b"b" * int(n), method=r.method)
        return True

    def do_many_headers(self, r, n):
        self.whole(200, b"many\n", *(b"X-%d: %d" % (i, i) for i in range(int(n))),
                   method=r.method)
        return True

    def do_release(self, *args):
        """Lets the others go on, whoever they are."""
        self.upstream.release()
        return self.do_ok(*args)

    def do_sse(self, r, n):
        self.head(200, b"Content-Type: text/event-stream", b"Cache-Control: no-cache")
        for i in range(int(n)):
            self.send(b"id: %d\ndata: event %d\n\n" % (i, i))
        self.upstream.released.wait(20)
        self.send(b"data: last\n\n")
        return False

    def do_upgrade(self, r, _):
        self.head(101, b"Upgrade: " + (r.header("Upgrade") or "none").encode(),
                  b"Connection: Upgrade", reason=b"Switching Protocols")
        while self.buf or self.more():
            data = bytes(self.buf).upper()
            self.buf.clear()
            self.send(data)
            if b"BYE" in data:
                break
        return False

    def do_refuse_upgrade(self, r, _):
        return self.do_status(r, "403")

    def do_cached(self, r, n):
        """Cacheable, with a validator."""
        if r.header("If-None-Match") == '"v1"':
            self.whole(304, b"", b'ETag: "v1"', b"Cache-Control: max-age=60")
            return True
        self.whole(200, letters(int(n)), b'ETag: "v1"', b"Cache-Control: max-age=60",
                   b"Content-Type: text/plain", method=r.method)
        return True

    def do_uncacheable(self, r, n):
        self.whole(200, letters(int(n), self.upstream.counter()), b"Cache-Control: no-store",
                   method=r.method)
        return True

    def do_range(self, r, n):
        body = letters(int(n))
        m = re.fullmatch(r"bytes=(\d+)-(\d+)", r.header("Range") or "")
        if not m:
            self.whole(200, body, b"Accept-Ranges: bytes", method=r.method)
            return True
        a, b = int(m[1]), min(int(m[2]), len(body) - 1)
        self.whole(206, body[a:b + 1], b"Content-Range: bytes %d-%d/%d" % (a, b, len(body)),
                   method=r.method)
        return True

    def do_accel(self, r, _):
        self.whole(200, b"not seen", b"X-Accel-Redirect: /internal/file.txt")
        return True

    def do_unbuffered(self, r, n):
        self.whole(200, letters(int(n)), b"X-Accel-Buffering: no")
        return True

    # These say that they close: whether they have by the next request would be luck.
    def do_two_lengths(self, *_):
        self.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n"
                  b"Connection: close\r\n\r\nhello!")
        return False

    def do_both_lengths(self, *_):
        self.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n"
                  b"Connection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        return False

    def do_extra_bytes(self, r, _):
        """More than the length it names."""
        self.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
                  b"hello and more")
        return False

    def do_bad_chunk(self, *_):
        self.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n\r\n")
        return False

    # -- before the body of the request is read --
    def early_refuse(self, r, code):
        """Answers, reads no body, closes. What was sent arrives: the rest is read away."""
        self.whole(int(code), b"no, thank you\n", b"Connection: close")
        self.s.shutdown(socket.SHUT_WR)
        while self.s.recv(65536):
            pass
        return False

    def early_reset(self, r, _):
        self.exactly(1000)
        self.reset()
        return False


class OddUpstream:
    def __init__(self, path=None, port=0):
        """path: a unix socket's; else a port of loopback, any by default."""
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
        else:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", port))
            self.port = self.listener.getsockname()[1]
        self.listener.listen(128)
        self.lock = threading.Lock()
        self.released = threading.Event()
        self.begin()
        threading.Thread(target=self.accept, daemon=True).start()

    def begin(self):
        """Forgets what it was asked."""
        with self.lock:
            self.asked, self.begun, self.connections, self.open, self.count = [], [], 0, set(), 0
        self.released.clear()

    def release(self):
        """Lets the connections that wait go on."""
        self.released.set()

    def counter(self):
        with self.lock:
            self.count += 1
            return self.count

    def note(self, request):
        with self.lock:
            self.asked.append(request)

    def gone(self, connection):
        with self.lock:
            self.open.discard(connection)

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            s.settimeout(30)
            if s.family != socket.AF_UNIX:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                c = Connection(self, s, self.connections)
                self.open.add(c)
            threading.Thread(target=c.serve, daemon=True).start()

    def close(self):
        self.release()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        with self.lock:
            left = list(self.open)
        for c in left:
            try:
                c.s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
