/* SPDX-License-Identifier: Apache-2.0 */
/* A program that finds out by name which TLS library it has, before and after it has opened one:
 * what it finds, and in which file, must be as without us. argv[1]: what is opened. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const char *const names[][2] = {
	{ "SSL_read", "OPENSSL_3.0.0" },
	{ "SSL_read_ex", "OPENSSL_3.0.0" },
	{ "SSL_peek", "OPENSSL_3.0.0" },
	{ "SSL_write", "OPENSSL_3.0.0" },
	{ "SSL_write", "OPENSSL_1_1_0" },
	{ "SSL_write_ex", "OPENSSL_3.0.0" },
	{ "SSL_sendfile", "OPENSSL_3.0.0" },
	{ "SSL_free", "OPENSSL_3.0.0" },
	{ "SSL_clear", "OPENSSL_3.0.0" },
	{ "TLS_method", "OPENSSL_3.0.0" },
	{ "OpenSSL_version_num", "OPENSSL_3.0.0" },
	{ "gnutls_init", "GNUTLS_3_4" },
	{ "gnutls_handshake", "GNUTLS_3_4" },
	{ "gnutls_record_send", "GNUTLS_3_4" },
	{ "gnutls_record_send2", "GNUTLS_3_6_3" },
	{ "gnutls_record_recv", "GNUTLS_3_4" },
	{ "gnutls_record_cork", "GNUTLS_3_4" },
	{ "gnutls_record_uncork", "GNUTLS_3_4" },
	{ "gnutls_bye", "GNUTLS_3_4" },
	{ "gnutls_deinit", "GNUTLS_3_4" },
};

static const char *file_of(const void *address)
{
	const char *slash;
	Dl_info info;

	if (!address || !dladdr(address, &info) || !info.dli_fname)
		return "none";
	slash = strrchr(info.dli_fname, '/');
	return slash ? slash + 1 : info.dli_fname;
}

static void probe(const char *when, void *where)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		printf("%s %s: %s, %s: %s\n", when, names[i][0], file_of(dlsym(where, names[i][0])),
		       names[i][1], file_of(dlvsym(where, names[i][0], names[i][1])));
}

int main(int argc, char **argv)
{
	void *library;

	if (argc != 2)
		return 2;
	probe("before", RTLD_DEFAULT);
	library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return 3;
	probe("beside", RTLD_DEFAULT);
	probe("in it", library);
	if (!dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL))
		return 3;
	probe("global", RTLD_DEFAULT);
	probe("next", RTLD_NEXT);
	return 0;
}
