# SPDX-License-Identifier: Apache-2.0
"""Ports nobody uses."""
import random
import socket

_given = set()


def free_port():
    """A port below the ephemeral range: no outgoing connection can take it before the server does."""
    while True:
        port = random.randrange(10000, 32000)
        if port in _given:
            continue
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
