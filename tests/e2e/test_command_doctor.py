# SPDX-License-Identifier: Apache-2.0
"""`tagalong doctor` on real programs of every kind."""
import os
import shutil
import socket
import struct
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from command import CLEAN, as_nobody, install, open_to_all, tagalong
from grpc_receiver import GrpcReceiver
from harness import paths
from harness.ports import free_port
from otlp_receiver import OtlpReceiver

root_only = pytest.mark.skipif(os.getuid() != 0, reason="needs root")


def examine(*command, words=(), env=None, **more):
    return tagalong("doctor", "--no-network", *words, "--", *command, env={"COLUMNS": "400", **(env or {})},
                    **more)


def lines(done, level):
    return [line for line in done.out.splitlines() if line.startswith(level)]


def compiled(folder, source="int main(void) { return 0; }", *flags, name="program", cc="gcc"):
    out = folder / name
    done = subprocess.run([cc, *flags, "-x", "c", "-", "-o", out], input=source, text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stderr
    return out


def script(folder, text, name="script"):
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_ordinary_program():
    done = examine("/bin/ls")
    assert done.status == 0 and not lines(done, "problem") and not lines(done, "warning")
    assert "/bin/ls: x86-64 program, dynamic, glibc" in done.out
    assert done.out.endswith("/bin/ls will be traced.\n")
    assert "/bin/ls" in examine("ls").out


def test_not_found(tmp_path):
    done = examine("no-such-program")
    assert done.status == 1 and "no-such-program is not found" in done.out
    assert examine(tmp_path / "x").status == 1
    (tmp_path / "plain").write_text("x")
    done = examine(tmp_path / "plain")
    assert done.status == 1 and "cannot be run: Permission denied" in done.out
    assert examine(tmp_path).status == 1


def test_scripts_lead_to_their_interpreters(tmp_path):
    done = examine(script(tmp_path, "#!/usr/bin/env python3\n"))
    assert done.status == 0
    assert "is a script for /usr/bin/env python3" in done.out
    assert "/usr/bin/python3: x86-64 program" in done.out
    done = examine(script(tmp_path, "#!/usr/bin/env -S FOO=1 python3 -u\n"))
    assert done.status == 0 and "/usr/bin/python3: x86-64 program" in done.out
    inner = script(tmp_path, "#!/bin/sh\n", name="inner")
    done = examine(script(tmp_path, f"#! {inner} x\n"))
    assert done.status == 0 and "is a script for /bin/sh" in done.out
    done = examine(script(tmp_path, "echo hi\n"))
    assert done.status == 0 and "/bin/sh runs it" in done.out


def test_scripts_that_lead_nowhere(tmp_path):
    done = examine(script(tmp_path, "#!/no/such/interpreter\n"))
    assert done.status == 1 and "/no/such/interpreter is not found" in done.out
    done = examine(script(tmp_path, "#!/usr/bin/env no-such-program\n"))
    assert done.status == 1 and "no-such-program is not found" in done.out
    done = examine(script(tmp_path, "#!/usr/bin/env python3 -u\n"))
    assert done.status == 1 and "python3 -u" in done.out
    loop = tmp_path / "loop"
    done = examine(script(tmp_path, f"#!{loop}\n", name="loop"))
    assert done.status == 1 and "too many interpreters" in done.out
    done = examine(script(tmp_path, "#!/bin/sh\r\n"))
    assert "carriage return" in done.out


def test_env_that_clears_the_environment(tmp_path):
    done = examine("env", "-i", "ls")
    assert done.status == 1 and "removes LD_PRELOAD" in done.out
    done = examine("env", "A=b", "busybox")
    assert done.status == 1 and "static" in done.out
    assert examine("env", "A=b", "ls").status == 0


def test_static_programs(tmp_path):
    done = examine("busybox")
    assert done.status == 1 and "busybox is statically linked" in done.out
    for flags in (["-static"], ["-static-pie"]):
        done = examine(compiled(tmp_path, "int main(void) { return 0; }", *flags))
        assert done.status == 1 and "statically linked" in done.out
    done = examine(script(tmp_path, "#!/bin/busybox sh\n"))
    assert done.status == 1 and "statically linked" in done.out


@pytest.mark.parametrize("cgo", ["0", "1"])
def test_go_programs(tmp_path, cgo):
    use = 'import "C"\n' if cgo == "1" else ""
    (tmp_path / "main.go").write_text(f"package main\n{use}func main() {{}}\n")
    (tmp_path / "go.mod").write_text("module victim\n")
    done = subprocess.run([shutil.which("go") or "/usr/local/go/bin/go", "build", "-o", "victim", "."],
                          cwd=tmp_path, capture_output=True, text=True, timeout=300, env={
                              **CLEAN, "GOCACHE": str(paths.BUILD / "go-cache"), "CGO_ENABLED": cgo,
                              "HOME": str(tmp_path),
                              "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"})
    assert done.returncode == 0, done.stderr
    done = examine(tmp_path / "victim")
    assert done.status == 1 and "is a Go program" in done.out
    subprocess.run(["strip", "-o", tmp_path / "stripped", tmp_path / "victim"], check=True)
    assert "is a Go program" in examine(tmp_path / "stripped").out


@root_only
def test_setuid_copies(tmp_path):
    copy = tmp_path / "copy"
    shutil.copy("/bin/ls", copy)
    os.chown(copy, 65534, 65534)
    copy.chmod(0o4755)
    done = examine(copy)
    assert done.status == 1 and "is setuid" in done.out
    copy.chmod(0o2755)
    done = examine(copy)
    assert done.status == 1 and "is setgid" in done.out
    os.chown(copy, 0, 0)
    copy.chmod(0o4755)
    done = examine(copy)  # the bit changes nothing for root itself
    assert done.status == 0 and "as others it is not" in done.out


@root_only
def test_file_capabilities(tmp_path):
    copy = tmp_path / "copy"
    shutil.copy("/bin/ls", copy)
    if subprocess.run(["setcap", "cap_net_bind_service+ep", copy]).returncode:
        pytest.skip("the file system keeps no capabilities")
    done = examine(copy)
    assert done.status == 0 and "has file capabilities" in done.out
    open_to_all(tmp_path)
    program = install(tmp_path / "i")
    done = examine(copy, program=program, preexec_fn=as_nobody)
    assert done.status == 1 and "the loader drops LD_PRELOAD" in done.out


def elf_head(bits, machine, big=False):
    order = ">" if big else "<"
    ident = b"\x7fELF" + bytes([bits // 32, 2 if big else 1, 1]) + bytes(9)
    return (ident + struct.pack(order + "HHI", 2, machine, 1)).ljust(64, b"\0")


@pytest.mark.parametrize("bits,machine,big,name", [(64, 183, False, "aarch64"), (64, 243, False, "RISC-V"),
                                                   (64, 22, True, "s390x"), (32, 3, False, "i386"),
                                                   (32, 8, True, "MIPS")])
def test_other_processors(tmp_path, bits, machine, big, name):
    path = tmp_path / "foreign"
    path.write_bytes(elf_head(bits, machine, big))
    path.chmod(0o755)
    done = examine(path)
    assert done.status == 1 and name in done.out
    assert ("32-bit" in done.out) == (bits == 32)


def test_damaged_programs(tmp_path):
    path = tmp_path / "damaged"
    for content in (b"\x7fELF", open("/bin/ls", "rb").read(100), b"MZ\0\0" * 40, b""):
        path.write_bytes(content)
        path.chmod(0o755)
        assert examine(path).status in (0, 1)
    path.write_bytes(open("/bin/ls", "rb").read(64))
    done = examine(path)
    assert done.status == 1 and "damaged" in done.out


def test_address_sanitizer(tmp_path):
    done = examine(compiled(tmp_path, "int main(void) { return 0; }", "-fsanitize=address"))
    assert done.status == 1 and "AddressSanitizer (libasan.so" in done.out
    done = examine(tmp_path / "program", env={"ASAN_OPTIONS": "verify_asan_link_order=0"})
    assert done.status == 0 and lines(done, "warning")


def test_musl_programs(tmp_path):
    done = examine(compiled(tmp_path, cc="musl-gcc"))
    assert done.status == 0 and "dynamic, musl" in done.out


def test_missing_loader(tmp_path):
    program = compiled(tmp_path, "int main(void) { return 0; }", "-Wl,--dynamic-linker=/lib/ld-musl-none.so.1")
    done = examine(program)
    assert done.status == 1 and "needs the loader /lib/ld-musl-none.so.1, which is not here" in done.out


def test_programs_that_start_others_elsewhere(tmp_path):
    docker = script(tmp_path, "#!/bin/sh\n", name="docker")
    done = examine(docker, "run", "x")
    assert done.status == 0 and "it starts programs in a container" in done.out


def test_node_is_told_about_linking():
    assert "--link best" in examine("node", "server.js", env={"PATH": os.environ["PATH"]}).out


@pytest.mark.parametrize("variable,value", [
    ("NODE_OPTIONS", "--require @opentelemetry/auto-instrumentations-node/register"),
    ("PYTHONPATH", "/x/opentelemetry/instrumentation/auto_instrumentation"),
    ("JAVA_TOOL_OPTIONS", "-javaagent:/opt/opentelemetry-javaagent.jar"),
    ("RUBYOPT", "-r opentelemetry-auto")])
def test_own_sdk_in_the_environment(variable, value):
    done = examine("/bin/ls", env={variable: value})
    assert done.status == 0
    assert any("own SDK" in line and variable in line for line in lines(done, "warning"))


def test_own_sdk_in_the_command():
    done = examine("/bin/ls", "--require", "@opentelemetry/sdk-node")
    assert any("own SDK" in line for line in lines(done, "warning"))


def test_own_sdk_linked(tmp_path):
    compiled(tmp_path, "void f(void) {}", "-shared", "-fPIC", name="libopentelemetry_trace.so")
    program = compiled(tmp_path, "void f(void); int main(void) { f(); return 0; }",
                       f"-L{tmp_path}", "-Wl,--push-state,--no-as-needed", "-lopentelemetry_trace",
                       "-Wl,--unresolved-symbols=ignore-all")
    done = examine(program)
    assert done.status == 0
    assert any("own SDK" in line for line in lines(done, "warning"))


def test_preload_conflicts(tmp_path):
    def preload(value):
        return examine("/bin/ls", env={"LD_PRELOAD": str(value)})
    assert "/no/such.so, which is not there" in preload("/no/such.so").out
    assert "holds the library already" in preload(paths.LIBRARY).out
    copy = tmp_path / "libtagalong.so"
    shutil.copy(paths.LIBRARY, copy)
    assert "another copy of the library" in preload(copy).out
    text = tmp_path / "text.so"
    text.write_text("x")
    assert "which is no library" in preload(text).out


def test_library_missing(tmp_path):
    done = examine("/bin/ls", program=install(tmp_path, library=False))
    assert done.status == 1 and "libtagalong.so is missing" in done.out


def test_settings_are_shown_and_judged():
    done = examine("/bin/ls", words=["--service", "api"], env={
        "OTEL_TRACES_SAMPLER": "sometimes", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=hush"})
    assert "OTEL_SERVICE_NAME=api" in done.out and "hush" not in done.out
    assert any("OTEL_TRACES_SAMPLER" in line and "sometimes" in line for line in lines(done, "warning"))
    for env in ({"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_SAMPLER": "always_off"},
                {"OTEL_TRACES_EXPORTER": "none"}):
        assert examine("/bin/ls", env=env).status == 1


def test_takes_the_options_of_run(tmp_path):
    done = examine("/bin/ls", words=["--file", tmp_path / "t"])
    assert done.status == 0 and f"spans are appended to {tmp_path}/t" in done.out
    assert not (tmp_path / "t").exists()
    done = examine("/bin/ls", words=["--file", "/no/such/folder/t"])
    assert done.status == 1 and "cannot be written" in done.out
    assert "drawn on stderr" in examine("/bin/ls", words=["--console"]).out


def test_works_without_a_program():
    done = tagalong("doctor", "--no-network")
    assert done.status == 0 and "A program will be traced." in done.out


def test_wrong_command_lines():
    for words in (["--no-netwrok"], ["--timeout", "soon"], ["--link", "x"]):
        done = tagalong("doctor", *words)
        assert done.status == 2 and "usage: tagalong doctor" in done.err


def test_fits_the_width():
    for width in (60, 80, 120):
        done = tagalong("doctor", "--no-network", "--", "busybox", env={"COLUMNS": str(width)})
        assert all(len(line) <= width for line in done.out.splitlines() if "/" not in line)


# The exporter's endpoint.

def probe(url, words=("--timeout", "5"), env=None, base=False):
    name = "OTEL_EXPORTER_OTLP_ENDPOINT" if base else "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    return tagalong("doctor", *words, "--", "/bin/ls", env={"COLUMNS": "400", name: url, **(env or {})})


@pytest.fixture
def receiver():
    """An HTTP server: receiver(status, content type) starts it and returns (url, requests)."""
    made = []

    def make(status=200, content_type="application/x-protobuf"):
        seen = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                seen.append((self.path, dict(self.headers)))
                self.send_response(status)
                if content_type:
                    self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass
        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.append(server)
        return f"http://127.0.0.1:{server.server_port}", seen
    yield make
    for server in made:
        server.shutdown()
        server.server_close()


@pytest.fixture
def listener():
    """A server that says some bytes, or nothing (None), and ends (or stays)."""
    made = []

    def make(says, stay=False):
        server = socket.create_server(("127.0.0.1", 0))
        made.append(server)

        def serve():
            try:
                peer, _ = server.accept()
            except OSError:
                return
            made.append(peer)
            if says is not None:
                peer.recv(65536)
                peer.sendall(says)
            if not stay:
                peer.close()
        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/"
    yield make
    for s in made:
        s.close()


def test_receiver_that_takes_otlp(receiver):
    url, seen = receiver()
    done = probe(url, base=True, env={"OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b,x=y"})
    assert done.status == 0 and f"{url}/v1/traces takes OTLP" in done.out
    path, headers = seen[0]
    assert path == "/v1/traces" and headers["Content-Type"] == "application/x-protobuf"
    assert headers["api-key"] == "a b" and headers["x"] == "y"
    assert len(seen) == 1


@pytest.mark.parametrize("status,content_type,verdict,words", [
    (200, "text/html", 1, "no OTLP receiver"), (404, "text/plain", 1, "takes no traces: HTTP 404"),
    (405, None, 1, "HTTP 405"), (401, None, 1, "does not let us in"), (403, None, 1, "HTTP 403"),
    (503, None, 0, "has no time for us"), (429, None, 0, "HTTP 429"), (400, None, 0, "HTTP 400"),
    (202, None, 0, "takes OTLP"), (200, "application/json", 0, "takes OTLP")])
def test_receivers_that_answer(receiver, status, content_type, verdict, words):
    done = probe(receiver(status, content_type)[0])
    assert done.status == verdict and words in done.out


def test_dead_receiver():
    done = probe(f"http://127.0.0.1:{free_port()}", base=True)
    assert done.status == 1 and "cannot be reached: Connection refused" in done.out
    assert "would be traced, but its spans would be lost" in done.out


def test_unknown_host():
    done = probe("http://no-such-host.invalid:4318")
    assert done.status == 1 and ("is not known" in done.out or "cannot be reached" in done.out)


def test_receivers_that_are_something_else(listener):
    assert "speaks HTTP/2 only" in probe(listener(b"\0\0\x06\4\0\0\0\0\0\0\5\0\0\x40\0")).out
    assert "speaks TLS" in probe(listener(b"\x15\3\1\0\2\2\x46")).out
    assert "does not speak HTTP" in probe(listener(b"SSH-2.0-OpenSSH_9.2\r\n")).out
    assert "without an answer" in probe(listener(b"")).out


def test_silent_receiver_is_waited_for_only_so_long(listener):
    done = probe(listener(None, stay=True), words=("--timeout", "0.3"))
    assert done.status == 1 and "does not answer" in done.out


def test_endpoints_that_cannot_be(listener):
    assert "https cannot be sent" in probe("https://127.0.0.1:1/", words=["--exec"]).out
    for url in ("ftp://x/", "http://x:port/"):
        done = probe(url, words=["--no-network"])
        assert any(url in line and "not an http URL" in line for line in lines(done, "warning"))
        assert "http://localhost:4318/v1/traces" in done.out


def test_receivers_that_only_libcurl_reaches(certificates):
    ca = {"OTEL_EXPORTER_OTLP_CERTIFICATE": certificates.path("ca.pem")}
    with OtlpReceiver(tls=certificates.server_context()) as r:
        done = probe(r.url, base=True, env=ca)
        assert done.status == 0 and f"{r.url}/v1/traces takes OTLP" in done.out
        assert r.requests[0].body == b""
        done = probe(r.url, base=True)
        assert done.status == 1 and "certificate" in done.out
        r.behave("status:401")
        done = probe(r.url, base=True, env=ca)
        assert done.status == 1 and "takes no traces: 401" in done.out
        r.behave("status:503")
        assert probe(r.url, base=True, env=ca).status == 0
    done = probe(r.url, base=True, env=ca)
    assert done.status == 1 and "cannot be reached: Connection refused" in done.out


def test_the_receiver_of_metrics_is_tried_too(receiver):
    url, seen = receiver()
    on = {"OTEL_METRICS_EXPORTER": "otlp"}
    done = probe(url, base=True, env=on)
    assert done.status == 0 and f"{url}/v1/traces takes OTLP" in done.out
    assert f"{url}/v1/metrics takes metrics" in done.out
    assert sorted(path for path, _ in seen) == ["/v1/metrics", "/v1/traces"]
    elsewhere = f"http://127.0.0.1:{free_port()}/m"
    done = probe(url, base=True, env={**on, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": elsewhere})
    assert done.status == 1 and f"{elsewhere} cannot be reached: Connection refused" in done.out
    done = probe(url, words=["--no-network"], env=on)
    assert "metrics go to" in done.out


def test_grpc_receivers():
    grpc = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    with GrpcReceiver() as r:
        done = probe(r.url, base=True, env=grpc)
        assert done.status == 0 and f"{r.url} takes OTLP" in done.out and not r.spans
        done = probe(f"127.0.0.1:{r.port}", base=True, env=grpc)
        assert done.status == 0 and "no scheme" in done.out
        assert probe(r.url, base=True, env=grpc, words=["--exec"]).status == 1
    with OtlpReceiver() as r:
        assert probe(r.url, base=True, env=grpc, words=["--timeout", "1"]).status == 1
        r.errors.clear()
    done = probe("http://collector:4317", base=True, words=["--no-network"])
    assert "grpc is assumed" in done.out and "spans go to http://collector:4317 (not" in done.out


def test_traces_file_needs_no_receiver(tmp_path):
    done = tagalong("doctor", "--file", tmp_path / "t", "--", "/bin/ls")
    assert done.status == 0


def test_terminal_is_safe_from_names(tmp_path):
    path = script(tmp_path, "#!/bin/sh\n", name="a\x1b[31mb")
    assert "\x1b" not in examine(path).out
