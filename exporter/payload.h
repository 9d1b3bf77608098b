/* SPDX-License-Identifier: Apache-2.0 */
/* An encoded OTLP request, as it is sent and as it is kept on disk. */
#ifndef EXPORTER_PAYLOAD_H
#define EXPORTER_PAYLOAD_H

#include <stdint.h>
#include "base/bytes.h"

enum otlp_signal { OTLP_TRACES, OTLP_METRICS };
enum otlp_encoding { OTLP_PROTOBUF, OTLP_JSON };

struct payload {
	enum otlp_signal signal;
	enum otlp_encoding encoding;
	uint32_t items; /* spans or data points */
	struct bytes body;
};

#endif
