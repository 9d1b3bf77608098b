# SPDX-License-Identifier: Apache-2.0
"""The same on ThreadingHTTPServer and urllib: relay_http_server.py PORT UPSTREAM."""
import http.server
import sys
import urllib.request

UPSTREAM = int(sys.argv[2])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = f"http://127.0.0.1:{UPSTREAM}{self.path.replace('/r/', '/out/')}"
        with urllib.request.urlopen(url, timeout=20) as r:
            body = r.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
