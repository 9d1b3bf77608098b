# SPDX-License-Identifier: Apache-2.0
"""However Node is started, the program runs as it does without the library, and sees its own
environment; where it is safe to, the script that links its requests is loaded."""
import functools
import os
import re
import shutil
import subprocess

import pytest

from harness import node_versions, paths
from harness.run import clean_environment

FILES = paths.E2E / "services/node_start"
LINKED = "require('diagnostics_channel').channel('http.server.request.start').hasSubscribers"
FORMS = {
    "a main file": (["order.cjs", "a", "--b"], None),
    "a main file without extension": (["./order"], None),
    "a module": (["module.mjs"], None),
    "an expression": (["-e", "console.log(process.argv, process.env.NODE_OPTIONS)", "a"], None),
    "an expression that is printed": (["-p", "1 + 1.5"], None),
    "standard input": (["-"], None),
    "only a check": (["--check", "order.cjs"], None),
    "its version asked for": (["--version"], None),
    "a test": (["--test", "--test-reporter=tap", "tested.test.cjs"], None),
    "an option that there is not": (["--no-such-option"], None),
    "a file that there is not": (["no-such-file.js"], None),
    "a language of its own": (["-r", "./extension.cjs", "main.odd"], None),
    "a cluster": (["cluster.cjs"], None),
    "what its requests look like": (["looks.cjs"], None),
    "workers": (["workers.cjs"], None),
    "workers and options": (["workers.cjs"], "--title=here --no-deprecation"),
    "options of its own": (["order.cjs"], "--require=./extension.cjs --import=./module.mjs"),
    "options in quotes": (["-p", "process.title"], '--title="a b\\"c"'),
    "no options": (["order.cjs"], ""),
    "an option that may not stand there": (["order.cjs"], "--version"),
    "quotes that do not end": (["order.cjs"], '--title="a'),
    "options too long to add to": (["-p", "process.env.NODE_OPTIONS.length"],
                                   " ".join(["--no-deprecation"] * 7000)),
    "the permission model": (["PERMISSION", f"--allow-fs-read={FILES}/linked.cjs", "-p",
                              "process.permission.has('fs.read', '/etc/passwd')"], None),
    "an observer of sessions": (["observed.cjs"], None),
    "the permission to read all": (["PERMISSION", "--allow-fs-read=*", "order.cjs"], None),
    "the same by options": (["order.cjs"], "PERMISSION --allow-fs-read=*"),
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The library without the file beside it."""
    return shutil.copy(paths.LIBRARY, tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module", params=["system", *node_versions.OTHERS])
def node(request):
    return node_versions.node(request.param)


@functools.lru_cache
def permission(node):
    """The option by the name it has there."""
    return "--permission" if node_versions.version_of(node) >= [22, 13] else "--experimental-permission"


def started(node, words, options, library=None, folder=FILES):
    env = clean_environment()
    words = [w.replace("PERMISSION", permission(node)) for w in words]
    if options is not None:
        env["NODE_OPTIONS"] = options.replace("PERMISSION", permission(node))
    if library:
        env.update(LD_PRELOAD=str(library), OTEL_TRACES_EXPORTER="none")
    r = subprocess.run([node, *words], env=env, cwd=folder, timeout=60, capture_output=True,
                       input=b"console.log(typeof require, process.env.NODE_OPTIONS)")
    return r.returncode, plain(r.stdout), plain(r.stderr)


def plain(text):
    """Without what differs from run to run."""
    return re.sub(r"duration_ms:? [\d.]+|node:\d+|\(node:\d+\)", "", text.decode())


@pytest.mark.parametrize("form", FORMS)
def test_it_runs_as_without_the_library(node, form, tmp_path):
    folder = shutil.copytree(FILES, tmp_path / "files")
    shutil.copy(folder / "order.cjs", folder / "order")
    words, options = FORMS[form]
    assert started(node, words, options, paths.LIBRARY, folder) == started(node, words, options, None, folder)


@pytest.mark.parametrize("form", ["a module", "an expression", "a cluster", "workers", "a test",
                                  "a language of its own", "the permission model", "only a check"])
def test_so_it_does_without_the_file_beside_the_library(node, form, alone):
    words, options = FORMS[form]
    assert started(node, words, options, alone) == started(node, words, options)


LOADED = {
    "a main file": (["linked.cjs"], None, True),
    "an expression": (["-p", LINKED], None, True),
    "options of its own": (["linked.cjs"], "--title=a --require=./extension.cjs", True),
    "the permission model": (["PERMISSION", f"--allow-fs-read={FILES}/linked.cjs", "linked.cjs"], None, True),
    "permissions by its options": (["linked.cjs"], "PERMISSION --allow-fs-read=*", True),
    "permissions and quotes": (["linked.cjs"], 'PERMISSION --allow-fs-read=* --title="a b"', True),
    "no permission but a title": (["PERMISSION", f"--allow-fs-read={FILES}/linked.cjs", "linked.cjs"],
                                  '--title="a --allow-fs-read=*"', True),
    "a language of its own, and permissions": (
        ["-r", "./extension.cjs", "PERMISSION", "--allow-fs-read=*", "main.odd"], None, None),
}


@pytest.mark.parametrize("form", LOADED)
def test_the_script_is_there(node, form, alone):
    words, options, there = LOADED[form]
    status, out, err = started(node, words, options, paths.LIBRARY)
    if node_versions.version_of(node)[0] < 20 and "permission" in form:    # it has no such model
        assert (status, out, err) == started(node, words, options)
        return
    assert status == 0, err
    if there:
        assert out == "true\n"
    if form.startswith("a main"):
        assert started(node, words, options, alone)[1] == "true\n"


def test_it_is_not_without_being_asked_for_nor_in_a_program_of_another_name(tmp_path):
    copy = tmp_path / "program"
    real = subprocess.run(["node", "-p", "process.execPath"], capture_output=True, text=True,
                          check=True).stdout.strip()
    shutil.copy(real, copy)
    assert started(str(copy), ["-p", LINKED], None, paths.LIBRARY)[1] == "false\n"
    env = dict(clean_environment(), LD_PRELOAD=str(paths.LIBRARY), OTEL_TRACES_EXPORTER="none",
               TAGALONG_NODE="off")
    assert subprocess.run(["node", "-p", LINKED], env=env, capture_output=True).stdout == b"false\n"


def test_the_script_does_nothing_where_the_library_is_not(tmp_path):
    env = dict(clean_environment(), NODE_OPTIONS=f"--require={paths.LIBRARY.parent}/tagalong-node.cjs")
    r = subprocess.run(["node", "-p", f"[{LINKED}, process.env.NODE_OPTIONS]"], env=env,
                       capture_output=True, text=True)
    assert (r.stdout, r.stderr) == ("[ false, undefined ]\n", "")


def test_nothing_is_done_to_a_version_that_would_not_know_the_option():
    for version in node_versions.TOO_OLD:
        old = node_versions.node(version)
        for words in (["order.cjs"], ["linked.cjs"], ["workers.cjs"]):
            assert started(old, words, None, paths.LIBRARY) == started(old, words, None)
