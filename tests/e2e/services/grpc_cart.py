# SPDX-License-Identifier: Apache-2.0
"""A service of gRPC that knows nothing of tracing, and a program that calls it: grpc_cart.py serve PORT,
grpc_cart.py call PORT. Messages are bytes as they are."""
import sys
import threading
from concurrent import futures

import grpc

CODES = {code.value[0]: code for code in grpc.StatusCode}


def end(request, context):
    """Ends with the code that is asked for."""
    context.set_trailing_metadata((("cost", "12"), ("details-bin", b"\0\r\n ")))
    if request != b"0":
        context.abort(CODES[int(request)], "no such café: 100%")
    return request


def wait(request, context):
    """Answers only when nobody listens any more."""
    over = threading.Event()
    if context.add_callback(over.set):
        over.wait(20)
    return request


def echo(requests, _):
    yield from requests


def serve(port):
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.v1.Cart", {
        "End": grpc.unary_unary_rpc_method_handler(end),
        "Wait": grpc.unary_unary_rpc_method_handler(wait),
        "Echo": grpc.stream_stream_rpc_method_handler(echo)}),))
    assert server.add_insecure_port(f"127.0.0.1:{port}") == port
    server.start()
    server.wait_for_termination()


def call(port):
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        def unary(method, request, code, **how):
            try:
                channel.unary_unary(f"/shop.v1.Cart/{method}")(request, **how)
            except grpc.RpcError as e:
                assert e.code().value[0] == code, e
            else:
                assert code == 0

        for code in range(17):
            unary("End", b"%d" % code, code, metadata=(("tenant", "a"), ("key-bin", b"\0\1\xff")))
        unary("Nope", b"", 12)
        unary("Wait", b"", 4, timeout=0.3)
        echo_ = channel.stream_stream("/shop.v1.Cart/Echo")
        assert list(echo_(iter([b"a", b"b", b"c"]))) == [b"a", b"b", b"c"]
        over = threading.Event()

        def one_and_wait():
            yield b"a"
            over.wait(20)
        answers = echo_(one_and_wait())
        assert next(answers) == b"a"
        answers.cancel()
        over.set()


{"serve": serve, "call": call}[sys.argv[1]](int(sys.argv[2]))
