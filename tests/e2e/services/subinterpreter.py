# SPDX-License-Identifier: Apache-2.0
"""Serves and asks by asyncio in the main interpreter, then in another one: subinterpreter.py UPSTREAM"""
import sys
import textwrap

import _xxsubinterpreters as interpreters

SERVE = textwrap.dedent("""
    import asyncio

    async def ask(port, path):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\\r\\nHost: h\\r\\nConnection: close\\r\\n\\r\\n".encode())
        await reader.read()
        writer.close()

    async def handle(reader, writer):
        await reader.readuntil(b"\\r\\n\\r\\n")
        await ask(UPSTREAM, "/" + WHERE)
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
        await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for _ in range(10):
            await ask(port, "/r")
        server.close()
        await server.wait_closed()

    asyncio.run(main())
    """)
upstream = f"UPSTREAM = {sys.argv[1]}\n"
exec(upstream + "WHERE = 'main'\n" + SERVE)
other = interpreters.create()
interpreters.run_string(other, upstream + "WHERE = 'other'\n" + SERVE)
interpreters.destroy(other)
exec(upstream + "WHERE = 'main'\n" + SERVE)
