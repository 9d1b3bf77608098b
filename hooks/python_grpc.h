/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC's client for Python. Its calls leave on connections that all share, from threads of a
 * library that knows nothing of Python's contexts: so the request a call is made for goes along in
 * the call's metadata, as a traceparent of our own, and where the call is written the rule for
 * headers knows it. */
#ifndef HOOKS_PYTHON_GRPC_H
#define HOOKS_PYTHON_GRPC_H

/* Stands in front of grpc's calls, once it has been imported. With the GIL. */
void python_grpc_find(void);

#endif
