# SPDX-License-Identifier: Apache-2.0
"""Node's own tests, from the source that Debian keeps of it, each a program by itself: run bare or
traced, and what they say compared."""
import collections
import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from . import paths
from .run import clean_environment

SOURCE = paths.BUILD / "debian" / "node"     # by scripts/setup
FLAGS = re.compile(r"//\s+Flags:(.*)")
OUR_SCRIPT = re.compile(r".*tagalong-node\.cjs:.*\n")      # in stack traces
TIMEOUT = 60
TRACED = {"TAGALONG_TRACES_FILE": "traces.jsonl", "OTEL_BSP_SCHEDULE_DELAY": "50"}
WITHOUT_HEADERS = TRACED | {"TAGALONG_PROPAGATE_TO": "nowhere.invalid", "TAGALONG_INBOUND_HEADER": "off"}

# What these look at is which headers a request has, or how many, or how long they are: they see ours.
SEES_THE_HEADER = {
    "parallel/test-https-max-headers-count.js",
    *(f"parallel/test-http-{name}.js" for name in (
        "blank-header", "client-default-headers-exist", "client-headers-array", "content-length",
        "max-headers-count", "max-http-headers", "multiple-headers", "proxy", "raw-headers", "same-map")),
    *(f"parallel/test-http2-{name}.js" for name in ("multiheaders-raw", "zero-length-header")),
}
Outcome = collections.namedtuple("Outcome", "status lines")


def select(*patterns):
    """Names of tests, as parallel/test-https-simple.js."""
    found = {str(f.relative_to(SOURCE / "test")) for p in patterns for f in (SOURCE / "test").glob(p)}
    assert found, f"no test of Node's is {patterns}: scripts/setup brings them"
    return sorted(found)


def plain(text):
    """Addresses, ports, times and process ids differ from run to run; threads and children write in
    any order."""
    text = OUR_SCRIPT.sub("", text)
    text = re.sub(r"0x[0-9a-f]+|\b[0-9A-F]{8,}\b", "0x", text.replace(str(SOURCE), "node"))
    text = re.sub(r"[\w+/=]{40,}", "text", text)
    text = re.sub(r"\d+(\.\d+)?", "N", text)
    return collections.Counter(line.rstrip() for line in text.splitlines() if line.strip())


def run(name, settings=None, node="node"):
    """One test: what it ended with and said. settings None: bare; else our variables."""
    file = SOURCE / "test" / name
    flags = FLAGS.search(file.read_text(errors="replace"))
    tmp = pathlib.Path(tempfile.mkdtemp(prefix="tagalong-node-"))
    tmp.chmod(0o711)
    env = clean_environment() | {"NODE_TEST_DIR": str(tmp), "TEST_THREAD_ID": "0", "HOME": str(tmp)}
    for key in ("NODE_OPTIONS", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "NODE_PATH"):
        env.pop(key, None)
    if settings is not None:
        env |= settings | {"LD_PRELOAD": str(settings.get("LD_PRELOAD", paths.LIBRARY))}
        if "TAGALONG_TRACES_FILE" in settings:
            env["TAGALONG_TRACES_FILE"] = str(tmp / settings["TAGALONG_TRACES_FILE"])
    with open(tmp / "out", "w+b") as out:
        p = subprocess.Popen([node, *(flags[1].split() if flags else ()), file], env=env, cwd=SOURCE,
                             stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                             start_new_session=True)
        try:
            status = p.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            status = "too long"
        try:
            os.killpg(p.pid, signal.SIGKILL)     # and what it left behind
        except ProcessLookupError:
            pass
        p.wait()
        out.seek(0)
        text = out.read().decode("utf-8", "replace").replace(str(tmp), "tmp")
    shutil.rmtree(tmp, ignore_errors=True)
    return Outcome(status, plain(text)), text


class Difference:
    """A test, and its outcomes: bare and traced in turn."""

    def __init__(self, name):
        self.name, self.bare, self.traced, self.text = name, [], [], ""

    def again(self, settings, node):
        self.bare.append(run(self.name, None, node)[0])
        ours, self.text = run(self.name, settings, node)
        self.traced.append(ours)

    def same_status(self):
        return bool({o.status for o in self.bare} & {o.status for o in self.traced})

    def remains(self):
        """No outcome that there was on both sides. What says something else each time, bare as well
        (random bytes), is known by how it ends."""
        if not self.same_status():
            return True
        if len(self.bare) > 1 and self.bare[0].lines != self.bare[1].lines:
            return False
        return not any(o in self.bare for o in self.traced)

    def __str__(self):
        bare, ours = self.bare[-1].lines, self.traced[-1].lines
        return (f"{self.name}: bare {[o.status for o in self.bare]}, traced "
                f"{[o.status for o in self.traced]}\n"
                + "".join(f"  - {line}\n" for line in bare - ours)
                + "".join(f"  + {line}\n" for line in ours - bare)
                + "".join(f"    | {line}\n" for line in self.text.splitlines()[:40]))


def compare(names, settings, node="node", times=3, jobs=4):
    """(different, unsteady): each test once bare and once traced; as long as they differ, up to
    `times` more. Unsteady is what differed, and then did not."""
    def one(name):
        d = Difference(name)
        d.again(settings, node)
        while d.remains() and len(d.bare) <= times:
            d.again(settings, node)
        return d
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        done = list(pool.map(one, sorted(names)))
    return [d for d in done if d.remains()], [d for d in done if not d.remains() and len(d.bare) > 1]
