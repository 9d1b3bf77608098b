/* SPDX-License-Identifier: Apache-2.0 */
/* libunwind is opened by the constructor and only when asked for; afterwards it is called through
 * pointers. Naming a frame may take the loader's lock: that is why this is opt-in. */
#include "shim/stacktrace.h"

#include <dlfcn.h>
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/process.h"
#include "base/symbols.h"
#include "base/text.h"
#include "shim/block.h"

#define FRAMES_MAX   32
#define TIME_MAX_NS  2000000 /* no further frame is named after this */
#define TRACE_ROOM   3072
#define NAME_ROOM    160

#define STRING_OF(x) #x
#define NAME_OF(x)   STRING_OF(x)
#define OUTSIDE(fn)  NAME_OF(UNW_OBJ(fn)) /* the exported spelling, _ULx86_64_step say */

enum { STACKTRACE_OFF, STACKTRACE_ERROR, STACKTRACE_SLOW };

static unsigned mode;
static uint64_t slow_ns;

static struct {
	int (*getcontext)(unw_context_t *);
	int (*init_local)(unw_cursor_t *, unw_context_t *);
	int (*step)(unw_cursor_t *);
	int (*get_reg)(unw_cursor_t *, int, unw_word_t *);
	int (*get_proc_name)(unw_cursor_t *, char *, size_t, unw_word_t *);
	int (*dladdr)(const void *, Dl_info *);
} host;

static bool read_mode(void)
{
	struct bytes value = bytes_of(config.stacktrace);
	struct bytes slow = BYTES("slow:");
	uint64_t ms;

	if (value.n == 0 || bytes_equal_nocase(value, BYTES("off")))
		return false;
	if (bytes_equal_nocase(value, BYTES("error"))) {
		mode = STACKTRACE_ERROR;
		return true;
	}
	if (bytes_start_with(value, slow) &&
	    bytes_to_u64((struct bytes){ value.p + slow.n, value.n - slow.n }, &ms) == 0 &&
	    ms <= 86400000) {
		mode = STACKTRACE_SLOW;
		slow_ns = ms * 1000000;
		return true;
	}
	log_warn("TAGALONG_STACKTRACE: \"%s\" is not off, error or slow:MS; off is used",
		 config.stacktrace);
	return false;
}

static bool open_libunwind(void)
{
	void *(*host_dlopen)(const char *, int) = symbols_find("dlopen", (void *)open_libunwind);
	void *(*host_dlsym)(void *, const char *) = symbols_find("dlsym", (void *)open_libunwind);
	void *handle;

	host.dladdr = symbols_find("dladdr", (void *)open_libunwind);
	if (!host_dlopen || !host_dlsym || !host.dladdr)
		return false;
	handle = host_dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return false;
	host.getcontext = host_dlsym(handle, NAME_OF(UNW_ARCH_OBJ(getcontext)));
	host.init_local = host_dlsym(handle, OUTSIDE(init_local));
	host.step = host_dlsym(handle, OUTSIDE(step));
	host.get_reg = host_dlsym(handle, OUTSIDE(get_reg));
	host.get_proc_name = host_dlsym(handle, OUTSIDE(get_proc_name));
	return host.getcontext && host.init_local && host.step && host.get_reg &&
	       host.get_proc_name;
}

void stacktrace_init(void)
{
	if (!read_mode())
		return;
	if (open_libunwind())
		return;
	mode = STACKTRACE_OFF;
	log_warn("TAGALONG_STACKTRACE=%s: libunwind.so.8 is not to be had; off is used",
		 config.stacktrace);
}

static struct bytes file_name(const char *path)
{
	struct bytes name = bytes_of(path);

	for (size_t i = name.n; i > 0; i--)
		if (path[i - 1] == '/')
			return (struct bytes){ path + i, name.n - i };
	return name;
}

/* One line a frame, our own left out. */
static void put_frame(struct text *out, unw_cursor_t *cursor, const void *self)
{
	char name[NAME_ROOM];
	unw_word_t ip = 0, offset = 0;
	Dl_info info = { .dli_fname = NULL };

	host.get_reg(cursor, UNW_REG_IP, &ip);
	if (!ip || !host.dladdr((void *)ip, &info) || info.dli_fbase == self)
		return;
	if (out->n)
		text_put_char(out, '\n');
	if (host.get_proc_name(cursor, name, sizeof(name), &offset) == 0) {
		text_put_string(out, name);
	} else {
		text_put_char(out, '?');
		offset = ip - (unw_word_t)info.dli_fbase;
	}
	text_format(out, "+0x%lx (", (unsigned long)offset);
	text_put(out, file_name(info.dli_fname ? info.dli_fname : "?"));
	text_put_char(out, ')');
}

static void put_stack(struct text *out)
{
	uint64_t until = UINT64_MAX; /* counted from the first frame of the program's */
	unw_context_t context;
	unw_cursor_t cursor;
	Dl_info self = { .dli_fbase = NULL };

	host.dladdr((void *)put_stack, &self);
	if (host.getcontext(&context) < 0 || host.init_local(&cursor, &context) < 0)
		return;
	for (unsigned i = 0; i < FRAMES_MAX && clock_monotonic_ns() < until; i++) {
		if (host.step(&cursor) <= 0)
			return;
		put_frame(out, &cursor, self.dli_fbase);
		if (out->n && until == UINT64_MAX)
			until = clock_monotonic_ns() + TIME_MAX_NS;
	}
}

void stacktrace_put(struct record *r, bool error, uint64_t duration_ns)
{
	struct text out = { .p = NULL };

	if (mode == STACKTRACE_OFF || !process_may_call() || (mode == STACKTRACE_ERROR && !error) ||
	    (mode == STACKTRACE_SLOW && duration_ns < slow_ns))
		return;
	/* Not on the stack: threads have 16 KiB, and libunwind wants its share. */
	out.p = block_get(TRACE_ROOM, &out.size);
	if (!out.p)
		return;
	out.size = TRACE_ROOM;
	put_stack(&out);
	if (out.n)
		record_put(r, ATTRIBUTE_CODE_STACKTRACE, text_bytes(&out));
	block_put(out.p);
}
