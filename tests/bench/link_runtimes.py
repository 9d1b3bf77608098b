# SPDX-License-Identifier: Apache-2.0
"""Programs of tests/bench/links in other languages, services of tests/bench/links_runtimes. Of these
runtimes nothing is asked: what is known is known by the rules "header" and "thread"."""
import pathlib
import shutil
import subprocess

import link_bench       # finds the harness

from harness import paths
from harness.load import Verdict, id_of
from harness.ports import free_port
from harness.spans import SERVER
from harness.wait import Timeout, wait_for

SOURCES = pathlib.Path(__file__).resolve().parent / "links_runtimes"
BUILT = paths.BUILD / "links_runtimes"
JARS = pathlib.Path("/usr/share/java")
TOMCAT = [JARS / f"tomcat10-{part}.jar" for part in
          ("annotations-api", "api", "catalina", "coyote", "el-api", "jaspic-api", "jni", "jsp-api", "juli",
           "servlet-api", "util", "util-scan")]

BLOCKING = ["before", "between", "pool", "fresh", "names", "gather", "lost", "after"]
ASYNC = [*BLOCKING, "async", "shared"]


class Runtime(link_bench.Program):
    """`command(run, port)` serves."""

    # Other threads than the reader's ask, or it has answered: nothing can be known.
    lost = {"gather", "lost", "after", "async", "shared"}

    def start(self, run, upstream, _python=None, **env):
        port = free_port()
        env = {"UPSTREAM": upstream, "CLIENT": self.client, "TAGALONG_STATS": "true", **self.env, **env}
        run.start(self.command(run, port), link_bench.SERVICE, port=port, env=env, cwd=SOURCES)
        return port


def newer(target, sources):
    """Whether target is to be made."""
    return not target.exists() or target.stat().st_mtime < max(s.stat().st_mtime for s in sources)


def java(name, *args, jars=()):
    """Starts the class `name`, compiled where it has changed."""
    def command(run, port):
        sources = [SOURCES / "Ask.java", SOURCES / f"{name}.java"]
        path = ":".join(map(str, [BUILT, *jars]))
        if newer(BUILT / f"{name}.class", sources):
            BUILT.mkdir(parents=True, exist_ok=True)
            subprocess.run(["javac", "-XDsuppressNotes", "-d", BUILT, "-cp", path, *sources], check=True)
        more = [run.tmp if a == "TMP" else a for a in args]
        return ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-cp", path, name, port, *more]
    return command


def javas():
    servers = {"Java, a thread a connection": java("ServeSockets"),
               "com.sun.net.httpserver": java("ServeJdk", 160),
               "com.sun.net.httpserver with 4 threads": java("ServeJdk", 4),
               "com.sun.net.httpserver, other jobs on its threads": java("ServeJdk", 4, "jobs"),
               "Tomcat": java("ServeTomcat", "TMP", "Http11NioProtocol", jars=TOMCAT),
               "Tomcat by NIO2": java("ServeTomcat", "TMP", "Http11Nio2Protocol", jars=TOMCAT)}
    # java.net.http, bare too, writes on connections that it was told to close, and fails.
    clients = {"HttpURLConnection": ASYNC, "java.net.http": [s for s in ASYNC if s != "fresh"]}
    return {f"{server}, {client}": Runtime(command, shapes, client)
            for server, command in servers.items() for client, shapes in clients.items()}


def puma(*more):
    return lambda run, port: ["puma", "--silent", "-b", f"tcp://127.0.0.1:{port}?backlog=1024", "-t", "32:32",
                              *more, SOURCES / "config.ru"]


def webrick(run, port):
    return ["ruby", SOURCES / "serve_webrick.rb", port]


def compiled(name, *args, compiler, libs=()):
    """Starts a program of C or C++."""
    def command(run, port):
        source, out = SOURCES / name, BUILT / pathlib.Path(name).stem
        if newer(out, [source]):
            BUILT.mkdir(parents=True, exist_ok=True)
            subprocess.run([*compiler, "-O1", "-g", "-Wall", "-Wextra", "-o", out, source, *libs], check=True)
        return [out, port, *args]
    return command


def asio(*args):
    return compiled("serve_asio.cpp", *args, compiler=["g++", "-std=c++17"], libs=["-lpthread"])


class Fpm(Runtime):
    """PHP-FPM behind nginx. FastCGI is not HTTP: PHP has no request that its own could belong to."""

    def start(self, run, upstream, _python=None, **env):
        port = free_port()
        sock = run.tmp / "php.socket"
        (run.tmp / "fpm.conf").write_text(
            f"[global]\nerror_log={run.tmp}/fpm.log\ndaemonize=no\n[www]\nlisten={sock}\nlisten.mode=0666\n"
            "listen.backlog=1024\npm=static\npm.max_children=8\nclear_env=no\nuser=www-data\ngroup=www-data\n")
        for name in SOURCES.glob("*.php"):      # readable by any user
            shutil.copy(name, run.tmp)
        conf = (SOURCES / "nginx.conf").read_text()
        for what, value in (("TMP", run.tmp), ("PORT", port)):
            conf = conf.replace(what, str(value))
        (run.tmp / "nginx.conf").write_text(conf)
        run.start(["php-fpm8.2", "-y", run.tmp / "fpm.conf"], link_bench.SERVICE, cwd=run.tmp,
                  env={"UPSTREAM": upstream, "CLIENT": self.client, **self.env, **env})
        wait_for(sock.exists, 20, "PHP-FPM")
        run.start(["nginx", "-c", run.tmp / "nginx.conf"], "nginx", port=port)
        return port


class Passing(Fpm):
    """PHP that gives the traceparent it was called with along: what it asks for is of nginx's span, and it
    has none of its own."""

    lost = ()

    @staticmethod
    def judged(run, received):
        v = Verdict()
        named = lambda: {r.context()[1] for r in received} <= run.spans.by_id().keys()
        try:
            wait_for(named, 10)
        except Timeout:
            pass
        ids = run.spans.by_id()
        for r in received:
            span = ids.get(r.context()[1])
            if span is None:
                v.orphan += 1
            elif span.kind == SERVER and id_of(span.path) == id_of(r.path):
                v.right += 1
            else:
                v._wrong(f"{r.path}: {span}")
        return v


class ModPhp(Runtime):
    """In processes of one thread, that reads, asks and answers."""

    lost = ()


def mod_php(run, port):
    conf = (SOURCES / "apache.conf").read_text()
    for what, value in (("TMP", run.tmp), ("PORT", port)):
        conf = conf.replace(what, str(value))
    (run.tmp / "apache.conf").write_text(conf)
    shutil.copy(SOURCES / "ask.php", run.tmp)
    return ["apache2", "-DFOREGROUND", "-f", run.tmp / "apache.conf"]


# PHP loads curl's extension with RTLD_DEEPBIND, which passes by what is preloaded: unless libcurl is, too.
CURL = {"LD_PRELOAD": f"{paths.LIBRARY}:libcurl.so.4"}
RUBY = ["before", "between", "pool", "fresh", "names", "gather", "lost", "after"]
PHP = ["before", "between", "fresh", "names", "gather", "after"]
LOOP = ["before", "between", "pool", "fresh", "names", "gather", "after"]

RUNTIMES = {
    **javas(),
    "Puma, Net::HTTP": Runtime(puma(), RUBY),
    "Puma with -w 2, Net::HTTP": Runtime(puma("-w", "2"), RUBY),
    "Puma without its queue, Net::HTTP": Runtime(puma("-C", SOURCES / "puma_plain.rb"), RUBY),
    "WEBrick, Net::HTTP": Runtime(webrick, RUBY[:-1]),
    "PHP-FPM behind nginx, curl": Fpm(None, PHP, "curl", CURL),
    "PHP-FPM behind nginx, streams": Fpm(None, PHP[:-2], "streams"),
    "PHP-FPM passing its traceparent on, curl": Passing(None, PHP, "curl", {**CURL, "PASS": 1}),
    "PHP in Apache, curl": ModPhp(mod_php, PHP, "curl", CURL),
    "PHP in Apache, streams": ModPhp(mod_php, PHP[:-2], "streams"),
    "libevent": Runtime(compiled("serve_libevent.c", compiler=["gcc", "-std=gnu11"], libs=["-levent"]), LOOP),
    "Boost.Asio, a thread a connection": Runtime(asio("sync", 1), [*LOOP]),
    "Boost.Asio, a loop": Runtime(asio("async", 1), [*LOOP, "lost"]),
    "Boost.Asio, a loop on 4 threads": Runtime(asio("async", 4), [*LOOP, "lost"]),
    "Boost.Asio, a loop on 4 threads that wait": Runtime(asio("mixed", 4), [*LOOP, "lost"]),
}
