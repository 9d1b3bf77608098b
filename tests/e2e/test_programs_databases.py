# SPDX-License-Identifier: Apache-2.0
"""Databases and queues: PostgreSQL, Redis, MariaDB, RabbitMQ. Each does the same job bare and traced; see
programs.py. They speak other protocols than HTTP: nothing of ours may be in them."""
import os
import pathlib
import pwd
import re
import signal

from harness import paths
from harness.wait import port_open, wait_for

POSTGRES = pathlib.Path("/usr/lib/postgresql/15/bin")


def owned(side, user):
    """How to start programs as a package's own user, in folders that are his."""
    if os.getuid() != 0:
        return {}
    who = pwd.getpwnam(user)
    os.chown(side.dir, who.pw_uid, who.pw_gid)
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}


# ---- PostgreSQL ----
SQL = """
create table t (id serial primary key, x text, at timestamptz default '2024-01-01');
insert into t (x) select repeat(chr(65 + i % 26), i) from generate_series(1, 2000) i;
create index on t (length(x));
select count(*), sum(length(x)) from t where length(x) > 500;
create function twice(i int) returns int language plpgsql as $$ begin return i * 2; end $$;
select twice(21); listen here; notify here, 'said';
begin; update t set x = 'changed' where id <= 10; rollback; select x from t where id = 2;
copy (select id from t order by id limit 3) to stdout;
set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
set min_parallel_table_scan_size = 0; select sum(twice(id)) from t;
vacuum analyze t; select 1 / 0;
"""


def postgres_names(census):
    """A background process may be at something; who there is, and what each holds that is no file of data."""
    kept = [n for n, to in census["descriptors"].items() if not re.search(r"/(base|global|pg_\w+)/", to)]
    return (census["name"], census["threads"], [census["descriptors"][n] for n in sorted(kept)],
            sorted(map(postgres_names, census["children"]), key=repr))


def test_postgresql_serves_crashes_and_recovers(kit):
    def job(side):
        as_user = owned(side, "postgres")
        port, data = side.port(), side.dir / "data"
        run = lambda program, *words, **kw: side.run(POSTGRES / program, *words, **as_user, **kw)   # noqa: E731
        said = [run("initdb", "-D", data, "-U", "me", "-A", "trust", "-N", "--no-instructions").ok().status]
        settings = (f"port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{side.dir}'\n"
                    "autovacuum = off\nlogging_collector = off\nmax_connections = 20\nshared_buffers = 16MB\n")
        with open(data / "postgresql.conf", "a") as f:
            f.write(settings)
        ctl = ["-D", data, "-w", "-t", "60", "-l", side.dir / "log"]
        said += [run("pg_ctl", "start", *ctl).ok().status]
        at = ["-h", "127.0.0.1", "-p", port, "-U", "me"]
        try:
            said += [run("createdb", *at, "d"), run("psql", *at, "-X", "-d", "d", "-f", "-", input=SQL)]
            said[-1].out = re.sub(r"with PID \d+", "with PID", said[-1].out)
            bench = run("pgbench", *at, "-i", "-s", "1", "-q", "d").ok()
            bench = run("pgbench", *at, "-c", "4", "-j", "2", "-t", "25", "d").ok()
            said += re.findall(r"number of (?:transactions actually processed|failed transactions): \S+", bench.out)
            said += [run("psql", "-h", side.dir, "-p", port, "-U", "me", "-X", "-Atc",
                         "select count(*), (select count(*) from pgbench_history) from t", "d")]
            master = int((data / "postmaster.pid").read_text().split()[0])
            # The processes of what was asked last are about to go.
            said += [postgres_names(side.census(master, lambda c: len(c["children"]) == 4))]
            os.kill(next(p for p in children(master) if b"walwriter" in cmdline(p)), signal.SIGKILL)
            wait_for(lambda: run("psql", *at, "-X", "-Atc", "select 1", "d").status == 0, 30, "the recovery")
            said += [sql(run, at, "select count(*) from pgbench_history")]
            for p in [master, *children(master)]:       # and all at once
                os.kill(p, signal.SIGKILL)
            wait_for(lambda: not pathlib.Path(f"/proc/{master}").exists() and not port_open(port), 30, "its end")
            said += [run("pg_ctl", "start", *ctl).ok().status, sql(run, at, "select count(*) from pgbench_history")]
        finally:
            said += [run("pg_ctl", "stop", "-D", data, "-m", "fast", "-w").status]
        log = (side.dir / "log").read_text()
        kinds = sorted(set(re.findall(r"(?:LOG|FATAL|ERROR|PANIC):  ([a-z -]{12,})", log)))
        return said + [kinds] + [run("pg_controldata", "-D", data).out.splitlines()[3]]
    assert "number of transactions actually processed: 100/100" in kit.same(job)


def sql(run, at, text):
    return run("psql", *at, "-X", "-Atc", text, "d").ok().out


def children(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cmdline(pid):
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()


# ---- Redis ----
COMMANDS = """
set a 1
incrby a 41
lpush l x y z
lrange l 0 -1
zadd z 1 one 2 two
zrange z 0 -1 withscores
eval "return redis.call('get', KEYS[1]) .. ARGV[1]" 1 a !
multi
set b 2
get b
exec
object encoding l
save
bgrewriteaof
nonsense
"""


def test_redis_serves_saves_and_ends(kit):
    def job(side):
        port = side.port()
        server = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", side.dir, "--appendonly", "yes",
                  "--unixsocket", side.dir / "s", "--enable-debug-command", "yes", "--save", "", "--io-threads", "1"]
        cli = ["redis-cli", "-p", port]
        p = side.start(*server).wait_port(port)
        said = [side.run(*cli, input=COMMANDS), side.run("redis-cli", "-s", side.dir / "s", "get", "a")]
        settled = lambda: "aof_rewrite_in_progress:0" in side.run(*cli, "info", "persistence").out    # noqa: E731
        wait_for(settled, 30, "the rewrite")
        said += [re.findall(r'^"[A-Z_ ()a-z0-9]+"', side.run("redis-benchmark", "-p", port, "-n", "2000", "-c", "20", "-P", "4",
                                                "--csv", "-t", "set,get,lpush,lpop").ok().out, re.M),
                 side.run(*cli, "bgsave").out]
        wait_for(lambda: "rdb_bgsave_in_progress:0" in side.run(*cli, "info", "persistence").out, 30, "the saving")
        said += [side.census(side.program(p)), side.run(*cli, "dbsize"), side.run(*cli, "debug", "reload")]
        os.kill(side.program(p), signal.SIGKILL)
        p.wait()
        p = side.start(*server).wait_port(port)
        said += [wait_for(lambda: (lambda d: d if "LOADING" not in d.out else None)(side.run(*cli, "get", "a")), 30, "it"),
                 side.run(*cli, "shutdown"), p.wait(), sorted(f for f in side.files() if not f.endswith(".log"))]
        return said
    assert "42!" in kit.same(job)[0].out


# ---- MariaDB ----
MARIA = """
create database d; use d;
create table t (id int auto_increment primary key, x text, key (x(10))) engine=innodb;
insert into t (x) select repeat(char(65 + seq % 26), seq % 200) from seq_1_to_3000;
select count(*), sum(length(x)) from t; start transaction; delete from t; rollback; select count(*) from t;
delimiter //
create procedure p(in n int) begin declare i int default 0; while i < n do set i = i + 1; end while; select i; end//
delimiter ;
call p(500); create table m engine=aria select * from t limit 100; check table t, m; select nothing;
"""


def test_mariadb_serves_and_ends(kit):
    def job(side):
        as_user = owned(side, "mysql")
        port, data, sock = side.port(), side.dir / "data", side.dir / "s"
        said = [side.run("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
                         "--skip-test-db", **as_user).status]
        server = ["mariadbd", "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1",
                  f"--socket={sock}", f"--pid-file={side.dir}/pid", "--innodb-buffer-pool-size=16M"]
        p = side.start(*server, **as_user).wait_port(port, 60)
        client = ["mariadb", "--no-defaults", f"--socket={sock}", "-u", "root"]
        said += [side.run(*client, "--force", "-t", input=MARIA),
                 side.run("mariadb", "--no-defaults", "-h", "127.0.0.1", f"-P{port}", "-u", "root", "-e", "select max(id) from d.t"),
                 re.sub("Dump completed on .*", "", side.run("mariadb-dump", "--no-defaults", f"--socket={sock}", "-u", "root", "d").out)]
        found = side.look_whole(side.program(p))
        said += [found["name"], found["children"], sorted(set(found["threads"])),
                 sorted({re.sub(r"#\d+", "#", to) for to in found["descriptors"].values() if "data/" not in to})]
        os.kill(side.program(p), signal.SIGKILL)
        p.wait()
        p = side.start(*server, **as_user).wait_port(port, 60)
        said += [side.run(*client, "-e", "select count(*) from d.t; shutdown"), p.wait()]
        return said
    assert "500" in kit.same(job)[1].out


# ---- RabbitMQ ----
QUEUE = r"""
import pika, sys
c = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(sys.argv[1])))
ch = c.channel(); ch.queue_declare("q", durable=True); ch.confirm_delivery(); ch.exchange_declare("e", "fanout")
ch.queue_bind("q", "e")
for i in range(50): ch.basic_publish("e", "", b"message %d" % i, pika.BasicProperties(delivery_mode=2, headers={"n": i}))
got = []
for method, properties, body in ch.consume("q", inactivity_timeout=20):
    got.append((properties.headers["n"], body)); ch.basic_ack(method.delivery_tag)
    if len(got) == 50: break
ch.cancel(); ch.basic_publish("", "q", b"left behind", pika.BasicProperties(delivery_mode=2))
print(got[0], got[-1], len(got), got == sorted(got)); c.close()
"""


def test_rabbitmq_passes_messages_on(kit):
    def job(side):
        as_user = owned(side, "rabbitmq")
        port, dist, epmd = side.port(), side.port(), side.port()
        node = f"tagalong{port}@localhost"
        env = {"RABBITMQ_NODENAME": node, "RABBITMQ_MNESIA_BASE": side.dir / "mnesia", "RABBITMQ_LOGS": "-",
               "RABBITMQ_LOG_BASE": side.dir / "log", "RABBITMQ_NODE_PORT": port, "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
               "RABBITMQ_DIST_PORT": dist, "ERL_EPMD_PORT": epmd, "ERL_EPMD_ADDRESS": "127.0.0.1",
               "RABBITMQ_ENABLED_PLUGINS_FILE": side.dir / "plugins", "RABBITMQ_CONFIG_FILE": side.dir / "none",
               "RABBITMQ_GENERATED_CONFIG_DIR": side.dir / "config", "RABBITMQ_PID_FILE": side.dir / "pid",
               "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none"}
        # It would become a daemon that nobody ends.
        side.start("epmd", "-address", "127.0.0.1", "-port", epmd, env=env, **as_user).wait_port(epmd)
        p = side.start("/usr/lib/rabbitmq/bin/rabbitmq-server", env=env, **as_user).wait_port(port, 90)
        said = [side.run(paths.PYTHON, "-c", QUEUE, port).ok()]
        beam = beam_of(side.program(p))
        found = side.look_whole(beam)
        said += [found["name"], sorted(set(found["threads"])), sorted(set(found["descriptors"].values())),
                 [c["name"] for c in found["children"]]]
        os.kill(beam, signal.SIGTERM)
        said += [p.wait(90), "Gracefully halting Erlang VM" in p.log()]
        return said
    assert "50 True" in kit.same(job)[0].out


def beam_of(pid):
    """The Erlang machine is what the script becomes or starts."""
    todo = [pid]
    while todo:
        pid = todo.pop()
        if b"beam.smp" in cmdline(pid).split(b"\0")[0]:
            return pid
        todo += children(pid)
    raise AssertionError("no beam")
