# SPDX-License-Identifier: Apache-2.0
"""An authority of our own, and certificates by it for a server on loopback and for a client."""
import ssl
import subprocess

NAMES = "subjectAltName=DNS:localhost,DNS:collector.test,IP:127.0.0.1"


def _openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


class Certificates:
    """ca.pem, server.pem, server.key, client.pem, client.key in a folder."""

    def __init__(self, folder):
        self.folder = folder
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        _openssl(folder, "req", "-x509", *key, "-days", "2", "-subj", "/CN=test authority",
                 "-keyout", "ca.key", "-out", "ca.pem")
        for name in ("server", "client"):
            _openssl(folder, "req", *key, "-subj", f"/CN={name}", "-addext", NAMES,
                     "-keyout", f"{name}.key", "-out", f"{name}.csr")
            _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey",
                     "ca.key", "-days", "2", "-copy_extensions", "copy", "-out", f"{name}.pem")

    def path(self, name):
        return str(self.folder / name)

    def read(self, name):
        return (self.folder / name).read_bytes()

    def server_context(self, ask_client=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("server.pem"), self.path("server.key"))
        if ask_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.path("ca.pem"))
        return context

    def client_context(self, protocols=()):
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        context.set_alpn_protocols(list(protocols))
        return context

    def client_variables(self):
        return {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": self.path("client.pem"),
                "OTEL_EXPORTER_OTLP_CLIENT_KEY": self.path("client.key")}
