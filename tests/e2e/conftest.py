# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests. Everything listens on loopback and is ended by its process id."""
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import exporter_driver                          # noqa: E402
from curl_driver import CurlDriver              # noqa: E402
from harness import paths                       # noqa: E402
from harness.certificates import Certificates   # noqa: E402
from harness.run import Run, build_victim       # noqa: E402
from harness.upstream import Upstream           # noqa: E402
from otlp_receiver import OtlpReceiver          # noqa: E402
from programs import Kit                        # noqa: E402


def pytest_configure(config):
    if sys.executable != paths.PYTHON and not os.path.samefile(sys.executable, paths.PYTHON):
        raise pytest.UsageError(f"run these tests with {paths.PYTHON}")
    # Started in the background by a shell, or by nohup: what is tested must not inherit it.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def run():
    """Starts programs, bare or traced; `run.spans` are the spans of all of them."""
    # Short and readable by every user: unix sockets and workers that drop privileges need it.
    tmp = pathlib.Path(tempfile.mkdtemp(prefix="tagalong-"))
    tmp.chmod(0o777)
    r = Run(tmp)
    try:
        yield r
    finally:
        r.close()
        if not os.environ.get("TAGALONG_KEEP"):
            shutil.rmtree(tmp, ignore_errors=True)


@pytest.fixture
def upstream():
    u = Upstream()
    yield u
    u.close()


@pytest.fixture
def upstreams():
    """Makes upstreams: upstreams(answer)."""
    made = []

    def make(answer=None, **more):
        made.append(Upstream(answer, **more))
        return made[-1]
    yield make
    for u in made:
        u.close()


@pytest.fixture
def victim():
    return build_victim


@pytest.fixture
def receiver():
    """An OTLP receiver; see otlp_receiver.py for how it can misbehave."""
    with OtlpReceiver() as r:
        yield r
        assert not r.errors


@pytest.fixture
def drive(tmp_path):
    """Starts exporters to be led by hand: drive(url, **variables)."""
    exporter_driver.build()
    made = []

    def start(endpoint=None, worker=True, **env):
        if endpoint:
            env.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        made.append(exporter_driver.Driver(tmp_path, env))
        if worker:
            made[-1].ask("start")
        return made[-1]
    yield start
    for d in made:
        d.close()


@pytest.fixture
def transport(tmp_path):
    """Starts libcurl transports to be led by hand: transport(url, **variables)."""
    exporter_driver.build()
    made = []

    def start(endpoint=None, signal="traces", **env):
        if endpoint:
            env.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        made.append(CurlDriver(tmp_path, env, signal))
        return made[-1]
    yield start
    for d in made:
        d.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def kit():
    """Does jobs bare and traced; see programs.py."""
    kit = Kit()
    yield kit
    kit.close()
