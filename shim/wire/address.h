/* SPDX-License-Identifier: Apache-2.0 */
/* IP addresses as text, in every spelling that resolvers take. */
#ifndef SHIM_WIRE_ADDRESS_H
#define SHIM_WIRE_ADDRESS_H

#include "base/bytes.h"

#define ADDRESS_LEN 16 /* IPv6; an IPv4 address stands in it as ::ffff:a.b.c.d */

/* "10.0.0.1", also as inet_aton(3) takes it ("10.1", "0x0a000001", "012.0.0.1"), or IPv6 with or
 * without brackets and zone. 0, or -EINVAL: a name. *out untouched then. */
int address_parse(uint8_t out[static ADDRESS_LEN], struct bytes host);

/* Whether an address belongs to what clouds serve instance metadata and credentials on:
 * 169.254.0.0/16 (also inside IPv6: mapped, compatible, NAT64), fd00:ec2::/32, fd20:ce::254. */
bool address_is_metadata(const uint8_t address[static ADDRESS_LEN]);

#endif
