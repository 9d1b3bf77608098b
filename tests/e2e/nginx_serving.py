# SPDX-License-Identifier: Apache-2.0
"""What nginx serves: files, what upstreams answer, what it keeps of that, streams."""
from harness.odd_upstream import letters
from nginx_site import case, chunked, head


# ---- files ----
@case()
def files(s):
    for where in ("", "nosendfile/", "chunks/", "small-buffers/", "directio/", "threads/", "gzip/", "sub/",
                  "noranges/", "add/", "try/"):
        for name in ("file.txt", "empty.txt", "big.txt", "missing.txt"):
            s.get(f"/{where}{name}")
        s.get(f"/{where}file.txt", "Accept-Encoding: gzip")
        s.get(f"/{where}file.txt", method="HEAD")
    s.get("/rate/mid.txt")
    s.get("/list/")
    s.get("/")
    s.get("/directory")


@case()
def files_on_one_connection(s):
    t = s.talk()
    for i in range(20):
        for where in ("", "nosendfile/", "chunks/"):
            t.send(head(f"/{where}{'file' if i % 2 else 'big'}.txt")).response()
    t.close()


@case()
def ranges(s):
    for where in ("", "nosendfile/", "chunks/", "p/range/5000/", "noranges/", "gzip/"):
        name = "" if where.startswith("p/") else "file.txt"
        for r in ("0-0", "10-99", "-100", "900-", "0-0,10-19,-5", "99999999-", "5-1", "x"):
            s.get(f"/{where}{name}", f"Range: bytes={r}")
            s.get(f"/{where}{name}", f"Range: bytes={r}", method="HEAD")


@case()
def conditions(s):
    t = s.talk()
    r = t.send(head("/file.txt")).response()
    t.close()
    etag, modified = r.header("ETag"), r.header("Last-Modified")
    for line in (f"If-None-Match: {etag}", f"If-Modified-Since: {modified}", 'If-None-Match: "x"',
                 f"If-Match: {etag}", 'If-Match: "x"', f"If-Range: {etag}\r\nRange: bytes=0-9"):
        s.get("/file.txt", line)


@case()
def answers_of_nginx_itself(s):
    for target in ("/ret/", "/moved/", "/gone/", "/shut/", "/internal/file.txt", "/ret/?q=1&sig=2",
                   "/%66ile.txt", "/a/../file.txt", "//file.txt", "/file.txt#x", "/%zz", "/%00"):
        for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE", "TRACE", "PATCH"):
            s.get(target, method=method)


@case()
def dav(s):
    for method, target, body, lines in [
            ("PUT", "/dav/a/b.txt", letters(70000), ()), ("GET", "/dav/a/b.txt", b"", ()),
            ("PUT", "/dav/a/b.txt", letters(10), ()), ("MKCOL", "/dav/c/", b"", ()),
            ("COPY", "/dav/a/b.txt", b"", ("Destination: /dav/c/d.txt",)),
            ("MOVE", "/dav/a/b.txt", b"", ("Destination: /dav/c/e.txt",)),
            ("GET", "/dav/c/d.txt", b"", ()), ("DELETE", "/dav/c/", b"", ()),
            ("DELETE", "/dav/none", b"", ())]:
        s.get(target, *lines, method=method, body=body)
    t = s.talk()
    t.send(head("/dav/chunked.txt", "Transfer-Encoding: chunked", method="PUT") +
           chunked(b"one", letters(5000), b"two", trailer=b"X: y\r\n")).response()
    t.send(head("/dav/chunked.txt")).response()
    t.close()


# ---- proxying ----
@case()
def proxied(s):
    for where in ("p", "p10", "forwarded", "unbuffered", "tiny", "spool", "gzipped", "unix", "linger",
                  "no-keepalive"):
        for what in ("ok/0", "ok/1", "ok/100", "ok/100000", "chunked/0", "chunked/300", "chunked/90000",
                     "until-close/0", "until-close/70000", "http10/2000", "status/204", "status/304",
                     "status/404", "status/500", "status/503", "status/418", "trickle/30",
                     "unbuffered/3000", "accel"):
            s.get(f"/{where}/{what}")
        for what in ("ok/100", "chunked/300", "until-close/50", "status/204", "status/404"):
            s.get(f"/{where}/{what}", method="HEAD")


@case(spans=False)
def interim_answers(s):
    """nginx 1.22 takes a 103 for the answer."""
    for where in ("p", "unbuffered", "p10"):
        s.get(f"/{where}/interim-close/50")


@case()
def proxied_with_keepalive(s):
    t = s.talk()
    for i in range(15):
        for what in ("ok/100", "chunked/3000", "status/404", "status/204", "ok/40000", "until-close/9"):
            t.send(head(f"/p/{what}?n={i}")).response()
        t.send(head("/p/ok/100", method="HEAD")).response("HEAD")
        t.send(head("/p/echo", method="POST", body=letters(i * 700))).response()
    t.close()


@case()
def proxied_to_a_host_with_path_query_and_odd_headers(s):
    s.get("/p/ok/5?a=1&b=%20&c", "X-Empty:", "X-Spaces:    padded   ", "x-lower: 1", "X-Twice: 1",
          "X-Twice: 2", "Cookie: a=b; c=d", "User-Agent: agent/1.0 (x; y)", "Accept: */*",
          "X-High: \xe9\xff", "X_underscore: dropped")
    s.get("http://absolute.example:81/p/ok/5?x=1")
    s.get("/forwarded/ok/9", "X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.8;proto=https")


@case()
def uploads(s):
    for where in ("p", "unbuffered", "request-unbuffered", "request-buffered", "in-file", "p10", "unix"):
        for size in (0, 1, 1000, 16384, 100000, 1000000):
            if where in ("p", "p10", "unix", "unbuffered") and size > 500000:
                s.get(f"/{where}/ok/3?big", method="POST", body=letters(1100000))      # 413
                continue
            s.get(f"/{where}/echo?{size}", method="POST", body=letters(size))
            s.get(f"/{where}/echo?{size}", "Expect: 100-continue", method="PUT", body=letters(size))
        t = s.talk()
        for size in (1, 5, 4096, 70000):
            body = letters(size)
            t.send(head(f"/{where}/echo?chunked", "Transfer-Encoding: chunked", method="POST") +
                   chunked(body[:1], body[:size // 2] or b"y", body[size // 2:],
                           trailer=b"X-Trailer: 1\r\n")).response()
        t.close()


# A head whose blank line came in two reads has no room for a header of ours any more.
@case(links=("header", "none"))
def an_upload_in_pieces(s):
    for where in ("p", "request-unbuffered", "request-buffered"):
        body = letters(20000)
        t = s.talk()
        for byte in head(f"/{where}/echo", f"Content-Length: {len(body)}", method="POST"):
            t.send(bytes([byte]))
        for at in range(0, len(body), 999):
            t.send(body[at:at + 999])
        t.response()
        t.close()


@case()
def expect_100(s):
    for where in ("p", "request-unbuffered", "request-buffered", "little", "unix"):
        t = s.talk()
        t.send(head(f"/{where}/echo", "Expect: 100-continue", "Content-Length: 900", method="POST"))
        t.until(b"100 Continue\r\n\r\n")
        t.send(letters(900)).response()
        t.close()
    for where in ("p", "little", "unix"):
        s.get(f"/{where}/echo", "Expect: 100-continue", "Content-Length: 2000000", method="POST")
    s.get("/p/ok/3", "Expect: 100-continue")
    s.get("/p/ok/3", "Expect: something-else", method="POST", body=b"abc")


@case()
def a_large_upload_each_way(s):
    body = letters(6 << 20)
    for where in ("request-unbuffered", "request-buffered", "in-file"):
        s.get(f"/{where}/ok/100", method="POST", body=body)
    s.get("/spool/ok/6000000")
    s.get("/unbuffered/ok/6000000")


@case()
def early_refusals(s):
    """The upstream answers before it has the whole body."""
    for where in ("p", "request-buffered"):
        s.get(f"/{where}/refuse/413", method="POST", body=letters(200000))
    t = s.talk()
    t.send(head("/request-unbuffered/refuse/403", "Content-Length: 300000", method="POST"),
           letters(1000)).response()
    t.close()


# ---- cache ----
@case()
def cached(s):
    for n in range(3):
        for what in ("cached/500", "cached/90000", "uncacheable/40", "status/404"):
            s.get(f"/cache/{what}")
            s.get(f"/cache/{what}", method="HEAD")
        s.get("/cache/cached/500", "Range: bytes=5-9")
        s.get("/cache/cached/500", 'If-None-Match: "v1"')
        s.get("/slice/range/5000")
        s.get("/slice/range/5000", "Range: bytes=1500-3100")


@case()
def several_wait_for_one(s):
    """proxy_cache_lock: one request goes upstream, the others wait for it."""
    talks = [s.talk().send(head("/locked/slow/150")) for _ in range(6)]
    for t in talks:
        t.response()
        t.close()


# ---- upgrades and streams ----
@case()
def upgrades(s):
    t = s.talk().send(head("/ws/upgrade", "Upgrade: websocket", "Connection: Upgrade",
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"))
    t.until(b"\r\n\r\n")
    for part in (b"hello", b"GET /p/ok/5 HTTP/1.1\r\nHost: x\r\n\r\n", b"\x81\x05\x00\xff", letters(30000)):
        t.send(part)
        t.some(len(part))
    t.send(b"bye")
    t.rest()
    t = s.talk().send(head("/ws/upgrade", "Upgrade: own", "Connection: Upgrade") + b"at once")
    t.until(b"AT ONCE")
    t.send(b"bye")
    t.rest()
    t = s.talk().send(head("/ws/upgrade", "Upgrade: own", "Connection: Upgrade"))
    t.until(b"\r\n\r\n")
    t.close()
    s.get("/ws/refuse-upgrade", "Upgrade: websocket")
    s.get("/ws/status/426", "Upgrade: websocket")


@case()
def event_streams(s):
    for where in ("p", "unbuffered"):
        s.odd.released.clear()
        t = s.talk().send(head(f"/{where}/sse/5", "Connection: close"))
        if where == "unbuffered":
            t.until(b"event 4\n\n", note=False)
        s.wait_asked("/sse/5")
        s.odd.release()
        t.rest()
