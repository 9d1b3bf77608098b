# SPDX-License-Identifier: Apache-2.0
"""http.server with a thread a connection, calling out by a multi handle of pycurl for each request:
relay_pycurl.py PORT UPSTREAM. With "late" behind them, pycurl is loaded by the first request; with
"https AUTHORITY" it asks by TLS."""
import http.server
import io
import sys

AUTHORITY = sys.argv[sys.argv.index("https") + 1] if "https" in sys.argv else None
if "late" not in sys.argv:
    import pycurl


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global pycurl
        import pycurl
        got, curl, multi = io.BytesIO(), pycurl.Curl(), pycurl.CurlMulti()
        there = "https://localhost" if AUTHORITY else "http://127.0.0.1"
        curl.setopt(pycurl.URL, f"{there}:{sys.argv[2]}{self.path.replace('/r/', '/out/')}")
        if AUTHORITY:
            curl.setopt(pycurl.CAINFO, AUTHORITY)
        curl.setopt(pycurl.HTTPHEADER, ["X-Name: relay"])
        curl.setopt(pycurl.WRITEDATA, got)
        multi.add_handle(curl)
        running = 1
        while running:
            _, running = multi.perform()
            multi.select(1.0)
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        multi.remove_handle(curl)
        body = got.getvalue()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
