/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of a table is no promise of OpenSSL's: it is taken from the version, and then proven
 * by what is known of four tables that have names. Anything unexpected, and nothing is done. */
#include "hooks/tls_tables.h"

#include <errno.h>
#include <sys/mman.h>
#include "base/raw.h"
#include "base/readable.h"

#define NEAR             16384 /* the tables are one compiler's output: they lie side by side */
#define TABLE_WORDS      28    /* at least, of each */
#define TABLES_MIN       6     /* fewer would mean that they lie elsewhere */

#define TLS_ANY_VERSION  0x10000
#define TLS_MAJOR        3
#define DTLS_ANY_VERSION 0x1ffff

typedef const void *(*method_fn)(void);

/* OpenSSL_version_num(): MNNFFPPS, and MNN00PPS from 3.0 on. LibreSSL says 2. */
static const struct openssl_version *layout_of(unsigned long version)
{
	return openssl_find((uint32_t)(version >> 28), version >> 20 & 0xff, version >> 12 & 0xff);
}

/* LibreSSL, BoringSSL and AWS-LC have most of the names, but no DANE. */
static bool find_functions(struct shim_tls_library *l, const struct image *ssl,
			   const struct image *crypto)
{
	l->pending = image_find(ssl, "SSL_pending");
	l->want = image_find(ssl, "SSL_want");
	l->get_fd = image_find(ssl, "SSL_get_fd");
	l->is_server = image_find(ssl, "SSL_is_server");
	l->in_init = image_find(ssl, "SSL_in_init");
	l->is_init_finished = image_find(ssl, "SSL_is_init_finished");
	l->in_before = image_find(ssl, "SSL_in_before");
	l->get_shutdown = image_find(ssl, "SSL_get_shutdown");
	l->get_options = image_find(ssl, "SSL_get_options");
	l->get_rbio = image_find(ssl, "SSL_get_rbio");
	l->get_client_random = image_find(ssl, "SSL_get_client_random");
	l->get_version = image_find(ssl, "SSL_get_version");
	l->get_cipher = image_find(ssl, "SSL_get_current_cipher");
	l->get_cipher_name = image_find(ssl, "SSL_CIPHER_standard_name");
	l->test_flags = image_find(crypto, "BIO_test_flags");
	return l->pending && l->want && l->get_fd && l->is_server && l->in_init &&
	       l->is_init_finished && l->in_before && l->get_shutdown && l->get_options &&
	       l->get_rbio && l->get_client_random && l->test_flags &&
	       image_find(ssl, "SSL_get0_dane") && image_find(ssl, "SSL_CTX_set_ciphersuites");
}

static uintptr_t *table_of(const struct image *m, const char *name)
{
	method_fn get = (method_fn)image_find_code(m, name);
	const void *table = get ? get() : NULL;

	if (!image_contains(m, (uintptr_t)table) || (uintptr_t)table % sizeof(uintptr_t) ||
	    !image_contains(m, (uintptr_t)table + TABLE_WORDS * sizeof(uintptr_t) - 1))
		return NULL;
	return (uintptr_t *)(uintptr_t)table;
}

static int version_in(const uintptr_t *table)
{
	return (int)(uint32_t)table[0];
}

/* The functions that stream tables share: free, clear, read, peek and write. */
static bool same_functions(const struct openssl_version *at, const uintptr_t *a, const uintptr_t *b)
{
	return a[at->free] == b[at->free] && a[at->clear] == b[at->clear] &&
	       a[at->read] == b[at->read] && a[at->read + 1] == b[at->read + 1] &&
	       a[at->read + 2] == b[at->read + 2];
}

static bool all_code(const struct image *m, const struct openssl_version *at,
		     const uintptr_t *table)
{
	const uintptr_t f[] = { table[at->free],     table[at->clear],   table[at->read - 2],
				table[at->read - 1], table[at->read],    table[at->read + 1],
				table[at->read + 2], table[at->read + 3] };

	for (unsigned i = 0; i < sizeof(f) / sizeof(*f); i++) {
		if (!image_is_code(m, f[i]))
			return false;
		for (unsigned j = 0; j < i; j++)
			if (f[i] == f[j])
				return false;
	}
	return true;
}

/* In front of read stand accept and connect: the tables of one side alone have an "undefined"
 * there, the same in both. */
static bool layout_is_proven(const struct image *m, const struct openssl_version *at)
{
	const uintptr_t *both = table_of(m, "TLS_method"), *server, *client, *dtls;
	unsigned accept = at->read - 2u, connect = at->read - 1u;

	server = table_of(m, "TLS_server_method");
	client = table_of(m, "TLS_client_method");
	dtls = table_of(m, "DTLS_method");
	if (!both || !server || !client || !dtls || !all_code(m, at, both))
		return false;
	if (version_in(both) != TLS_ANY_VERSION || version_in(server) != TLS_ANY_VERSION ||
	    version_in(client) != TLS_ANY_VERSION || version_in(dtls) != DTLS_ANY_VERSION)
		return false;
	return same_functions(at, both, server) && same_functions(at, both, client) &&
	       both[accept] == server[accept] && both[connect] == client[connect] &&
	       both[accept] == dtls[accept] && both[connect] == dtls[connect] &&
	       client[accept] == server[connect] && client[accept] != both[accept] &&
	       server[connect] != both[connect] && dtls[at->clear] != both[at->clear];
}

static bool is_stream_table(const struct tls_tables *t, const uintptr_t *word,
			    const uintptr_t *known)
{
	int version = version_in(word);

	return (version == TLS_ANY_VERSION || version >> 8 == TLS_MAJOR) &&
	       same_functions(&t->at, word, known);
}

/* The part of the object around `table` in which others may lie. */
static bool bounds(const struct image *m, uintptr_t table, uintptr_t *from, uintptr_t *to)
{
	*from = *to = table;
	for (size_t i = 0; i < m->phdr_count; i++) {
		uintptr_t start = m->base + m->phdr[i].p_vaddr;
		uintptr_t end = start + m->phdr[i].p_filesz;

		if (m->phdr[i].p_type != PT_LOAD || table < start || table >= end)
			continue;
		*from = table - start > NEAR ? table - NEAR : start;
		*to = end - table > NEAR ? table + NEAR : end;
	}
	*from = (*from + sizeof(uintptr_t) - 1) & ~(sizeof(uintptr_t) - 1);
	return *from && *to > *from;
}

/* Loaders list an object, and say that all is settled, before they relocate it, and protect its
 * tables last of all: while they can be written to, another thread is about to. */
static bool is_relocated(const struct tls_tables *t)
{
	return !memory_writable_now((void *)t->from) &&
	       !memory_writable_now((void *)(t->to - sizeof(uintptr_t)));
}

static bool collect(struct tls_tables *t, const struct image *m)
{
	uintptr_t *known = table_of(m, "TLS_method");
	const size_t size = TABLE_WORDS * sizeof(uintptr_t);
	const uintptr_t page = image_page_size();
	uintptr_t at, end;

	if (!known || !bounds(m, (uintptr_t)known, &at, &end))
		return false;
	for (; at + size <= end; at += sizeof(uintptr_t)) {
		uintptr_t *word = (uintptr_t *)at;

		if (!is_stream_table(t, word, known))
			continue;
		if (t->count == TLS_TABLES_MAX)
			return false;
		t->table[t->count++] = word;
	}
	if (t->count < TABLES_MIN)
		return false;
	t->from = (uintptr_t)t->table[0] & ~(page - 1);
	t->to = ((uintptr_t)t->table[t->count - 1] + size + page - 1) & ~(page - 1);
	t->protection = image_protection(m, t->from, t->to, page);
	return t->protection >= 0 && is_relocated(t);
}

bool tls_tables_find(struct tls_tables *t, struct shim_tls_library *l, const struct image *ssl,
		     const struct image *crypto)
{
	unsigned long (*version)(void) =
		(unsigned long (*)(void))image_find_code(crypto, "OpenSSL_version_num");
	const struct openssl_version *at = version ? layout_of(version()) : NULL;
	const uintptr_t *table;

	*t = (struct tls_tables){ .count = 0 };
	if (!at || !find_functions(l, ssl, crypto) || !layout_is_proven(ssl, at))
		return false;
	t->at = *at;
	if (!collect(t, ssl))
		return false;
	table = t->table[0];
	l->free = (void (*)(void *))table[at->free];
	l->clear = (int (*)(void *))table[at->clear];
	l->read = (int (*)(void *, void *, size_t, size_t *))table[at->read];
	l->write = (int (*)(void *, const void *, size_t, size_t *))table[at->read + 2];
	return true;
}

static void store(uintptr_t *word, uintptr_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

bool tls_tables_replace(const struct tls_tables *t, const struct tls_functions *ours)
{
	/* Old linkers put constants beside code, which others may be executing. */
	if (raw_mprotect((void *)t->from, t->to - t->from, t->protection | PROT_WRITE) < 0)
		return false;
	for (unsigned i = 0; i < t->count; i++) {
		store(&t->table[i][t->at.free], (uintptr_t)ours->free);
		store(&t->table[i][t->at.clear], (uintptr_t)ours->clear);
		store(&t->table[i][t->at.read], (uintptr_t)ours->read);
		store(&t->table[i][t->at.read + 2], (uintptr_t)ours->write);
	}
	raw_mprotect((void *)t->from, t->to - t->from, t->protection);
	return true;
}
