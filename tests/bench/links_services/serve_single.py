# SPDX-License-Identifier: Apache-2.0
"""http.server on one thread, which has work of its own between the requests. Arguments: port."""
import http.server
import sys

import ask


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ask.answer(self.path, self.send)

    def send(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *args):
        pass


class Server(http.server.HTTPServer):
    request_queue_size = 1024

    def service_actions(self):
        ask.get(f"http://127.0.0.1:{ask.UPSTREAM}/background")

Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever(poll_interval=0.01)
