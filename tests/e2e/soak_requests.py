# SPDX-License-Identifier: Apache-2.0
"""Many requests over many connections that stay open; what the server holds is looked at ten times on the way."""
import contextlib
import signal
import subprocess

from harness import servers
from harness.ports import free_port
from harness.sink import Sink
from harness.usage import descriptors, resident, threads
from harness.wait import Timeout, wait_for
from storms import build

WARM = 3        # tenths until everything a program keeps is there
SLACK = 1 << 20
KEPT = 64       # connections of nginx_proxy() to its upstream


class Sample:
    def __init__(self, requests, ms, pids):
        self.requests, self.ms = requests, ms
        self.resident = sum(map(resident, pids))
        self.descriptors = sum(map(descriptors, pids))
        self.threads = sum(map(threads, pids))


class Soak:
    def __init__(self, name, traced):
        self.name, self.traced, self.samples, self.stats = name, traced, [], None
        self.before = self.after = None

    @property
    def rate(self):
        return self.samples[-1].requests * 1000 // max(self.samples[-1].ms, 1)

    @property
    def most_descriptors(self):
        """What may be left at the end: the exporter's own, and the connections that a proxy keeps for later."""
        return self.before.descriptors + 2 + (KEPT if "proxy" in self.name else 0)

    def growth(self):
        """Bytes the second part holds at most over what the first part held."""
        return max(s.resident for s in self.samples[WARM:]) - max(s.resident for s in self.samples[:WARM])

    def wrong(self):
        said = []
        if self.growth() > SLACK:
            said.append(f"resident memory grew by {self.growth()} bytes")
        for what in ("descriptors", "threads"):
            seen = [getattr(s, what) for s in self.samples[WARM - 1:]]
            if max(seen) > seen[0]:
                said.append(f"{what} grew: {seen}")
        if self.after.descriptors > self.most_descriptors:
            said.append(f"descriptors were left: {self.before.descriptors}, then {self.after.descriptors}")
        if self.stats is not None and not self.stats.add_up():
            said.append(f"the counters do not add up: {self.stats}")
        return said


def c_server(run, options):
    port = free_port()
    run.start([build("soak_server"), port], "svc", port=port, **options)
    return port


NGINX = {"name": "svc", "main": "worker_processes 1; worker_rlimit_nofile 20000;", "connections": 19000}


def nginx(run, options):
    return servers.nginx(run, 'location / { return 200 "ok\n"; }', **NGINX, **options)


def nginx_proxy(run, options):
    """Client spans too, and headers put into what the program writes."""
    port = servers.nginx_proxy(run, [c_server_behind(run)], **NGINX, **options)
    run.processes.reverse()     # the proxy is the one that is looked at
    return port


def c_server_behind(run):
    port = free_port()
    run.bare([build("soak_server"), port], port=port)
    return port


PROGRAMS = {"C server": c_server, "nginx": nginx, "nginx as a proxy": nginx_proxy}


def soak(run, program, traced, requests, connections, each=None):
    """Runs one program under the load; each(sample) as they come."""
    s = Soak(program, traced)
    with Sink() as collector:
        env = {"TAGALONG_TRACES_FILE": None, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
               "OTEL_BSP_SCHEDULE_DELAY": None, "OTEL_BSP_MAX_QUEUE_SIZE": None, "TAGALONG_STATS": "true"}
        port = PROGRAMS[program](run, {"env": env, "traced": traced})
        server = run.processes[0]
        s.before = Sample(0, 0, server.children())
        client = subprocess.Popen([str(build("soak_client")), str(port), str(requests), str(connections)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for line in client.stdout:
            s.samples.append(Sample(*map(int, line.split()), server.children()))
            if each:
                each(s.samples[-1])
            client.stdin.write("on\n")
            client.stdin.flush()
        assert client.wait() == 0 and s.samples[-1].requests == requests
        client.stdin.close()
        s.after = when_quiet(server, s.most_descriptors)
        server.stop(signal.SIGTERM)
        run.close()     # before the collector goes
        if traced:
            s.stats = run.stats("svc")
    return s


def when_quiet(server, most):
    """When it has closed what its client has left; or after a while."""
    with contextlib.suppress(Timeout):
        wait_for(lambda: sum(map(descriptors, server.children())) <= most, 20)
    return Sample(0, 0, server.children())
