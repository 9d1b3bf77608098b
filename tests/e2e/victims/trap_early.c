/* SPDX-License-Identifier: Apache-2.0 */
/* Goes with trap_early_lib: a request of its own, and one over the library's old connection. */
#include "trap.h"

int main(void)
{
	int a, b;

	setvbuf(stdout, NULL, _IOLBF, 0);
	connect_pair(&a, &b);
	one_request(a, b, "own");
	if (fcntl(60, F_GETFD) >= 0)
		one_request(60, 61, "old");
	printf("end\n");
	return 0;
}
