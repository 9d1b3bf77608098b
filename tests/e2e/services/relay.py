# SPDX-License-Identifier: Apache-2.0
"""A WSGI application that answers /r/<id> after it has asked UPSTREAM for /out/<id>, with the
library CLIENT names. It knows nothing of tracing."""
import http.client
import os
import urllib.request

UPSTREAM = int(os.environ.get("UPSTREAM", "0"))
CLIENT = os.environ.get("CLIENT", "requests")


def with_requests(path):
    import requests
    r = requests.get(f"http://127.0.0.1:{UPSTREAM}{path}", timeout=20)
    return r.status_code, r.content


def with_urllib(path):
    with urllib.request.urlopen(f"http://127.0.0.1:{UPSTREAM}{path}", timeout=20) as r:
        return r.status, r.read()


def with_http_client(path):
    c = http.client.HTTPConnection("127.0.0.1", UPSTREAM, timeout=20)
    c.request("GET", path)
    r = c.getresponse()
    body = r.read()
    c.close()
    return r.status, body


def with_session(path):
    """A pool of kept connections that all threads share."""
    import requests
    global session
    if session is None:
        session = requests.Session()
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=32))
    r = session.get(f"http://127.0.0.1:{UPSTREAM}{path}", timeout=20)
    return r.status_code, r.content


session = None
ask = {"requests": with_requests, "urllib": with_urllib, "http.client": with_http_client,
       "session": with_session}[CLIENT]


def app(environ, start_response):
    path = environ["PATH_INFO"]
    status, body = 200, b"nothing\n"
    if path.startswith("/r/"):
        status, body = ask(path.replace("/r/", "/out/"))
    elif path.startswith("/status/"):
        status = int(path.split("/")[2])
    start_response(f"{status} Words", [("Content-Type", "text/plain"),
                                       ("Content-Length", str(len(body)))])
    return [body]
