# SPDX-License-Identifier: Apache-2.0
"""Asks for URLs of https, each with a file as body if one is named, and writes the answers out. Debian's
pycurl is built on the libcurl that uses GnuTLS.
    tls_ask_pycurl.py easy|multi 1.1|2 AUTHORITY [--file FILE] URL..."""
import io
import sys

import pycurl

how, version, authority, *urls = sys.argv[1:]
body = None
if urls[0] == "--file":
    body = open(urls[1], "rb").read()
    urls = urls[2:]
assert "GnuTLS" in pycurl.version, pycurl.version


def made(url):
    curl, got = pycurl.Curl(), io.BytesIO()
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.CAINFO, authority)
    curl.setopt(pycurl.HTTP_VERSION, {"1.1": pycurl.CURL_HTTP_VERSION_1_1,
                                      "2": pycurl.CURL_HTTP_VERSION_2TLS}[version])
    curl.setopt(pycurl.WRITEDATA, got)
    if body is not None:
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.HTTPHEADER, ["Expect:"])
        curl.setopt(pycurl.POSTFIELDSIZE_LARGE, len(body))
        curl.setopt(pycurl.READDATA, io.BytesIO(body))
    return curl, got


transfers = [made(url) for url in urls]
if how == "easy":
    for one, _ in transfers:
        one.perform()
else:
    multi = pycurl.CurlMulti()
    for one, _ in transfers:
        multi.add_handle(one)
    running = 1
    while running:
        _, running = multi.perform()
        multi.select(1.0)
for one, answer in transfers:
    assert one.getinfo(pycurl.RESPONSE_CODE) == 200, one.errstr()
    sys.stdout.buffer.write(answer.getvalue())
