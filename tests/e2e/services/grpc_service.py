# SPDX-License-Identifier: Apache-2.0
"""A gRPC service on grpcio's C core, messages are bytes: grpc_service.py PORT [UPSTREAM]
Unary, ServerStream, ClientStream and Bidi of test.Echo give back what they get; Fail ends with the
code and message of its metadata; Slow waits until its caller goes; Forward asks UPSTREAM's Unary. By TLS with the certificate in TLS_FOLDER."""
import os
import pathlib
import sys
from concurrent import futures

import grpc

PORT, UPSTREAM = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
channel = grpc.insecure_channel(f"127.0.0.1:{UPSTREAM}") if UPSTREAM else None


def metadata(context):
    return dict(context.invocation_metadata())


def unary(body, context):
    context.send_initial_metadata((("x-first", "1"),))
    context.set_trailing_metadata((("x-last", "2"), ("x-seen", metadata(context).get("x-id", "none"))))
    return body


def fail(body, context):
    got = metadata(context)
    context.abort(grpc.StatusCode[got["x-code"]], got.get("x-message-bin", b"").decode())


def slow(body, context):
    gone = futures.Future()
    context.add_callback(lambda: gone.set_result(None))
    gone.result(20)
    return body


def server_stream(body, context):
    n, size = map(int, body.split())
    for i in range(n):
        yield bytes([i & 255]) * size


def client_stream(bodies, context):
    return b"".join(bodies)


def bidi(bodies, context):
    for body in bodies:
        yield body[::-1]


def forward(body, context):
    ids = [(k, v) for k, v in context.invocation_metadata() if k == "x-id"]
    return channel.unary_unary("/test.Echo/Unary")(body, metadata=ids, timeout=20)


class Handlers(grpc.GenericRpcHandler):
    kinds = {"Unary": (grpc.unary_unary_rpc_method_handler, unary),
             "Fail": (grpc.unary_unary_rpc_method_handler, fail),
             "Slow": (grpc.unary_unary_rpc_method_handler, slow),
             "Forward": (grpc.unary_unary_rpc_method_handler, forward),
             "ServerStream": (grpc.unary_stream_rpc_method_handler, server_stream),
             "ClientStream": (grpc.stream_unary_rpc_method_handler, client_stream),
             "Bidi": (grpc.stream_stream_rpc_method_handler, bidi)}

    def service(self, details):
        if details.method.startswith("/test.Echo/"):
            kind, function = self.kinds.get(details.method.split("/")[2], (None, None))
            return kind(function) if kind else None
        return None


server = grpc.server(futures.ThreadPoolExecutor(48), handlers=(Handlers(),))
if "TLS_FOLDER" in os.environ:
    folder = pathlib.Path(os.environ["TLS_FOLDER"])
    pair = ((folder / "server.key").read_bytes(), (folder / "server.pem").read_bytes())
    assert server.add_secure_port(f"127.0.0.1:{PORT}", grpc.ssl_server_credentials([pair])) == int(PORT)
else:
    assert server.add_insecure_port(f"127.0.0.1:{PORT}") == int(PORT)
server.start()
server.wait_for_termination()
