/* SPDX-License-Identifier: Apache-2.0 */
/* The one door between hooks/ and shim/. A hook asks shim_tracked() first (one load, the answer for
 * everything that is no socket), calls the real function, and tells what was moved.
 *
 * Rules: nothing here allocates by malloc, takes a lock of the program's, or calls into the loader;
 * errno is left as found, but for shim_write_again(), which sets it as the real call would have.
 * Between a _begin and its _end no state is held that a siglongjmp or cancellation out of the real
 * call could leave behind. */
#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H

#include <poll.h>
#include <stdatomic.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "base/bytes.h"
#include "base/thread.h"
#include "shim/wire/traceparent.h"

/* ---- start and end ---- */
void shim_start(char **envp); /* constructor: configuration, tables, exporter */

void shim_before_exec(void); /* flushes; does nothing in a vfork child */
void shim_at_exit(void);     /* destructor, _exit, _Exit, quick_exit: flush, statistics; once */
void shim_fork_child(void);  /* in the child of fork(): everything starts empty */
void shim_fork_parent(void); /* in its parent: the child has our connections too */
/* clone(CLONE_VM) without CLONE_THREAD or CLONE_VFORK: from here on another process may run in our
 * memory beside us, with descriptors of its own. */
void shim_on_vm_child(void);
void shim_before_filter(bool every_thread); /* seccomp is being installed */
void shim_before_main_exit(void);           /* the main thread alone ends: pthread_exit, SYS_exit */

/* ---- descriptors ---- */
struct conn;

/* fd -> connection, one word each. */
struct fd_table {
	_Atomic(struct conn *) *conn;
	_Atomic uint8_t *flags; /* marks that a close() takes away */
	unsigned size;
	_Atomic unsigned used; /* entries from here on have never been set */
};
extern struct fd_table fd_table;

static inline bool shim_tracked(int fd)
{
	return (unsigned)fd < fd_table.size &&
	       atomic_load_explicit(&fd_table.conn[fd], memory_order_acquire) != NULL;
}

void shim_on_socket(int fd, int domain, int type); /* socket(), and each end of a socketpair() */
void shim_on_accept(int listener, int fd, const struct sockaddr *peer, socklen_t len);
void shim_on_listen(int fd);
void shim_on_setsid(void);
/* connect() returned `result` with *error as errno (0: connected or EINPROGRESS to come). */
void shim_on_connect(int fd, const struct sockaddr *address, socklen_t len, int result, int error);
void shim_on_received_fd(int fd);   /* SCM_RIGHTS, pidfd_getfd */
void shim_on_dup(int from, int to); /* after dup, dup2, dup3, F_DUPFD; `to` was closed before */
/* Before the real close(), or another thread is given the number first. */
void shim_before_close(int fd);
void shim_before_close_range(unsigned first, unsigned last);
/* After shutdown(). */
void shim_on_shutdown(int fd, int how);

/* ---- bytes coming in ---- */
struct shim_read {
	struct conn *conn; /* NULL: nothing to do afterwards */
	struct iovec *iov; /* what to pass to the real call */
	int iovcnt;
	int flags;
	int fd;
	uint32_t generation;   /* private: of the connection */
	uint8_t call;          /* enum shim_call */
	uint16_t reserved;     /* bytes asked for less than the program did */
	struct iovec one;      /* the shortened last part lives here or ... */
	struct iovec *program; /* the program's vector, untouched */
	int program_count;
};
/* How the program reads or writes: what we add goes the same way, with the same system call. */
enum shim_call {
	SHIM_CALL_READ,
	SHIM_CALL_READV,
	SHIM_CALL_RECV,
	SHIM_CALL_RECVMSG,
	SHIM_CALL_RECVMMSG,
	SHIM_CALL_WRITE,
	SHIM_CALL_WRITEV,
	SHIM_CALL_SEND,
	SHIM_CALL_SENDMSG,
	SHIM_CALL_TLS_READ, /* whoever reads tops up what was reserved: shim_read_rest() */
	SHIM_CALL_TLS_AGAIN /* the library holds these very bytes: they go as they are */
};

/* flags: MSG_* of the call, 0 for read and readv. May shorten what is asked for. For readv and
 * recvmsg the shim may give another vector in r->iov: use r->iov and r->iovcnt, never the
 * program's. */
void shim_read_begin(struct shim_read *r, int fd, const struct iovec *iov, int count, int flags,
		     enum shim_call call);
/* n: what the real call returned (errno as it left it); msg_flags: of recvmsg, else 0. Returns what
 * to report: n, or more when a header was put in. */
ssize_t shim_read_end(struct shim_read *r, ssize_t n, int msg_flags);
/* n more bytes were read into `rest`, behind what shim_read_end() has reported. Returns how many to
 * report of them. */
size_t shim_read_rest(const struct shim_read *r, struct iovec rest, size_t n);

/* ioctl(FIONREAD) told the program that n bytes wait: it may count them down. */
void shim_on_counted(int fd, int n);

/* ---- bytes going out ---- */
struct shim_write {
	struct conn *conn;
	struct iovec *iov; /* what to pass to the real call */
	int iovcnt;
	int flags; /* what to pass as flags */
	int fd;
	uint32_t generation; /* private: of the connection */
	uint8_t call;
	/* The rest is private. The altered stream is: `own_at` bytes of the program's, `own` bytes
	 * of ours, the program's again. */
	uint32_t mark; /* of this write at the connection */
	bool passes;   /* nothing but bytes of a body: passing.h */
	bool prepared; /* the connection's alteration is part of this call */
	bool h2;
	bool given_up; /* HTTP/2: during this call */
	size_t base;   /* HTTP/2: bytes of the program's that earlier rounds have sent */
	size_t own_at, own;
	size_t offered;   /* bytes of the altered stream in iov */
	size_t moved;     /* bytes of the altered stream the kernel has taken */
	void *block;      /* what iov points into */
	struct iovec one; /* private */
	const struct iovec *program;
	int program_count;
	size_t program_bytes;
};
/* Scans what is about to be sent; w->iov is the program's own vector or one with our header in it.
 */
void shim_write_begin(struct shim_write *w, int fd, const struct iovec *iov, int count, int flags,
		      enum shim_call call);
/* *n: what the real call returned. True: call again with w->iov (a rest of ours on a blocking
 * socket, or the rest of the program's). False: return *n; errno is set when it is -1. */
bool shim_write_again(struct shim_write *w, ssize_t *n);

/* Before bytes are sent that nobody here can look at (flags: MSG_DONTWAIT when the call would not
 * wait): a rest of our header goes first. False: it would have to wait, and the call fails with
 * errno as it is now. */
bool shim_before_unseen(int fd, int flags);
/* sendfile, splice, vmsplice and the like, afterwards. n as returned. */
void shim_on_sent_unseen(int fd, ssize_t n);
void shim_on_received_unseen(int fd, ssize_t n);
/* The stream cannot be followed any more (io_uring, MSG_ZEROCOPY, kTLS, ...). */
void shim_make_opaque(int fd);

/* ---- TLS: plaintext above encryption ---- */
/* What a call that has moved nothing means. */
enum shim_tls_why {
	SHIM_TLS_RETRY, /* it is to be made again */
	SHIM_TLS_END,   /* the peer has said all */
	SHIM_TLS_BROKEN /* errno may say how */
};

/* What of a library is stood in front of, and what is asked of its objects; of the latter none
 * allocates, waits or leaves an error behind. Described as OpenSSL has it; read and write answer 1,
 * or else what is to be told to the program. */
struct shim_tls_library {
	int (*read)(void *ssl, void *buf, size_t len, size_t *got);
	int (*write)(void *ssl, const void *buf, size_t len, size_t *written);
	void (*free)(void *ssl);
	int (*clear)(void *ssl);
	int (*pending)(const void *ssl);
	int (*want)(const void *ssl);
	int (*get_fd)(const void *ssl);
	int (*is_server)(const void *ssl);
	int (*in_init)(const void *ssl);
	int (*is_init_finished)(const void *ssl);
	int (*in_before)(const void *ssl);
	int (*get_shutdown)(const void *ssl);
	unsigned long (*get_options)(const void *ssl);
	void *(*get_rbio)(const void *ssl);
	int (*test_flags)(const void *bio, int flags);
	size_t (*get_client_random)(const void *ssl, unsigned char *to, size_t n);
	/* A library whose results say what they mean; then want(), get_shutdown(), get_rbio() and
	 * test_flags() are not asked for. NULL: OpenSSL, whose objects do. */
	enum shim_tls_why (*why)(int result);
	/* What is spoken, as static text; any of them may be missing. */
	const char *(*get_version)(const void *ssl);
	const void *(*get_cipher)(const void *ssl);
	const char *(*get_cipher_name)(const void *cipher);
};

/* look() is called when the process turns out to speak TLS: from a read or write, with our code
 * entered. It puts shim_tls_read() and the others in front of the libraries it finds. */
void shim_when_tls(void (*look)(void));
/* Memory for what follows; false: none, and nothing may be put in front of anything. */
bool shim_tls_start(void);

/* In place of the library's: they call it, and return what it would have. */
int shim_tls_read(const struct shim_tls_library *l, void *ssl, void *buf, size_t len, size_t *got);
int shim_tls_write(const struct shim_tls_library *l, void *ssl, const void *buf, size_t len,
		   size_t *written);
/* Before the object is freed, or made ready for another connection. */
void shim_tls_end(const void *ssl, bool freed);

/* GnuTLS, where a write that was not finished is repeated with whatever buffer, or none at all. */
/* A handshake is over: two threads may use the object from now on, one to read, one to write. */
void shim_tls_open(const struct shim_tls_library *l, void *ssl);
/* In place of its write; returns bytes taken, or what it said. */
ssize_t shim_tls_send(const struct shim_tls_library *l, void *ssl, const void *buf, size_t len);
/* Before the stream ends: what the library has not been given yet. Below 0: to be told instead. */
int shim_tls_flush(const struct shim_tls_library *l, void *ssl);
/* While corked, the library keeps all that it is given; uncorking tells how much of that has left,
 * and asking how much is there. Both without our bytes, as the program is told it. */
void shim_tls_corked(const struct shim_tls_library *l, void *ssl);
int shim_tls_uncorked(const void *ssl, int n);
size_t shim_tls_held(const void *ssl, size_t n);
/* n bytes have been written by a way that shows none of them; below 0: nobody knows how many. */
void shim_tls_unseen(const struct shim_tls_library *l, void *ssl, ssize_t n);
/* The object is used in a way that cannot be followed. */
void shim_tls_leave(const struct shim_tls_library *l, void *ssl);

/* ---- flows: a runtime that knows whose work it does ---- */
/* What a runtime's context carries, as bytes: it may be copied and compared. Zero: nothing. */
struct shim_flow {
	uint64_t magic;
	uint64_t serial;   /* of the inbound connection */
	uint32_t conn;     /* its place */
	uint32_t sequence; /* of the request on it, from 1 */
	uint32_t exchange, generation;
	uint32_t thread;             /* that read it */
	struct span_context context; /* of our span of the request */
	/* Programs may have put any bytes here. */
	uint8_t remote;  /* the span is another process's */
	uint8_t kind;    /* enum flow_kind */
	uint8_t chained; /* this context belongs to the connection, as its parents did */
};

/* How the context came to be that a call is made in. */
enum shim_flow_style {
	SHIM_FLOW_ANY, /* nothing is known but the thread */
	SHIM_FLOW_OWN /* one that no other connection's work runs in, though the thread is shared */
};

/* look() is called when the process turns out to serve: from listen() or accept(), again and again
 * until it answers that there is nothing more to find. */
void shim_when_serving(bool (*look)(void));

/* Around a call of the runtime's that may read or write on a socket. `now`: what the context
 * carries, NULL nothing. */
void shim_flow_begin(struct thread_flow *saved, const struct shim_flow *now);
/* True: *now (in: what the context carries, all zero for nothing) has changed. */
bool shim_flow_end(const struct thread_flow *saved, struct shim_flow *now,
		   enum shim_flow_style style);
/* Whether shim_flow_end() has something to look at. */
static inline bool shim_flow_seen(void)
{
	const struct thread_flow *f = &thread_state.flow;

	return f->seen.opened || f->seen.accepted || f->seen.answered;
}

/* For event loops that read by themselves and call the program back behind it, in contexts that
 * connections may share: what this thread has read since the last callback began or ended is what
 * this one is called for. True: *now has changed, until the callback returns. */
bool shim_flow_callback(struct shim_flow *now);
/* Whether what was read came on the connection that this context is for, and no other is. */
bool shim_flow_is_own(const struct shim_flow *now);
void shim_flow_callback_over(void);
/* The callback that runs now tells of the new connection behind fd; what a piece of work begun in
 * it shall carry, or false. */
void shim_flow_made(int fd);
bool shim_flow_of_made(struct shim_flow *child);
/* For runtimes that write later than they are asked to, in order and in no context: n more bytes
 * have been written on fd, for `now` (NULL: nobody is known). True: *now has changed: this is the
 * answer of who works for all of a connection. */
bool shim_flow_queue(int fd, struct shim_flow *now, size_t n);
/* Bytes were written that nobody counted: what leaves on fd from now on is nobody's. */
void shim_flow_queue_lost(int fd);

/* Who was waiting for something is woken by the callback that has read: it is this request that he
 * waited for. */
static inline bool shim_flow_reading(void)
{
	return thread_state.flow_reading;
}
void shim_flow_awaited(const struct shim_flow *now);

/* What a context that is copied from one that carries `parent` for a piece of work of its own shall
 * carry. False: the same. May mark the parent as used. */
bool shim_flow_child(struct shim_flow *parent, struct shim_flow *child);

/* The request of a flow, for runtimes that carry it in the head itself (rule "header"). False: not
 * known, or nothing of ours may go out unseen. */
bool shim_flow_traceparent(const struct shim_flow *f, char text[static TRACEPARENT_LEN + 1]);

/* The same with what else the caller sent, as shim_caller_lines() has it. Returns their bytes, 0:
 * not known. */
size_t shim_flow_lines(const struct shim_flow *f, char *to, size_t room);

/* ---- questions of a script in the program: question.h ---- */

/* A read() of this descriptor is a question: the kernel gives no process a number as high. */
#define SHIM_QUESTION_FD 0x7ffffff1

/* Whether questions have an answer in this process (once, at start). */
bool shim_answers(void);

/* The answer in place of the question; its bytes, 0: there is none. */
ssize_t shim_answer(void *buf, size_t n);

/* ---- client libraries: what is known where a program calls them ---- */
/* look() is called when the process begins to serve, and at times afterwards: with our code
 * entered, by one thread at a time. It stands in front of the libraries it finds. */
void shim_when_calling(void (*look)(void));
#define SHIM_CALLER_LINES 1024
/* The header lines that a call which this thread makes now is to carry: "name: value", each ended
 * by a 0. Returns their bytes; 0: the thread is not known to be answering a request. */
size_t shim_caller_lines(char *to, size_t room);

/* ---- waiting: before the real call ---- */
void shim_on_poll(const struct pollfd *fds, nfds_t n);
void shim_on_select(int n, const fd_set *readable, const fd_set *writable);
void shim_on_epoll_ctl(int epfd, int op, int fd);
void shim_on_epoll_wait(int epfd);

#endif
