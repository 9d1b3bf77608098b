# SPDX-License-Identifier: Apache-2.0
"""gRPC services and clients to trace, and what the semantic conventions for RPC (1.44.0) ask."""
import hashlib
import json
import subprocess

from . import paths
from .conventions import check_form
from .paths import SERVICES
from .ports import free_port
from .spans import CLIENT, ERROR, SERVER, UNSET

SERVER_ERRORS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
LINKS = ("header", "flow", "thread", "process", "only", "none")


def service(run, *args, name="service", **more):
    port = free_port()
    run.start([paths.PYTHON, SERVICES / "grpc_service.py", port, *args], name, port=port, **more)
    return port


def call(run, port, *calls, name="client", program=None, **more):
    """What became of calls by grpc_client.py, or another program that does as it does."""
    program = program or [paths.PYTHON, SERVICES / "grpc_client.py"]
    r = run.call([*program, port], name, input=json.dumps(calls).encode(), **more)
    return json.loads(r.out)


def body(size):
    return bytes(n * 31 & 255 for n in range(size))


def digest(data):
    return hashlib.sha256(data).hexdigest()


def check_rpc(span, method, code):
    check_form(span)
    assert span["rpc.system.name"] == "grpc"
    assert span["rpc.response.status_code"] == code, span
    if method is None:
        assert span["rpc.method"] == "_OTHER" and span.name == "grpc", span
    else:
        assert span["rpc.method"] == method and span.name == method, span
    assert "rpc.service" not in span.attributes
    assert not [k for k in span.attributes if k.startswith(("http.", "url."))], span


def check_rpc_server(span, method, code="OK", parent=None, port=None, original=None):
    check_rpc(span, method, code)
    assert span.kind == SERVER
    assert span.get("rpc.method_original") == original
    bad = code in SERVER_ERRORS
    assert span.status == (ERROR if bad else UNSET), span
    assert span.get("error.type") == (code if bad else None), span
    if port:
        assert (span["server.address"], span["server.port"]) == ("127.0.0.1", port), span
    if parent:
        assert (span.trace_id, span.parent_id) == parent and span.flags & 0x300 == 0x300
    else:
        assert span.parent_id == ""
    return span


def check_rpc_client(span, method, code="OK", parent=None, port=None, link=None):
    check_rpc(span, method, code)
    assert span.kind == CLIENT
    assert span.status == (UNSET if code == "OK" else ERROR), span
    assert span.get("error.type") == (None if code == "OK" else code), span
    assert span.link in LINKS and (link is None or span.link == link), span
    if port:
        assert (span["server.address"], span["server.port"]) == ("127.0.0.1", port), span
        assert (span["network.peer.address"], span["network.peer.port"]) == ("127.0.0.1", port), span
    if parent is not None:
        assert (span.trace_id, span.parent_id) == (parent.trace_id, parent.span_id)
    else:
        assert span.parent_id == ""
    return span


def check_pair(run, method, code="OK", server_code=None, port=None):
    """One call: a client span, and the server span below it."""
    client = run.spans.one(service="client")
    server = run.spans.one(service="service")
    check_rpc_client(client, method, code, port=port)
    check_rpc_server(server, method, server_code or code, (client.trace_id, client.span_id), port=port)
    return client, server


def build_cpp(name="peer"):
    """services/grpc_<name>.cpp, built once a change."""
    folder, program = paths.BUILD / "grpc", paths.BUILD / "grpc" / name
    sources = [SERVICES / f"grpc_{name}.cpp", SERVICES / "echo.proto"]
    if program.exists() and all(program.stat().st_mtime > s.stat().st_mtime for s in sources):
        return program
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["protoc", f"--proto_path={SERVICES}", f"--cpp_out={folder}", f"--grpc_out={folder}",
                    "--plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin", "echo.proto"], check=True)
    needs = subprocess.run(["pkg-config", "--libs", "grpc++", "protobuf"], check=True,
                           capture_output=True, text=True).stdout.split()
    subprocess.run(["nice", "-n", "10", "g++", "-std=c++17", "-O1", f"-I{folder}", "-o", program,
                    sources[0], folder / "echo.pb.cc", folder / "echo.grpc.pb.cc", *needs], check=True)
    return program
