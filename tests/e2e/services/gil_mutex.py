# SPDX-License-Identifier: Apache-2.0
"""A server whose requests are sent on by a library with a mutex of its own, which another thread
wants with the GIL held: gil_mutex.py PORT UPSTREAM LIBRARY SENDS."""
import ctypes
import http.server
import socket
import sys
import threading

PORT, UPSTREAM, LIBRARY, SENDS = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
without_gil, with_gil = ctypes.CDLL(LIBRARY), ctypes.PyDLL(LIBRARY)
over = threading.Event()


def want():
    while not over.is_set():
        with_gil.lock_and_unlock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        threading.Thread(target=want, daemon=True).start()
        with socket.create_connection(("127.0.0.1", UPSTREAM)) as s:
            room = ctypes.create_string_buffer(4096)
            for i in range(SENDS):
                head = f"GET /out/{i} HTTP/1.1\r\nHost: h\r\n\r\n".encode()
                assert without_gil.locked_send(s.fileno(), head, len(head)) == len(head)
                got = b""
                while not got.endswith(b"done"):
                    n = without_gil.locked_receive(s.fileno(), room, 4096)
                    got += room.raw[:max(n, 0)]
        over.set()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
