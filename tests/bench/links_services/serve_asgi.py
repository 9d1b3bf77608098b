# SPDX-License-Identifier: Apache-2.0
"""An ASGI application, for uvicorn and hypercorn."""
import ask_async

HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"3")]


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        ask_async.begin()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return

    async def answer():
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b"ok\n"})
    await ask_async.answer(scope["path"], answer)
