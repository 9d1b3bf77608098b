# SPDX-License-Identifier: Apache-2.0
"""A WSGI application, for gunicorn."""
import ask


def app(environ, start_response):
    def send():
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    ask.answer(environ["PATH_INFO"], send)
    return [b"ok\n"]
