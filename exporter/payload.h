/* SPDX-License-Identifier: Apache-2.0 */
/* One Export*ServiceRequest, encoded. */
#ifndef EXPORTER_PAYLOAD_H
#define EXPORTER_PAYLOAD_H

#include "base/bytes.h"

enum otlp_signal { OTLP_TRACES, OTLP_METRICS };
enum otlp_encoding { OTLP_PROTOBUF, OTLP_JSON };

struct payload {
	enum otlp_signal signal;
	enum otlp_encoding encoding;
	uint32_t items; /* spans or data points in it */
	struct bytes body;
};

#endif
