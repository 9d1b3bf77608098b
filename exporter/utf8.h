/* SPDX-License-Identifier: Apache-2.0 */
/* Text out of bytes: protobuf's strings and JSON must be UTF-8, what programs send need not be. */
#ifndef EXPORTER_UTF8_H
#define EXPORTER_UTF8_H

#include "base/bytes.h"

#define UTF8_GROWTH   3 /* a byte that is no text becomes the three of U+FFFD */
#define UTF8_NO_LIMIT SIZE_MAX

/* Copies b to `to` (UTF8_GROWTH * b.n bytes at most): sequences that are not UTF-8 become U+FFFD,
 * one for each maximal part (Unicode 3.9, as Python and browsers do it), and so does U+0000, which
 * would end a C string. Not more than max_chars characters. Returns the bytes written. */
size_t utf8_clean(char *to, struct bytes b, size_t max_chars);

#endif
