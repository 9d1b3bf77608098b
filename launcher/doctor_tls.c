/* SPDX-License-Identifier: Apache-2.0 */
/* Which TLS library a program is linked with, itself or through others, and whether what it
 * encrypts is followed. What it opens later (a module of Python's, say) is not seen here. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/openssl.h"
#include "launcher/doctor.h"

#define LIBRARIES_MAX 128 /* looked at for one program */
#define NAME_ROOM     128
#define VERSION_ROOM  16

#if defined(__aarch64__)
#define TRIPLET "aarch64-linux-gnu"
#else
#define TRIPLET "x86_64-linux-gnu"
#endif

#define FOLLOWED OPENSSL_KNOWN " and GnuTLS since 3.4 are followed."

/* Names are copied: the files they stand in are closed again. */
struct libraries {
	char name[LIBRARIES_MAX][NAME_ROOM];
	size_t count;
	bool followed; /* one that is known is among them, or inside the program */
};

/* Known by the beginning of their names alone. */
static const char *const others[][2] = {
	{ "libssl3.so", "NSS" },   { "libmbedtls.so", "Mbed TLS" }, { "libwolfssl.so", "wolfSSL" },
	{ "librustls", "Rustls" }, { "libs2n.so", "s2n-tls" },
};

static const char *find_text(const struct elf_file *elf, const char *text, size_t n)
{
	return memmem(elf->p, elf->n, text, n);
}

/* "OpenSSL 3.0.15 3 Sep 2024" stands in each copy of libcrypto. */
static bool read_version(const struct elf_file *elf, char version[static VERSION_ROOM])
{
	static const char head[] = "OpenSSL ";
	const char *p = (const char *)elf->p, *end = p + elf->n;

	while ((p = memmem(p, (size_t)(end - p), head, sizeof(head) - 1))) {
		size_t n = 0;

		p += sizeof(head) - 1;
		while (p + n < end && n < VERSION_ROOM - 1 &&
		       (isdigit((unsigned char)p[n]) || p[n] == '.' ||
			(n && islower((unsigned char)p[n]))))
			n++;
		if (n < 5 || !isdigit((unsigned char)p[0]) || p[1] != '.' || p + n >= end ||
		    p[n] != ' ' || p + n + 1 >= end || !isdigit((unsigned char)p[n + 1]))
			continue;
		memcpy(version, p, n);
		version[n] = '\0';
		return true;
	}
	return false;
}

static bool is_followed(const char *version)
{
	unsigned major = 0, minor = 0, fix = 0;

	return sscanf(version, "%u.%u.%u", &major, &minor, &fix) == 3 &&
	       openssl_find(major, minor, fix);
}

static bool say_openssl(struct findings *f, const char *path, const char *version)
{
	bool followed = is_followed(version);

	if (followed)
		found(f, LEVEL_OK, "TLS", "",
		      "OpenSSL %s in %s: followed, through its tables of methods", version, path);
	else
		found(f, LEVEL_WARNING, "TLS", FOLLOWED,
		      "OpenSSL %s in %s is no version whose tables are known: what it encrypts is "
		      "not followed",
		      version, path);
	return followed;
}

/* An object that offers OpenSSL's functions. crypto: where its version is said. */
static bool examine_openssl(struct findings *f, const struct elf_file *elf, const char *path,
			    const struct elf_file *crypto)
{
	char version[VERSION_ROOM];

	if (!elf_file_names(elf, "SSL_get0_dane") ||
	    !elf_file_names(elf, "SSL_CTX_set_ciphersuites"))
		found(f, LEVEL_WARNING, "TLS", FOLLOWED,
		      "%s has OpenSSL's names but is not OpenSSL (LibreSSL, BoringSSL, AWS-LC?): "
		      "what it encrypts is not followed",
		      path);
	else if (crypto && read_version(crypto, version))
		return say_openssl(f, path, version);
	else
		found(f, LEVEL_WARNING, "TLS", "",
		      "%s is OpenSSL, of a version that is not found: whether what it encrypts is "
		      "followed shows when it runs",
		      path);
	return false;
}

/* ---- inside the program ---- */

/* A name of a source file of libssl is in each copy of it that can report errors. */
static bool has_libssl_inside(const struct elf_file *elf)
{
	static const char source[] = "ssl/ssl_lib.c";

	return find_text(elf, source, sizeof(source)) != NULL;
}

/* The same file of BoringSSL, and of what was made of it. It is linked into programs as a rule. */
static bool has_boringssl_inside(const struct elf_file *elf)
{
	static const char source[] = "/ssl/ssl_lib.cc";

	return find_text(elf, source, sizeof(source)) != NULL;
}

static bool examine_inside(struct findings *f, const struct elf_file *elf, const char *path)
{
	if (elf_file_needs(elf, "libssl.so"))
		return false; /* its names are there, but as those of the library */
	if (elf_file_names(elf, "DTLS_method") && has_libssl_inside(elf))
		return examine_openssl(f, elf, path, elf);
	if (has_libssl_inside(elf))
		found(f, LEVEL_WARNING, "TLS",
		      "Use a build that exports OpenSSL's names, or links it as a library.",
		      "%s has OpenSSL inside, without its names: what it encrypts is not followed",
		      path);
	if (has_boringssl_inside(elf))
		found(f, LEVEL_WARNING, "TLS", FOLLOWED,
		      "%s has BoringSSL inside: what it encrypts is not followed", path);
	return false;
}

/* ---- among its libraries ---- */

static void add_needed(struct libraries *l, const struct elf_file *elf)
{
	for (size_t i = 0; i < elf->needed_count; i++) {
		size_t at = 0, n = strlen(elf->needed[i]) + 1;

		while (at < l->count && strcmp(l->name[at], elf->needed[i]) != 0)
			at++;
		if (at < l->count || at == LIBRARIES_MAX || n > NAME_ROOM)
			continue;
		memcpy(l->name[l->count++], elf->needed[i], n);
	}
}

static int open_in(struct elf_file *elf, char path[static PATH_MAX], const char *dirs,
		   const char *name)
{
	for (const char *p = dirs; *p;) {
		size_t n = strcspn(p, ":");

		if (n && snprintf(path, PATH_MAX, "%.*s/%s", (int)n, p, name) < PATH_MAX &&
		    elf_file_open(elf, path) == 0) {
			if (elf->native)
				return 0;
			elf_file_close(elf);
		}
		p += n + (p[n] == ':');
	}
	return -1;
}

/* Where the loader looks, but for its cache and the paths that a program has in itself. */
static int open_library(struct elf_file *elf, char path[static PATH_MAX], const char *name)
{
	const char *first = getenv("LD_LIBRARY_PATH");

	if (first && open_in(elf, path, first, name) == 0)
		return 0;
	return open_in(elf, path,
		       "/lib/" TRIPLET ":/usr/lib/" TRIPLET
		       ":/usr/local/lib:/lib64:/usr/lib64:/lib:/usr/lib",
		       name);
}

static bool examine_libssl(struct findings *f, const struct elf_file *elf, const char *path)
{
	const char *name = elf_file_needs(elf, "libcrypto.so");
	char crypto_path[PATH_MAX];
	struct elf_file crypto;
	bool followed;

	if (!name)
		return examine_openssl(f, elf, path, elf);
	if (open_library(&crypto, crypto_path, name) < 0)
		return examine_openssl(f, elf, path, NULL);
	followed = examine_openssl(f, elf, path, &crypto);
	elf_file_close(&crypto);
	return followed;
}

/* As hooks/gnutls.c has it. */
static bool examine_gnutls(struct findings *f, const struct elf_file *elf, const char *path)
{
	static const char *const names[] = { "gnutls_record_send", "gnutls_record_check_corked",
					     "gnutls_record_send_range",
					     "gnutls_record_recv_packet",
					     "gnutls_session_get_random" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (elf_file_names(elf, names[i]))
			continue;
		found(f, LEVEL_WARNING, "TLS", FOLLOWED,
		      "GnuTLS in %s is too old: what it encrypts is not followed", path);
		return false;
	}
	found(f, LEVEL_OK, "TLS", "",
	      "GnuTLS in %s: followed, through the imports of what calls it", path);
	return true;
}

static void examine_library(struct findings *f, struct libraries *l, const char *name)
{
	char path[PATH_MAX];
	struct elf_file elf;

	if (open_library(&elf, path, name) < 0)
		return;
	if (strncmp(name, "libssl.so", 9) == 0 && examine_libssl(f, &elf, path))
		l->followed = true;
	if (strncmp(name, "libgnutls.so", 12) == 0 && examine_gnutls(f, &elf, path))
		l->followed = true;
	add_needed(l, &elf);
	elf_file_close(&elf);
}

/* Beside one that is followed they are most often there for something else than HTTP. */
static void examine_others(struct findings *f, const struct libraries *l, const char *name)
{
	enum level level = l->followed ? LEVEL_OK : LEVEL_WARNING;

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (strncmp(name, others[i][0], strlen(others[i][0])) == 0)
			found(f, level, "TLS", level == LEVEL_OK ? "" : FOLLOWED,
			      "%s is loaded%s: what it encrypts is not followed", others[i][1],
			      l->followed ? " too" : "");
}

void tls_examine(struct findings *f, const struct elf_file *elf, const char *path)
{
	struct libraries l = { .count = 0 };

	l.followed = examine_inside(f, elf, path);
	add_needed(&l, elf);
	for (size_t i = 0; i < l.count; i++) /* grows as it is walked */
		examine_library(f, &l, l.name[i]);
	for (size_t i = 0; i < l.count; i++)
		examine_others(f, &l, l.name[i]);
}
