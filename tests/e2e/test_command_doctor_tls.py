# SPDX-License-Identifier: Apache-2.0
"""Which TLS library `tagalong doctor` finds in a program, and how it says that is reached."""
import subprocess

import pytest

from test_command_doctor import compiled, examine, lines


def test_openssl_as_a_library_is_named_with_its_version():
    version = subprocess.run(["openssl", "version"], capture_output=True, text=True,
                             check=True).stdout.split()[1]
    for program in ("nginx", "curl"):
        done = examine(program)
        said, = [line for line in lines(done, "ok") if "libssl.so" in line]
        assert f"OpenSSL {version} in " in said and "followed, through its tables" in said
        assert not [line for line in lines(done, "warning") if "encrypts" in line]


def test_openssl_inside_the_program_is_named_with_its_version():
    version = subprocess.run(["node", "-p", "process.versions.openssl"], capture_output=True,
                             text=True, check=True).stdout.strip()
    said, = [line for line in lines(examine("node"), "ok") if " TLS " in line]
    assert f"OpenSSL {version} in " in said and "followed, through its tables" in said


def test_openssl_inside_without_its_names_is_not_followed(tmp_path):
    inside = 'const char a[] = "OpenSSL 3.0.15 3 Sep 2024", b[] = "ssl/ssl_lib.c"; '
    program = compiled(tmp_path, inside + "int main(void) { return a[0] + b[0]; }")
    done = examine(program)
    said, = [line for line in lines(done, "warning") if " TLS " in line]
    assert done.status == 0 and "OpenSSL inside, without its names" in said


NAMES = ["DTLS_method", "SSL_get0_dane", "SSL_CTX_set_ciphersuites"]


@pytest.mark.parametrize("version,names,said", [
    ("1.1.1w", NAMES, "OpenSSL 1.1.1w in "), ("3.5.4", NAMES, "OpenSSL 3.5.4 in "),
    ("3.6.0", NAMES, "no version whose tables are known"),
    ("1.1.0l", NAMES, "no version whose tables are known"),
    ("3.0.15", NAMES[:1], "has OpenSSL's names but is not OpenSSL"),
    ("three", NAMES, "of a version that is not found")])
def test_each_kind_of_openssl(tmp_path, version, names, said):
    source = "".join(f"int {name}(void) {{ return 0; }}\n" for name in names)
    source += f'const char version[] = "OpenSSL {version} 3 Sep 2024", file[] = "ssl/ssl_lib.c";\n'
    compiled(tmp_path, source, "-shared", "-fPIC", name="libssl.so.9")
    program = compiled(tmp_path, "int main(void) { return 0; }", "-Wl,--no-as-needed",
                       f"-L{tmp_path}", "-l:libssl.so.9")
    done = examine(program, env={"LD_LIBRARY_PATH": str(tmp_path)})
    line, = [line for line in done.out.splitlines() if " TLS " in line]
    assert said in line
    assert line.startswith("ok" if said.endswith(" in ") else "warning")


def test_boringssl_inside_is_not_followed():
    said = "\n".join(lines(examine("/usr/lib/chromium/chromium"), "warning"))
    assert "/chromium has BoringSSL inside: what it encrypts is not followed" in said


@pytest.mark.parametrize("program", ["wget", "gnutls-serv", "/usr/lib/git-core/git-remote-https"])
def test_gnutls_is_named_and_how_it_is_reached(program):
    done = examine(program)
    said, = [line for line in lines(done, "ok") if "libgnutls.so" in line]
    assert "GnuTLS in " in said and "followed, through the imports of what calls it" in said
    assert not [line for line in lines(done, "warning") if "encrypts" in line]


@pytest.mark.parametrize("library,source,said", [
    ("libgnutls.so.28", "int gnutls_record_send(void) { return 0; }", "is too old"),
    ("libwolfssl.so.9", "int wolfSSL_write(void) { return 0; }",
     "wolfSSL is loaded: what it encrypts is not followed")])
def test_another_tls_library_is_not_followed(tmp_path, library, source, said):
    compiled(tmp_path, source, "-shared", "-fPIC", name=library)
    program = compiled(tmp_path, "int main(void) { return 0; }", "-Wl,--no-as-needed",
                       f"-L{tmp_path}", f"-l:{library}")
    line, = [line for line in lines(examine(program, env={"LD_LIBRARY_PATH": str(tmp_path)}),
                                    "warning") if " TLS " in line]
    assert said in line
