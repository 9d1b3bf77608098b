# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 by python-h2: a client that drives many streams of one connection, and a server that
records what it receives. Neither is traced."""
import re
import secrets
import socket
import threading
import time

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from .load import Sent
from .upstream import TRACEPARENT

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
OURS = ("traceparent", "tracestate", "baggage")


def text(pairs):
    return [(n.decode("latin1"), v.decode("latin1")) for n, v in pairs]


class Message:
    """What one side of a stream has said."""

    def __init__(self, headers=()):
        self.headers, self.trailers, self.interim = list(headers), [], []
        self.parts, self.whole, self.reset = [], False, None

    @property
    def body(self):
        return b"".join(self.parts)

    def all(self, name):
        return [v for n, v in self.headers if n == name]

    def header(self, name, default=None):
        got = self.all(name)
        return got[0] if got else default

    @property
    def status(self):
        return int(self.header(":status", "0"))

    @property
    def over(self):
        return self.whole or self.reset is not None


class Request(Message):
    answered = False

    @property
    def path(self):
        return self.header(":path", "").split("?")[0]

    def context(self):
        """(trace id, span id, flags) of the one traceparent; anything else is an error."""
        got = self.all("traceparent")
        assert len(got) == 1, f"{len(got)} traceparent headers: {self.headers}"
        m = TRACEPARENT.fullmatch(got[0])
        assert m and int(m[1], 16) and int(m[2], 16), got[0]
        return m[1], m[2], int(m[3], 16)

    def without_trace_headers(self):
        return [(n, v) for n, v in self.headers if n not in OURS]


class Patient(H2Connection):
    """After a GOAWAY what is open goes on."""

    def _receive_goaway_frame(self, frame):
        e = events.ConnectionTerminated()
        e.error_code, e.last_stream_id = frame.error_code, frame.last_stream_id
        return [], [e]


class Peer:
    """One end of a connection: frames out as flow control allows, events in."""

    def __init__(self, s, client, settings):
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.s, self.messages, self.pending = s, {}, {}
        self.terminated = None                  # the error code of a GOAWAY
        self.h2 = Patient(H2Configuration(
            client_side=client, validate_outbound_headers=False, normalize_outbound_headers=False,
            validate_inbound_headers=False, header_encoding=None))
        self.h2.local_settings = Settings(client, initial_values={
            SettingCodes.MAX_CONCURRENT_STREAMS: 256, **settings})

    def send_body(self, stream, body, trailers=None):
        """As much as the windows take, the rest as they open."""
        self.pending[stream] = [memoryview(body), trailers]

    def _fill(self):
        for stream, what in list(self.pending.items()):
            body, trailers = what
            try:
                room = min(self.h2.local_flow_control_window(stream), len(body))
                while room:
                    n = min(room, self.h2.max_outbound_frame_size)
                    self.h2.send_data(stream, bytes(body[:n]),
                                      end_stream=n == len(body) and not trailers)
                    body, room = body[n:], room - n
                    if not body and not trailers:
                        del self.pending[stream]
                if not body and stream in self.pending:
                    if trailers:
                        self.h2.send_headers(stream, trailers, end_stream=True)
                    else:
                        self.h2.end_stream(stream)
                    del self.pending[stream]
                what[0] = body
            except Exception:                   # the stream was reset
                self.pending.pop(stream, None)

    def flush(self):
        self._fill()
        data = self.h2.data_to_send()
        if data:
            self.s.sendall(data)

    def close(self):
        self.s.close()

    def meet(self, e):
        """Notes messages that begin."""

    def take(self, data):
        """Feeds what was received."""
        for e in self.h2.receive_data(data):
            self.meet(e)
            m = self.messages.get(getattr(e, "stream_id", None), Message())
            if isinstance(e, events.DataReceived):
                if e.flow_controlled_length:
                    self.h2.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
                m.parts.append(e.data)
            elif isinstance(e, events.TrailersReceived):
                m.trailers = text(e.headers)
            elif isinstance(e, events.StreamEnded):
                m.whole = True
            elif isinstance(e, events.StreamReset):
                m.reset = int(e.error_code)
            elif isinstance(e, events.ConnectionTerminated):
                self.terminated = int(e.error_code)
                for stream, m in self.messages.items():
                    if stream > e.last_stream_id:
                        m.reset = int(ErrorCodes.REFUSED_STREAM)


class Client(Peer):
    """`slow`: bytes that are read at a time. `window`: of each stream. `upgrade`: the lines of a
    request of HTTP/1.1, which becomes stream 1. `tls`: an SSLContext."""

    def __init__(self, port, rcvbuf=None, sndbuf=None, slow=1 << 18, window=None, push=False,
                 host="127.0.0.1", upgrade=None, tls=None):
        s = socket.socket()
        for option, value in ((socket.SO_RCVBUF, rcvbuf), (socket.SO_SNDBUF, sndbuf)):
            if value:
                s.setsockopt(socket.SOL_SOCKET, option, value)
        s.settimeout(20)
        s.connect((host, port))
        self.scheme = "https" if tls else "http"
        if tls:
            s = tls.wrap_socket(s, server_hostname=host)
            assert s.selected_alpn_protocol() == "h2"
        settings = {SettingCodes.ENABLE_PUSH: int(push)}
        if window:
            settings[SettingCodes.INITIAL_WINDOW_SIZE] = window
        super().__init__(s, True, settings)
        self.port, self.slow, self.pushed = port, slow, {}
        if upgrade:
            self._upgrade(upgrade)
        else:
            self.h2.initiate_connection()
        self.flush()

    def _upgrade(self, lines):
        settings = self.h2.initiate_upgrade_connection().decode()
        lines = [*lines, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                 f"HTTP2-Settings: {settings}", "", ""]
        self.s.sendall("\r\n".join(lines).encode())
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.s.recv(self.slow)
            assert more, f"no upgrade: {data}"
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        self.messages[1] = Message()
        self.take(rest)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def open(self, path="/", method="GET", headers=(), body=None, trailers=None, authority=None):
        """Queues a request; its stream's number. `body` b"" ends with a frame of its own."""
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", self.scheme),
                (":authority", authority or f"127.0.0.1:{self.port}"), (":path", path)]
        if method == "CONNECT":
            head = [(":method", method), (":authority", path)]
        self.h2.send_headers(stream, head + list(headers), end_stream=body is None and not trailers)
        self.messages[stream] = Message()
        if body is not None or trailers:
            self.send_body(stream, body or b"", trailers)
        return stream

    def meet(self, e):
        if isinstance(e, events.ResponseReceived):
            self.messages[e.stream_id].headers = text(e.headers)
        elif isinstance(e, events.InformationalResponseReceived):
            self.messages[e.stream_id].interim.append(text(e.headers))
        elif isinstance(e, events.PushedStreamReceived):
            self.messages[e.pushed_stream_id] = Message()
            self.pushed[e.pushed_stream_id] = text(e.headers)

    def pump(self, done, timeout=20):
        """Until done() holds."""
        end = time.monotonic() + timeout
        self.flush()
        while not done():
            assert time.monotonic() < end, f"no end: {len(self.messages)} streams"
            data = self.s.recv(self.slow)
            if not data:
                raise EOFError("the connection was closed")
            self.take(data)
            self.flush()

    def wait(self, *streams, timeout=20):
        """The messages of streams, when they are whole or reset."""
        got = [self.messages[s] for s in streams]
        self.pump(lambda: all(m.over for m in got), timeout)
        return got

    def fetch(self, path="/", method="GET", headers=(), body=None, **more):
        return self.wait(self.open(path, method, headers, body, **more))[0]

    def reset(self, stream, code=ErrorCodes.CANCEL):
        self.h2.reset_stream(stream, code)
        self.pending.pop(stream, None)
        self.messages[stream].reset = int(code)
        self.flush()


def fetch(port, path="/", method="GET", headers=(), body=None, **more):
    with Client(port) as c:
        return c.fetch(path, method, headers, body, **more)


def drive(port, n, in_flight=50, path="/r/{id}", with_context=lambda i: False, method="GET",
          body=lambda i: None, check=None, tls=None):
    """n requests on one connection, in_flight streams at a time. Returns a Sent for each."""
    sent, open_streams, todo = [], {}, iter(range(n))
    with Client(port, tls=tls) as c:
        def more():
            for stream, s in list(open_streams.items()):
                m = c.messages[stream]
                if m.over:
                    s.status = m.status if m.reset is None else 0
                    if check:
                        check(s.id, m)
                    del open_streams[stream], c.messages[stream]
            while len(open_streams) < in_flight:
                i = next(todo, None)
                if i is None:
                    break
                s = Sent(i, path.format(id=i), None)
                head = []
                if with_context(i):
                    s.context = (secrets.token_hex(16), secrets.token_hex(8))
                    head = [("traceparent", f"00-{s.context[0]}-{s.context[1]}-01")]
                open_streams[c.open(s.path, method, head, body(i))] = s
                sent.append(s)
            c.flush()
            return not open_streams
        c.pump(more, 60)
    return sent


class Reply:
    """What a server answers. reset: an error code in place of the end, without a status in place of
    all; goaway: after it; push: path and body; open_end: the stream stays open."""

    def __init__(self, body=b"", status=200, headers=(), trailers=None, interim=(), reset=None,
                 goaway=False, push=None, open_end=False):
        self.body, self.status, self.headers, self.trailers = body, status, list(headers), trailers
        self.interim, self.reset, self.goaway, self.push = interim, reset, goaway, push
        self.open_end = open_end


class Accepted(Peer):
    def meet(self, e):
        if isinstance(e, events.RequestReceived):
            self.messages[e.stream_id] = Request(text(e.headers))


class Recorder:
    """Answers each request, once whole (CONNECT: at once), with answer(request), a Reply."""

    def __init__(self, answer=None, rcvbuf=None, settings=None):
        self.answer = answer or (lambda r: Reply(b"answer to " + r.path.encode()))
        self.received, self.connections, self.settings = [], 0, settings or {}
        self.upgrades = []                      # heads of HTTP/1.1 that asked for it
        self.listener = socket.socket()
        if rcvbuf:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(256)
        self.port = self.listener.getsockname()[1]
        self.open = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.open.add(s)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        peer = Accepted(s, False, self.settings)
        try:
            data = self._start(peer, s)
            while data:
                peer.take(data)
                self._answer_whole(peer)
                peer.flush()
                data = s.recv(1 << 18)
        except (OSError, ProtocolError):        # also what comes after a GOAWAY of ours
            pass
        finally:
            self.open.discard(s)
            s.close()

    def _start(self, peer, s):
        data = b""
        while len(data) < len(PREFACE):
            more = s.recv(1 << 18)
            if not more:
                return b""
            data += more
        if data.startswith(PREFACE):
            peer.h2.initiate_connection()
            return data
        return self._upgrade(peer, s, data)

    def _upgrade(self, peer, s, data):
        while b"\r\n\r\n" not in data:
            data += s.recv(1 << 18)
        head, _, rest = data.partition(b"\r\n\r\n")
        self.upgrades.append(head)
        settings = re.search(rb"(?i)\r\nhttp2-settings: *(\S+)", head)
        s.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        peer.h2.initiate_upgrade_connection(settings[1])
        lines = head.decode("latin1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        fields = [tuple(line.split(": ", 1)) for line in lines[1:]]
        r = Request([(":method", method), (":path", target)] +
                    [(n.lower(), v) for n, v in fields])
        r.whole = True
        peer.messages[1] = r
        self._answer_whole(peer)
        peer.flush()
        return rest or s.recv(1 << 18)

    def _answer_whole(self, peer):
        for stream, r in list(peer.messages.items()):
            if not r.answered and (r.whole or r.header(":method") == "CONNECT"):
                r.answered = True
                self.received.append(r)
                self._reply(peer, stream, r, self.answer(r))
            if r.over:
                del peer.messages[stream]

    def _reply(self, peer, stream, r, a):
        if a.reset is not None and a.status is None:
            peer.h2.reset_stream(stream, a.reset)
            return
        if r.header(":method") == "HEAD":
            peer.h2.send_headers(stream, [(":status", str(a.status))], end_stream=True)
            return
        for status, fields in a.interim:
            peer.h2.send_headers(stream, [(":status", str(status)), *fields])
        if a.push:
            self._push(peer, stream, *a.push)
        peer.h2.send_headers(stream, [(":status", str(a.status)), *a.headers])
        if a.reset is not None:
            peer.h2.send_data(stream, a.body)
            peer.h2.reset_stream(stream, a.reset)
        elif a.open_end:
            peer.h2.send_data(stream, a.body)
        else:
            peer.send_body(stream, a.body, a.trailers)
        if a.goaway:
            peer.flush()
            peer.h2.close_connection(last_stream_id=stream)

    @staticmethod
    def _push(peer, stream, path, body):
        promised = peer.h2.get_next_available_stream_id()
        request = [(":method", "GET"), (":scheme", "http"), (":authority", "pushed"), (":path", path)]
        peer.h2.push_stream(stream, promised, request)
        peer.h2.send_headers(promised, [(":status", "200")])
        peer.send_body(promised, body)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for s in list(self.open):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
