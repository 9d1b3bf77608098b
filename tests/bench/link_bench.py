# SPDX-License-Identifier: Apache-2.0
"""Ground truth for links: programs that know nothing of tracing, each with many requests in flight,
an id in every path. Shared by tests/bench/links and tests/e2e/test_links_python.py."""
import pathlib
import random
import shutil
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from harness import paths                               # noqa: E402
from harness.load import drive, judge                   # noqa: E402
from harness.ports import free_port                     # noqa: E402
from harness.run import Run                             # noqa: E402
from harness.upstream import Upstream                   # noqa: E402
from harness.wait import Timeout, wait_for              # noqa: E402

SERVICES = ROOT / "tests" / "bench" / "links_services"
SERVICE = "svc"

# What a service does between a request and its answer; see links_services/ask*.py.
LOST = {"lost"}         # it gives its context away: no parent is the right answer
# One task for all of a connection, that is still at work when the next request has been read: by
# what passes on sockets nobody can tell which of the two it is at.
UNKNOWABLE = {("asyncio streams", "after"), ("asyncio streams on uvloop", "after")}
ASYNC = ["before", "between", "pool", "fresh", "names", "gather", "thread", "task", "after", "lost"]
SYNC = ["before", "between", "pool", "fresh", "names", "thread", "lost"]


class Program:
    """One kind of service: `command(port)` serves; `client` is what it asks with."""

    lost = LOST         # shapes where no parent is the right answer
    judged = None       # another judge than verdict()

    def __init__(self, command, shapes, client="", env=None):
        self.command, self.shapes, self.client, self.env = command, shapes, client, env or {}

    def start(self, run, upstream, python=paths.PYTHON, **env):
        port = free_port()
        env = {"UPSTREAM": upstream, "CLIENT": self.client, "PYTHONPATH": SERVICES,
               "TAGALONG_STATS": "true", **self.env, **env}
        run.start([python, *self.command(port)], SERVICE, port=port, env=env, cwd=SERVICES)
        return port

    def cells(self, options):
        """(shape, in flight, verdict) of one process."""
        tmp = pathlib.Path(tempfile.mkdtemp(prefix="tagalong-links-"))
        tmp.chmod(0o777)
        run, up = Run(tmp), Upstream(answered)
        env = {"BACKGROUND": 1, "OTEL_BSP_MAX_QUEUE_SIZE": 65536}
        if options.off:
            env["TAGALONG_PYTHON"] = "off"
        try:
            port = self.start(run, up.port, options.python, **env)
            for shape in self.shapes:
                for in_flight in map(int, options.in_flight.split(",")):
                    if not options.shape or shape == options.shape:
                        yield shape, in_flight, cell(run, up, port, shape, options.requests,
                                                     in_flight, self.judged)
        finally:
            run.close()
            up.close()
            shutil.rmtree(tmp, ignore_errors=True)


def script(name):
    return lambda port: [SERVICES / name, port]


def gunicorn(worker, *args, app="serve_wsgi:app"):
    return lambda port: ["/usr/bin/gunicorn", "-b", f"127.0.0.1:{port}", "-k", worker,
                         "--log-level=warning", *args, app]


def uvicorn(http, loop="asyncio", app="serve_asgi:app"):
    return lambda port: ["-m", "uvicorn", "--host", "127.0.0.1", "--port", port, "--http", http,
                         "--loop", loop, "--backlog", "1024", "--log-level", "warning",
                         "--no-access-log", app]


def hypercorn(port):
    return ["-m", "hypercorn", "-b", f"127.0.0.1:{port}", "--backlog", "1024", "--keep-alive", "60",
            "--log-level", "warning", "serve_asgi:app"]


UVLOOP = {"LOOP": "uvloop"}
PYTHON = {
    "asyncio streams": Program(script("serve_streams.py"), ASYNC, "streams"),
    "aiohttp, aiohttp": Program(script("serve_aiohttp.py"), ASYNC, "aiohttp"),
    "aiohttp, httpx": Program(script("serve_aiohttp.py"), ASYNC, "httpx"),
    "uvicorn h11, aiohttp": Program(uvicorn("h11"), ASYNC, "aiohttp"),
    "uvicorn httptools, httpx": Program(uvicorn("httptools"), ASYNC, "httpx"),
    # It closes connections whose next request comes right behind a quick answer.
    "hypercorn, aiohttp": Program(hypercorn, [s for s in ASYNC if s not in ("task", "after")], "aiohttp"),
    "asyncio streams on uvloop": Program(script("serve_streams.py"), ASYNC, "streams", UVLOOP),
    "aiohttp on uvloop, aiohttp": Program(script("serve_aiohttp.py"), ASYNC, "aiohttp", UVLOOP),
    "uvicorn h11 on uvloop, aiohttp": Program(uvicorn("h11", "uvloop"), ASYNC, "aiohttp"),
    "uvicorn httptools on uvloop, httpx": Program(uvicorn("httptools", "uvloop"), ASYNC, "httpx"),
    "FastAPI on uvicorn, httpx": Program(uvicorn("h11", app="serve_fastapi:app"),
                                         ["before", "gather", "task", "sync-before", "sync-thread"],
                                         "httpx", {"SYNC_CLIENT": "httpx"}),
    "http.server, requests": Program(script("serve_http_server.py"), SYNC + ["after"], "requests"),
    "http.server, urllib3": Program(script("serve_http_server.py"), SYNC + ["after"], "urllib3"),
    # httpx 0.23 closes connections of a full pool that other threads are reading from.
    "http.server, httpx": Program(script("serve_http_server.py"), [s for s in SYNC if s != "pool"],
                                  "httpx"),
    "http.server, http.client": Program(script("serve_http_server.py"), SYNC, "http.client"),
    "http.server, sockets": Program(script("serve_http_server.py"), SYNC, "socket"),
    "http.server on one thread, requests": Program(script("serve_single.py"),
                                                   ["before", "fresh", "thread", "after", "lost"], "requests"),
    "Flask, requests": Program(script("serve_flask.py"), SYNC, "requests"),
    "Django, requests": Program(script("serve_django.py"), SYNC, "requests"),
    "gunicorn sync, requests": Program(gunicorn("sync", "-w", "4"), SYNC, "requests"),
    "gunicorn gthread, requests": Program(gunicorn("gthread", "--threads", "32"), SYNC, "requests"),
    "gunicorn gevent, requests": Program(gunicorn("gevent"), [s for s in SYNC if s != "thread"],
                                         "requests"),
    "gunicorn uvicorn, httpx": Program(
        gunicorn("uvicorn.workers.UvicornH11Worker", app="serve_asgi:app"), ASYNC, "httpx"),
    "gunicorn uvicorn on uvloop, httpx": Program(
        gunicorn("uvicorn.workers.UvicornWorker", app="serve_asgi:app"), ASYNC, "httpx"),
    "gunicorn eventlet, requests": Program(gunicorn("eventlet"), ["before", "between", "pool", "fresh"],
                                           "requests"),
    "gunicorn eventlet, urllib3": Program(gunicorn("eventlet"), ["before", "between", "pool", "fresh", "names",
                                                                 "lost"], "urllib3"),
    "gunicorn gevent, urllib3": Program(gunicorn("gevent"), [s for s in SYNC if s != "thread"], "urllib3"),
    "gunicorn gevent, httpx": Program(gunicorn("gevent"), ["before", "between", "fresh", "names", "lost"],
                                      "httpx"),
}


def answered(request):
    return b"out " + request.path.encode()


def cell(run, up, port, shape, n, in_flight, judged=None, **options):
    """Sends n requests of one shape and judges what became of them."""
    start = len(up.received)
    random.seed(shape)
    sent = drive(port, n, in_flight=in_flight, path=f"/{shape}/r/{{id}}",
                 with_context=lambda i: i % 2, **options)
    bad = [s for s in sent if s.status != 200]
    assert not bad, f"{len(bad)} requests failed, such as {bad[0].path}: {bad[0].status}"
    each = 3 if shape.split("-")[-1] in ("between", "gather") else 2
    wait_for(lambda: sum(r.path != "/background" for r in up.received[start:]) >= n * each, 30)
    received = up.received[start:]
    return (judged or verdict)(run, received)


def verdict(run, received):
    """A background call that was given a parent is wrong."""
    there = lambda: {r.context()[1] for r in received} <= run.spans.by_id().keys()
    try:
        wait_for(there, 10)
    except Timeout:
        pass        # the judge says which
    v = judge(run.spans, [r for r in received if r.path != "/background"], SERVICE)
    ids = run.spans.by_id()
    adopted = sum(1 for r in received if r.path == "/background"
                  and ids.get(r.context()[1]) and ids[r.context()[1]].parent_id)
    v.wrong += adopted
    return v
