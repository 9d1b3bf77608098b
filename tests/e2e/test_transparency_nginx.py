# SPDX-License-Identifier: Apache-2.0
"""nginx does byte for byte the same with the library as without: each case is played against a bare
nginx and a traced one with the same configuration, on the same port, in front of the same upstreams.
What the client receives, what the upstreams are asked, the access log and the error log must be
the same, but for the trace headers upstream. Each request in the traced access log has its span."""
import collections
import hashlib
import os
import re
import signal
import socket
import struct
import threading

import pytest

from harness.odd_upstream import OddUpstream, letters
from harness.ports import free_port
from harness.rawhttp import RawClient
from harness.spans import CLIENT, SERVER
from harness.wait import wait_for

CONF = """
daemon off; {main}
pid {tmp}/nginx.pid;
error_log {tmp}/error.log warn;
events {{ worker_connections 512; {events} }}
http {{
	log_format all '$status "$request" sent=$bytes_sent body=$body_bytes_sent$sent_http_transfer_encoding done=$request_completion '
		'up=$upstream_status uplength=$upstream_response_length cache=$upstream_cache_status '
		'type=$sent_http_content_type pipe=$pipe nth=$connection_requests length=$request_length';
	access_log {tmp}/access.log all;
	client_body_temp_path {tmp}/b; proxy_temp_path {tmp}/p; fastcgi_temp_path {tmp}/f;
	uwsgi_temp_path {tmp}/u; scgi_temp_path {tmp}/s;
	default_type application/octet-stream;
	types {{ text/plain txt; text/html html; }}
	absolute_redirect off;
	proxy_cache_path {tmp}/cache keys_zone=c:1m;
	upstream odd {{ server 127.0.0.1:{odd} max_fails=0; keepalive 8; }}
	upstream two {{ server 127.0.0.1:{odd} max_fails=0; server 127.0.0.1:{good} max_fails=0 backup; keepalive 8; }}
	upstream half {{ server 127.0.0.1:{dead} max_fails=0; server 127.0.0.1:{good} max_fails=0 backup; }}
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	keepalive_timeout 20s;
	{http}
	server {{
		listen 127.0.0.1:{port};
		root {root};
		sendfile on;
		location /nosendfile/ {{ alias {root}/; sendfile off; }}
		location /chunks/ {{ alias {root}/; sendfile_max_chunk 4k; tcp_nopush on; }}
		location /small-buffers/ {{ alias {root}/; sendfile off; output_buffers 1 512; }}
		location /directio/ {{ alias {root}/; directio 512; }}
		location /threads/ {{ alias {root}/; aio threads; }}
		location /gzip/ {{ alias {root}/; gzip on; gzip_types text/plain; gzip_min_length 0; }}
		location /rate/ {{ alias {root}/; limit_rate 60k; }}
		location /noranges/ {{ alias {root}/; max_ranges 0; }}
		location /list/ {{ alias {root}/; autoindex on; autoindex_exact_size on; }}
		location /ret/ {{ return 200 "just words\\n"; }}
		location /moved/ {{ return 301 /elsewhere; }}
		location /gone/ {{ return 410; }}
		location /shut/ {{ return 444; }}
		location /try/ {{ try_files $uri /file.txt; }}
		location /add/ {{ alias {root}/; add_before_body /ret/; add_after_body /p/ok/20; addition_types text/plain; }}
		location /sub/ {{ alias {root}/; sub_filter 'abc' 'ABCABC'; sub_filter_once off; sub_filter_types text/plain; }}
		location /dav/ {{ alias {tmp}/dav/; dav_methods PUT DELETE MKCOL COPY MOVE; create_full_put_path on; }}
		location /p/ {{ proxy_pass http://odd/; }}
		location /p10/ {{ proxy_pass http://127.0.0.1:{odd}/; proxy_http_version 1.0; proxy_set_header Connection close; }}
		location /forwarded/ {{ proxy_pass http://odd/; proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header Connection ""; }}
		location /unbuffered/ {{ proxy_pass http://odd/; proxy_buffering off; proxy_request_buffering off; }}
		location /request-unbuffered/ {{ proxy_pass http://odd/; proxy_request_buffering off; client_max_body_size 0; }}
		location /request-buffered/ {{ proxy_pass http://odd/; client_max_body_size 0; client_body_buffer_size 4k; }}
		location /in-file/ {{ proxy_pass http://odd/; client_max_body_size 0; client_body_in_file_only clean; }}
		location /tiny/ {{ proxy_pass http://odd/; proxy_buffer_size 1k; proxy_buffers 2 1k; proxy_busy_buffers_size 1k; }}
		location /spool/ {{ proxy_pass http://odd/; proxy_buffers 2 4k; proxy_busy_buffers_size 4k; proxy_max_temp_file_size 64m; }}
		location /gzipped/ {{ proxy_pass http://odd/; gzip on; gzip_proxied any; gzip_types text/plain; gzip_min_length 0; }}
		location /cache/ {{ proxy_pass http://odd/; proxy_cache c; proxy_cache_revalidate on; add_header X-Cache $upstream_cache_status; }}
		location /stale/ {{ proxy_pass http://odd/; proxy_cache c; proxy_cache_valid 200 1s; proxy_cache_use_stale error timeout http_500 http_503; add_header X-Cache $upstream_cache_status; }}
		location /locked/ {{ proxy_pass http://odd/; proxy_cache c; proxy_cache_lock on; proxy_cache_valid 200 10m; }}
		location /slice/ {{ slice 1k; proxy_pass http://odd/; proxy_cache c; proxy_cache_key $uri$slice_range; proxy_set_header Range $slice_range; proxy_set_header Connection ""; proxy_cache_valid 200 206 10m; }}
		location /ws/ {{ proxy_pass http://odd/; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; }}
		location /down/ {{ proxy_pass http://127.0.0.1:{dead}/; }}
		location /next/ {{ proxy_pass http://two/; proxy_next_upstream error timeout http_502 http_503 http_404 invalid_header non_idempotent; proxy_read_timeout 300ms; }}
		location /half/ {{ proxy_pass http://half/; }}
		location /short/ {{ proxy_pass http://odd/; proxy_read_timeout 250ms; }}
		location /unix/ {{ proxy_pass http://unix:{tmp}/up.sock:/; }}
		location /catch/ {{ proxy_pass http://odd/; proxy_intercept_errors on; error_page 404 500 502 503 = /ret/; }}
		location /internal/ {{ internal; alias {root}/; }}
		location /auth/ {{ auth_request /check; proxy_pass http://odd/; }}
		location = /check {{ internal; proxy_pass http://odd/status/$arg_code; proxy_pass_request_body off; proxy_set_header Content-Length ""; }}
		location /mirror/ {{ mirror /copy; proxy_pass http://odd/; }}
		location = /copy {{ internal; proxy_pass http://127.0.0.1:{good}$request_uri; proxy_set_header Connection close; }}
		location /little/ {{ client_max_body_size 1k; proxy_pass http://odd/; }}
		location /no-keepalive/ {{ keepalive_timeout 0; proxy_pass http://odd/; }}
		location /few/ {{ keepalive_requests 2; proxy_pass http://odd/; }}
		location /linger/ {{ lingering_close off; proxy_pass http://odd/; }}
		location /unignored/ {{ proxy_ignore_client_abort on; proxy_pass http://odd/; }}
	}}
}}
"""


def normal(data):
    data = re.sub(rb"(?m)^Date: [^\r]*", b"Date: now", data)
    # Files that were uploaded: the others are of 2023.
    data = re.sub(rb"(?m)^Last-Modified: (?!.* 2023)[^\r]*|^ETag: \"(?!6553f)[0-9a-f]*-", b"now", data)
    return re.sub(rb"0000000000\d{10}", b"boundary", data)     # multipart/byteranges


def messages(data, method):
    """A stream of responses; chunks are put together, since where they are cut depends on when the
    upstream's bytes came."""
    out = []
    while data:
        top, blank, data = data.partition(b"\r\n\r\n")
        top += blank
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", top)
        status = top[9:12]
        if not top.startswith(b"HTTP/1"):
            n, body = len(data), data
        elif status[:1] == b"1" or status in (b"204", b"304") or method == "HEAD":
            n, body = (len(data), data) if status == b"101" else (0, b"")
        elif b"chunked" in top.lower():
            n, body = chunks(data)
        else:
            n = int(length[1]) if length else len(data)
            body = data[:n]
        out.append(normal(top) + normal(body))
        data = data[n:]
    return out


def chunks(data):
    """What a chunked body takes of data, and its bytes with how it ended."""
    at, body = 0, b""
    while (eol := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:eol].split(b";")[0], 16)
        if not size:
            end = data.find(b"\r\n\r\n", at)
            return end + 4, body + b" end " + data[eol:end]
        body += data[eol + 2:eol + 2 + size]
        at = eol + 4 + size
    return len(data), body + b" cut"


class Talk:
    """One connection to nginx; whatever comes back is noted."""

    def __init__(self, site):
        self.c = RawClient(site.port)
        self.saw = site.saw

    def send(self, *parts):
        for part in parts:
            self.c.send(part)
        return self

    def response(self, method="GET"):
        r = self.c.read_response(method)
        self.saw.append(("response", messages(r.raw, method)))
        return r

    def some(self, n):
        self.saw.append(("bytes", normal(self.c._exactly(n))))

    def until(self, mark, note=True):
        data = self.c._until(mark)
        if note:
            self.saw.append(("bytes", normal(data)))

    def rest(self, method="GET"):
        """What comes until the end, and which end it is."""
        end = "eof"
        try:
            while self.c._more():
                pass
        except ConnectionResetError:
            end = "reset"
        data = self.c._take(len(self.c.buf))
        self.saw.append((end, messages(data, method)))
        self.c.close()

    def end(self):
        self.c.s.shutdown(socket.SHUT_WR)
        return self

    def reset(self):
        self.c.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.c.close()

    def close(self):
        self.c.close()


OURS = re.compile(rb"(?im)^(traceparent|tracestate|baggage|b3|x-b3-\w+|uber-trace-id):[^\n]*\n")


class Site:
    """One nginx, bare or traced, and what was seen of it."""

    def __init__(self, run, config, odd, good, port, dead, traced):
        self.saw, self.odd, self.good, self.run, self.port = [], odd, good, run, port
        for up in (odd, good):
            up.begin()
        self.tmp = run.tmp / ("traced" if traced else "bare")
        root = run.tmp / "root"
        for name in ("dav", "."):
            (self.tmp / name).mkdir(parents=True, exist_ok=True)
        self.unix = OddUpstream(self.tmp / "up.sock")
        self.traced = traced
        user = "user root;" if os.getuid() == 0 else ""
        conf = self.tmp / "nginx.conf"
        conf.write_text(CONF.format(tmp=self.tmp, root=root, port=port, odd=odd.port,
                                    good=good.port, dead=dead, http=config.get("http", ""),
                                    events=config.get("events", ""),
                                    main=user + config.get("main", "worker_processes 1;")))
        self.p = run.start(["nginx", "-p", self.tmp, "-e", self.tmp / "error.log", "-c", conf],
                           "nginx", port=port, traced=traced, env=config.get("env"))

    def talk(self):
        return Talk(self)

    def get(self, target, *lines, method="GET", body=b"", version="1.1"):
        """One request on a connection of its own that nginx closes."""
        t = self.talk()
        t.send(head(target, *lines, "Connection: close", method=method, version=version,
                    body=body))
        t.rest(method)

    def wait_asked(self, path):
        wait_for(lambda: any(r.path == path for r in self.odd.asked), 10, f"{path} upstream")

    def finish(self):
        for up in (self.odd, self.good, self.unix):
            up.release()
        status = self.p.stop(signal.SIGQUIT, 20)
        self.saw.append(("exit", status))
        for up in (self.odd, self.good, self.unix):
            wait_for(lambda: not up.open, 20, "the upstream's connections to end")
        self.asked = {name: sorted((r.method, r.target, OURS.sub(b"", r.head), len(r.body),
                                    hashlib.sha1(r.body).hexdigest(), r.body_complete)
                                   for r in up.asked)
                      for name, up in (("odd", self.odd), ("good", self.good), ("unix", self.unix))}
        self.heads = [r for up in (self.odd, self.good, self.unix) for r in up.asked]
        self.connections = (self.odd.connections, self.good.connections, self.unix.connections)
        self.unix.close()
        self.logged = (self.tmp / "access.log").read_text("latin1").splitlines()
        lines = [LINE.fullmatch(x) for x in self.logged]
        self.access = [(UNSURE.sub("", m[1]), int(m[2]))
                       for m in lines]
        self.errors = sorted(
            re.sub(r"^\S+ \S+ (\[\w+\]) \d+#\d+:|/(bare|traced)/|b/\d+|p/[\d/]+| while [^,]*,", r"\1",
                   line)
            for line in (self.tmp / "error.log").read_text("latin1").splitlines()
            if "is buffered to a temporary file" not in line)       # a matter of speed


def head(target, *lines, method="GET", body=b"", version="1.1"):
    if body and not any(x.lower().startswith(("content-length", "transfer-encoding"))
                        for x in lines):
        lines += (f"Content-Length: {len(body)}",)
    return "\r\n".join([f"{method} {target} HTTP/{version}", "Host: site", *lines, "",
                        ""]).encode("latin1") + body


def chunked(*parts, trailer=b""):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n" + trailer + b"\r\n"


CASES = {}


def case(config=None, spans=True, links=("header",), kept=True):
    """spans: each access line has its server span, and the other way round. links: of the client
    spans. kept: upstream connections are used again in the same way."""
    def register(f):
        CASES[f.__name__] = (f, config or {}, spans, links, kept)
        return f
    return register


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
            t = s.talk_quietly()
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


Site.talk_quietly = Site.talk


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


# ---- the comparison ----
LINE = re.compile(r"(.*) length=(\d+)")
# The framing of chunks (see messages()), how far an answer got that nobody read, and what became of
# an answer with bytes behind its end: that depends on whether they came with it.
UNSURE = re.compile(r"sent=\d+ body=\d+(?=chunked)|(?<=00000 HTTP/1.1\" )sent=\d+ body=\d+|"
                    r"(?<=huge.txt HTTP/1.1\" )sent=\d+ body=\d+|"
                    r"(?<=done= up=200 )uplength=\d+|(?<=extra-bytes HTTP/1.1\" ).*")
ACCESS = re.compile(r'(\d+) "(\S+) (\S+) HTTP/\d.*?(sent=0 )?')
OUR_LINE = 70       # "traceparent: 00-...\r\n", put into the request that nginx reads (\n: one less)


def check_access(bare, traced):
    """$request_length counts the header that nginx found in its buffer."""
    one, other = [[line for line, _ in site.access] for site in (bare, traced)]
    assert sorted(one) == sorted(other)
    if one == other:        # else it is not known which belong together
        for (line, a), (_, b) in zip(bare.access, traced.access):
            assert b - a in (0, OUR_LINE, OUR_LINE - 1), (line, a, b)


def check_spans(run, site):
    """Each line of the access log is a server span with that status, if one was sent."""
    logged = collections.Counter()
    for line in site.logged:
        m = ACCESS.match(line)
        # What nginx makes of an answer that is no HTTP; heads that it did not read to their end.
        if m and (m[1] not in ("009", "400", "414") or " sent=0 " in line):
            status = None if m[1] in ("000", "444", "499") or " sent=0 " in line else int(m[1])
            path = re.sub("^http://[^/]*", "", m[3]).split("?")[0].split("#")[0]
            logged[m[2], path, status] += 1
    spans = collections.Counter()
    for s in run.spans.select(kind=SERVER):
        method = s.get("http.request.method_original", s["http.request.method"])
        status = s.get("http.response.status_code")
        if status in (400, 414) or (s["url.path"].endswith("/garbage") and not status):
            continue
        spans[method, s["url.path"], status] += 1
    return logged - spans, spans - logged


def check_contexts(run, site, links):
    """Exactly one traceparent each, of the client span that was written for it."""
    clients = {s.span_id: s for s in run.spans.select(kind=CLIENT)}
    for r in site.heads:
        if None in links and not r.all("traceparent"):
            continue
        trace, span, _ = r.context()
        assert clients[span].trace_id == trace, r.head
        assert clients[span]["tagalong.link"] in links, r.head


@pytest.fixture(scope="module")
def upstream_pair():
    pair = OddUpstream(), OddUpstream()
    yield pair
    for up in pair:
        up.close()


def make_files(root):
    root.mkdir()
    (root / "directory").mkdir()
    for name, size in (("file.txt", 2000), ("empty.txt", 0), ("big.txt", 300000), ("mid.txt", 20000),
                       ("huge.txt", 20 << 20)):
        (root / name).write_bytes(letters(size))
        os.utime(root / name, (1700000000, 1700000000))


@pytest.mark.parametrize("name", CASES)
def test_nginx_does_the_same(run, upstream_pair, name):
    play, config, spans, links, kept = CASES[name]
    make_files(run.tmp / "root")
    port, dead = free_port(), free_port()
    sites = []
    for traced in (False, True):
        site = Site(run, config, *upstream_pair, port, dead, traced)
        play(site)
        site.finish()
        sites.append(site)
    bare, traced = sites
    assert len(bare.saw) == len(traced.saw)
    for i, (a, b) in enumerate(zip(bare.saw, traced.saw)):
        assert a == b, i
    for which in bare.asked:
        less, more = (collections.Counter(site.asked[which]) for site in (bare, traced))
        assert (less - more, more - less) == (collections.Counter(), collections.Counter())
    assert not kept or bare.connections == traced.connections
    check_access(bare, traced)
    assert bare.errors == traced.errors
    if spans:
        missing, more = check_spans(run, traced)
        assert (missing, more) == (collections.Counter(), collections.Counter())
        check_contexts(run, traced, links)
