/* SPDX-License-Identifier: Apache-2.0 */
/* Two interpreters of which neither knows of the other: two_pythons LIBPYTHON COPY. The first one
 * serves, the second is asked about TLS by the same thread. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static const char serve[] = "import _socket\n"
			    "s, c = _socket.socket(), _socket.socket()\n"
			    "s.bind(('127.0.0.1', 0))\n"
			    "s.listen()\n"
			    "c.connect(s.getsockname())\n"
			    "c.sendall(b'GET /r HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n')\n"
			    "a = _socket.socket(fileno=s._accept()[0])\n"
			    "assert a.recv(999)\n"
			    "a.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n')\n";
static const char ask[] = "import ssl\n"
			  "import _socket\n"
			  "_socket.socket().listen()\n"
			  "tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), "
			  "ssl.MemoryBIO(), False, 'h')\n"
			  "try:\n"
			  "    tls.read()\n"
			  "except ssl.SSLWantReadError:\n"
			  "    print('nothing to read', flush=True)\n";

static int run(void *python, const char *script)
{
	int (*run_string)(const char *) =
		(int (*)(const char *))dlsym(python, "PyRun_SimpleString");

	((void (*)(int))dlsym(python, "Py_InitializeEx"))(0);
	return run_string(script);
}

int main(int argc, char **argv)
{
	void *first = argc == 3 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL, *second;

	if (!first || run(first, serve))
		return 99;
	((void *(*)(void))dlsym(first, "PyEval_SaveThread"))();
	second = dlopen(argv[2], RTLD_NOW | RTLD_GLOBAL);
	if (!second || run(second, ask))
		return 99;
	return 0;
}
