# SPDX-License-Identifier: Apache-2.0
"""What an asynchronous service does with a request /SHAPE/r/ID: two or three requests /out/ID/N to
UPSTREAM, by the client that CLIENT names. It knows nothing of tracing."""
import asyncio
import os
import random

UPSTREAM = int(os.environ["UPSTREAM"])
CLIENT = os.environ.get("CLIENT", "aiohttp")
if os.environ.get("LOOP") == "uvloop":
    import uvloop
    uvloop.install()


class Aiohttp:
    def __init__(self, limit=0, fresh=False):
        import aiohttp
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, force_close=fresh))

    async def get(self, url):
        async with self.session.get(url) as r:
            await r.read()


class Httpx:
    def __init__(self, limit=None, fresh=False):
        import httpx
        self.client = httpx.AsyncClient(timeout=60, limits=httpx.Limits(
            max_connections=limit, max_keepalive_connections=0 if fresh else limit))

    async def get(self, url):
        await self.client.get(url)


class Streams:
    """By hand: a connection each."""

    def __init__(self, limit=0, fresh=False):
        self.free = asyncio.Semaphore(limit or 1000)

    async def get(self, url):
        host, path = url[7:].split("/", 1)
        host, port = host.split(":")
        async with self.free:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            await reader.read()
            writer.close()


KINDS = {"aiohttp": Aiohttp, "httpx": Httpx, "streams": Streams}
clients = {}


def client(name="plain", **options):
    if name not in clients:
        clients[name] = KINDS[CLIENT](**options)
    return clients[name]


def url(number, n, host="127.0.0.1"):
    return f"http://{host}:{UPSTREAM}/out/{number}/{n}"


def pause():
    return asyncio.sleep(random.random() * 0.01)


async def in_turn(number, c, host="127.0.0.1"):
    for n in range(2):
        await c.get(url(number, n, host))


async def before(number):
    await pause()
    await in_turn(number, client())


async def between(number):
    for n in range(3):
        await client().get(url(number, n))
        await pause()


async def pool(number):
    await in_turn(number, client("pool", limit=4))


async def fresh(number):
    await in_turn(number, client("fresh", fresh=True))


async def names(number):
    await in_turn(number, client(), "localhost")


async def gather(number):
    await asyncio.gather(*(client().get(url(number, n)) for n in range(3)))


def get_plainly(address):
    import urllib.request
    with urllib.request.urlopen(address, timeout=60) as r:
        r.read()


async def thread(number):
    for n in range(2):
        await asyncio.to_thread(get_plainly, url(number, n))


async def lost(number):
    """A pool's thread is given no context."""
    loop = asyncio.get_running_loop()
    for n in range(2):
        await loop.run_in_executor(None, get_plainly, url(number, n))


async def task(number):
    """Work that goes on behind the answer."""
    async def work():
        await asyncio.sleep(0.01)
        await in_turn(number, client())
    t = asyncio.create_task(work())
    tasks.add(t)
    t.add_done_callback(tasks.discard)


tasks = set()
SHAPES = {f.__name__: f for f in (before, between, pool, fresh, names, gather, thread, lost, task)}
SHAPES["after"] = in_turn        # called when the answer has been sent


async def background():
    """A job on the same loop that belongs to no request."""
    while True:
        await client().get(f"http://127.0.0.1:{UPSTREAM}/background")
        await asyncio.sleep(0.005)


def begin():
    if os.environ.get("BACKGROUND"):
        tasks.add(asyncio.get_running_loop().create_task(background()))


async def answer(path, send):
    """`send` sends the answer."""
    _, shape, _, number = path.split("/")
    if shape == "after":
        await send()
        await in_turn(number, client())
        return
    await SHAPES[shape](number)
    await send()
