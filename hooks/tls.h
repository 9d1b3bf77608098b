/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOOKS_TLS_H
#define HOOKS_TLS_H

/* Stands in front of each TLS library that is loaded and known, and was not before. */
void hook_tls_look(void);

#endif
