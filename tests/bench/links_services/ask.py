# SPDX-License-Identifier: Apache-2.0
"""What a synchronous service does with a request /SHAPE/r/ID: as ask_async.py."""
import concurrent.futures
import contextvars
import http.client
import os
import random
import socket
import threading
import time

UPSTREAM = int(os.environ["UPSTREAM"])
CLIENT = os.environ.get("CLIENT", "requests")
GRPC = os.environ.get("GRPC")
made = threading.Lock()
kept = {}


def once(name, make):
    with made:
        if name not in kept:
            kept[name] = make()
        return kept[name]


def by_requests(url, fresh=False, limit=32):
    import requests

    def session():
        s = requests.Session()
        s.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=limit, pool_block=True))
        return s
    (requests if fresh else once(f"session {limit}", session)).get(url, timeout=60)


def by_urllib3(url, fresh=False, limit=32):
    import urllib3
    pool = once(f"pool {limit}", lambda: urllib3.PoolManager(maxsize=limit, block=True))
    pool.request("GET", url, headers={"Connection": "close"} if fresh else {})


def by_httpx(url, fresh=False, limit=32):
    import httpx
    c = once(f"client {limit} {fresh}", lambda: httpx.Client(timeout=60, limits=httpx.Limits(
        max_connections=limit, max_keepalive_connections=0 if fresh else limit)))
    c.get(url)


def by_http_client(url, fresh=False, limit=32):
    host, path = url[7:].split("/", 1)
    c = http.client.HTTPConnection(host, timeout=60)
    c.request("GET", "/" + path)
    c.getresponse().read()
    c.close()


def by_socket(url, fresh=False, limit=32):
    host, path = url[7:].split("/", 1)
    with socket.create_connection(host.split(":"), 60) as s:
        s.send(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        while s.recv(4096):
            pass


get = {"requests": by_requests, "urllib3": by_urllib3, "httpx": by_httpx,
       "http.client": by_http_client, "socket": by_socket}[CLIENT]


def url(number, n, host="127.0.0.1"):
    return f"http://{host}:{UPSTREAM}/out/{number}/{n}"


def pause():
    time.sleep(random.random() * 0.01)


def in_turn(number, host="127.0.0.1", **options):
    for n in range(2):
        get(url(number, n, host), **options)


def before(number):
    pause()
    in_turn(number)


def between(number):
    for n in range(3):
        get(url(number, n))
        pause()


def pool(number):
    in_turn(number, limit=4)


def fresh(number):
    in_turn(number, fresh=True)


def names(number):
    in_turn(number, "localhost")


def workers():
    return once("workers", lambda: concurrent.futures.ThreadPoolExecutor(16))


def thread(number):
    """To a pool's threads, with the context."""
    jobs = [workers().submit(contextvars.copy_context().run, get, url(number, n)) for n in range(2)]
    for job in jobs:
        job.result()


def lost(number):
    """And without."""
    jobs = [workers().submit(get, url(number, n)) for n in range(2)]
    for job in jobs:
        job.result()


def grpc(number):
    """Two calls of test.Echo/Unary on a channel that all share."""
    import grpc as g
    call = once("channel", lambda: g.insecure_channel(f"127.0.0.1:{GRPC}").unary_unary(
        "/test.Echo/Unary"))
    for n in range(2):
        call(b"", metadata=(("x-out", f"/out/{number}/{n}"),), timeout=60)


SHAPES = {f.__name__: f for f in (before, between, pool, fresh, names, thread, lost, grpc)}
SHAPES["after"] = in_turn


def answer(path, send):
    _, shape, _, number = path.split("/")
    if shape == "after":
        send()
        in_turn(number)
        return
    SHAPES[shape](number)
    send()
