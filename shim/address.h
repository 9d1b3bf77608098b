/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_ADDRESS_H
#define SHIM_ADDRESS_H

#include "base/text.h"

/* 192.0.2.1 */
void address_put_v4(struct text *out, const uint8_t address[static 4]);

/* RFC 5952 form; an IPv4-mapped address as its IPv4 address. */
void address_put_v6(struct text *out, const uint8_t address[static 16]);

#endif
