/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on a descriptor that is no socket: calls COUNT. Prints nanoseconds of CPU time per call of
 * read() and of write() on /dev/null, the cheapest there are. */
#include <fcntl.h>
#include <unistd.h>
#include "tests/bench/bench.h"

int main(int argc, char **argv)
{
	unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 2000000;
	int fd = open("/dev/null", O_RDWR);
	uint64_t start = thread_cpu_ns();
	ssize_t sum = 0;
	char byte = 0;

	if (fd < 0)
		die("/dev/null");
	for (unsigned i = 0; i < count; i++)
		sum += read(fd, &byte, 1);
	printf("%.2f ", (double)(thread_cpu_ns() - start) / count);
	start = thread_cpu_ns();
	for (unsigned i = 0; i < count; i++)
		sum += write(fd, &byte, 1);
	printf("%.2f\n", (double)(thread_cpu_ns() - start) / count);
	return sum != (ssize_t)count;
}
