# SPDX-License-Identifier: Apache-2.0
"""One nginx in front of odd upstreams, what is said to it, and what is seen of it; the cases that are played
against it (nginx_serving.py, nginx_trouble.py) are compared by test_transparency_nginx.py."""
import hashlib
import os
import re
import signal
import socket
import struct

from harness.odd_upstream import OddUpstream, letters
from harness.rawhttp import RawClient
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


LINE = re.compile(r"(.*) length=(\d+)")
# The framing of chunks (see messages()), how far an answer got that nobody read, and what became of
# an answer with bytes behind its end: that depends on whether they came with it.
UNSURE = re.compile(r"sent=\d+ body=\d+(?=chunked)|(?<=00000 HTTP/1.1\" )sent=\d+ body=\d+|"
                    r"(?<=huge.txt HTTP/1.1\" )sent=\d+ body=\d+|"
                    r"(?<=done= up=200 )uplength=\d+|(?<=extra-bytes HTTP/1.1\" ).*")


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


def make_files(root):
    root.mkdir()
    (root / "directory").mkdir()
    for name, size in (("file.txt", 2000), ("empty.txt", 0), ("big.txt", 300000), ("mid.txt", 20000),
                       ("huge.txt", 20 << 20)):
        (root / name).write_bytes(letters(size))
        os.utime(root / name, (1700000000, 1700000000))


CASES = {}


def case(config=None, spans=True, links=("header",), kept=True):
    """spans: each access line has its server span, and the other way round. links: of the client
    spans. kept: upstream connections are used again in the same way."""
    def register(f):
        CASES[f.__name__] = (f, config or {}, spans, links, kept)
        return f
    return register
