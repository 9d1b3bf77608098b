# SPDX-License-Identifier: Apache-2.0
"""soak_tree.py SOAK_SERVER PORT PORT PORT: a tree of processes that never rests. A C server, a threaded one in Python,
gunicorn whose workers come and go; programs that make a request and end, fork, exec or are killed. Ends by SIGTERM."""
import http.client
import os
import random
import signal
import subprocess
import sys
import time

PYTHON = "/usr/bin/python3"
ASK = "import http.client,sys; c=http.client.HTTPConnection('127.0.0.1',int(sys.argv[1])); " \
      "c.request('GET','/exec'); c.getresponse().read()"
over = []


def ask(port, path):
    try:
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        c.request("GET", path)
        c.getresponse().read()
        c.close()
    except (OSError, http.client.HTTPException):
        pass


def child(port, how):
    """In a forked child; does not return."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ask(port, f"/{how}")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "fork" and os.fork() == 0:
        ask(port, "/grandchild")
    if how == "exec":
        os.execv(PYTHON, [PYTHON, "-c", ASK, str(port)])
    if how == "failing":
        try:
            os.execv("/nowhere", ["nowhere"])
        except OSError:
            ask(port, "/after")
    os._exit(0)


def main():
    server, ports = sys.argv[1], [int(p) for p in sys.argv[2:5]]
    here = os.path.dirname(os.path.abspath(__file__))
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    servers = [subprocess.Popen([server, str(ports[0])]),
               subprocess.Popen([PYTHON, "-m", "http.server", "--bind", "127.0.0.1", str(ports[1])],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL),
               subprocess.Popen([PYTHON, "/usr/bin/gunicorn", "-b", f"127.0.0.1:{ports[2]}", "-w", "2",
                                 "--max-requests", "50", "--log-level=critical", "--chdir", here, "plain:app"])]
    while not over:
        how = random.choice(["end", "kill", "fork", "exec", "failing"])
        pid = os.fork()
        if pid == 0:
            child(ports[0], how)
        os.waitpid(pid, 0)
        time.sleep(0.05)
    for s in servers:
        s.terminate()
    for s in servers:
        s.wait()


if __name__ == "__main__":
    main()
