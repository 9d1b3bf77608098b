# SPDX-License-Identifier: Apache-2.0
"""HTTP by hand on asyncio's streams, connections kept. Arguments: port. LOOP=uvloop: on that."""
import asyncio
import sys

import ask_async


async def handle(reader, writer):
    async def send():
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
        await writer.drain()
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await ask_async.answer(head.split(b" ", 2)[1].decode(), send)
    except (EOFError, ConnectionError):
        writer.close()


async def main():
    ask_async.begin()
    server = await asyncio.start_server(handle, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()

asyncio.run(main())
