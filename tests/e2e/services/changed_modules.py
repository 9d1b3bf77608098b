# SPDX-License-Identifier: Apache-2.0
"""Puts something that is no type under the names we look for, then serves and asks by asyncio's streams: changed_modules.py
int|None|str"""
import asyncio
import sys
import types

OTHER = {"int": 10 ** 40, "None": None, "str": "Task"}[sys.argv[1]]

import _asyncio         # noqa: E402

_asyncio.Task = OTHER
sys.modules["grpc._cython.cygrpc"] = types.ModuleType("cygrpc")
sys.modules["grpc._cython.cygrpc"].SendInitialMetadataOperation = OTHER


async def answer(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    for i in range(3):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % i)
        assert (await reader.read()).endswith(b"ok")
        writer.close()

asyncio.run(main())
