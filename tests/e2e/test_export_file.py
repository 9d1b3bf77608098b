# SPDX-License-Identifier: Apache-2.0
"""TAGALONG_TRACES_FILE and OTEL_TRACES_EXPORTER: where spans go instead of, or beside, OTLP."""
import json
import os
import subprocess
import sys
import threading

import pytest

from exporter_driver import Driver, add_up
from harness.wait import wait_for


def spans_of(path):
    spans = []
    for line in path.read_text().splitlines():
        for rs in json.loads(line)["resourceSpans"]:
            for ss in rs["scopeSpans"]:
                spans += ss["spans"]
    return spans


def test_the_file_takes_the_place_of_otlp(receiver, drive, tmp_path):
    path = tmp_path / "t.jsonl"
    d = drive(receiver.url, TAGALONG_TRACES_FILE=path)
    d.commit(5)
    assert d.settled()["spans_exported"] == 5
    assert len(spans_of(path)) == 5 and not receiver.requests
    assert path.stat().st_mode & 0o777 == 0o644 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_file_stands_beside_otlp_when_that_was_asked_for(receiver, drive, tmp_path):
    path = tmp_path / "t.jsonl"
    d = drive(receiver.url, TAGALONG_TRACES_FILE=path, OTEL_TRACES_EXPORTER="otlp")
    d.commit(5)
    receiver.wait_spans(5)
    assert d.settled()["spans_exported"] == 5
    assert {s["spanId"] for s in spans_of(path)} == {s["spanId"] for s in receiver.spans}


def test_the_file_is_appended_to_and_open_from_the_start(drive, tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"resourceSpans": []}\n')
    d = drive(TAGALONG_TRACES_FILE=path)
    moved = tmp_path / "moved.jsonl"
    path.rename(moved)
    d.commit(2)
    assert d.settled()["spans_exported"] == 2
    assert len(spans_of(moved)) == 2 and not path.exists()


def test_lines_of_several_processes_do_not_mix(tmp_path):
    path = tmp_path / "t.jsonl"
    drivers = []
    for i in range(4):
        (tmp_path / str(i)).mkdir()
        drivers.append(Driver(tmp_path / str(i), {"TAGALONG_TRACES_FILE": path,
                                                  "OTEL_BSP_SCHEDULE_DELAY": 1}))
        drivers[-1].ask("start")
    threads = [threading.Thread(target=lambda d=d: [d.commit(100) for _ in range(20)])
               for d in drivers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    total = sum(d.settled()["spans_exported"] for d in drivers)
    for d in drivers:
        d.close()
    assert len(spans_of(path)) == total > 0


def test_a_child_writes_to_the_same_file(drive, tmp_path):
    path = tmp_path / "t.jsonl"
    d = drive(TAGALONG_TRACES_FILE=path)
    d.commit(1)
    assert d.ask("fork") == "0"
    d.settled()
    assert sorted(s["name"] for s in spans_of(path)) == ["GET /users/{id}", "child"]


def test_a_file_that_does_not_open_is_warned_about_and_its_spans_counted(drive, tmp_path):
    d = drive(TAGALONG_TRACES_FILE=tmp_path / "no/such/directory/t.jsonl")
    d.commit(5)
    d.ask("end 1000")
    c = add_up(d.counters())
    assert c["spans_dropped_undeliverable"] == 5
    assert d.log().count("cannot be opened") == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_counted(drive):
    d = drive(TAGALONG_TRACES_FILE="/dev/full")
    for _ in range(3):
        d.commit(5)
        d.settled()
    assert add_up(d.settled())["spans_dropped_file"] == 15
    assert d.log().count("cannot be written") == 1


@pytest.mark.parametrize("worker", [True, False])
def test_no_signal_of_a_write_reaches_the_program(tmp_path, worker):
    import exporter_driver
    import resource
    exporter_driver.build()
    for limit, path in ((0, tmp_path / "t.jsonl"), (resource.RLIM_INFINITY, tmp_path / "pipe")):
        reader = None
        if limit:
            os.mkfifo(path)
            reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        p = subprocess.Popen([exporter_driver.PROGRAM], text=True, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, env={"TAGALONG_TRACES_FILE": str(path)},
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE,
                                                                   (limit, resource.RLIM_INFINITY)))
        p.stdout.readline()
        if reader is not None:
            os.close(reader)
        out, _ = p.communicate(("start\n" if worker else "") + "commit 3\nend 2000\ncounters\n", 20)
        assert p.returncode == 0
        assert json.loads(out.splitlines()[-1])["spans_dropped_file"] == 3


def test_half_a_line_does_not_spoil_the_next(tmp_path):
    """A file size limit cuts a line; lifted again, the next line stands alone."""
    path = tmp_path / "t.jsonl"
    e = {"TAGALONG_TRACES_FILE": str(path), "TAGALONG_LOG": "stderr", "OTEL_BSP_SCHEDULE_DELAY": "5"}
    import exporter_driver
    exporter_driver.build()
    import resource
    import signal

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
    p = subprocess.Popen([exporter_driver.PROGRAM], env=e, text=True, preexec_fn=limit,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr)

    def ask(line):
        p.stdin.write(line + "\n")
        p.stdin.flush()
        return p.stdout.readline().strip()
    p.stdout.readline()
    ask("start")
    ask("commit 50")
    wait_for(lambda: json.loads(ask("counters"))["spans_dropped_file"] == 50, what="the loss")
    resource.prlimit(p.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    ask("commit 2")
    wait_for(lambda: json.loads(ask("counters"))["spans_exported"] == 2, what="the rest")
    p.stdin.close()
    p.wait(10)
    p.stdout.close()
    torn, whole = path.read_text().splitlines()
    with pytest.raises(ValueError):
        json.loads(torn)
    assert len(json.loads(whole)["resourceSpans"][0]["scopeSpans"][0]["spans"]) == 2


def test_a_pipe_without_a_reader_does_not_hang_the_start(drive, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    d = drive(TAGALONG_TRACES_FILE=tmp_path / "pipe")
    assert d.commit(1) == 0
    assert d.log().count("cannot be opened") == 1


def test_a_pipe_is_written_to(drive, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    fd = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    d = drive(TAGALONG_TRACES_FILE=tmp_path / "pipe")
    d.commit(3)
    assert d.settled()["spans_exported"] == 3
    assert os.read(fd, 1 << 16).count(b'"spanId"') == 3
    # Its reader goes: no SIGPIPE may end the program.
    os.close(fd)
    d.commit(3)
    assert d.settled()["spans_dropped_file"] == 3


def test_console_draws_on_standard_error(tmp_path):
    import exporter_driver
    exporter_driver.build()
    done = subprocess.run([exporter_driver.PROGRAM], text=True, capture_output=True, timeout=20,
                          input="commit 1 GET /drawn\nend 1000\ncounters\n",
                          env={"OTEL_TRACES_EXPORTER": "console"})
    assert "GET /drawn" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["spans_exported"] == 1
