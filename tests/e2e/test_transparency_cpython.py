# SPDX-License-Identifier: Apache-2.0
"""CPython's own tests of everything we stand in front of give the same result, test by test and
line by line, with and without the library. TAGALONG_LONG=1 runs every configuration and the
half-minute tests."""
import collections
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree

import pytest

from harness import paths
from harness.run import clean_environment

SUITES = ["test_asyncio", "test_socket", "test_httplib", "test_urllib2_localnet", "test_subprocess",
          "test_os", "test_signal", "test_selectors", "test_context", "test_audit", "test_gc", "test_ssl",
          "test_threading", "test_embed"]
if os.environ.get("TAGALONG_LONG"):
    SUITES += ["test_ftplib", "test_imaplib", "test_poplib", "test_docxmlrpc", "test_xmlrpc"]

# A machine with /dev/vsock but no peer behind it waits here for ever, with us and without.
HANGS_WITHOUT_US = ["*ThreadedVSOCKSocketStreamTest*"]
SLOW = [] if os.environ.get("TAGALONG_LONG") else [
    "*test_siginterrupt_off*", "*.test_ssl.TestPostHandshakeAuth.*", "*.test_ssl.SimpleBackgroundTests.*",
    *(f"*.test_ssl.ThreadedTests.test_{name}*" for name in
      ("PROTOCOL", "check_hostname", "ecdh", "sni", "tls", "alpn", "dh", "compression"))]

# Tests that were seen to fail on the bare side too: (suite, test). None is known.
FLAKY_WITHOUT_US = set()

# It compares all descriptors that a child finds open in itself with those it was given; a child
# with TAGALONG_TRACES_FILE or TAGALONG_LOG has that file open too (high up, close-on-exec). Left
# out of the comparisons, and run by itself below.
SEES_OUR_FILES = "test.test_subprocess.POSIXProcessTestCase.test_pass_fds_redirected"

FILES = {"TAGALONG_TRACES_FILE", "TAGALONG_LOG"}
EVERYTHING = {"TAGALONG_INBOUND_HEADER": "on", "TAGALONG_LINK": "best", "TAGALONG_STATS": "true",
              "TAGALONG_TRACES_FILE": "traces.jsonl", "TAGALONG_LOG": "log",
              "OTEL_PROPAGATORS": "tracecontext,baggage,b3,jaeger", "OTEL_BSP_SCHEDULE_DELAY": "50"}
CONFIGURATIONS = {"everything on": EVERYTHING}
if os.environ.get("TAGALONG_LONG"):
    CONFIGURATIONS |= {
        "nothing set": {},          # spans go to localhost:4318, where nobody listens
        "disabled": {"OTEL_SDK_DISABLED": "true"},
        "no exporter": {"OTEL_TRACES_EXPORTER": "none"},
        "stack traces": {**EVERYTHING, "TAGALONG_STACKTRACE": "slow:0"},
    }
TIMEOUT = 400


class Outcome:
    """What one run of a suite said."""

    def __init__(self, status, text, tests):
        self.status, self.text, self.tests = status, text, tests


def without_numbers(text):
    """Addresses, ports, times and process ids differ from run to run."""
    text = re.sub(r"\[\d\d/\w+/\d+ [\d:]+\]", "[time]", text)
    text = re.sub(r"0x[0-9a-f]+", "0x", text)
    return re.sub(r"\d+(\.\d+)?( ms\b| seconds\b)?", "N", text)


SLOW_ONE = re.compile(r"\w+ passed in (\d+ min )?[\d.]+ sec$")   # said of suites that took half a minute


def lines_of(text):
    """The lines that say something, in whatever order threads and children wrote them."""
    lines = collections.Counter()
    for line in text.splitlines():
        if not line.strip() or "load avg" in line or line.startswith(("== ", "Total duration", "Ran ")):
            continue
        if SLOW_ONE.match(line):
            continue
        lines[without_numbers(line)] += 1
    return lines


def verdicts(report):
    """Each test's verdict with its reason, from the JUnit file."""
    out = collections.defaultdict(list)
    for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
        what = "ok"
        for kind in ("skipped", "error", "failure"):
            for e in case.iter(kind):
                what = without_numbers(f"{kind}: {e.get('message', '')} {e.text or ''}")
        out[case.get("name")].append(what)
    return {name: sorted(said) for name, said in out.items()}


def run_suite(suite, settings, library, only=()):
    """settings None: bare."""
    tmp = pathlib.Path(tempfile.mkdtemp(prefix="tagalong-cpython-"))
    tmp.chmod(0o711)
    env = clean_environment()
    if settings is not None:
        env.update(settings, LD_PRELOAD=str(library))
        for name in FILES & settings.keys():
            env[name] = str(tmp / settings[name])
    command = [paths.PYTHON, "-m", "test", "-v", f"--junit-xml={tmp}/report.xml",
               "--timeout", str(TIMEOUT - 60)]
    for pattern in HANGS_WITHOUT_US + SLOW + ([] if only else [SEES_OUR_FILES]):
        command += ["-i", pattern]
    for name in only:
        command += ["-m", name]
    try:
        with open(tmp / "out", "w+b") as out:
            status = subprocess.run([*command, suite], env=env, cwd=tmp, stdin=subprocess.DEVNULL,
                                    stdout=out, stderr=subprocess.STDOUT, timeout=TIMEOUT,
                                    start_new_session=True).returncode
            out.seek(0)
            text = out.read().decode("utf-8", "replace")
        return Outcome(status, text, verdicts(tmp / "report.xml"))
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


class Runs:
    """Runs begin when they are asked for, four at a time: they spend their time waiting."""

    def __init__(self, library):
        self.library = library
        self.pool = concurrent.futures.ThreadPoolExecutor(4)
        self.begun = {}

    def begin(self, suite, configuration):
        key = suite, configuration
        if key not in self.begun:
            settings = CONFIGURATIONS[configuration] if configuration else None
            self.begun[key] = self.pool.submit(run_suite, suite, settings, self.library)
        return self.begun[key]

    def both(self, suite, configuration):
        return self.begin(suite, None).result(), self.begin(suite, configuration).result()


def differences(plain, ours):
    return {name: (plain.tests.get(name), ours.tests.get(name))
            for name in plain.tests.keys() | ours.tests.keys()
            if plain.tests.get(name) != ours.tests.get(name)}


@pytest.fixture(scope="module")
def runs(request):
    # A copy: a build while the tests run must not pull it away. Where any user can load it: some
    # tests start programs as another one.
    where = pathlib.Path(tempfile.mkdtemp(prefix="tagalong-library-"))
    where.chmod(0o755)
    runs = Runs(pathlib.Path(shutil.copy(paths.LIBRARY, where)))
    for item in request.session.items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        if item.module is request.module and "suite" in params:
            runs.begin(params["suite"], None)
            runs.begin(params["suite"], params["configuration"])
    yield runs
    runs.pool.shutdown(cancel_futures=True)
    shutil.rmtree(where)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_the_same_result_test_by_test_and_line_by_line(runs, configuration, suite):
    plain, ours = runs.both(suite, configuration)
    assert len(plain.tests) > 10, plain.text[-3000:]
    different = differences(plain, ours)
    for name in [n for n in different if (suite, n) in FLAKY_WITHOUT_US]:
        del different[name]
    assert not different, ours.text[-6000:]
    assert plain.status == ours.status, ours.text[-6000:]
    more, less = lines_of(ours.text), lines_of(plain.text)
    assert (more - less, less - more) == (collections.Counter(), collections.Counter())


def test_without_files_of_ours_a_child_finds_nothing_open(runs):
    ours = run_suite("test_subprocess", {}, runs.library, only=[SEES_OUR_FILES])
    assert ours.tests == {SEES_OUR_FILES: ["ok"]}, ours.text


def test_a_difference_would_be_seen():
    """The comparison itself: a preloaded file that is no library makes the dynamic loader talk."""
    only = ["*test_urandom_subprocess*"]
    plain = run_suite("test_os", None, None, only)
    ours = run_suite("test_os", {}, "/proc/version", only)
    assert len(plain.tests) == 1
    assert lines_of(ours.text) != lines_of(plain.text)
