// SPDX-License-Identifier: Apache-2.0
/* One block a trace:
 *
 *   trace 4bf92f3577b34da6a3ce929d0e0e4736  shop
 *     SERVER GET /orders/{id} 200  12.4 ms
 *     |  url.path=/orders/17  client.address=10.0.0.7
 *     `- CLIENT GET 503  11.0 ms  ERROR 503  link=thread
 *           url.full=http://stock:8080/items/3
 *
 * Spans whose parent is not in the batch stand at the left, with the parent's id. */
#include "exporter/console.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/quiet_write.h"
#include "base/raw.h"
#include "exporter/console_draw.h"

#define STANDARD_ERROR 2
#define PIECE          4096  /* PIPE_BUF */
#define BLOCK_SIZE     32768 /* a longer trace is written in several pieces */

struct forest {
	struct node *nodes, **by_start, **buckets;
	size_t count, mask; /* of the buckets: a power of two, less one */
};

/* ---- output ---- */

/* Waits until fd takes PIECE bytes without blocking: 0 or a negative errno. */
static int wait_writable(int fd, uint64_t end)
{
	uint64_t now = clock_monotonic_ns();
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	struct timespec left = { 0 };
	int n;

	if (now < end) {
		left.tv_sec = (time_t)((end - now) / 1000000000);
		left.tv_nsec = (long)((end - now) % 1000000000);
	}
	n = raw_ppoll(&wait, 1, &left, NULL);
	if (n == 0)
		return -EAGAIN;
	return n > 0 || n == -EINTR ? 0 : n;
}

/* Files at once; what may block in pieces that poll() has promised room for (pipe(7)). */
static int write_all(int fd, struct bytes b)
{
	uint64_t end = clock_monotonic_ns() + CONSOLE_WAIT_MS * 1000000ull;
	struct stat st = { 0 };
	bool regular = raw_fstat(fd, &st) == 0 && S_ISREG(st.st_mode);

	while (b.n) {
		int err = regular ? 0 : wait_writable(fd, end);
		ssize_t n;

		if (err)
			return err;
		n = quiet_write(fd, b.p, regular || b.n < PIECE ? b.n : PIECE);
		if (n == -EAGAIN || n == -EINTR) {
			if (clock_monotonic_ns() >= end)
				return -EAGAIN;
			continue;
		}
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		b.p += n;
		b.n -= (size_t)n;
	}
	return 0;
}

/* ---- the tree ---- */

static bool starts_before(const struct node *a, const struct node *b)
{
	return a->head->start_ns < b->head->start_ns;
}

/* Heap sort: in place, and never worse than n log n. */
static void sift_down(struct node **v, size_t root, size_t n)
{
	for (size_t child; (child = 2 * root + 1) < n; root = child) {
		struct node *swap = v[root];

		if (child + 1 < n && starts_before(v[child], v[child + 1]))
			child++;
		if (!starts_before(v[root], v[child]))
			return;
		v[root] = v[child];
		v[child] = swap;
	}
}

static void sort_by_start(struct node **v, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift_down(v, i, n);
	for (size_t i = n; i-- > 1;) {
		struct node *first = v[0];

		v[0] = v[i];
		v[i] = first;
		sift_down(v, 0, i);
	}
}

/* Ids are random already; one half of an id is hash enough. */
static struct node **bucket_of(const struct forest *f, const uint8_t *id)
{
	uint64_t hash;

	memcpy(&hash, id, sizeof(hash));
	return &f->buckets[(hash ^ hash >> 32) & f->mask];
}

static bool same_trace(const struct record_head *a, const struct record_head *b)
{
	return memcmp(a->trace_id, b->trace_id, sizeof(a->trace_id)) == 0;
}

static struct node *find_parent(const struct forest *f, const struct node *of)
{
	struct node *n = *bucket_of(f, of->head->parent_id);

	while (n && (n == of || !same_trace(n->head, of->head) ||
		     memcmp(n->head->span_id, of->head->parent_id, sizeof(n->head->span_id)) != 0))
		n = n->bucket;
	return n;
}

/* Children and siblings; from the last to start to the first, each put in front of the others. */
static void link_parents(struct forest *f)
{
	for (size_t i = 0; i < f->count; i++) {
		struct node **bucket = bucket_of(f, f->nodes[i].head->span_id);

		f->nodes[i].bucket = *bucket;
		*bucket = &f->nodes[i];
	}
	for (size_t i = f->count; i-- > 0;) {
		struct node *n = f->by_start[i], *parent = find_parent(f, n);

		n->parent = parent;
		if (!parent)
			continue;
		n->sibling = parent->child;
		parent->child = n;
	}
}

/* The spans of each trace as a list that its first span heads. */
static void link_traces(struct forest *f)
{
	memset(f->buckets, 0, (f->mask + 1) * sizeof(void *));
	for (size_t i = f->count; i-- > 0;) {
		struct node *n = f->by_start[i], **at = bucket_of(f, n->head->trace_id);

		while (*at && !same_trace((*at)->head, n->head))
			at = &(*at)->bucket;
		n->same_trace = *at;
		n->bucket = *at ? (*at)->bucket : NULL;
		*at = n;
	}
}

static int forest_plant(struct forest *f, struct arena *a, const struct record_head *const *records,
			size_t n)
{
	size_t buckets = 16;

	while (buckets < n)
		buckets *= 2;
	*f = (struct forest){ .count = n, .mask = buckets - 1 };
	f->nodes = arena_alloc(a, n * sizeof(*f->nodes));
	f->by_start = arena_alloc(a, n * sizeof(void *));
	f->buckets = arena_alloc(a, buckets * sizeof(void *));
	if (!f->nodes || !f->by_start || !f->buckets)
		return -ENOMEM;
	memset(f->buckets, 0, buckets * sizeof(void *));
	for (size_t i = 0; i < n; i++) {
		f->nodes[i] = (struct node){ .head = records[i] };
		f->by_start[i] = &f->nodes[i];
	}
	sort_by_start(f->by_start, n);
	link_parents(f);
	link_traces(f);
	return 0;
}

/* ---- drawing ---- */

/* Draws one span; what does not fit behind the others is written first. */
static int draw_node(struct drawing *d, int fd, struct node *n, unsigned depth)
{
	size_t before = d->text.n;
	int err = 0;

	n->drawn = true;
	if (depth > CONSOLE_DEPTH_MAX)
		depth = CONSOLE_DEPTH_MAX;
	d->last[depth] = !n->sibling;
	console_draw_span(d, n, depth);
	if (d->text.cut && before) {
		err = write_all(fd, (struct bytes){ d->text.p, before });
		d->text.n = 0;
		d->text.cut = false;
		console_draw_span(d, n, depth);
	}
	return err;
}

/* A span and all below it, without recursion: the worker's stack is small. Spans that are each
 * other's parents (nobody should make such) are drawn once. */
static int draw_tree(struct drawing *d, int fd, struct node *root)
{
	struct node *n = root;
	unsigned depth = 0;
	int err = draw_node(d, fd, n, 0);

	while (!err) {
		if (n->child && !n->child->drawn) {
			n = n->child;
			depth++;
		} else {
			while (n != root && (!n->sibling || n->sibling->drawn)) {
				n = n->parent;
				depth--;
			}
			if (n == root)
				break;
			n = n->sibling;
		}
		err = draw_node(d, fd, n, depth);
	}
	return err;
}

static int draw_trace(struct drawing *d, int fd, const struct resource *r, struct node *first)
{
	const struct resource_attribute *service = resource_find(r, BYTES("service.name"));
	int err = 0;

	d->text.n = 0;
	d->text.cut = false;
	text_put_string(&d->text, "trace ");
	text_put_hex(&d->text, first->head->trace_id, sizeof(first->head->trace_id));
	text_put_string(&d->text, "  ");
	if (service && service->value.p)
		console_put_value(&d->text, service->value);
	text_put_char(&d->text, '\n');
	for (struct node *n = first; n && !err; n = n->same_trace)
		if (!n->parent)
			err = draw_tree(d, fd, n);
	for (struct node *n = first; n && !err; n = n->same_trace)
		if (!n->drawn)
			err = draw_tree(d, fd, n);
	return err ? err : write_all(fd, text_bytes(&d->text));
}

int console_write(int fd, struct arena *a, const struct resource *r,
		  const struct record_head *const *records, size_t n)
{
	struct drawing d = { .text = { .p = arena_alloc(a, BLOCK_SIZE), .size = BLOCK_SIZE } };
	struct forest f;
	int err = 0;

	if (fd == STANDARD_ERROR && !log_stderr_is_first())
		return -EBADF;
	if (!d.text.p || forest_plant(&f, a, records, n) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n && !err; i++)
		if (!f.by_start[i]->drawn) /* the first of its trace, all of which is drawn now */
			err = draw_trace(&d, fd, r, f.by_start[i]);
	return err;
}
