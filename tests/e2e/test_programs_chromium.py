# SPDX-License-Identifier: Apache-2.0
"""Chromium, headless: many processes, sandboxes off, its own network stack. The same page gives the same document and
the same picture; see programs.py."""
import asyncio
import hashlib

from harness.upstream import Raw

# The page counts as loaded when its last image has come, which is when the scripts are through.
PAGE = b"""<!doctype html><title>page</title><link rel=stylesheet href=/style.css><h1 id=h>before</h1><img src=/dot.svg><img src=/last.svg>
<script src=/script.js></script><script>
(async () => {
	const lines = [];
	for (let i = 0; i < 5; i++) lines.push(await (await fetch("/data/" + i)).text());
	const worker = new Worker("/worker.js");
	lines.push(await new Promise(done => { worker.onmessage = e => done(e.data); worker.postMessage(20); }));
	document.getElementById("h").textContent = lines.join(" ");
	await fetch("/through");
})();
</script>"""
FILES = {
    "/": ("text/html", PAGE),
    "/style.css": ("text/css", b"h1 { color: #123456; font: 20px monospace } body { background: #fedcba }"),
    "/dot.svg": ("image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg' width='40' height='40'><circle r='20'/></svg>"),
    "/script.js": ("text/javascript", b"document.title = 'changed by a script'"),
    "/worker.js": ("text/javascript", b"const f = n => n < 2 ? n : f(n - 1) + f(n - 2); onmessage = e => postMessage(f(e.data))"),
}
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--window-size=400,300",
           "--disable-extensions", "--log-level=3"]


def pages(upstreams):
    """A server of the page; each one that loads it asks for /through once."""
    async def answer(request):
        if request.path == "/last.svg":
            while count("/through") < count("/last.svg"):
                await asyncio.sleep(0.01)
        kind, body = FILES.get(request.path.replace("last", "dot"), ("text/plain", request.path.encode()))
        return Raw(b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\nCache-Control: no-store\r\n\r\n"
                   % (kind.encode(), len(body)) + body)

    def count(path):
        return [r.path for r in up.received].count(path)
    up = upstreams(answer)
    return up


def test_chromium_shows_the_same_page_and_its_requests_are_traced(kit, upstreams):
    def job(side):
        up = pages(upstreams)
        url = f"http://127.0.0.1:{up.port}/"
        dom = side.run("chromium", *OPTIONS, f"--user-data-dir={side.dir}/one", "--dump-dom", url)
        shot = side.run("chromium", *OPTIONS, f"--user-data-dir={side.dir}/two", f"--screenshot={side.dir}/shot.png", url)
        asked = sorted({(r.method, r.path) for r in up.received})
        traced = {r.path for r in up.received if r.all("traceparent")}
        assert ("/data/4" in traced) == side.traced
        return dom.status, dom.out, shot.status, hashlib.sha1((side.dir / "shot.png").read_bytes()).hexdigest(), asked
    status, text, *_ = kit.same(job)
    assert status == 0 and "/data/0 /data/1 /data/2 /data/3 /data/4 6765" in text and "changed by a script" in text
