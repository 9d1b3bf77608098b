/* SPDX-License-Identifier: Apache-2.0 */
/* When to look for client libraries that can carry our id: once the process serves. */
#ifndef SHIM_CALLER_H
#define SHIM_CALLER_H

void caller_on_listen(void);  /* our code not entered */
void caller_on_request(void); /* one was read; our code entered */

#endif
