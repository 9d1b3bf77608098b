/* SPDX-License-Identifier: Apache-2.0 */
/* vfork() returns twice into one stack frame: whatever a C function had put there would be the
 * child's to overwrite before the parent comes back. So the return address is kept in a register
 * (the kernel keeps all but rax, rcx, r11), and the system call is made here.
 *
 * The child borrows our memory and thread-locals: while it runs, thread_state.vfork_child is set
 * and no hook touches anything. The parent, which the kernel let wait, puts back what was there
 * (1, when it is a vfork child itself). */
#include <sys/syscall.h>
#include "hooks/vfork.h"

#if defined(__x86_64__)

#define FLAG %fs:THREAD_STATE_VFORK_CHILD(%rdx)

	.text
	.globl	vfork, __vfork
	.type	vfork, @function
	.type	__vfork, @function
	.p2align 4
vfork:
__vfork:
	.cfi_startproc
	movq	thread_state@gottpoff(%rip), %rdx
	movl	FLAG, %r8d
	popq	%rdi
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rdi
	movl	$SYS_vfork, %eax
	syscall
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	.cfi_offset %rip, -8
	testq	%rax, %rax
	jz	1f
	movl	%r8d, FLAG
	js	2f
	ret
1:	movl	$1, FLAG
	ret
2:	movl	%eax, %edi
	negl	%edi
	jmp	hook_vfork_failed
	.cfi_endproc
	.size	vfork, .-vfork
	.size	__vfork, .-__vfork
	.hidden	hook_vfork_failed, thread_state

#endif

	.section .note.GNU-stack, "", @progbits
