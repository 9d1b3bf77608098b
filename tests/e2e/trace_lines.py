# SPDX-License-Identifier: Apache-2.0
"""Writes OTLP-JSON lines by hand, for the tests of `tagalong view` and `tagalong check`."""
import json

KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
START = 1_760_000_000_000_000_000  # 2025-10-09 08:53:20 UTC


def attribute(key, value):
    typed = {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}
    return {"key": key, "value": typed}


class Trace:
    """One trace; spans are numbered from 1, times are in milliseconds from START."""

    def __init__(self, number=1, start=START):
        self.id = f"{number:032x}"
        self.number = number
        self.start = start
        self.spans = []

    def add(self, service, name, kind, begin, length, parent=None, status=None, link=None,
            error=None, message=None, host=None, target=None, span_id=None):
        """Adds a span and returns its number, to be named as a parent (an int, or 16 hex digits)."""
        number = len(self.spans) + 1
        attributes = [attribute(k, v) for k, v in (
            ("http.response.status_code", status), ("tagalong.link", link), ("error.type", error),
            ("url.full", target)) if v is not None]
        begin_ns = self.start + int(begin * 1e6)
        span = {"traceId": self.id, "spanId": span_id or self.span_id(number), "name": name,
                "kind": KINDS[kind], "startTimeUnixNano": str(begin_ns),
                "endTimeUnixNano": str(begin_ns + int(length * 1e6)), "attributes": attributes,
                "status": {"code": 2, "message": message or ""} if error else {}}
        if parent is not None:
            span["parentSpanId"] = parent if isinstance(parent, str) else self.span_id(parent)
        self.spans.append((service, host, span))
        return number

    def span_id(self, number):
        return f"{self.number:08x}{number:08x}"

    def lines(self):
        """One line a span, as several processes would write them."""
        for service, host, span in self.spans:
            resource = [attribute("service.name", service)] if service else []
            if host:
                resource.append(attribute("host.name", host))
            yield json.dumps({"resourceSpans": [{
                "resource": {"attributes": resource},
                "scopeSpans": [{"scope": {"name": "tagalong"}, "spans": [span]}]}]})


def write(path, *traces, mode="w"):
    with open(path, mode, encoding="utf-8") as out:
        for trace in traces:
            for line in trace.lines():
                out.write(line + "\n")
    return str(path)


def shop(number=1, failing=False, **more):
    """nginx > api > users, and > prices from the api: what the demo looks like."""
    trace = Trace(number, **more)
    top = trace.add("nginx", "GET /users/{id}", "server", 0, 24.1, status=502 if failing else 200,
                    error="502" if failing else None)
    out = trace.add("nginx", "GET", "client", 0.6, 23, top, status=502 if failing else 200,
                    link="header", error="502" if failing else None, target="http://127.0.0.1:8000/users/7")
    api = trace.add("api", "GET /users/{id}", "server", 1.2, 21.9, out,
                    status=502 if failing else 200, error="502" if failing else None)
    one = trace.add("api", "GET", "client", 2, 9, api, link="thread", target="http://users:8080/users/7",
                    status=None if failing else 200, error="ECONNREFUSED" if failing else None,
                    message="connection refused" if failing else None)
    if not failing:
        trace.add("users", "GET /users/{id}", "server", 3.1, 6.4, one, status=200)
        two = trace.add("api", "GET", "client", 11.8, 10, api, link="thread", status=200)
        trace.add("prices", "GET /prices/{id}/history", "server", 12.4, 8.7, two, status=200)
    return trace
