# SPDX-License-Identifier: Apache-2.0
"""Spans as a program reads them: OTLP-JSON lines of one file, or requests of a receiver."""
import json
import os

from .wait import Timeout, wait_for

SERVER, CLIENT = 2, 3
UNSET, OK, ERROR = 0, 1, 2


def value_of(v):
    """An OTLP AnyValue as a Python value."""
    if "stringValue" in v:
        return v["stringValue"]
    if "intValue" in v:
        return int(v["intValue"])
    if "boolValue" in v:
        return v["boolValue"]
    if "doubleValue" in v:
        return float(v["doubleValue"])
    if "arrayValue" in v:
        return [value_of(e) for e in v["arrayValue"].get("values", [])]
    if "kvlistValue" in v:
        return attributes_of(v["kvlistValue"].get("values", []))
    return None


def attributes_of(pairs):
    out = {}
    for pair in pairs:
        assert pair["key"] not in out, f"attribute {pair['key']} is there twice"
        out[pair["key"]] = value_of(pair["value"])
    return out


class Span:
    def __init__(self, raw, resource, scope):
        self.raw = raw
        self.resource = resource
        self.scope = scope
        self.trace_id = raw["traceId"]
        self.span_id = raw["spanId"]
        self.parent_id = raw.get("parentSpanId", "")
        self.name = raw["name"]
        self.kind = raw["kind"]
        self.start = int(raw["startTimeUnixNano"])
        self.end = int(raw["endTimeUnixNano"])
        self.attributes = attributes_of(raw.get("attributes", []))
        self.status = raw.get("status", {}).get("code", UNSET)
        self.message = raw.get("status", {}).get("message", "")
        self.links = raw.get("links", [])
        self.flags = raw.get("flags", 0)
        self.trace_state = raw.get("traceState", "")

    @property
    def service(self):
        return self.resource.get("service.name")

    @property
    def pid(self):
        return self.resource.get("process.pid")

    @property
    def link(self):
        return self.attributes.get("tagalong.link")

    def __getitem__(self, key):
        return self.attributes[key]

    def get(self, key, default=None):
        return self.attributes.get(key, default)

    @property
    def path(self):
        """The path of the request, on either side."""
        if self.kind == SERVER:
            return self.get("url.path")
        url = self.get("url.full", "")
        rest = url.split("://", 1)[-1]
        return "/" + rest.split("/", 1)[1].split("?")[0] if "/" in rest else "/"

    def __repr__(self):
        kind = {SERVER: "server", CLIENT: "client"}.get(self.kind, self.kind)
        return (f"<{self.service} {kind} {self.name!r} {self.trace_id[:6]}/{self.span_id}"
                f" parent {self.parent_id or '-'} {self.attributes}>")


def spans_of(document):
    """All spans of one ExportTraceServiceRequest in JSON form."""
    for rs in document.get("resourceSpans", []):
        resource = attributes_of(rs.get("resource", {}).get("attributes", []))
        for ss in rs.get("scopeSpans", []):
            for raw in ss.get("spans", []):
                yield Span(raw, resource, ss.get("scope", {}))


class SpanFile:
    """Reads what was appended, as it grows; half a line is left for the next time."""

    def __init__(self, path):
        self.path = str(path)
        self.at = 0
        self.all = []
        self.ids = set()

    def read(self):
        if not os.path.exists(self.path):
            return self.all
        with open(self.path, "rb") as f:
            f.seek(self.at)
            new = f.read()
        new = new[:new.rfind(b"\n") + 1]
        self.at += len(new)
        for line in new.splitlines():
            for span in spans_of(json.loads(line)):
                assert span.span_id not in self.ids, f"span id twice: {span}"
                self.ids.add(span.span_id)
                self.all.append(span)
        return self.all

    def select(self, service=None, kind=None, trace=None, path=None, where=None):
        return [s for s in self.read()
                if (service is None or s.service == service)
                and (kind is None or s.kind == kind)
                and (trace is None or s.trace_id == trace)
                and (path is None or s.path == path)
                and (where is None or where(s))]

    def wait(self, n=1, timeout=15, **which):
        """At least n spans that match, or an error that shows what there is."""
        try:
            return wait_for(lambda: (lambda got: got if len(got) >= n else None)
                            (self.select(**which)), timeout, f"{n} spans")
        except Timeout:
            got = self.select(**which)
            raise Timeout(f"{len(got)} of {n} spans {which} after {timeout} s; all "
                          f"{len(self.all)}:\n" + "\n".join(map(repr, self.all[:40]))) from None

    def one(self, timeout=15, **which):
        got = self.wait(1, timeout, **which)
        assert len(got) == 1, f"one span {which} expected:\n" + "\n".join(map(repr, got))
        return got[0]

    def by_id(self):
        return {s.span_id: s for s in self.read()}

    def parent(self, span):
        return self.by_id().get(span.parent_id)

    def chain(self, span):
        """Services from the root to this span, each once in a row."""
        names, ids = [], self.by_id()
        while span:
            if not names or names[0] != span.service:
                names.insert(0, span.service)
            span = ids.get(span.parent_id)
        return names
