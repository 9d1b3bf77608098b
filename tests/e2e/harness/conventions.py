# SPDX-License-Identifier: Apache-2.0
"""What the OpenTelemetry semantic conventions for HTTP (1.44.0) ask of a span."""
import re

from .spans import CLIENT, ERROR, SERVER, UNSET

HEX16 = re.compile(r"[0-9a-f]{16}")
HEX32 = re.compile(r"[0-9a-f]{32}")


def check_form(span):
    assert HEX32.fullmatch(span.trace_id) and int(span.trace_id, 16), span
    assert HEX16.fullmatch(span.span_id) and int(span.span_id, 16), span
    assert span.parent_id == "" or HEX16.fullmatch(span.parent_id), span
    assert 0 < span.start <= span.end, span
    assert span.end - span.start < 120e9, span
    assert span.name and all(" " <= c <= "~" for c in span.name), span
    assert span.flags & 0x01 and span.flags & 0x100, (hex(span.flags), span)
    for key, value in span.attributes.items():
        assert value != "", (key, span)
    r = span.resource
    assert r["telemetry.sdk.name"] == "tagalong" and r["telemetry.sdk.language"] == "c"
    assert r["telemetry.sdk.version"] and r["service.name"] and r["process.pid"]


def check_error_type(span, status):
    """The status of the span follows from the HTTP status."""
    bad = status >= 500 or (status >= 400 and span.kind == CLIENT)
    assert span.status == (ERROR if bad else UNSET), span
    assert span.get("error.type") == (str(status) if bad else None), span
    assert span.message == "", span


def check_server(span, method="GET", path="/", status=200, port=None, query=None, version=None,
                 parent=None, user_agent=None, host="127.0.0.1"):
    """parent: (trace id, span id) of the caller, None for a root."""
    check_form(span)
    assert span.kind == SERVER
    assert span["http.request.method"] == method
    assert span["url.path"] == path
    assert span["url.scheme"] == "http"
    assert span.get("url.query") == query
    assert span["http.response.status_code"] == status
    assert span["network.protocol.version"] in ([version] if version else ["1.0", "1.1"])
    assert "network.protocol.name" not in span.attributes
    assert span["network.peer.address"] == "127.0.0.1"
    assert 0 < span["network.peer.port"] < 65536
    assert span["client.address"] == "127.0.0.1"
    if host is not None:
        assert span["server.address"] == host
        if port is not None:
            assert span["server.port"] == port
    assert span.get("user_agent.original") == user_agent
    assert span.name.startswith(method), span.name
    check_error_type(span, status)
    if parent:
        assert (span.trace_id, span.parent_id) == parent
        assert span.flags & 0x300 == 0x300, hex(span.flags)
    else:
        assert span.parent_id == "" and span.flags & 0x300 == 0x100, (hex(span.flags), span)
    return span


def check_client(span, method="GET", url=None, status=200, port=None, host="127.0.0.1",
                 version=None, link=None, parent=None):
    """parent: the Span above, None for a root."""
    check_form(span)
    assert span.kind == CLIENT
    assert span["http.request.method"] == method
    if url:
        assert span["url.full"] == url
    assert span["server.address"] == host
    if port is not None:
        assert span["server.port"] == port
    assert span["network.peer.address"] == "127.0.0.1"
    if port is not None:
        assert span["network.peer.port"] == port
    assert span["http.response.status_code"] == status
    assert span["network.protocol.version"] in ([version] if version else ["1.0", "1.1"])
    assert span.get("tagalong.link") in ("header", "flow", "thread", "process", "only", "none")
    if link:
        assert span["tagalong.link"] == link
    assert span.name.startswith(method), span.name
    check_error_type(span, status)
    if parent is not None:
        assert (span.trace_id, span.parent_id) == (parent.trace_id, parent.span_id)
        assert span.flags & 0x300 == 0x100, hex(span.flags)     # the parent is local
    else:
        assert span.parent_id == ""
    return span
