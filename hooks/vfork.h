/* SPDX-License-Identifier: Apache-2.0 */
/* For C and assembler: where vfork_<processor>.S finds the flag. fork.c checks it. */
#ifndef HOOKS_VFORK_H
#define HOOKS_VFORK_H

#define THREAD_STATE_VFORK_CHILD 4

#endif
