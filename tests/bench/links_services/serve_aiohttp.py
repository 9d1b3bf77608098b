# SPDX-License-Identifier: Apache-2.0
"""aiohttp's server. Arguments: port. LOOP=uvloop: on that."""
import sys

import ask_async
from aiohttp import web


async def handle(request):
    response = web.StreamResponse(headers={"Content-Length": "3"})

    async def send():
        await response.prepare(request)
        await response.write(b"ok\n")
        await response.write_eof()
    await ask_async.answer(request.path, send)
    return response


async def begin(app):
    ask_async.begin()

app = web.Application()
app.on_startup.append(begin)
app.router.add_get("/{shape}/r/{number}", handle)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
