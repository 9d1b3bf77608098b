# SPDX-License-Identifier: Apache-2.0
"""A service of the standard library that knows nothing of tracing: POST a JSON list of
{"url", "arguments"}; each url gets the arguments by POST before the answer goes out."""
import http.server
import json
import sys
import urllib.request


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for call in json.loads(body):
            request = urllib.request.Request(call["url"], json.dumps(call["arguments"]).encode(),
                                             {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as r:
                r.read()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer if "--threads" in sys.argv else http.server.HTTPServer
server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
