# SPDX-License-Identifier: Apache-2.0
"""An upstream of raw sockets that records the exact bytes of each request it receives."""
import asyncio
import json
import re
import threading

TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class Received:
    """One request as it came over the wire."""

    def __init__(self, head, body=b"", connection=0):
        self.head, self.body, self.connection = head, body, connection
        lines = re.split(rb"\r?\n", head)
        self.method, self.target = lines[0].decode("latin1").split(" ")[:2]
        self.path = self.target.split("?")[0]
        self.headers = []
        for line in lines[1:]:
            if line:
                n, _, v = line.partition(b":")
                self.headers.append((n.decode("latin1"), v.strip(b" \t").decode("latin1")))

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def header(self, name, default=None):
        got = self.all(name)
        return got[0] if got else default

    def context(self):
        """(trace id, span id, flags) of the one traceparent; anything else is an error."""
        got = self.all("traceparent")
        assert len(got) == 1, f"{len(got)} traceparent headers: {self.head!r}"
        m = TRACEPARENT.fullmatch(got[0])
        assert m, f"not a traceparent: {got[0]!r}"
        assert int(m[1], 16) and int(m[2], 16), got[0]
        return m[1], m[2], int(m[3], 16)

    def without_trace_headers(self):
        """The head as the program wrote it: our headers taken out, the rest byte for byte."""
        return re.sub(rb"(?im)^(traceparent|tracestate|baggage):[^\n]*\n", b"", self.head)


class Upstream:
    """Answers each request with 200 and `answer(request)`, by default the request's headers as JSON.

    answer may return bytes (a 200's body), a tuple (status, body), None (close without an answer),
    or raw bytes wrapped in Raw. It may be a coroutine. tls: an SSLContext."""

    def __init__(self, answer=None, host="127.0.0.1", tls=None):
        self.answer = answer or (lambda r: json.dumps(r.headers).encode())
        self.received = []
        self.connections, self.tls = 0, tls
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(host,), daemon=True)
        self._thread.start()
        self._started.wait()

    def _run(self, host):
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, host, 0, limit=1 << 20, backlog=1024,
                                 ssl=self.tls))
        self.port = self._server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader, writer):
        self.connections += 1
        number = self.connections
        try:
            while await self._one(reader, writer, number):
                pass
        except (EOFError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader, writer, number):
        head = await self._head(reader)
        if head is None:
            return False
        r = Received(head, connection=number)
        if (r.header("Expect") or "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in (r.header("Transfer-Encoding") or "").lower():
            r.body = await self._chunked(reader)
        elif r.header("Content-Length"):
            r.body = await reader.readexactly(int(r.header("Content-Length")))
        self.received.append(r)
        got = self.answer(r)
        if asyncio.iscoroutine(got):
            got = await got
        if got is None:
            return False
        if isinstance(got, Raw):
            writer.write(got.data)
            await writer.drain()
            return got.keep
        status, body = got if isinstance(got, tuple) else (200, got)
        writer.write(b"HTTP/1.1 %d Some Words\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n" % (status, len(body)))
        if r.method != "HEAD":
            writer.write(body)
        await writer.drain()
        return (r.header("Connection") or "").lower() != "close" and \
            b" HTTP/1.0" not in head.split(b"\n")[0]

    @staticmethod
    async def _head(reader):
        head = b""
        while not head.endswith((b"\r\n\r\n", b"\n\n")):
            line = await reader.readline()
            if not line:
                return None
            if not head and line in (b"\r\n", b"\n"):
                continue
            head += line
        return head

    @staticmethod
    async def _chunked(reader):
        parts = []
        while True:
            size = int((await reader.readline()).split(b";")[0], 16)
            if not size:
                while await reader.readline() not in (b"\r\n", b"\n"):
                    pass
                return b"".join(parts)
            parts.append(await reader.readexactly(size))
            await reader.readexactly(2)

    def close(self):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)


class Raw:
    """An answer given as bytes; the connection stays open when keep."""

    def __init__(self, data, keep=False):
        self.data, self.keep = data, keep
