/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest program. With an argument it stays until its standard input ends. */
#include <unistd.h>

int main(int argc, char **argv)
{
	char byte;

	(void)argv;
	return argc > 1 ? (int)read(0, &byte, 1) : 0;
}
