# SPDX-License-Identifier: Apache-2.0
"""What builds, keeps and examines programs: make, git, ssh, gdb, strace, valgrind, Perl, Go. Each does the same job
bare and traced; see programs.py."""
import os
import re
import shutil
import subprocess

import pytest

from harness import paths
from harness.wait import wait_for

# ---- make ----
MAKEFILE = """
MODULES := $(shell seq 1 8)
all: program sub
program: main.o $(MODULES:%=m%.o)
	@$(CC) -o $@ $^
	@echo linked
m%.c:
	@echo 'int m$*(void) { return $*; }' >$@
%.o: %.c
	@$(CC) -O1 -c -o $@ $<
.PHONY: sub
sub:
	+@$(MAKE) --no-print-directory -C sub
.PRECIOUS: m%.c
"""
SUBMAKE = """
TARGETS := $(shell seq 1 6)
all: $(TARGETS:%=t%)
	@cat t* | sort -n | tr '\\n' ' '
t%:
	@sleep 0.02; echo $* >$@
"""


def test_make_builds_with_a_jobserver(kit):
    def job(side):
        side.write("Makefile", MAKEFILE)
        side.write("sub/Makefile", SUBMAKE)
        side.write("main.c", "#include <stdio.h>\nint m1(void), m8(void);\n"
                   "int main(void) { printf(\"%d\\n\", m1() + m8()); return 3; }\n")
        first = side.run("make", "-j4")
        lines = sorted(first.out.splitlines())
        return (first.status, lines, first.err, side.run("./program"), side.run("make", "-j4", "-q", "program"),
                side.run("make", "-j4", "nothing"), side.run("make", "-j", "program"), side.files())
    assert kit.same(job)[3].out == "9\n"


# ---- git ----
GIT = r"""
set -e
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
git config --global user.name me; git config --global user.email me@here; git config --global init.defaultBranch main
git config --global gc.auto 0; git config --global protocol.file.allow always
git init -q --bare up; git clone -q up a 2>&1; cd a
for i in 1 2 3 4 5 6 7 8; do seq $i 900 >f$i; git add .; git commit -q -m "number $i"; done
git checkout -q -b topic HEAD~4; echo topic >topic; git add .; git commit -q -m topic; git rebase -q main
git checkout -q main; git merge -q --no-ff -m merge topic; git tag -a -m v1 v1; git push -q --tags origin main
git log --oneline --graph | cat; git gc -q; git fsck --strict 2>&1; git count-objects -v | grep -v size
cd ..; git clone -q "file://$PWD/up" b; git -C b rev-parse HEAD v1; git -C b grep -c 900 | head -n 3
git -C a bundle create -q ../bundle main; git clone -q -b main bundle c; git -C c diff --stat HEAD~1 | cat
git -C c worktree add -q ../d HEAD~2; git -C d bisect start HEAD HEAD~2 >/dev/null; git -C d bisect run true | tail -n 3
git -C a archive HEAD | sha1sum; git -C a stash list; echo x >>a/f1; git -C a stash -q; git -C a stash pop -q; git -C a status -s
echo 'exit 1' >a/.git/hooks/pre-commit; chmod +x a/.git/hooks/pre-commit; git -C a commit -qam refused || echo "hook $?"
"""


def test_git_keeps_history(kit):
    def job(side):
        done = side.run("bash", "-c", GIT)
        return done, {n: f for n, f in side.files().items() if not n.endswith(("index", ".idx", ".pack", ".rev", ".bitmap"))}
    assert "merge" in kit.same(job)[0].ok().out


def test_git_clones_from_its_daemon(kit):
    def job(side):
        side.run("bash", "-c", GIT.split("cd ..;")[0]).ok()
        port = side.port()
        daemon = side.start("git", "daemon", "--reuseaddr", f"--port={port}", "--listen=127.0.0.1", "--export-all",
                            "--enable=receive-pack", f"--base-path={side.dir}")
        daemon.wait_port(port)
        url = f"git://127.0.0.1:{port}/up"
        done = [side.run("git", "clone", "-q", url, "e"), side.run("git", "ls-remote", url),
                side.run("git", "-C", "e", "commit", "-q", "--allow-empty", "-m", "more",
                         env={"GIT_AUTHOR_DATE": "1700000000 +0000", "GIT_COMMITTER_DATE": "1700000000 +0000"}),
                side.run("git", "-C", "e", "push", "-q"), side.run("git", "-C", "up", "log", "--oneline"),
                side.run("git", "clone", "-q", url + "-not", "f")]
        return done, side.census(side.program(daemon), lambda c: not c["children"] or len(c["children"]) == 1)
    assert [d.status for d in kit.same(job)[0]] == [0, 0, 0, 0, 0, 128]


# ---- ssh ----
SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {dir}/host
PidFile none
UsePAM no
PermitRootLogin yes
StrictModes no
AuthorizedKeysFile {dir}/user.pub
Subsystem sftp internal-sftp
PermitUserEnvironment no
"""


@pytest.mark.skipif(os.getuid() != 0, reason="sshd")
def test_ssh_agent_keeps_a_key_and_sshd_lets_it_in(kit):
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)

    def job(side):
        for name in ("host", "user"):
            side.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", side.dir / name).ok()
        port, sock = side.port(), side.dir / "a"
        side.write("sshd_config", SSHD.format(port=port, dir=side.dir))
        keeper = side.start("ssh-agent", "-D", "-a", sock)
        wait_for(sock.exists, 20, "its socket", keeper.check_alive)
        env = {"SSH_AUTH_SOCK": sock}
        said = [side.run("ssh-add", "-q", "user", env=env).ok(), side.run("ssh-add", "-L", env=env).out.split()[-1]]
        sshd = side.start("/usr/sbin/sshd", "-D", "-e", "-f", side.dir / "sshd_config").wait_port(port)
        at = ["-F", "/dev/null", "-p", str(port), "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
              "-o", f"UserKnownHostsFile={side.dir}/known", "-o", "LogLevel=ERROR", "-o", "IdentityFile=none"]
        ssh = ["ssh", *at, "root@127.0.0.1"]
        (side.dir / "user").unlink()          # the agent alone has it
        said += [side.run(*ssh, "id -u; tty; exit 9", env=env),
                 side.run(*ssh, "-tt", "tty >/dev/null && echo a terminal", env=env),
                 side.run(*ssh, "sha1sum", env=env, input="x" * 300000),
                 side.run(*ssh, "true"),
                 side.run("scp", *at[:2], "-P", *at[3:], "sshd_config", f"root@127.0.0.1:{side.dir}/copied", env=env),
                 side.run("bash", "-c", f"ssh {' '.join(at)} -f -N -M -S {side.dir}/m root@127.0.0.1; "
                          f"ssh -S {side.dir}/m x echo shared; ssh -S {side.dir}/m -O exit x", env=env)]
        assert (side.dir / "copied").read_bytes() == (side.dir / "sshd_config").read_bytes()
        return said, side.census(side.program(keeper)), side.census(side.program(sshd), lambda c: not c["children"])
    assert [d.status for d in kit.same(job)[0] if hasattr(d, "status")] == [0, 9, 0, 0, 255, 0, 0]


# ---- debuggers ----
PROGRAM = r"""
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int depth(int n)
{
	return n ? depth(n - 1) + 1 : (int)getpid() * 0;
}

static void *ask(void *arg)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(arg)) };
	char request[] = "GET /debugged HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
	char answer[4096];
	int fd = socket(AF_INET, SOCK_STREAM, 0), n = 0;
	ssize_t r;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) || write(fd, request, strlen(request)) < 0)
		return NULL;
	while ((r = read(fd, answer, sizeof(answer))) > 0)
		n += r;
	close(fd);
	printf("%d bytes\n", n);
	return arg;
}

int main(int argc, char **argv)
{
	char *kept = malloc(100);
	pthread_t t;
	int status;

	printf("depth %d\n", depth(3));
	pthread_create(&t, NULL, ask, argv[1]);
	pthread_join(t, NULL);
	fflush(stdout);
	if (fork() == 0)
		_exit(4);
	wait(&status);
	printf("child %d\n", WEXITSTATUS(status));
	if (argc > 2)
		kept[100] = 'x';        /* for valgrind to find */
	free(argc > 2 ? NULL : kept);
	return 6;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    where = kit_folder(tmp_path_factory)
    (where / "program.c").write_text(PROGRAM)
    subprocess.run(["cc", "-g", "-O0", "-o", where / "program", where / "program.c", "-lpthread"], check=True)
    return where / "program"


def kit_folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("debugged")
    where.chmod(0o755)
    return where


GDB = ["set width 0", "set print thread-events off", "set debuginfod enabled off", "break depth if n == 0", "run", "backtrace", "info threads", "finish",
       "delete", "break ask", "continue", "print arg != 0", "thread apply all -q print argc", "next", "next", "print fd",
       "info locals", "catch fork", "continue", "delete", "continue"]


def traced(upstream):
    """How many requests came with a traceparent: of three sides, two are to bring it."""
    return [len(r.all("traceparent")) for r in upstream.received].count(1)


def plain(text):
    text = re.sub(r"0x[0-9a-f]+", "0x", text)
    text = re.sub(r"(LWP|process|\[?pid|PID) +\d+", r"\1 N", text)
    return re.sub(r"==\d+==", "==", text)


def test_gdb_debugs_a_program_and_both_are_traced(kit, program, upstream):
    """The program has one thread more once it has spoken HTTP; it is not told of."""
    upstream.answer = lambda r: b"x" * 100

    def job(side):
        side.names.append((str(upstream.port), "PORT"))
        words = [w for line in GDB for w in ("-ex", line)]
        done = side.run("gdb", "-q", "-nx", "-batch", *words, "--args", program, upstream.port)
        return done.status, plain(done.out), plain(done.err)
    said = kit.same(job)[1]
    assert "#3 " in said and "exited with code 06" in said
    assert traced(upstream) == 2


def test_strace_follows_a_traced_program(kit, program, upstream):
    upstream.answer = lambda r: b"x" * 100

    def job(side):
        done = side.run("strace", "-f", "-o", "calls", "-e", "trace=connect,execve,fork,clone,clone3,vfork", program, upstream.port)
        calls = (side.dir / "calls").read_text()
        return done, calls.count(f"sin_port=htons({upstream.port})"), calls.count("+++ exited with 4 +++"), side.run(
            "strace", "-c", "-o", "/dev/null", "true"), side.run("strace", "-f", "-o", "/dev/null", "sh", "-c", "kill -9 $$")
    done, *_ = kit.same(job)
    assert done.status == 6 and "child 4" in done.out
    assert traced(upstream) == 2


def test_valgrind_finds_the_same_in_a_traced_program(kit, program, upstream):
    upstream.answer = lambda r: b"x" * 100

    def job(side):
        done = side.run("valgrind", "--leak-check=full", "--error-exitcode=42", "--num-callers=20", program, upstream.port, "wrong")
        err = re.sub(r"==\s+total heap usage.*|== Command:.*", "", plain(done.err))
        clean = side.run("valgrind", "-q", "--leak-check=full", "--error-exitcode=42", program, upstream.port)
        return done.status, done.out, err, clean.status, clean.out, plain(clean.err)
    assert kit.same(job)[0] == 42
    assert traced(upstream) == 4


# ---- languages ----
PERL = r"""
use strict; use IO::Socket::INET; use IPC::Open3; use POSIX ":sys_wait_h";
$SIG{USR1} = sub { print "usr1\n" }; kill USR1 => $$; $| = 1;
my $pid = open3(my $in, my $out, undef, "tr", "a-z", "A-Z"); print $in "shout\n"; close $in; print <$out>; waitpid $pid, 0;
pipe(my $r, my $w); if (!fork) { close $r; print $w "from a child\n"; exit 3 } close $w; print <$r>; wait; print $? >> 8, "\n";
print `echo back; exit 2`; print $? >> 8, "\n"; print join(",", sort map { s/\d/N/r } glob("*")), "\n";
open(my $f, "+>", "f") or die; syswrite $f, "x" x 10; sysseek $f, 5, 0; print sysread($f, my $b, 99), "\n";
my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) or die; $s->autoflush;
print $s "GET /perl HTTP/1.0\r\nHost: here\r\n\r\n"; print <$s>; die "at the end\n";
"""
PYTHON = r"""
import asyncio, concurrent.futures, multiprocessing, os, selectors, signal, sqlite3, subprocess, sys, threading, urllib.request
print(subprocess.run(["tr", "a-z", "A-Z"], input=b"shout", stdout=-1).stdout, os.listdir("/proc/self/fd"))
with multiprocessing.Pool(2) as p: print(p.map(abs, range(-5, 0)))
with concurrent.futures.ThreadPoolExecutor(4) as p: print(sum(p.map(len, ["x" * i for i in range(100)])))
async def talk():
    p = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    return await p.communicate(b"through cat")
print(asyncio.run(talk()))
db = sqlite3.connect("db"); db.execute("create table t (x)"); db.execute("insert into t values (1)"); db.commit()
signal.signal(signal.SIGALRM, lambda *_: print("alarm")); signal.setitimer(signal.ITIMER_REAL, 0.01); signal.pause()
print(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/python").read())
sys.exit("at the end")
"""


@pytest.mark.parametrize("words, status", [(["perl", "-e", PERL], 2), ([paths.PYTHON, "-c", PYTHON], 1)], ids=["perl", "python"])
def test_scripting_languages(kit, upstream, words, status):
    upstream.answer = lambda r: b"x" * 100
    assert kit.same(lambda s: (s.run(*words, upstream.port), s.files()))[0].status == status
    assert traced(upstream) == 2


GO = r"""
package main

import ("fmt"; "io"; "net"; "os"; "os/exec"; "sync")

func main() {
	var wg sync.WaitGroup
	var mu sync.Mutex
	sum := 0
	for i := 0; i < 100; i++ {
		wg.Add(1)
		go func(i int) { defer wg.Done(); mu.Lock(); sum += i; mu.Unlock() }(i)
	}
	wg.Wait()
	out, err := exec.Command("tr", "a-z", "A-Z").CombinedOutput()
	fmt.Println(sum, string(out), err)
	c, err := net.Dial("tcp", "127.0.0.1:" + os.Args[1])
	if err != nil { panic(err) }
	fmt.Fprint(c, "GET /go HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
	answer, _ := io.ReadAll(c)
	fmt.Println(len(answer))
	os.Exit(5)
}
"""


@pytest.mark.parametrize("linked", ["static", "dynamic"])
def test_programs_built_with_go(kit, tmp_path_factory, upstream, linked):
    """They make system calls themselves: nothing is seen of them, linked to libc or not."""
    upstream.answer = lambda r: b"x" * 100
    where = kit_folder(tmp_path_factory)
    (where / "main.go").write_text(GO)
    cache = paths.BUILD / "go-cache"
    env = {**os.environ, "CGO_ENABLED": "0" if linked == "static" else "1", "GOCACHE": str(cache), "GO111MODULE": "off",
           "GOFLAGS": "", "HOME": str(where)}
    subprocess.run([shutil.which("go"), "build", "-o", where / "program", where / "main.go"], check=True, env=env)
    assert kit.same(lambda s: s.run(where / "program", upstream.port)).status == 5
    assert traced(upstream) == 0
