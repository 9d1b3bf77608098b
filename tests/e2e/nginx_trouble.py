# SPDX-License-Identifier: Apache-2.0
"""Upstreams that fail, clients that do what is seldom done, and settings of ours."""
import threading

from harness.odd_upstream import letters
from harness.wait import wait_for
from nginx_serving import proxied_with_keepalive
from nginx_site import case, head


# ---- errors ----
@case()
def upstreams_that_fail(s):
    for where in ("p", "p10", "unbuffered", "catch", "half", "next", "unix"):
        for what in ("reset-before", "close-before", "cut-head", "garbage", "close-mid/5000",
                     "close-mid-chunked/5000", "two-lengths", "both-lengths", "extra-bytes", "bad-chunk",
                     "status/404", "status/500", "status/502", "status/503", "big-header/9000",
                     "many-headers/150"):
            s.get(f"/{where}/{what}")
    for where in ("down", "half"):
        s.get(f"/{where}/ok/3")
        s.get(f"/{where}/ok/3", method="POST", body=b"abc")


@case()
def a_reset_in_the_middle(s):
    t = s.talk().send(head("/unbuffered/reset-mid/8000"))
    t.until(letters(4000)[-40:])        # a reset throws away what was not read
    s.odd.release()
    t.rest()


@case()
def timeouts(s):
    s.get("/short/stall")
    s.get("/next/stall")
    s.get("/short/stall-mid/5000")
    s.get("/short/slow/20")


@case()
def the_next_upstream(s):
    for n in range(5):
        for what in ("status/503", "status/502", "status/404", "close-before", "reset-before", "garbage",
                     "once-status/503", "ok/9"):
            s.get(f"/next/{what}?{n}")
            s.get(f"/next/{what}?post{n}", method="POST", body=letters(500))


@case()
def fallbacks_and_subrequests(s):
    for code in (200, 401, 403, 500):
        s.get(f"/auth/ok/30?code={code}")
        s.get(f"/auth/echo?code={code}", method="POST", body=letters(3000))
    for what in ("ok/40", "status/404", "echo"):
        s.get(f"/mirror/{what}")
        s.get(f"/mirror/{what}", method="POST", body=letters(2000))
    for code in (404, 500, 503, 301):
        s.get(f"/catch/status/{code}")


# ---- clients ----
@case()
def http_1_0(s):
    for target in ("/file.txt", "/p/ok/500", "/p/chunked/500", "/p/until-close/500", "/ret/", "/p/status/404"):
        t = s.talk().send(b"GET %s HTTP/1.0\r\n\r\n" % target.encode())
        t.rest()
        s.get(target, version="1.0")
        t = s.talk().send(head(target, "Connection: keep-alive", version="1.0"))
        t.response()
        t.send(head(target, version="1.0"))
        t.rest()
    t = s.talk().send(b"GET /file.txt\r\n")             # HTTP/0.9
    t.rest()


# "none": the buffer was full when the head came, and nginx counts what is left to read.
@case(links=("header", "none"))
def pipelines(s):
    targets = ["/p/ok/100", "/file.txt", "/p/chunked/4000", "/missing", "/p/status/404", "/p/echo", "/ret/",
               "/p/until-close/50", "/nosendfile/big.txt"] * 4
    t = s.talk().send(b"".join(head(x) if "echo" not in x else
                               head(x, method="POST", body=letters(3000)) for x in targets))
    for _ in targets:
        t.response()
    t.close()
    t = s.talk().send(b"\r\n\r\n" + head("/p/ok/5") + b"\r\n" + head("/p/ok/6"))
    t.response()
    t.response()
    t.close()
    t = s.talk().send(head("/p/ok/5") + head("/p/ok/6", "Connection: close") + b"GET /never HTTP/1.1")
    t.rest()


@case()
def few_requests_a_connection(s):
    t = s.talk().send(head("/few/ok/5") + head("/few/ok/6"))
    t.rest()


@case(spans=False)
def bad_requests(s):
    for data in (b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
                 b"GET /p/ok/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
                 b"POST /p/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                 b"3\r\nabc\r\n0\r\n\r\n",
                 b"POST /p/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
                 b"POST /p/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
                 b"get / http/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 200,
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
                 b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", b"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n",
                 b"GET / HTTP/1.1\nHost: a\nConnection: close\n\n",
                 b"GET /p/ok/4 HTTP/1.1\nHost: a\r\nConnection: close\n\r\n"):
        s.talk().send(data + head("/p/ok/3", "Connection: close")).rest()


@case({"http": "client_header_buffer_size 512; large_client_header_buffers 2 2k;"}, spans=False)
def heads_around_the_limits(s):
    """The size of the head moves past each limit of nginx, byte by byte; trace headers of ours in
    nginx's buffer must not move it."""
    for around in (512 - 80, 512, 2048 - 80, 2048, 4096 - 80, 4096):
        for n in range(around - 90, around + 30, 7):
            room = n - len(head("/p/ok/2", "Connection: close", "X: "))
            lines = []
            while room > 1500:
                lines.append("Y: " + "y" * 1000)
                room -= 1005
            s.get("/p/ok/2", *lines, "X: " + "x" * room)
    for n in (400, 500, 1900, 2000, 2040, 2048, 2100):
        s.get("/p/ok/2?" + "q" * n)


# "none": no room in a buffer that is full; None: the header would push the head past a usual limit.
@case(links=("header", "none", None))
def large_heads(s):
    for n in (900, 1000, 1020, 4000, 8000, 8100, 8190, 8300, 20000, 40000):
        s.get("/p/ok/2", "X: " + "x" * n)
        s.get("/file.txt?" + "q" * n)
    for n in (50, 62, 63, 64, 90, 99, 100, 127, 128, 500):
        s.get("/p/ok/2", *(f"X-{i}: {i}" for i in range(n)))


@case(links=("header", "none"))
def heads_cut_everywhere(s):
    whole = head("/p/echo?cut", "Cookie: " + "c" * 60, method="POST", body=b"body")
    t = s.talk()
    for cut in range(1, len(whole), 3):
        t.send(whole[:cut])
        t.send(whole[cut:])
        t.response()
    t.close()


@case(spans=False)
def with_a_trace_context_of_the_client(s):
    for i in range(6):
        s.get(f"/p/ok/{i}", f"traceparent: 00-{i + 1:032x}-{i + 1:016x}-0{i % 2}", "tracestate: a=1",
              "baggage: k=v")
    s.get("/p/ok/9", "traceparent: nonsense")


@case()
def clients_that_leave(s):
    """A body that nobody reads, an upload that stops, a request that is not waited for."""
    t = s.talk().send(head("/unbuffered/ok/9000000"))
    t.some(1000)
    t.reset()
    t = s.talk().send(head("/nosendfile/huge.txt"))
    t.some(1000)
    t.reset()
    t = s.talk().send(head("/huge.txt"))
    t.some(1000)
    t.reset()
    t = s.talk().send(head("/p/echo", "Content-Length: 5000", method="POST"), letters(100))
    t.end().rest()
    t = s.talk().send(head("/request-unbuffered/echo?u", "Content-Length: 5000", method="POST"), letters(100))
    wait_for(lambda: "/echo?u" in s.odd.begun, 10, "the request upstream")
    t.end().rest()
    t = s.talk().send(head("/p/stall"))
    s.wait_asked("/stall")
    t.reset()
    wait_for(lambda: "\n499 " in (s.tmp / "access.log").read_text(), 10, "status 499")
    s.odd.release()
    s.talk().end().rest()                               # nothing at all
    s.talk().send(b"GET / HT").end().rest()             # half a head
    s.talk().send(head("/file.txt")).end().rest()       # half closed, still answered


@case({"main": "worker_processes 2;"}, kept=False)
def many_at_once(s):
    def play(i):
        for j in range(25):
            t = s.talk()
            t.send(head(f"/p/echo?{i}.{j}", method="POST", body=letters(1000 + i * 37, i)))
            t.response()
            t.send(head(f"/unbuffered/chunked/{500 + j}?{i}", "Connection: close"))
            t.rest()
    threads = [threading.Thread(target=play, args=(i,)) for i in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    s.saw.sort(key=repr)


@case({"main": "worker_processes 1; master_process off;"})
def without_a_master(s):
    proxied_with_keepalive(s)


@case({"env": {"TAGALONG_INBOUND_HEADER": "off"}}, spans=False)
def without_inbound_headers(s):
    pipelines(s)
    proxied_with_keepalive(s)
    with_a_trace_context_of_the_client(s)


@case({"env": {"OTEL_TRACES_SAMPLER": "always_off"}}, spans=False)
def unsampled(s):
    pipelines(s)
    proxied_with_keepalive(s)
    with_a_trace_context_of_the_client(s)


@case({"env": {"OTEL_PROPAGATORS": "b3multi,jaeger,tracecontext,baggage"}})
def every_propagator(s):
    proxied_with_keepalive(s)
