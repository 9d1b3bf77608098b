/* SPDX-License-Identifier: Apache-2.0 */
/* What programs look for by name must be there, or not, as without us. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

static const char *const names[] = {
	"SSL_read",
	"SSL_write",
	"SSL_new",
	"BIO_read",
	"gnutls_record_recv",
	"PR_Read",
	"nghttp2_session_send",
	"nghttp2_hd_inflate_new",
	"protobuf_c_message_pack",
	"protobuf_c_message_unpack",
	"curl_easy_perform",
	"inflate",
	"unw_step",
	"json_loads",
	"malloc_usable_size",
	"mallctl",
	"je_malloc",
	"tc_malloc",
	"MallocExtension_GetStats",
	"__cxa_throw",
	"_Unwind_Backtrace",
	"__gcc_personality_v0",
	"Py_Initialize",
	"conn_table",
	"fd_table",
	"real",
	"thread_state",
	"config",
	"shim_start",
	"hook_read",
	"hook_close",
	"real_resolve_all",
	"own_fd_contains",
	"raw_read",
	"log_warn",
	"memcpy",
	"pthread_create",
	"pthread_exit",
	"dlsym",
	"dlopen",
	"exit",
	"printf",
	"malloc",
	"epoll_create1",
	"io_uring_setup",
	"arc4random",
	"gethostbyname",
	"res_init",
	"crypt",
};

int main(void)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		printf("%s: %s %s\n", names[i], dlsym(RTLD_DEFAULT, names[i]) ? "yes" : "no",
		       dlvsym(RTLD_DEFAULT, names[i], "GLIBC_2.2.5") ? "yes" : "no");
	return 0;
}
