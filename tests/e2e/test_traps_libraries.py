# SPDX-License-Identifier: Apache-2.0
"""Other libraries in the same process: older and younger ones, allocators, another copy of us, another libc."""
import pathlib
import shutil
import subprocess

import pytest

from harness import paths
from harness.paths import scale
from test_traps_calls import CLOSES, READS, WAYS, WRITES
from traps import Trapped, build

ALLOCATORS = {
    "jemalloc": pathlib.Path("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"),
    "tcmalloc": pathlib.Path("/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4"),
}
LIBPYTHON = pathlib.Path("/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0")
MUSL = shutil.which("musl-gcc")
MUSL_FLAGS = ["-idirafter", "/usr/include", "-idirafter", "/usr/include/x86_64-linux-gnu"]


@pytest.mark.parametrize("order", ["before", "after"])
def test_a_library_that_works_in_its_constructor_and_destructor(run, order):
    lib = build("trap_early_lib", flags=["-shared", "-fPIC"])
    preload = f"{lib}:{paths.LIBRARY}" if order == "before" else f"{paths.LIBRARY}:{lib}"
    t = Trapped(run, [build("trap_early")], preload=preload, bare_preload=lib).same()
    assert t.paths == ["/old", "/own"]
    assert t.traced[1].startswith("constructor\n") and t.traced[1].endswith("destructor\n")


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("name", ALLOCATORS)
def test_allocators_beside_us(run, name, order):
    lib = ALLOCATORS[name]
    if not lib.exists():
        pytest.skip(f"{name} is not installed")
    preload = f"{lib}:{paths.LIBRARY}" if order == "before" else f"{paths.LIBRARY}:{lib}"
    t = Trapped(run, [build("trap_threads"), "5", "65536"], preload=preload, bare_preload=lib).same()
    assert len(t.spans) == 5 * 4 * 3 * 2
    # Programs that end at once.
    env = run.environment("victim", library=preload)
    for _ in range(scale(30, 1000)):
        done = subprocess.run(["/bin/true"], env=env, capture_output=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    code = ("import os, threading, urllib.request\n"
            "for i in range(3): threading.Thread(target=os.write, args=(1, b'%d\\n' % i)).start()")
    done = run.call([paths.PYTHON, "-c", code], "victim", library=preload)
    assert sorted(done.out.split()) == [b"0", b"1", b"2"]


def test_the_second_copy_stands_down(run, tmp_path):
    copy = tmp_path / "copy.so"
    shutil.copy(paths.LIBRARY, copy)
    preload = f"{paths.LIBRARY}:{copy}"
    t = Trapped(run, [build("trap_calls"), "write", "write"], preload=preload).same()
    assert len(t.headers) == 1 and t.paths == ["/write"]
    t = Trapped(run, [build("trap_calls"), "read", "read"], preload=preload).same()
    assert len(run.spans.select(path="/read")) == 1
    t = Trapped(run, [build("trap_process"), "vfork_nested"], preload=preload).same()
    assert len(t.headers) == 2 and len(run.spans.select(path="/first")) == 1


def test_no_name_of_another_library_becomes_visible(run):
    t = Trapped(run, [build("trap_probe")]).same()
    assert "SSL_read: no no" in t.traced[1] and "malloc: yes yes" in t.traced[1]


@pytest.mark.parametrize("library,name,version", [
    ("libssl.so.3", "SSL_write", "OPENSSL_3.0.0"),
    ("libgnutls.so.30", "gnutls_record_send", "GNUTLS_3_4")])
def test_a_program_that_looks_for_tls_by_name_finds_what_it_did(run, library, name, version):
    t = Trapped(run, [build("trap_probe_tls"), library]).same()
    said = t.traced[1].splitlines()
    for when in ("before", "beside"):
        assert not [line for line in said if line.startswith(when) and ".so" in line]
    for when in ("in it", "global", "next"):
        assert f"{when} {name}: {library}, {version}: {library}" in said


def test_two_interpreters_of_python_in_one_process(run, tmp_path):
    """Modules of the second one call what we have put into their tables: it is not the one we know."""
    copy = tmp_path / "libcopy.so"
    shutil.copy(LIBPYTHON, copy)
    t = Trapped(run, [build("two_pythons"), LIBPYTHON, copy]).same()
    assert t.traced[1] == "nothing to read\n" and t.paths == ["/r", "/r"]


def test_a_library_that_is_being_loaded_is_not_called(run):
    lib = build("trap_loading_lib", flags=["-shared", "-fPIC", "-Wl,-z,relro,-z,lazy"])
    t = Trapped(run, [build("trap_loading", flags=["-rdynamic"]), lib]).same()
    assert t.traced[:2] == (0, "3.11.2 (main)\n")


def test_an_object_of_pythons_that_reads_when_no_module_is_left(run):
    t = Trapped(run, [paths.PYTHON, paths.SERVICES / "last_read.py"]).same()
    assert t.traced[:2] == (0, "answered\n") and "/last" in t.paths


# ---- musl ----

def musl(name):
    return build(f"musl-{name}", source=f"trap_{name}", flags=MUSL_FLAGS, cc="musl-gcc")


needs_musl = pytest.mark.skipif(not MUSL, reason="musl-tools is not installed")


def check_musl(run, command, want):
    t = Trapped(run, command)
    if t.not_here:
        return    # under us the name is there, and works
    t.same()
    assert t.paths == sorted(want)


@needs_musl
@pytest.mark.parametrize("call", WRITES)
def test_musl_sends(run, call):
    check_musl(run, [musl("calls"), "write", call], ["/" + call])


@needs_musl
@pytest.mark.parametrize("call", READS)
def test_musl_reads(run, call):
    check_musl(run, [musl("calls"), "read", call], ["/" + call])


@needs_musl
@pytest.mark.parametrize("way", WAYS)
def test_musl_descriptors(run, way):
    check_musl(run, [musl("calls"), "get", way], ["/" + way])


@needs_musl
@pytest.mark.parametrize("way", CLOSES)
def test_musl_closes(run, way):
    check_musl(run, [musl("reuse"), way], ["/" + way, "/again"])


@needs_musl
@pytest.mark.parametrize("way", ["fork", "_Fork", "clone", "syscall", "raw"])
def test_musl_children(run, way):
    check_musl(run, [musl("process"), way], ["/child", "/first", "/last"])


@needs_musl
@pytest.mark.parametrize("way", ["vfork", "vfork_exec", "vfork_nested", "clone_borrow", "clone_beside", "spawn"])
def test_musl_borrowers(run, way):
    check_musl(run, [musl("process"), way], ["/first", "/last"])


@needs_musl
@pytest.mark.parametrize("way", ["exit", "_exit", "_Exit", "quick_exit", "thread", "return"])
def test_musl_exits(run, way):
    check_musl(run, [musl("process"), "exit", way], ["/first"])


@needs_musl
@pytest.mark.parametrize("name", ["execve", "execv", "execvp", "execvpe", "execl", "execlp", "execle", "fexecve"])
def test_musl_execs(run, name):
    check_musl(run, [musl("process"), "exec", name], ["/first"])


@needs_musl
def test_musl_jumps(run):
    check_musl(run, [musl("jump"), "jump", "recv", "100"], ["/after", "/before", "/elsewhere"])


@needs_musl
def test_musl_threads(run):
    t = Trapped(run, [musl("threads"), "10"]).same()
    assert len(t.spans) == 10 * 4 * 3 * 2


@needs_musl
def test_musl_programs_that_the_loader_is_told_to_start(run):
    """What the kernel says of the program is then said of the loader."""
    loader, = pathlib.Path("/lib").glob("ld-musl-*.so.1")
    t = Trapped(run, [loader, musl("threads"), "2"]).same()
    assert len(t.spans) == 2 * 4 * 3 * 2
