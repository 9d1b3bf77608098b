# SPDX-License-Identifier: Apache-2.0
"""An OTLP/HTTP receiver for tests: keeps what it is sent, and answers as it is told.

    receiver = OtlpReceiver()             # 127.0.0.1, a free port
    receiver.behave("status:503 retry-after:2", "ok")     # first request, second, ... the last one stays
    receiver.spans, receiver.requests, receiver.connections
    receiver.metrics                      # what came to a path with "metrics" in it

Behaviours: ok, chunked, until-close, interim (100 and 103 first), bytewise, slow:SECONDS, status:CODE
(with retry-after:SECONDS or retry-date:SECONDS), partial:REJECTED:MESSAGE, early-close, reset, hang,
never-read, refuse-early (413 before the body is read), close-after (answers, then closes), garbage,
endless, empty (200 without a body), redirect:URL.

Bodies may be gzip and JSON; with `tls` (an ssl.SSLContext) it speaks TLS.

As a command: otlp_receiver.py [--port N] [behaviour ...], prints each span as a JSON line.
"""
import argparse
import email.utils
import gzip
import json
import socket
import struct
import sys
import threading
import time

# -- protobuf, as much as OTLP traces and metrics need (https://protobuf.dev/programming-guides/encoding/) --

STRING, BYTES, INT, FIXED64, FIXED32, DOUBLE, BOOL, SFIXED64, FIXED64S, DOUBLES = range(10)


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("varint too long")


def _fields(data):
    """(number, wire type, value) of each field of a message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(data, at)
        elif wire == 1:
            value, at = data[at:at + 8], at + 8
        elif wire == 5:
            value, at = data[at:at + 4], at + 4
        elif wire == 2:
            n, at = _varint(data, at)
            value, at = data[at:at + n], at + n
            if len(value) != n:
                raise ValueError("field cut off")
        else:
            raise ValueError(f"wire type {wire}")
        if at > len(data):
            raise ValueError("message cut off")
        yield key >> 3, wire, value


# message: { field number: (JSON name, scalar or message, repeated) }
_VALUE, _KEY_VALUE = {}, {}
_VALUE.update({1: ("stringValue", STRING, 0), 2: ("boolValue", BOOL, 0), 3: ("intValue", INT, 0),
               4: ("doubleValue", DOUBLE, 0), 5: ("arrayValue", {1: ("values", _VALUE, 1)}, 0),
               6: ("kvlistValue", {1: ("values", _KEY_VALUE, 1)}, 0), 7: ("bytesValue", BYTES, 0)})
_KEY_VALUE.update({1: ("key", STRING, 0), 2: ("value", _VALUE, 0)})
_LINK = {1: ("traceId", BYTES, 0), 2: ("spanId", BYTES, 0), 3: ("traceState", STRING, 0),
         4: ("attributes", _KEY_VALUE, 1), 5: ("droppedAttributesCount", INT, 0),
         6: ("flags", FIXED32, 0)}
_EVENT = {1: ("timeUnixNano", FIXED64, 0), 2: ("name", STRING, 0), 3: ("attributes", _KEY_VALUE, 1)}
_SPAN = {1: ("traceId", BYTES, 0), 2: ("spanId", BYTES, 0), 3: ("traceState", STRING, 0),
         4: ("parentSpanId", BYTES, 0), 5: ("name", STRING, 0), 6: ("kind", INT, 0),
         7: ("startTimeUnixNano", FIXED64, 0), 8: ("endTimeUnixNano", FIXED64, 0),
         9: ("attributes", _KEY_VALUE, 1), 10: ("droppedAttributesCount", INT, 0),
         11: ("events", _EVENT, 1), 12: ("droppedEventsCount", INT, 0), 13: ("links", _LINK, 1),
         14: ("droppedLinksCount", INT, 0),
         15: ("status", {2: ("message", STRING, 0), 3: ("code", INT, 0)}, 0),
         16: ("flags", FIXED32, 0)}
_SCOPE = {1: ("name", STRING, 0), 2: ("version", STRING, 0), 3: ("attributes", _KEY_VALUE, 1)}
_REQUEST = {1: ("resourceSpans", {
    1: ("resource", {1: ("attributes", _KEY_VALUE, 1)}, 0),
    2: ("scopeSpans", {1: ("scope", _SCOPE, 0), 2: ("spans", _SPAN, 1),
                       3: ("schemaUrl", STRING, 0)}, 1),
    3: ("schemaUrl", STRING, 0)}, 1)}
_POINT = {2: ("startTimeUnixNano", FIXED64, 0), 3: ("timeUnixNano", FIXED64, 0),
          8: ("flags", INT, 0)}
_NUMBER = {**_POINT, 4: ("asDouble", DOUBLE, 0), 6: ("asInt", SFIXED64, 0),
           7: ("attributes", _KEY_VALUE, 1)}
_HISTOGRAM = {2: _POINT[2], 3: _POINT[3], 4: ("count", FIXED64, 0), 5: ("sum", DOUBLE, 0),
              6: ("bucketCounts", FIXED64S, 0), 7: ("explicitBounds", DOUBLES, 0),
              9: ("attributes", _KEY_VALUE, 1), 10: ("flags", INT, 0)}
_METRIC = {1: ("name", STRING, 0), 2: ("description", STRING, 0), 3: ("unit", STRING, 0),
           5: ("gauge", {1: ("dataPoints", _NUMBER, 1)}, 0),
           7: ("sum", {1: ("dataPoints", _NUMBER, 1), 2: ("aggregationTemporality", INT, 0),
                       3: ("isMonotonic", BOOL, 0)}, 0),
           9: ("histogram", {1: ("dataPoints", _HISTOGRAM, 1),
                             2: ("aggregationTemporality", INT, 0)}, 0)}
_METRICS_REQUEST = {1: ("resourceMetrics", {
    1: ("resource", {1: ("attributes", _KEY_VALUE, 1)}, 0),
    2: ("scopeMetrics", {1: ("scope", _SCOPE, 0), 2: ("metrics", _METRIC, 1),
                         3: ("schemaUrl", STRING, 0)}, 1),
    3: ("schemaUrl", STRING, 0)}, 1)}


def _scalar(kind, value):
    if kind == STRING:
        return value.decode("utf-8")            # OTLP strings are UTF-8: anything else is an error
    if kind == BYTES:
        return value.hex()
    if kind == INT:
        return value - (1 << 64) if value >> 63 else value
    if kind == BOOL:
        return bool(value)
    if kind in (FIXED64S, DOUBLES):
        return list(struct.unpack(f"<{len(value) // 8}{'Q' if kind == FIXED64S else 'd'}", value))
    return struct.unpack({FIXED64: "<Q", FIXED32: "<I", DOUBLE: "<d", SFIXED64: "<q"}[kind], value)[0]


def decode(data, message=None):
    """An ExportTraceServiceRequest in the shape of OTLP-JSON (ids as hex, numbers as numbers)."""
    fields = _REQUEST if message is None else message
    out = {}
    for number, _, value in _fields(data):
        if number not in fields:
            raise ValueError(f"unknown field {number}")
        name, kind, repeated = fields[number]
        value = decode(value, kind) if isinstance(kind, dict) else _scalar(kind, value)
        if repeated:
            out.setdefault(name, []).append(value)
        else:
            out[name] = value
    return out


def _encode_varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def _message(*fields):
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += _encode_varint(number << 3) + _encode_varint(value)
        else:
            out += _encode_varint(number << 3 | 2) + _encode_varint(len(value)) + value
    return out


def partial_success(rejected, message):
    return _message((1, _message((1, rejected), (2, message.encode()))))


def status_message(text):
    """A google.rpc.Status."""
    return _message((1, 13), (2, text.encode()))


class Request:
    def __init__(self, line, headers, body, connection):
        self.line, self.headers, self.body = line, headers, body
        self.connection = connection            # its number
        self.time = time.monotonic()
        self.spans, self.metrics = [], []
        self.behaviour = None

    @property
    def is_json(self):
        return self.headers.get("content-type") == "application/json"

    @property
    def plain(self):
        """The body without its content coding."""
        if self.headers.get("content-encoding") == "gzip":
            return gzip.decompress(self.body)
        return self.body


class _Gone(Exception):
    pass


class OtlpReceiver:
    def __init__(self, port=0, host="127.0.0.1", on_span=None, family=socket.AF_INET, tls=None):
        self.tls = tls
        self.handshakes_failed = 0
        self.lock = threading.Condition()
        self.requests, self.connections = [], 0
        self.script = ["ok"]
        self.on_span = on_span
        self.errors = []                        # requests that were not as they should be
        self.open = set()
        self.closing = False
        self.family, self.address = family, (host, port)
        self.listener = None
        self.start()

    # -- what tests use --
    def behave(self, *behaviours):
        with self.lock:
            self.script = list(behaviours)
        return self

    @property
    def port(self):
        return self.address[1]

    @property
    def url(self):
        return f"http{'s' if self.tls else ''}://{self.address[0]}:{self.port}"

    @property
    def spans(self):
        """Spans of requests that were answered with success, as OTLP-JSON dicts."""
        with self.lock:
            return [s for r in self.requests for s in r.spans]

    @property
    def metrics(self):
        """Metrics of requests that were answered with success, each with its resource."""
        with self.lock:
            return [m for r in self.requests for m in r.metrics]

    def wait_requests(self, n, timeout=15):
        with self.lock:
            if not self.lock.wait_for(lambda: len(self.requests) >= n, timeout):
                raise AssertionError(f"{len(self.requests)} requests came, not {n}")
            return list(self.requests)

    def wait_spans(self, n, timeout=15):
        with self.lock:
            if not self.lock.wait_for(lambda: sum(len(r.spans) for r in self.requests) >= n,
                                      timeout):
                raise AssertionError(f"{len(self.spans)} spans came, not {n}")
        return self.spans

    def start(self):
        """Listens (again), on the same port."""
        self.closing = False
        self.listener = socket.socket(self.family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(self.address)
        self.listener.listen(64)
        self.address = (self.address[0], self.listener.getsockname()[1])
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def close(self):
        """Down: connections are reset, nobody listens."""
        with self.lock:
            if self.closing:
                return
            self.closing = True
            sockets = list(self.open)
            self.lock.notify_all()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for s in sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- serving --
    def _accept(self, listener):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                number = self.connections
                self.open.add(s)
            threading.Thread(target=self._serve, args=(s, number), daemon=True).start()

    def _serve(self, raw, number):
        s = raw
        try:
            if self.tls:
                try:
                    s = self.tls.wrap_socket(raw, server_side=True)
                except OSError:
                    self.handshakes_failed += 1
                    return
            if self._next(peek=True) == "never-read":
                self._next()
                self._sleep(3600)
                return
            stream = s.makefile("rb")
            while self._one(s, stream, number):
                pass
        except (OSError, _Gone, ValueError) as e:
            if isinstance(e, ValueError):
                self.errors.append(repr(e))
        finally:
            with self.lock:
                self.open.discard(raw)
            s.close()

    def _next(self, peek=False):
        with self.lock:
            if peek or len(self.script) == 1:
                return self.script[0]
            return self.script.pop(0)

    def _sleep(self, seconds):
        with self.lock:
            self.lock.wait_for(lambda: self.closing, seconds)
        if self.closing:
            raise _Gone

    def _one(self, s, stream, number):
        """One request. True: another may follow on this connection."""
        line = stream.readline()
        if not line:
            return False
        headers = {}
        while True:
            h = stream.readline()
            if not h:
                return False
            if h == b"\r\n":
                break
            name, _, value = h.decode("latin-1").partition(":")
            if name.lower() in headers:
                raise ValueError(f"header {name} is there twice")
            headers[name.lower()] = value.strip()
        if "content-length" not in headers:
            raise ValueError(f"no length: {line}")
        length = int(headers["content-length"])
        behaviour = self._next()
        request = Request(line.decode("latin-1").strip(), headers, b"", number)
        request.behaviour = behaviour
        words = dict((w.split(":", 1) + [""])[:2] for w in behaviour.split())
        if "refuse-early" not in words:
            request.body = stream.read(length)
            if len(request.body) != length:
                return False
        return self._answer(s, request, words)

    def _answer(self, s, request, words):
        ok = not words.keys() & {"status", "redirect", "early-close", "reset", "hang", "refuse-early", "garbage",
                                 "endless"}
        body = b""
        if "slow" in words:
            self._sleep(float(words["slow"]))
        if "partial" in words:
            rejected, _, message = words["partial"].partition(":")
            body = partial_success(int(rejected), message)
            if request.is_json:
                body = json.dumps({"partialSuccess": {
                    "rejectedSpans": rejected, "errorMessage": message}}).encode()
        self._keep(request, ok)
        if "hang" in words:
            self._sleep(3600)
        if "reset" in words:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if words.keys() & {"reset", "early-close"}:
            return False
        if "garbage" in words:
            s.sendall(b"\x15\x03\x01\x00\x02\x02\x46")
            self._sleep(0.2)
            return False
        if "endless" in words:
            s.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                s.sendall(b"\0" * 65536)
        return self._send(s, request, words, body)

    def _send(self, s, request, words, body):
        code = int(words.get("status", 413 if "refuse-early" in words else 200))
        if "redirect" in words:
            code = 307
        kind = "application/json" if request.is_json else "application/x-protobuf"
        head = [f"HTTP/1.1 {code} Whatever", f"Content-Type: {kind}"]
        if code >= 400:
            body = b'{"code": 13, "message": "told to"}' if request.is_json else \
                status_message("told to")
        if "redirect" in words:
            head.append(f"Location: {words['redirect']}")
        if "retry-after" in words:
            head.append(f"Retry-After: {words['retry-after']}")
        if "retry-date" in words:
            at = time.time() + float(words["retry-date"])
            head.append("Retry-After: " + email.utils.formatdate(at, usegmt=True))
        if "chunked" in words:
            head.append("Transfer-Encoding: chunked")
            body = b"".join(b"1;x=y\r\n%c\r\n" % c for c in body) + b"0\r\nX-Trailer: 1\r\n\r\n"
        elif not words.keys() & {"until-close"}:
            head.append(f"Content-Length: {len(body)}")
        data = "\r\n".join(head).encode() + b"\r\n\r\n" + body
        if "interim" in words:
            data = (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
                    + data)
        if "bytewise" in words:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(len(data)):
                s.sendall(data[i:i + 1])
        else:
            s.sendall(data)
        if "refuse-early" in words:             # take the rest, so that no reset eats the answer
            s.shutdown(socket.SHUT_WR)
            s.settimeout(5)
            while s.recv(65536):
                pass
        return not words.keys() & {"until-close", "close-after", "refuse-early"}

    def _keep(self, request, ok):
        if ok and "metrics" in request.line:
            body = request.plain
            told = json.loads(body) if request.is_json else decode(body, _METRICS_REQUEST)
            for rm in told.get("resourceMetrics", []):
                for sm in rm["scopeMetrics"]:
                    request.metrics += [{**m, "resource": rm["resource"]["attributes"],
                                         "scope": sm["scope"], "schemaUrl": sm["schemaUrl"]}
                                        for m in sm["metrics"]]
        elif ok:
            body = request.plain
            for rs in (json.loads(body) if request.is_json else decode(body)).get("resourceSpans", []):
                resource = rs.get("resource", {}).get("attributes", [])
                for ss in rs.get("scopeSpans", []):
                    for span in ss.get("spans", []):
                        span["resource"], span["scope"] = resource, ss.get("scope", {})
                        request.spans.append(span)
                        if self.on_span:
                            self.on_span(span)
        with self.lock:
            self.requests.append(request)
            self.lock.notify_all()


def main():
    parser = argparse.ArgumentParser(description="OTLP receiver for tests")
    parser.add_argument("--port", type=int, default=4318)
    parser.add_argument("behaviour", nargs="*", default=["ok"])
    args = parser.parse_args()
    receiver = OtlpReceiver(args.port, on_span=lambda s: print(json.dumps(s), flush=True))
    receiver.behave(*args.behaviour)
    print(f"listening on {receiver.url}", file=sys.stderr)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        receiver.close()


if __name__ == "__main__":
    main()
