# SPDX-License-Identifier: Apache-2.0
"""The exporter's resolver with a name server and files of our own, in a namespace of our own."""
import ctypes
import fcntl
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness import paths                       # noqa: E402

SCENES = {}


def scene(f):
    SCENES[f.__name__] = f
    return f


class NameServer:
    """Answers A questions out of a dict at 127.0.0.1:53; AAAA with nothing."""

    def __init__(self):
        self.names, self.asked = {}, []
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind(("127.0.0.1", 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            q, peer = self.s.recvfrom(512)
            labels, at = [], 12
            while q[at]:
                labels.append(q[at + 1:at + 1 + q[at]].decode())
                at += q[at] + 1
            name, kind = ".".join(labels), struct.unpack(">H", q[at + 1:at + 3])[0]
            self.asked.append(name)
            address = self.names.get(name)
            answer = b""
            if address and kind == 1:
                answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(address)
            code = 0x8180 if address else 0x8183
            self.s.sendto(q[:2] + struct.pack(">HHHHH", code, 1, bool(answer), 0, 0) + q[12:at + 5]
                          + answer, peer)


def prepare(tmp):
    """Inside the namespace: loopback is up, the files of the resolver are ours."""
    s = socket.socket()
    fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 0x41))          # SIOCSIFFLAGS: up, running
    libc = ctypes.CDLL(None, use_errno=True)
    for name, text in (("hosts", "127.0.0.1 localhost\n"),
                       ("resolv.conf", "nameserver 127.0.0.1\nsearch test\noptions timeout:1\n")):
        (tmp / name).write_text(text)
        target = os.path.realpath(f"/etc/{name}").encode()
        if libc.mount(str(tmp / name).encode(), target, None, 4096, None):   # MS_BIND
            raise OSError(ctypes.get_errno(), "mount")


def drive(tmp, url, **env):
    from exporter_driver import Driver
    d = Driver(tmp, dict(env, OTEL_EXPORTER_OTLP_ENDPOINT=url))
    d.ask("start")
    return d


@scene
def a_name_that_resolves_late(tmp, names):
    from otlp_receiver import OtlpReceiver
    from harness.wait import wait_for
    with OtlpReceiver() as r:
        d = drive(tmp, f"http://collector:{r.port}")
        d.commit(3)
        wait_for(lambda: d.counters()["export_retries"] >= 1, what="a retry")
        assert "name is not known" in d.log()
        names.names["collector.test"] = "127.0.0.1"
        r.wait_spans(3)
        c = d.settled()
        assert c["spans_exported"] == 3 and c["export_failures"] == 0
        assert r.requests[0].headers["host"] == f"collector:{r.port}"
        d.close()


@scene
def a_receiver_that_moves_is_found_again(tmp, names):
    from otlp_receiver import OtlpReceiver
    names.names["collector.test"] = "127.0.0.2"
    with OtlpReceiver(host="127.0.0.2") as old:
        d = drive(tmp, f"http://collector.test:{old.port}")
        d.commit(2)
        old.wait_spans(2)
        old.close()
        names.names["collector.test"] = "127.0.0.3"
        with OtlpReceiver(port=old.port, host="127.0.0.3") as new:
            d.commit(2)
            new.wait_spans(2)
            assert d.settled()["spans_exported"] == 4
        d.close()


@scene
def files_are_read_before_the_program_changes_its_root(tmp, names):
    from otlp_receiver import OtlpReceiver
    names.names["collector.test"] = "127.0.0.1"
    empty = tmp / "empty"
    empty.mkdir()
    with OtlpReceiver() as r:
        for i, host in enumerate(("collector", "localhost")):
            d = drive(tmp, f"http://{host}:{r.port}")
            assert d.ask(f"chroot 0 {empty}") == "0"
            d.commit(2)
            r.wait_spans(2 * i + 2)
            assert d.settled()["spans_exported"] == 2
            d.close()


@pytest.mark.parametrize("name", sorted(SCENES))
def test_in_a_namespace(name):
    import exporter_driver
    exporter_driver.build()
    if subprocess.run(["unshare", "-rmn", "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here")
    done = subprocess.run(["unshare", "-rmn", paths.PYTHON, __file__, name], timeout=60,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        prepare(pathlib.Path(directory))
        SCENES[sys.argv[1]](pathlib.Path(directory), NameServer())
