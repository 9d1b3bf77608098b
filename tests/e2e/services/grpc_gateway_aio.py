# SPDX-License-Identifier: Apache-2.0
"""HTTP in, gRPC out, on one event loop (aiohttp, grpc.aio): grpc_gateway_aio.py PORT UPSTREAM.
/r/<id> makes a call of test.Echo with x-id: <id>, of a kind of its own for each id modulo 4."""
import sys

import grpc
from aiohttp import web


async def bodies(number):
    yield number


async def ask(number):
    metadata, body = (("x-id", number),), number.encode()
    match int(number) % 4:
        case 0:
            return await channel.unary_unary("/test.Echo/Unary")(body, metadata=metadata, timeout=20)
        case 1:
            call = channel.unary_stream("/test.Echo/ServerStream")(b"2 1", metadata=metadata, timeout=20)
            return b"".join([part async for part in call])
        case 2:
            return await channel.stream_unary("/test.Echo/ClientStream")(
                bodies(body), metadata=metadata, timeout=20)
        case _:
            call = channel.stream_stream("/test.Echo/Bidi")(bodies(body), metadata=metadata, timeout=20)
            return b"".join([part async for part in call])


async def handle(request):
    return web.Response(body=await ask(request.match_info["number"]))


async def begin(app):
    global channel
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{sys.argv[2]}")

app = web.Application()
app.on_startup.append(begin)
app.router.add_get("/r/{number}", handle)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
