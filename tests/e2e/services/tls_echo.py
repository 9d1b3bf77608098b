# SPDX-License-Identifier: Apache-2.0
"""HTTPS: answers with the body it got, or else with the traceparent headers it saw; what is asked
for as /relay/PORT it fetches from there in clear text (threads).
    tls_echo.py threads|forks|asyncio PORT CERTIFICATE KEY"""
import http.server
import socketserver
import ssl
import sys
import urllib.request


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.startswith("/relay/"):
            url = f"http://127.0.0.1:{self.path[7:]}/from/relay"
            self.answer(urllib.request.urlopen(url).read())
            return
        self.answer(",".join(self.headers.get_all("traceparent", [])).encode())

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *_):
        pass


def threads(port, context):
    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128

        def get_request(self):
            s, peer = super().get_request()
            return context.wrap_socket(s, server_side=True), peer

    Server(("127.0.0.1", port), Handler).serve_forever()


def forks(port, context):
    """The parent shakes hands, a child serves."""
    class Server(socketserver.ForkingMixIn, http.server.HTTPServer):
        def get_request(self):
            s, peer = super().get_request()
            return context.wrap_socket(s, server_side=True), peer

    Server(("127.0.0.1", port), Handler).serve_forever()


def asynchronous(port, context):
    from aiohttp import web

    async def answer(request):
        body = await request.read()
        return web.Response(body=body or ",".join(request.headers.getall("traceparent",
                                                                         [])).encode())

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", answer)
    web.run_app(app, host="127.0.0.1", port=port, ssl_context=context, print=None)


if __name__ == "__main__":
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[3], sys.argv[4])
    {"threads": threads, "forks": forks, "asyncio": asynchronous}[sys.argv[1]](int(sys.argv[2]), tls)
