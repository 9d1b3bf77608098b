/* SPDX-License-Identifier: Apache-2.0 */
/* x86-64: how a program asks valgrind. Included by base/valgrind.h only. */
#ifndef BASE_VALGRIND_X86_64_H
#define BASE_VALGRIND_X86_64_H

#define VALGRIND_IS_IT_RUNNING 0x1001

/* To the processor it is nothing: rdi turned around once (3 + 13 + 61 + 51 = 128 bits), and rbx
 * exchanged with itself. Valgrind takes it for a request: the question in rax, its answer in rdx.
 */
static inline bool on_valgrind(void)
{
	const unsigned long question[6] = { VALGRIND_IS_IT_RUNNING };
	unsigned long answer = 0;

	__asm__ volatile("rolq $3, %%rdi\n\t"
			 "rolq $13, %%rdi\n\t"
			 "rolq $61, %%rdi\n\t"
			 "rolq $51, %%rdi\n\t"
			 "xchgq %%rbx, %%rbx"
			 : "+d"(answer)
			 : "a"(question)
			 : "cc", "memory");
	return answer != 0;
}

#endif
