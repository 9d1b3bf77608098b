/* SPDX-License-Identifier: Apache-2.0 */
/* A library that has all of OpenSSL's names, and tables of any content: a byte of the input is a
 * word of its data. What is taken for tables is what was said of them, and only their four
 * functions are replaced. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "hooks/tls_tables.h"

#define WORDS   2048 /* of data: four pages */
#define BYTES_N (WORDS * sizeof(uintptr_t))
#define TABLE   28 /* words looked at of one */
#define CODE    64 /* functions, told apart by the lower six bits */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct head {
	uint8_t version, protect;
	uint16_t at[4]; /* what the getters return, in words */
	uint16_t file_words;
};

static const char *const names[] = {
	"",
	"SSL_pending",
	"SSL_want",
	"SSL_get_fd",
	"SSL_is_server",
	"SSL_in_init",
	"SSL_is_init_finished",
	"SSL_in_before",
	"SSL_get_shutdown",
	"SSL_get_options",
	"SSL_get_rbio",
	"SSL_get_client_random",
	"BIO_test_flags",
	"SSL_get0_dane",
	"SSL_CTX_set_ciphersuites",
	"OpenSSL_version_num",
	"TLS_method",
	"TLS_server_method",
	"TLS_client_method",
	"DTLS_method",
};
#define NAMES (sizeof(names) / sizeof(*names))

static const unsigned long versions[] = { 0x1010100ful, 0x30000000ul, 0x30100000ul, 0x30200000ul,
					  0x30500000ul, 0x30600000ul, 0x20000000ul, 0 };

static const char code[CODE];
static char strings[1024];
static ElfW(Sym) symbols[NAMES];
static uint32_t hash[2 + 1 + NAMES];
static uintptr_t *words, before[WORDS];
static struct head head;

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

/* ---- the library ---- */

static unsigned long version_number(void)
{
	return versions[head.version % (sizeof(versions) / sizeof(*versions))];
}

#define GETTER(i)                                  \
	static const void *get_##i(void)           \
	{                                          \
		return words + head.at[i] % WORDS; \
	}
GETTER(0)
GETTER(1)
GETTER(2)
GETTER(3)
#undef GETTER

static const uintptr_t getters[] = { (uintptr_t)version_number, (uintptr_t)get_0, (uintptr_t)get_1,
				     (uintptr_t)get_2, (uintptr_t)get_3 };

/* All in one chain of the older kind of table. The getters are the last, and may be data. */
static void name(bool getters_are_code)
{
	const size_t others = NAMES - sizeof(getters) / sizeof(*getters);
	size_t at = 0;

	hash[0] = 1;
	hash[1] = NAMES;
	hash[2] = 1;
	for (uint32_t i = 0; i < NAMES; i++) {
		uintptr_t value = (uintptr_t)&code[i];

		if (i >= others)
			value = getters_are_code ? getters[i - others] : (uintptr_t)(words + i);
		symbols[i] = (ElfW(Sym)){ .st_name = (uint32_t)at,
					  .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE),
					  .st_shndx = 1,
					  .st_value = value };
		strcpy(strings + at, names[i]);
		at += strlen(names[i]) + 1;
		hash[3 + i] = i && i + 1 < NAMES ? i + 1 : 0;
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	words = mmap(NULL, BYTES_N, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(words != MAP_FAILED);
	return 0;
}

static uintptr_t word(uint8_t byte)
{
	static const uintptr_t others[] = { 0x10000, 0x304, 0x303, 0x1ffff, 0 };

	if (byte < CODE)
		return (uintptr_t)&code[byte];
	if (byte - CODE < (int)(sizeof(others) / sizeof(*others)))
		return others[byte - CODE];
	return byte & 1 ? (uintptr_t)(words + byte) : byte;
}

static void segment(ElfW(Phdr) * p, unsigned flags, uintptr_t from, uintptr_t to, size_t in_file)
{
	*p = (ElfW(Phdr)){ .p_type = PT_LOAD,
			   .p_flags = flags,
			   .p_vaddr = from,
			   .p_memsz = to - from,
			   .p_filesz = in_file };
}

static void load(ElfW(Phdr) phdr[static 4], const uint8_t *data, size_t size)
{
	uintptr_t from = UINTPTR_MAX, to = 0, start = (uintptr_t)words;

	must(mprotect(words, BYTES_N, PROT_READ | PROT_WRITE) == 0);
	for (size_t i = 0; i < WORDS; i++)
		words[i] = word(i < size ? data[i] : 255);
	memcpy(before, words, BYTES_N);
	for (size_t i = 0; i < sizeof(getters) / sizeof(*getters); i++) {
		from = getters[i] < from ? getters[i] : from;
		to = getters[i] + 1 > to ? getters[i] + 1 : to;
	}
	segment(&phdr[0], PF_R | PF_X, from, to, to - from);
	segment(&phdr[1], PF_R | PF_X, (uintptr_t)code, (uintptr_t)code + CODE, CODE);
	segment(&phdr[2], PF_R | PF_W, start, start + BYTES_N,
		sizeof(uintptr_t) * (head.file_words < WORDS ? head.file_words : WORDS));
	phdr[3] = phdr[2];
	phdr[3].p_type = PT_GNU_RELRO;
	if (head.protect & 1)
		must(mprotect(words, BYTES_N, PROT_READ) == 0);
}

/* ---- what is found in it ---- */

static int ours_read(void *ssl, void *buf, size_t len, size_t *got)
{
	(void)ssl;
	(void)buf;
	(void)len;
	(void)got;
	return 0;
}

static int ours_write(void *ssl, const void *buf, size_t len, size_t *written)
{
	(void)ssl;
	(void)buf;
	(void)len;
	(void)written;
	return 0;
}

static void ours_free(void *ssl)
{
	(void)ssl;
}

static int ours_clear(void *ssl)
{
	(void)ssl;
	return 0;
}

static void expect(uintptr_t *at, size_t index, uintptr_t ours, const uintptr_t *known)
{
	size_t i = (size_t)(at - words) + index;

	must(words[i] == ours && before[i] == known[index]);
	words[i] = before[i];
}

static void replace(const struct tls_tables *t)
{
	const struct tls_functions ours = { ours_read, ours_write, ours_free, ours_clear };
	const uintptr_t *known = before + head.at[0] % WORDS;

	must(head.protect & 1); /* or a loader may still be at work */
	must(tls_tables_replace(t, &ours));
	must(mprotect(words, BYTES_N, PROT_READ | PROT_WRITE) == 0);
	for (unsigned i = 0; i < t->count; i++) {
		uintptr_t *at = t->table[i];

		must(at >= words && at + TABLE <= words + WORDS);
		expect(at, t->at.read, (uintptr_t)ours_read, known);
		expect(at, t->at.read + 2u, (uintptr_t)ours_write, known);
		expect(at, t->at.free, (uintptr_t)ours_free, known);
		expect(at, t->at.clear, (uintptr_t)ours_clear, known);
	}
	must(memcmp(words, before, BYTES_N) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ElfW(Phdr) phdr[4];
	struct image m = { .phdr = phdr,
			   .phdr_count = 4,
			   .symbols = symbols,
			   .symbols_n = NAMES,
			   .strings = strings,
			   .strings_n = sizeof(strings),
			   .hash = hash,
			   .hash_n = sizeof(hash) / sizeof(*hash) };
	struct shim_tls_library library;
	struct tls_tables tables;

	if (size < sizeof(head))
		return 0;
	memcpy(&head, data, sizeof(head));
	name(!(head.protect & 2));
	load(phdr, data + sizeof(head), size - sizeof(head));
	if (tls_tables_find(&tables, &library, &m, &m)) {
		must(tables.count <= TLS_TABLES_MAX);
		replace(&tables);
	} else {
		must(memcmp(words, before, BYTES_N) == 0);
	}
	return 0;
}
