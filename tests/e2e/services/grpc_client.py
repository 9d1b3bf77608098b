# SPDX-License-Identifier: Apache-2.0
"""Calls of test.Echo by grpcio: grpc_client.py PORT < JSON
[{method, kind, size, count, metadata, timeout, cancel}], all at once where the kind is unary.
Prints an array of {code, message, sum, bytes, first, last}. By TLS with the authority in TLS_FOLDER."""
import hashlib
import json
import os
import pathlib
import sys
from concurrent import futures

import grpc

PORT = sys.argv[1]
if "TLS_FOLDER" in os.environ:
    authority = (pathlib.Path(os.environ["TLS_FOLDER"]) / "ca.pem").read_bytes()
    channel = grpc.secure_channel(f"localhost:{PORT}", grpc.ssl_channel_credentials(authority))
else:
    channel = grpc.insecure_channel(f"127.0.0.1:{PORT}")


def body(size):
    return bytes(n * 31 & 255 for n in range(size))


def start(call):
    how = {"metadata": [(k, v.encode() if k.endswith("-bin") else v) for k, v in call.get("metadata", ())],
           "timeout": call.get("timeout", 20)}
    name, kind = f"/{call.get('service', 'test.Echo')}/{call['method']}", call.get("kind", "unary")
    data = call["text"].encode() if "text" in call else body(call.get("size", 10))
    several = (data for _ in range(call.get("count", 3)))
    if kind == "unary":
        return channel.unary_unary(name).future(data, **how)
    if kind == "server":
        return channel.unary_stream(name)(data, **how)
    if kind == "client":
        return channel.stream_unary(name).future(several, **how)
    return channel.stream_stream(name)(several, **how)


def finish(call, started):
    out, sum_of, n, parts = {}, hashlib.sha256(), 0, 0
    try:
        if call.get("cancel"):
            started.initial_metadata() if call["cancel"] == "late" else None
            started.cancel()
        got = [started.result()] if call.get("kind", "unary") in ("unary", "client") else started
        for part in got:
            sum_of.update(part)
            n, parts = n + len(part), parts + 1
        out.update(first=[list(m) for m in started.initial_metadata()],
                   last=[list(m) for m in started.trailing_metadata()])
    except (grpc.RpcError, grpc.FutureCancelledError, futures.CancelledError):
        pass
    out.update(code=started.code().name, message=started.details(), sum=sum_of.hexdigest(), bytes=n,
               parts=parts)
    return out


calls = json.load(sys.stdin)
running = [start(c) for c in calls]
print(json.dumps([finish(c, r) for c, r in zip(calls, running)], default=repr))
channel.close()
