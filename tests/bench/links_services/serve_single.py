# SPDX-License-Identifier: Apache-2.0
"""http.server on one thread, which has work of its own between the requests. Arguments: port."""
import http.server
import sys

import ask
import serve_http_server


class Handler(serve_http_server.Handler):
    protocol_version = "HTTP/1.0"


class Server(http.server.HTTPServer):
    request_queue_size = 1024

    def service_actions(self):
        ask.get(f"http://127.0.0.1:{ask.UPSTREAM}/background")


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever(poll_interval=0.01)
