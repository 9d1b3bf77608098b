/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/carriers.h"

#include "hooks/carry_curl.h"

static struct imported carriers[] = {
	{ "grpc_call_start_batch", carry_grpc_find, CARRY_GRPC_IMPORTS, { { .name = NULL } } },
	{ "curl_multi_add_handle", carry_curl_find, CARRY_CURL_IMPORTS, { { .name = NULL } } },
};

void hook_carriers_look(void)
{
	for (unsigned i = 0; i < sizeof(carriers) / sizeof(*carriers); i++)
		imports_look(&carriers[i]);
}
