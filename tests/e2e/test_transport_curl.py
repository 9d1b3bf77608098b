# SPDX-License-Identifier: Apache-2.0
"""The libcurl transport over HTTP, in front of receivers that do right and wrong."""
import gzip
import json
import time

import pytest

from harness.ports import free_port
from harness.proxy import Proxy
from otlp_receiver import OtlpReceiver

JSON = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}
GZIP = {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}


@pytest.fixture
def tls_receiver(certificates):
    with OtlpReceiver(tls=certificates.server_context()) as r:
        yield r
        assert not r.errors


# -- what is sent --

def test_request_is_as_the_specification_says(receiver, transport):
    t = transport(receiver.url, OTEL_EXPORTER_OTLP_HEADERS="Api-Key=se%20cret,empty=,x=1")
    assert t.send(3)["loss"] == "none"
    r = receiver.requests[0]
    assert r.line == "POST /v1/traces HTTP/1.1"
    assert r.headers["content-type"] == "application/x-protobuf"
    assert r.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert r.headers["api-key"] == "se cret" and r.headers["x"] == "1" and r.headers["empty"] == ""
    assert not r.headers.keys() & {"content-encoding", "transfer-encoding", "expect", "te"}
    agent, otel = r.headers["user-agent"].split(" ")
    assert agent.startswith("tagalong/") and otel == agent.replace("tagalong", "OTel-OTLP-Exporter-C")
    assert len(r.spans) == 3 and {s["name"] for s in r.spans} == {"GET /users/{id}"}
    assert t.warned() == ""


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("tls", [False, True])
def test_every_way_to_send(certificates, transport, protocol, compression, tls):
    with OtlpReceiver(tls=certificates.server_context() if tls else None) as r:
        t = transport(r.url, OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
                      OTEL_EXPORTER_OTLP_COMPRESSION=compression,
                      OTEL_EXPORTER_OTLP_CERTIFICATE=certificates.path("ca.pem"))
        for _ in range(3):
            assert t.send(100)["loss"] == "none"
        assert len({s["spanId"] for s in r.spans}) == 300
        assert r.connections == 1
        head = r.requests[0].headers
        assert head["content-type"] == ("application/json" if "json" in protocol
                                        else "application/x-protobuf")
        assert head.get("content-encoding", "none") == compression
        assert (len(r.requests[0].body) < len(r.requests[0].plain) / 3) == (compression == "gzip")
        assert not r.errors and t.warned() == ""


def test_large_bodies_go_without_a_pause(receiver, transport):
    t = transport(receiver.url)
    o = t.send(2048, "n" * 250)
    assert o["loss"] == "none" and o["took_ms"] < 900, o
    assert len(receiver.spans) == 2048


@pytest.mark.parametrize("how", ["chunked", "until-close", "interim", "bytewise", "close-after", "empty",
                                 "interim bytewise chunked partial:0:", "slow:0.3"])
def test_every_way_to_say_yes(receiver, transport, how):
    receiver.behave(how)
    t = transport(receiver.url)
    for _ in range(2):
        assert t.send()["loss"] == "none"
    assert len(receiver.spans) == 6 and len(receiver.requests) == 2


def test_a_connection_that_the_receiver_closed_is_replaced_at_once(receiver, transport):
    t = transport(receiver.url)
    assert t.send()["loss"] == "none"
    receiver.close()
    receiver.start()
    o = t.send()
    assert o["loss"] == "none" and o["took_ms"] < 700
    assert receiver.connections == 2


# -- where it goes --

@pytest.mark.parametrize("base,path", [("", "/v1/traces"), ("/", "/v1/traces"), ("/x", "/x/v1/traces"),
                                       ("/x/?a=b", "/x/v1/traces?a=b")])
def test_a_base_url_gets_the_path(receiver, transport, base, path):
    t = transport(receiver.url + base)
    assert t.send()["loss"] == "none"
    assert receiver.requests[0].line.split()[1] == path
    assert t.ask("describe") == receiver.url + path.partition("?")[0]


@pytest.mark.parametrize("url,path", [("", "/"), ("/x", "/x")])
def test_the_url_for_one_signal_is_used_as_it_is(receiver, transport, url, path):
    t = transport("http://127.0.0.1:1", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=receiver.url + url)
    assert t.send()["loss"] == "none"
    assert receiver.requests[0].line.split()[1] == path


def test_metrics_go_their_own_way(receiver, transport):
    t = transport(receiver.url, signal="metrics", OTEL_EXPORTER_OTLP_METRICS_HEADERS="m=1",
                  OTEL_EXPORTER_OTLP_HEADERS="m=2", OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="grpc")
    receiver.behave("partial:5:too-many")
    o = t.post(b"", items=9)
    assert (o["loss"], o["rejected"]) == ("none", 5)
    assert receiver.requests[0].line == "POST /v1/metrics HTTP/1.1"
    assert receiver.requests[0].headers["m"] == "1"
    assert "metrics" in t.log()


def test_an_endpoint_without_a_scheme_is_http_with_one_warning(receiver, transport):
    t = transport(f"127.0.0.1:{receiver.port}")
    assert t.send()["loss"] == "none"
    assert t.warned().count("\n") == 1 and "no scheme" in t.warned()


def test_what_is_no_url_gives_the_default_and_no_secret(transport):
    t = transport("ftp://user:hidden@host/")
    assert t.ask("describe") == "http://localhost:4318/v1/traces"
    assert "not an http URL" in t.warned() and "hidden" not in t.warned()


def test_userinfo_is_basic_authentication_and_a_header_wins(receiver, transport):
    url = receiver.url.replace("//", "//us%20er:pa:ss@")
    t = transport(url)
    assert t.send()["loss"] == "none"
    assert receiver.requests[0].headers["authorization"] == "Basic dXMgZXI6cGE6c3M="
    assert "pa:ss" not in t.ask("describe") + t.warned() + t.log()
    t = transport(url, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20x,user-agent=me")
    assert t.send()["loss"] == "none"
    assert receiver.requests[1].headers["authorization"] == "Bearer x"
    assert receiver.requests[1].headers["user-agent"] == "me"


def test_bad_headers_are_left_out(receiver, transport):
    t = transport(receiver.url, OTEL_EXPORTER_OTLP_HEADERS="good=1,content-length=3,evil=a%0D%0Ab: c,te=x")
    assert t.send()["loss"] == "none"
    assert receiver.requests[0].headers["good"] == "1"
    assert not receiver.requests[0].headers.keys() & {"evil", "b", "te"}
    assert "content-length" in t.warned()


# -- TLS --

def test_a_receiver_nobody_vouches_for_gets_nothing(tls_receiver, transport):
    t = transport(tls_receiver.url, OTEL_EXPORTER_OTLP_TIMEOUT=500)
    assert t.send()["loss"] == "retries"
    assert t.ask("failing") == "1"
    assert not tls_receiver.requests and "certificate" in t.log()
    assert t.log().count("\n") == 1


def test_a_client_certificate_is_shown_to_who_asks(certificates, transport):
    with OtlpReceiver(tls=certificates.server_context(ask_client=True)) as r:
        ca = {"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": certificates.path("ca.pem"),
              "OTEL_EXPORTER_OTLP_TIMEOUT": 1500}
        t = transport(r.url, **ca)
        assert t.send()["loss"] == "retries" and not r.requests
        t = transport(r.url, **ca, **certificates.client_variables())
        assert t.send()["loss"] == "none" and len(r.spans) == 3


def test_files_that_cannot_be_read_are_named_before_anything_is_sent(transport):
    t = transport("https://127.0.0.1:1", OTEL_EXPORTER_OTLP_CERTIFICATE="/nowhere/ca.pem",
                  OTEL_EXPORTER_OTLP_CLIENT_KEY="/nowhere/key.pem")
    assert "/nowhere/ca.pem cannot be read" in t.warned()
    assert "of no use without" in t.warned()


# -- answers --

@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_exactly_these_codes_are_retried(receiver, transport, code):
    receiver.behave(f"status:{code}", "ok")
    t = transport(receiver.url)
    assert t.send()["loss"] == "none"
    first, second = receiver.requests
    assert 0.7 < second.time - first.time < 2 and first.body == second.body
    assert f"answers {code}: told to" in t.log()


@pytest.mark.parametrize("extra", [{}, JSON])
@pytest.mark.parametrize("code", [300, 400, 401, 404, 408, 413, 500, 501, 505])
def test_no_other_code_is_retried(receiver, transport, code, extra):
    receiver.behave(f"status:{code}", "ok")
    t = transport(receiver.url, **extra)
    o = t.attempt()
    assert o["loss"] == "response" and o["final"]
    assert len(receiver.requests) == 1
    assert f"answers {code}" in t.log() and ("told to" in t.log()) == (code >= 400)
    assert t.ask("failing") == "0"


def test_redirects_are_not_followed(receiver, transport):
    with OtlpReceiver() as elsewhere:
        receiver.behave(f"redirect:{elsewhere.url}/v1/traces")
        t = transport(receiver.url)
        assert t.send()["loss"] == "response"
        assert not elsewhere.requests and "answers 307" in t.log()


@pytest.mark.parametrize("how,least", [("retry-after:2", 1900), ("retry-date:3", 1900)])
def test_retry_after_is_honoured_in_both_forms(receiver, transport, how, least):
    receiver.behave(f"status:503 {how}", "ok")
    o = transport(receiver.url).send()
    assert o["loss"] == "none" and least <= o["took_ms"] < 4000


def test_retry_after_past_the_budget_ends_the_batch(receiver, transport):
    receiver.behave("status:429 retry-after:7")
    t = transport(receiver.url, OTEL_EXPORTER_OTLP_TIMEOUT=1000)
    o = t.send()
    assert o["loss"] == "retries" and o["took_ms"] < 900 and 6000 < o["hold_off_ms"] <= 7000
    o = t.attempt()
    assert not o["final"] and o["asked_ms"] == 7000


@pytest.mark.parametrize("extra", [{}, JSON])
def test_a_partial_success_is_counted_and_never_sent_again(receiver, transport, extra):
    receiver.behave("partial:2:too-old")
    t = transport(receiver.url, **extra)
    o = t.send(5)
    assert (o["loss"], o["rejected"]) == ("none", 2)
    assert len(receiver.requests) == 1 and "rejected 2 of the spans: too-old" in t.log()
    receiver.behave("partial:0:mind-the-gap")
    assert t.send(5)["rejected"] == 0
    assert "the receiver says: mind-the-gap" in t.log()
    receiver.behave("partial:900:all")
    assert t.send(5)["rejected"] == 5


@pytest.mark.parametrize("how", ["early-close", "reset"])
def test_a_connection_that_ends_without_an_answer_is_tried_again(receiver, transport, how):
    receiver.behave(how, "ok")
    t = transport(receiver.url)
    assert t.send()["loss"] == "none"
    assert len(receiver.requests) == 2 and len(receiver.spans) == 3


def test_a_refusal_before_the_body_is_read_is_an_answer(receiver, transport):
    receiver.behave("refuse-early")
    assert transport(receiver.url).send(2000)["loss"] == "response"


@pytest.mark.parametrize("how", ["endless", "garbage"])
def test_an_answer_that_is_none_ends_the_batch(receiver, transport, how):
    receiver.behave(how)
    t = transport(receiver.url)
    o = t.send()
    assert o["loss"] == "response" and o["took_ms"] < 5000
    assert ("too large" if how == "endless" else "not HTTP") in t.log()


def test_a_receiver_that_hangs_costs_the_budget_and_no_more(receiver, transport):
    for how in ("hang", "never-read"):
        receiver.behave(how)
        t = transport(receiver.url, OTEL_EXPORTER_OTLP_TIMEOUT=700)
        o = t.send()
        assert o["loss"] == "retries" and 600 <= o["took_ms"] < 1200, how
        assert "no answer in time" in t.log()


def test_a_receiver_that_is_down_gets_the_spans_when_it_is_back(receiver, transport):
    receiver.close()
    t = transport(receiver.url)
    t.tell("send 3")
    time.sleep(0.3)
    receiver.start()
    assert json.loads(t.answer())["loss"] == "none"
    assert len(receiver.spans) == 3 and t.log().count("Connection refused") == 1


# -- stop --

@pytest.mark.parametrize("how", ["hang", "never-read", "status:503 retry-after:8", "closed"])
def test_stop_ends_every_wait(receiver, transport, how):
    if how == "closed":
        receiver.close()
    receiver.behave(how)
    t = transport(receiver.url)
    t.ask("stop 300")
    o = t.send()
    assert o["loss"] == "undeliverable" and o["took_ms"] < 300 + 150
    assert t.send()["loss"] == "undeliverable"


def test_stop_does_not_wait_for_a_name_server(transport):
    t = transport("http://collector.invalid:4318")
    t.ask("stop 100")
    o = t.send()
    assert o["loss"] == "undeliverable" and o["took_ms"] < 1000


# -- proxies --

def test_a_proxy_of_the_environment_is_used_but_not_for_loopback(receiver, transport):
    with Proxy(receiver.port) as proxy:
        t = transport("http://collector.test:4318", http_proxy=proxy.url)
        for _ in range(2):
            assert t.send()["loss"] == "none"
        assert set(proxy.lines) == {"POST http://collector.test:4318/v1/traces HTTP/1.1"}
        assert receiver.requests[0].headers["host"] == "collector.test:4318"
        seen = len(proxy.lines)
        assert transport(receiver.url, http_proxy=proxy.url).send()["loss"] == "none"
        assert transport(f"http://localhost:{receiver.port}",
                         http_proxy=proxy.url).send()["loss"] == "none"
        t = transport("http://collector.test:4318", http_proxy=proxy.url, no_proxy="collector.test",
                      OTEL_EXPORTER_OTLP_TIMEOUT=1000)
        assert t.send()["loss"] == "retries"
        assert len(proxy.lines) == seen and len(receiver.requests) == 4


def test_tls_goes_through_a_tunnel_that_sees_no_header(tls_receiver, certificates, transport):
    with Proxy(tls_receiver.port) as proxy:
        t = transport("https://collector.test", https_proxy=proxy.url.replace("//", "//u:p@"),
                      OTEL_EXPORTER_OTLP_HEADERS="api-key=secret",
                      OTEL_EXPORTER_OTLP_CERTIFICATE=certificates.path("ca.pem"))
        assert t.send()["loss"] == "none"
        assert proxy.lines == ["CONNECT collector.test:443 HTTP/1.1"]
        assert "secret" not in proxy.heads[0] and "proxy-authorization: basic dtpw" in proxy.heads[0]
        assert tls_receiver.requests[0].headers["api-key"] == "secret"


def test_a_proxy_that_refuses_is_named(transport):
    with Proxy(1, refuse=502) as proxy:
        t = transport("https://collector.test", https_proxy=proxy.url, OTEL_EXPORTER_OTLP_TIMEOUT=500)
        assert t.send()["loss"] == "retries"
        assert "502" in t.log()


# -- HTTP/2 --

def test_http2_is_taken_where_it_is_offered(certificates, receiver, transport, run):
    port = free_port()
    conf = run.tmp / "nginx.conf"
    conf.write_text(f"""daemon off; pid {run.tmp}/pid; error_log {run.tmp}/error; events {{}}
        http {{ access_log {run.tmp}/access; client_body_temp_path {run.tmp}/body;
        proxy_temp_path {run.tmp}/proxy; fastcgi_temp_path {run.tmp}/f; uwsgi_temp_path {run.tmp}/u;
        scgi_temp_path {run.tmp}/s; server {{ listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {certificates.path('server.pem')};
        ssl_certificate_key {certificates.path('server.key')};
        location / {{ proxy_pass {receiver.url}; proxy_set_header X-Spoken $server_protocol; }} }} }}""")
    run.start(["nginx", "-p", str(run.tmp), "-c", str(conf)], traced=False, port=port)
    t = transport(f"https://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_CERTIFICATE=certificates.path("ca.pem"),
                  **GZIP)
    for _ in range(3):
        assert t.send()["loss"] == "none"
    assert {r.headers["x-spoken"] for r in receiver.requests} == {"HTTP/2.0"}
    assert gzip.decompress(receiver.requests[0].body) and len(receiver.spans) == 9
