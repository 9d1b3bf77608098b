# SPDX-License-Identifier: Apache-2.0
"""nginx, one worker, answering a constant under wrk with 50 connections."""
import os
import re
import socket
import subprocess
import tempfile
import time

import measure

CONFIG = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
	access_log off; keepalive_requests 1000000000;
	client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
	uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
	server {{
		listen 127.0.0.1:{port};
		location / {{ return 200 "hello\\n"; }}
		location /proxy/ {{
			proxy_pass http://up/; proxy_http_version 1.1; proxy_set_header Connection "";
		}}
	}}
	server {{ listen 127.0.0.1:{port_up}; return 200 "hello\\n"; }}
	upstream up {{ server 127.0.0.1:{port_up}; keepalive 64; }}
}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_ns(pid):
    """Of each thread of a process: the program's own first, then ours."""
    threads = sorted(os.listdir("/proc/%d/task" % pid), key=int)
    return [int(open("/proc/%d/task/%s/schedstat" % (pid, t)).read().split()[0]) for t in threads]


class Nginx:
    def __init__(self, env):
        self.env = env

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.port = free_port()
        path = os.path.join(self.folder.name, "nginx.conf")
        with open(path, "w") as f:
            f.write(CONFIG.format(folder=self.folder.name, port=self.port, port_up=free_port()))
        self.process = subprocess.Popen(["nginx", "-p", self.folder.name, "-c", path], env=self.env)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self
            except ConnectionRefusedError:
                time.sleep(0.01)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()


def wrk_once(env, path):
    """CPU nanoseconds a request of nginx's thread and of the whole process, requests a second."""
    with Nginx(env) as nginx:
        wrk = ["wrk", "-t1", "-c50", "http://127.0.0.1:%d%s" % (nginx.port, path)]
        subprocess.run(wrk + ["-d1"], env=measure.PATH, check=True, stdout=subprocess.DEVNULL)
        before = cpu_ns(nginx.process.pid)
        out = subprocess.run(wrk + ["-d2"], env=measure.PATH, check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        after = cpu_ns(nginx.process.pid)
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    return (after[0] - before[0]) / requests, (sum(after) - sum(before)) / requests, rate


def nginx(table, rounds, sink):
    for path, what in (("/", "nginx under wrk"), ("/proxy/", "nginx as its own proxy under wrk")):
        found = measure.by_turns(rounds, sink.variants(), lambda env: wrk_once(env, path))
        table.compared("%s: its thread, a request" % what, "ns", measure.column(found, 0))
        table.compared("%s: the process, a request" % what, "ns", measure.column(found, 1))
        table.compared("%s: requests/s" % what, "1/s", measure.column(found, 2))
