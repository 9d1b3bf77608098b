# SPDX-License-Identifier: Apache-2.0
"""For WSGI and ASGI: answers with the body it got, or else with the traceparent headers it saw."""


def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    body = body or environ.get("HTTP_TRACEPARENT", "").encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    parts, more = [], scope["type"] == "http"
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["type"] != "http":
        return
    seen = b",".join(v for n, v in scope["headers"] if n == b"traceparent")
    body = b"".join(parts) or seen
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
