# SPDX-License-Identifier: Apache-2.0
"""HTTP in, gRPC out: grpc_gateway.py PORT UPSTREAM on ThreadingHTTPServer, or gunicorn's app (with
UPSTREAM in the environment). /r/<id> calls test.Echo/Unary with x-id: <id>."""
import http.server
import os
import sys

import grpc

channel = grpc.insecure_channel(f"127.0.0.1:{os.environ.get('UPSTREAM') or sys.argv[2]}")
unary = channel.unary_unary("/test.Echo/Unary")


def ask(path):
    number = path.rsplit("/", 1)[1]
    return unary(b"for " + number.encode(), metadata=(("x-id", number),), timeout=20)


def app(environ, start_response):
    body = ask(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = ask(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


def audit(event, arguments):
    if event == "object.__getattr__":
        os.write(2, f"looks at {arguments[1]}\n".encode())


if __name__ == "__main__":
    if "AUDIT" in os.environ:
        sys.addaudithook(audit)
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
