/* SPDX-License-Identifier: Apache-2.0 */
/* A segment of any content: as it comes, or with heads that are sound and say anything. What is
 * given out lies in the file as it is; each item is counted once; nothing stays behind. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "launcher/spill.h"
#include "launcher/spill_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NONCE       0x4142434445464748u
#define FILE_MAX    65536
#define RECORDS_MAX 200

static char directory[64];
static char content[FILE_MAX];

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

static void remove_directory(void)
{
	rmdir(directory);
}

static void set_up(void)
{
	snprintf(directory, sizeof(directory), "%s/tagalong-fuzz-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	must(mkdtemp(directory) != NULL);
	atexit(remove_directory);
}

static void write_segment(const char *p, size_t n)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%016x-%016llx.spill1", directory, 7,
		 (unsigned long long)NONCE);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	must(write(fd, p, n) == (ssize_t)n);
	close(fd);
}

/* Steps of eight bytes each: what the head says, how much of a body follows it, and what is wrong
 * with both. */
static size_t build(const uint8_t *data, size_t size)
{
	size_t n = 0;
	uint64_t items = 0;

	for (; size >= 8; data += 8, size -= 8) {
		size_t body = data[0] % 64, gap = data[5] & 7 ? 0 : data[5];
		struct spill_head head = {
			.mark = data[1] & 1 ? SPILL_DELIVERED : SPILL_WAITING,
			.nonce = NONCE,
			.items_before = data[4] & 1 ? items : items * data[4] << data[4] % 40,
			.length = (uint32_t)(data[1] & 2 ? body << data[2] % 20 : body),
			.items = data[3],
			.signal = data[1] >> 4 & 1,
			.encoding = data[1] >> 5 & 3,
		};

		if (n + sizeof(head) + 64 + 256 > sizeof(content))
			break;
		for (size_t i = 0; i < body; i++)
			content[n + sizeof(head) + i] = (char)(data[i % 8] + i);
		head.body_check = spill_check(content + n + sizeof(head), body) ^ (data[1] & 8);
		head.check = spill_head_check(&head) ^ (data[1] & 4);
		if (data[6] == 1)
			head.items = UINT32_MAX;
		memcpy(content + n, &head, sizeof(head));
		n += (size_t)spill_record_size(body);
		items += head.items;
		memset(content + n, data[7], gap);
		n += gap;
	}
	return n;
}

static bool lies_in(const char *file, size_t n, struct bytes body)
{
	return body.n == 0 || memmem(file, n, body.p, body.n) != NULL;
}

static unsigned files(void)
{
	DIR *d = opendir(directory);
	unsigned n = 0;

	for (const struct dirent *e; d && (e = readdir(d));)
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

static void open_and_read(const char *file, size_t n, unsigned leave)
{
	struct payload p, own = { OTLP_METRICS, OTLP_JSON, 5, BYTES("our own, behind it") };
	uint64_t waiting, dropped, popped = 0;
	unsigned records = 0;
	struct spill *s;

	must(spill_open(&s, directory, 1 << 20) == 0);
	must(spill_bytes(s) <= n + 7 + 2 * spill_record_size(own.body.n));
	must(spill_put(s, &own) == 0);
	waiting = spill_waiting_items(s);
	dropped = spill_dropped_items(s);
	while (records < leave && spill_oldest(s, &p)) {
		must(lies_in(file, n, p.body) || bytes_equal(p.body, own.body));
		must(p.signal <= OTLP_METRICS && p.encoding <= OTLP_JSON);
		must(++records <= FILE_MAX / sizeof(struct spill_head) + 1);
		popped += p.items;
		spill_pop(s);
		must(waiting + dropped == spill_waiting_items(s) + spill_dropped_items(s) + popped);
	}
	if (records < leave) /* our own came too, whatever stood before it */
		must(records && !spill_waiting_items(s) && !spill_bytes(s) && !files());
	spill_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *file = (const char *)data + 1;
	size_t n = size - 1;

	if (!size || size > FILE_MAX / 2)
		return 0;
	if (!directory[0])
		set_up();
	if (data[0] & 1) {
		n = build(data + 1, n);
		file = content;
	}
	write_segment(file, n);
	if (data[0] & 2)
		open_and_read(file, n, data[0] >> 2);
	open_and_read(file, n, UINT32_MAX);
	return 0;
}
