# SPDX-License-Identifier: Apache-2.0
"""Asks for a URL of https, with a file as body if one is named, and writes the answer out.
    tls_ask.py urllib|aiohttp|requests|httpx AUTHORITY URL [FILE]"""
import asyncio
import ssl
import sys
import urllib.request


def by_urllib(url, body, context):
    with urllib.request.urlopen(urllib.request.Request(url, data=body), context=context) as r:
        return r.read()


def by_aiohttp(url, body, context):
    import aiohttp

    async def ask():
        async with aiohttp.ClientSession() as s:
            async with s.request("POST" if body else "GET", url, data=body, ssl=context) as r:
                return await r.read()

    return asyncio.run(ask())


def by_requests(url, body, context):
    import requests
    return requests.request("POST" if body else "GET", url, data=body, verify=sys.argv[2]).content


def by_httpx(url, body, context):
    import httpx
    # In parts: of one piece it copies all that is left for each frame.
    parts = (body[i:i + 65536] for i in range(0, len(body), 65536)) if body else None
    length = {"Content-Length": str(len(body))} if body else {}
    with httpx.Client(http2=True, verify=context, timeout=60) as client:
        return client.request("POST" if body else "GET", url, content=parts, headers=length).content


if __name__ == "__main__":
    tls = ssl.create_default_context(cafile=sys.argv[2])
    data = open(sys.argv[4], "rb").read() if len(sys.argv) > 4 else None
    ask = {"urllib": by_urllib, "aiohttp": by_aiohttp, "requests": by_requests,
           "httpx": by_httpx}[sys.argv[1]]
    sys.stdout.buffer.write(ask(sys.argv[3], data, tls))
