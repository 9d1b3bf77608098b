# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy that sends everything to one port of loopback, whatever host is asked for."""
import socket
import threading


def _pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    for s in (a, b):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Proxy:
    def __init__(self, port, refuse=None):
        self.port_behind, self.refuse = port, refuse
        self.lines, self.heads = [], []         # of the requests it got
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        data = b""
        while b"\r\n\r\n" not in data:
            more = s.recv(65536)
            if not more:
                return
            data += more
        head, rest = data.split(b"\r\n\r\n", 1)
        self.lines.append(head.split(b"\r\n")[0].decode())
        self.heads.append(head.decode().lower())
        if self.refuse:
            s.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % self.refuse)
            s.close()
            return
        behind = socket.create_connection(("127.0.0.1", self.port_behind))
        if head.startswith(b"CONNECT "):
            s.sendall(b"HTTP/1.1 200 Connected\r\nX-Proxy: 1\r\n\r\n")
        else:                                   # one request in the absolute form, then bytes
            method, target, version = head.split(b"\r\n")[0].split(b" ")
            path = b"/" + target.split(b"/", 3)[3]
            rest = head.replace(b" ".join((method, target, version)),
                                b" ".join((method, path, version)), 1) + b"\r\n\r\n" + rest
        behind.sendall(rest)
        threading.Thread(target=_pump, args=(s, behind), daemon=True).start()
        _pump(behind, s)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
