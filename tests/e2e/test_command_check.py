# SPDX-License-Identifier: Apache-2.0
"""`tagalong check`: the smoke test of a pipeline."""
import threading

import pytest

import trace_lines
from command import start, tagalong
from trace_lines import START, Trace, shop


@pytest.fixture
def traces(tmp_path):
    return trace_lines.write(tmp_path / "t", shop(1), shop(2, failing=True))


@pytest.mark.parametrize("chain", ["nginx > api > users", "nginx>api>prices", "api > users",
                                   "prices", "nginx > * > users"])
def test_holds(traces, chain):
    done = tagalong("check", traces, "--expect", chain)
    assert done.status == 0 and not done.err
    assert done.out.splitlines() == [f"trace {1:032x}", f"  ok      {chain}", "check holds"]


@pytest.mark.parametrize("chain", ["nginx > users", "users > api", "nginx > api > billing",
                                   "billing", "nginx > nginx"])
def test_does_not_hold(traces, chain):
    done = tagalong("check", traces, "--expect", chain)
    assert done.status == 1
    assert f"FAILED  {chain}" in done.out and "check FAILED" in done.out
    assert "━" in done.out  # the nearest trace is drawn


def test_shows_where_it_breaks(traces):
    out = tagalong("check", traces, "--expect", "nginx > api > users", "--trace-id", f"{2:032x}").out
    assert "breaks after api" in out
    assert "api called http://users:8080/users/7 (GET) and no span of the other side" in out
    out = tagalong("check", traces, "--expect", "nginx > api > user").out
    assert "No span of user is in the file" in out and "Did you mean users?" in out


def test_says_that_context_was_lost(tmp_path):
    split = Trace(2, start=START + 10**9)
    split.add("users", "GET", "server", 0, 1)
    path = trace_lines.write(tmp_path / "t", shop(1, failing=True), split)
    out = tagalong("check", path, "--expect", "nginx > api > users", env={"COLUMNS": "200"}).out
    assert f"users begins 1 trace of its own (such as {2:032x})" in out


def test_all_conditions_hold_in_one_trace(traces):
    both = ["--expect", "nginx > api > users", "--expect", "nginx > api > prices"]
    assert tagalong("check", traces, *both, "--no-errors", "--no-orphans", "--min-spans", 7).status == 0
    done = tagalong("check", traces, *both, "--min-spans", 8)
    assert done.status == 1 and "FAILED  at least 8 spans: 7" in done.out
    done = tagalong("check", traces, "--no-errors", "--trace-id", f"{2:032x}")
    assert done.status == 1 and "FAILED  no errors: 4" in done.out
    assert "api GET /users/{id}: ✗ 502" in done.out


def test_no_orphans(tmp_path):
    t = Trace()
    t.add("api", "GET /x", "server", 0, 1, "abcdefabcdefabcd")
    path = trace_lines.write(tmp_path / "t", t)
    done = tagalong("check", path, "--no-orphans")
    assert done.status == 1
    assert "api GET /x: its parent abcdefabcdefabcd is not in the file" in done.out
    assert tagalong("check", path, "--expect", "api").status == 0


def test_quiet_says_nothing(traces):
    assert tagalong("check", "-q", traces, "-e", "nginx > api") == (0, "", "")
    assert tagalong("check", "-q", traces, "-e", "api > nginx") == (1, "", "")


def test_wait_ends_as_soon_as_it_holds(tmp_path):
    path = tmp_path / "later"
    child = start("check", path, "--wait", "30", "--expect", "nginx > api > users")
    lines = list(shop().lines())
    timer = threading.Timer(0.3, lambda: path.write_text("\n".join(lines[:4]) + "\n" + lines[4][:9]))
    rest = threading.Timer(0.6, lambda: path.open("a").write(lines[4][9:] + "\n"))
    timer.start()
    rest.start()
    out, _ = child.communicate(timeout=20)
    assert child.returncode == 0 and "check holds" in out


def test_wait_ends_after_its_time(traces, tmp_path):
    done = tagalong("check", traces, "--wait", "0.3", "--expect", "nginx > billing")
    assert done.status == 1 and "(waited 0.3 s)" in done.out
    done = tagalong("check", tmp_path / "nothing", "--wait", "0.2", "--expect", "a")
    assert done.status == 1 and "does not exist: was anything traced?" in done.out


def test_nothing_to_look_at(tmp_path):
    (tmp_path / "empty").touch()
    done = tagalong("check", tmp_path / "empty", "--expect", "a")
    assert done.status == 1 and "holds no spans" in done.out
    done = tagalong("check", tmp_path / "nothing", "--expect", "a")
    assert done.status == 1
    done = tagalong("check", tmp_path, "--expect", "a")
    assert done.status == 2
    path = trace_lines.write(tmp_path / "t", shop())
    done = tagalong("check", path, "--trace-id", "abc", "--min-spans", 1)
    assert done.status == 1 and "no trace abc among the 1" in done.out


def test_reads_standard_input():
    assert tagalong("check", "-", "-e", "nginx > api", stdin="\n".join(shop().lines())).status == 0


def test_damaged_lines_are_counted(tmp_path):
    path = tmp_path / "t"
    path.write_text("nonsense\n" + "\n".join(shop().lines()))
    done = tagalong("check", path, "-e", "nginx > api")
    assert done.status == 0 and done.out.startswith("1 damaged line skipped")


@pytest.mark.parametrize("words", [
    [], ["f"], ["--expect", "a"], ["f", "--expect", ""], ["f", "--expect", "a >"],
    ["f", "--expect", "> a"], ["f", "--expect"], ["f", "--min-spans", "0"],
    ["f", "--min-spans", "x"], ["f", "--wait", "soon", "-e", "a"], ["f", "g", "-e", "a"],
    ["f", "--expct", "a"], ["f", "--trace-id", "xyz"], ["f", "--no-errors=1"]])
def test_wrong_command_lines(words):
    done = tagalong("check", *words)
    assert done.status == 2 and "usage: tagalong check" in done.err and not done.out
