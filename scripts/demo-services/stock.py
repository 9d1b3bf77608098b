# SPDX-License-Identifier: Apache-2.0
"""The last service: Python's standard library only. Item 13 is broken."""
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Stock(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        broken = self.path.endswith("/13")
        body = b"shelf collapsed\n" if broken else b"7 left\n"
        self.send_response(500 if broken else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Stock)
print("listening", flush=True)
server.serve_forever()
