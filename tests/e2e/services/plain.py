# SPDX-License-Identifier: Apache-2.0
"""A WSGI application: /hello.txt, /status/<code>, and 404 for everything else."""


def app(environ, start_response):
    path = environ["PATH_INFO"]
    status, body = 404, b"no\n"
    if path == "/hello.txt":
        status, body = 200, b"hello, world\n"
    elif path.startswith("/status/"):
        status = int(path.split("/")[2])
    start_response(f"{status} Words", [("Content-Type", "text/plain"),
                                       ("Content-Length", str(len(body)))])
    return [body] if environ["REQUEST_METHOD"] != "HEAD" else []
