/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOOKS_IMPORTS_X86_64_H
#define HOOKS_IMPORTS_X86_64_H

#define IMPORT_BY_CALL R_X86_64_JUMP_SLOT
#define IMPORT_AT_LOAD R_X86_64_GLOB_DAT

#endif
