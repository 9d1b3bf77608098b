# SPDX-License-Identifier: Apache-2.0
"""`tagalong view`: what people see first."""
import os
import pty
import subprocess
import unicodedata

import pytest

import trace_lines
from command import CLEAN, start, tagalong
from harness import paths
from harness.wait import wait_for
from trace_lines import START, Trace, shop

SHOP_80 = """\
── trace 00000000000000000000000000000001 ────────────── 2025-10-09 08:53:20.000
24.1 ms · 7 spans · 4 services
nginx GET /users/{id}              S  ━━━━━━━━━━━━━━━━━━━━━ 24.1 ms  200
└╴nginx GET                        C  ╺━━━━━━━━━━━━━━━━━━━╸ 23.0 ms  200  header
  └╴api GET /users/{id}            S   ━━━━━━━━━━━━━━━━━━━  21.9 ms  200
    ├╴api GET                      C   ╺━━━━━━━╸            9.00 ms  200  thread
    │ └╴users GET /users/{id}      S    ╺━━━━━╸             6.40 ms  200
    └╴api GET                      C            ━━━━━━━━━   10.0 ms  200  thread
      └╴prices GET /prices/{id}/…  S            ╺━━━━━━━╸   8.70 ms  200
"""


def columns_of(line):
    return sum(0 if unicodedata.combining(c) else
               2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def test_draws_a_trace_as_a_waterfall(tmp_path):
    done = tagalong("view", trace_lines.write(tmp_path / "t", shop()), env={"COLUMNS": "80"})
    assert done == (0, SHOP_80, "")


@pytest.mark.parametrize("width", [44, 60, 80, 120, 200])
def test_fits_the_width(tmp_path, width):
    t = Trace(3)
    top = t.add("дом-сервис", "GET /страница/очень/длинная/" * 5, "server", 0, 1500, status=200)
    t.add("日本語サービス", "GET /検索/とても長い名前のパスがここにあります", "client", 100, 1200,
          top, status=503, error="503", link="only")
    t.add("e\u0301te\u0301", "POST", "internal", 1400, 90, "ffffffffffffffff", error="timeout")
    done = tagalong("view", trace_lines.write(tmp_path / "t", shop(), shop(2, True), t),
                    env={"COLUMNS": str(width)})
    assert done.status == 0
    for line in done.out.splitlines():
        assert columns_of(line) <= width, line
        assert "\ufffd" not in line
    assert "\033" not in done.out


def test_width_option_wins_over_columns(tmp_path):
    done = tagalong("view", "--width", 60, trace_lines.write(tmp_path / "t", shop()))
    assert max(map(columns_of, done.out.splitlines())) == 60


def test_ascii_where_the_locale_is(tmp_path):
    path = trace_lines.write(tmp_path / "t", shop(2, failing=True))
    for words, env in ((["--ascii"], {}), ([], {"LC_ALL": "C"}), ([], {"LC_ALL": "POSIX"})):
        done = tagalong("view", *words, path, env=env)
        assert done.out.isascii()
        assert "`-api GET /users/{id}" in done.out and "! 502" in done.out


def test_names_cannot_write_to_the_terminal(tmp_path):
    t = Trace()
    t.add("evil\x1b]0;x\x07", "GET /\x1b[31m\u202e\r\n", "server", 0, 1)
    done = tagalong("view", trace_lines.write(tmp_path / "t", t))
    assert done.status == 0
    assert not any(c in done.out for c in "\x1b\x07\u202e\r")


def on_terminal(*words, **env):
    """What the command writes to a terminal."""
    master, slave = pty.openpty()
    child = subprocess.Popen([str(paths.COMMAND), *map(str, words)], stdout=slave, stderr=slave,
                             env={**CLEAN, "TERM": "xterm", **env})
    os.close(slave)
    text = b""
    while True:
        try:
            more = os.read(master, 65536)
        except OSError:
            break
        if not more:
            break
        text += more
    os.close(master)
    child.wait()
    return text.decode()


def test_colours_on_a_terminal_only(tmp_path):
    path = trace_lines.write(tmp_path / "t", shop(2, failing=True))
    assert "\033[1;31m" in on_terminal("view", path)
    assert "\033" not in on_terminal("view", path, NO_COLOR="1")
    assert "\033" not in on_terminal("view", path, TERM="dumb")
    assert "\033" not in on_terminal("view", "--color", "never", path)
    assert "\033[" in tagalong("view", "--color", "always", path).out


def test_traces_come_by_start(tmp_path):
    traces = [shop(n, start=START + ((n * 7) % 5) * 10**9) for n in range(1, 6)]
    out = tagalong("view", trace_lines.write(tmp_path / "t", *traces)).out
    times = [line.split()[-1] for line in out.splitlines() if " trace " in line]
    assert times == sorted(times) and len(times) == 5


def test_chooses_traces(tmp_path):
    other = Trace(0xabc)
    other.add("cron", "GET", "client", 0, 1)
    path = trace_lines.write(tmp_path / "t", shop(), shop(2, failing=True), other)

    def ids(*words):
        out = tagalong("view", *words, path).out
        return [int(line.split()[2], 16) for line in out.splitlines() if " trace " in line]
    assert ids("--errors") == [2]
    assert ids("--service", "cron") == [0xabc]
    assert ids("--service", "users") == [1]
    assert ids("--trace-id", f"{2:032x}") == [2]
    assert ids("--trace-id", "0000000000000000000000000000") == [1, 2, 0xabc]
    assert ids("--last", "2") == [2, 0xabc]
    done = tagalong("view", "--service", "nobody", path)
    assert done.status == 1 and "no trace of the 3" in done.err


def test_shows_orphans_and_skewed_clocks(tmp_path):
    t = Trace()
    top = t.add("gw", "GET", "client", 0, 100, host="one")
    t.add("far", "GET", "server", -5000, 80, top, host="two")
    t.add("lost", "POST /x", "server", 10, 5, "f" * 16)
    out = tagalong("view", trace_lines.write(tmp_path / "t", t)).out
    assert "┄ lost POST /x" in out
    assert "1 span of a parent that is not in this file" in out
    assert "≈80.0 ms" in out and "moved by up to 5.01 s" in out
    assert "100 ms · 3 spans" in out


def test_skips_damaged_lines_and_says_which(tmp_path):
    path = tmp_path / "t"
    trace_lines.write(path, shop())
    with open(path, "a") as out:
        out.write('{"resourceSpans": [{]\n\n[1]\n')
        out.write("\n".join(shop(2).lines()) + "\n")
        out.write('{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}\n')
        out.write('{"resourceSpans":[{"scopeSp')
    done = tagalong("view", path)
    assert done.status == 0
    assert done.out.count(" trace ") == 2
    assert done.err.splitlines() == [
        "tagalong: line 8 skipped: it is not JSON",
        "tagalong: line 10 skipped: it has no resourceSpans",
        "tagalong: line 18 skipped: a span without a valid traceId",
        "tagalong: the last line is torn (still being written?): left out"]


def test_last_line_needs_no_end(tmp_path):
    path = tmp_path / "t"
    path.write_text("\n".join(shop().lines()))
    done = tagalong("view", path)
    assert "7 spans" in done.out and not done.err


def test_reads_standard_input():
    done = tagalong("view", "-", stdin="\n".join(shop().lines()))
    assert done.status == 0 and "7 spans" in done.out


def test_reads_pipes_and_many_spans_in_a_line(tmp_path):
    line = {"resourceSpans": []}
    import json
    for one in shop().lines():
        line["resourceSpans"] += json.loads(one)["resourceSpans"]
    done = tagalong("view", "-", stdin=json.dumps(line) + "\n")
    assert "7 spans · 4 services" in done.out


def test_files_that_are_not_there(tmp_path):
    done = tagalong("view", tmp_path / "nothing")
    assert done.status == 2 and "No such file" in done.err
    done = tagalong("view", tmp_path)
    assert done.status == 2 and "directory" in done.err
    (tmp_path / "empty").touch()
    done = tagalong("view", tmp_path / "empty")
    assert done.status == 1 and "holds no spans" in done.err


class Follower:
    def __init__(self, *words):
        self.child = start("view", "--follow", "--settle", "0.2", *words)
        os.set_blocking(self.child.stdout.fileno(), False)
        self.text, self.bytes = "", b""

    def has(self, what):
        try:
            self.bytes += os.read(self.child.stdout.fileno(), 1 << 20)
        except BlockingIOError:
            pass
        self.text = self.bytes.decode(errors="ignore")
        return what in self.text

    def wait_for(self, what):
        wait_for(lambda: self.has(what), what=what)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.communicate()


def test_follows_a_file_that_is_made_later(tmp_path):
    path = tmp_path / "t"
    with Follower(path) as f:
        trace_lines.write(path, shop(1))
        f.wait_for(f"{1:032x}")
        trace_lines.write(path, shop(2), mode="a")
        f.wait_for(f"{2:032x}")
        assert f.text.count(" trace ") == 2 and f.text.count("7 spans") == 2


def test_follow_draws_a_trace_once_it_is_whole(tmp_path):
    path = tmp_path / "t"
    path.touch()
    lines = list(shop().lines())
    with Follower("--settle", "0.6", path) as f:
        for line in reversed(lines):
            with open(path, "a") as out:
                out.write(line[:50])
                out.flush()
                out.write(line[50:] + "\n")
        f.wait_for("7 spans")
        assert f.text.count(" trace ") == 1


def test_follow_draws_rootless_traces_after_a_while(tmp_path):
    t = Trace()
    t.add("lost", "POST /x", "server", 10, 5, "f" * 16)
    with Follower(trace_lines.write(tmp_path / "t", t)) as f:
        f.wait_for("lost POST /x")


def test_follow_starts_over_when_the_file_does(tmp_path):
    path = tmp_path / "t"
    trace_lines.write(path, shop(1), shop(2))
    with Follower(path) as f:
        f.wait_for(f"{2:032x}")
        os.rename(path, tmp_path / "t.1")
        trace_lines.write(path, shop(3))
        f.wait_for(f"{3:032x}")
        trace_lines.write(path, Trace(4), shop(5, failing=True))  # cut and written again
        f.wait_for(f"{5:032x}")


def test_follow_ends_with_its_pipe():
    done = tagalong("view", "--follow", "-", stdin="\n".join(shop().lines()) + "\n")
    assert done.status == 0 and "7 spans" in done.out


def test_large_files_are_quick(tmp_path):
    path = tmp_path / "t"
    with open(path, "w") as out:
        lines = list(shop(0xfffffff1).lines())
        for n in range(15000):
            for line in lines:
                out.write(line.replace("fffffff1", f"{n + 1:08x}") + "\n")
    done = tagalong("view", "--last", 1, path, timeout=30)
    assert done.status == 0 and "7 spans" in done.out
    done = tagalong("check", path, "--expect", "nginx > api > users", timeout=30)
    assert done.status == 0


def test_wrong_command_lines(tmp_path):
    for words in ([], ["a", "b"], ["--last", "x", "f"], ["--trace-id", "xyz", "f"], ["--folow"],
                  ["--width", "7", "f"], ["--color", "green", "f"], ["--settle", "soon", "f"]):
        done = tagalong("view", *words)
        assert done.status == 2 and "usage: tagalong view" in done.err, words
    assert "did you mean --follow?" in tagalong("view", "--folow").err
