# SPDX-License-Identifier: Apache-2.0
"""Many requests in flight, each with its id in the path, and a judge that knows the truth."""
import asyncio
import re
import secrets
import time

from .spans import CLIENT, SERVER
from .wait import Timeout, wait_for


class Sent:
    """One request of the driver: its id, the context it carried (or None), the answer's status (0: closed)."""

    def __init__(self, number, path, context):
        self.id, self.path, self.context, self.status = number, path, context, None
        self.started = self.ended = 0.0


def drive(port, n, in_flight=50, path="/r/{id}", with_context=lambda i: False, method="GET",
          body=b"", keepalive=True, host="127.0.0.1", per_connection=None, tls=None):
    """Sends n requests, in_flight at a time, at most per_connection on each connection; by TLS with
    an SSLContext in tls. Returns a Sent for each."""
    sent = [None] * n
    todo = iter(range(n))

    async def worker():
        reader = writer = None
        here = 0
        for i in todo:
            s = Sent(i, path.format(id=i), None)
            s.started = time.monotonic()
            head = f"{method} {s.path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            if with_context(i):
                s.context = (secrets.token_hex(16), secrets.token_hex(8))
                head += f"traceparent: 00-{s.context[0]}-{s.context[1]}-01\r\n"
            if body:
                head += f"Content-Length: {len(body)}\r\n"
            if not keepalive:
                head += "Connection: close\r\n"
            sent[i] = s
            if writer is None:
                reader, writer = await asyncio.open_connection(host, port, ssl=tls)
            writer.write(head.encode() + b"\r\n" + body)
            try:
                s.status, keep = await answer(reader, method)
            except (EOFError, ConnectionError):
                s.status, keep = 0, False
            here += 1
            s.ended = time.monotonic()
            if not (keep and keepalive) or here == per_connection:
                writer.close()
                writer = None
                here = 0
        if writer:
            writer.close()

    async def answer(reader, method):
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        low = head.lower()
        length = re.search(rb"\r\ncontent-length: *(\d+)", low)
        keep = b"connection: close" not in low and not low.startswith(b"http/1.0")
        if method == "HEAD" or status in (204, 304):
            return status, keep
        if b"transfer-encoding: chunked" in low:
            while True:
                size = int((await reader.readline()).split(b";")[0], 16)
                await reader.readexactly(size + 2)
                if not size:
                    return status, keep
        if length:
            await reader.readexactly(int(length[1]))
            return status, keep
        await reader.read()
        return status, False

    async def everything():
        await asyncio.gather(*(worker() for _ in range(in_flight)))

    asyncio.run(everything())
    return sent


class Verdict:
    def __init__(self):
        self.right = self.wrong = self.orphan = 0
        self.links = {}
        self.examples = []

    @property
    def total(self):
        return self.right + self.wrong + self.orphan

    def __repr__(self):
        return (f"right {self.right} wrong {self.wrong} orphan {self.orphan} links {self.links}"
                + "".join("\n  " + e for e in self.examples[:5]))

    def _wrong(self, why):
        self.wrong += 1
        self.examples.append(why)


def id_of(path):
    """The number after the last /r/ or /out/ of a path."""
    m = re.search(r"/(?:r|out)/(\d+)", path or "")
    return int(m[1]) if m else None


def judge(spans, received, service, timeout=30):
    """Compares each request an upstream received with the spans of the service that sent it.

    right: its traceparent names a client span of this id, whose parent is the server span of this
    id in the same trace. orphan: the client span is a root. Everything else is wrong."""
    spans.wait(len(received), timeout, service=service, kind=CLIENT)
    def parents_are_there():
        ids = spans.by_id()
        return all(not s.parent_id or s.parent_id in ids
                   for s in spans.select(service=service, kind=CLIENT))
    try:    # the last requests are answered after their calls
        wait_for(parents_are_there, 5)
    except Timeout:
        pass
    ids = spans.by_id()
    v = Verdict()
    used = set()
    for r in received:
        trace, span, _ = r.context()
        c, number = ids.get(span), id_of(r.path)
        if c is None or c.kind != CLIENT or c.service != service or c.trace_id != trace or \
                id_of(c.path) != number:
            v._wrong(f"{r.path}: {span} on the wire is {c}")
            continue
        if span in used:
            v._wrong(f"{r.path}: {span} was sent twice")
            continue
        used.add(span)
        v.links[c.link] = v.links.get(c.link, 0) + 1
        p = ids.get(c.parent_id)
        if not c.parent_id:
            v.orphan += 1
        elif p is None or p.kind != SERVER or id_of(p.path) != number or p.trace_id != trace:
            v._wrong(f"{r.path}: parent {p or c.parent_id}")
        else:
            v.right += 1
    return v


def judge_inbound(spans, sent, service, timeout=30):
    """Each request sent has one server span: child of the context it carried, or a root."""
    got = spans.wait(len(sent), timeout, service=service, kind=SERVER)
    by_id = {}
    for s in got:
        by_id.setdefault(id_of(s.path), []).append(s)
    for s in sent:
        mine = by_id.get(s.id, [])
        assert len(mine) == 1, f"{s.path}: {len(mine)} server spans"
        span = mine[0]
        if s.context:
            assert (span.trace_id, span.parent_id) == s.context, (s.context, span)
        else:
            assert span.parent_id == "", span
        assert span["http.response.status_code"] == s.status, span
