/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/complaint.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

static uint64_t hash_of(const char *text)
{
	uint64_t h = 14695981039346656037ull; /* FNV-1a */

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 1099511628211ull;
	return h;
}

bool complaint_due(struct complaints *c, const char *text, uint64_t now_ns, uint32_t *unsaid)
{
	uint64_t hash = hash_of(text);
	unsigned oldest = 0, i;

	for (i = 0; i < COMPLAINT_KINDS && c->kinds[i].hash != hash; i++)
		if (c->kinds[i].said_ns < c->kinds[oldest].said_ns)
			oldest = i;
	if (i < COMPLAINT_KINDS && now_ns - c->kinds[i].said_ns < COMPLAINT_EVERY_NS) {
		c->kinds[i].unsaid++;
		return false;
	}
	*unsaid = i < COMPLAINT_KINDS ? c->kinds[i].unsaid : 0;
	if (i == COMPLAINT_KINDS)
		i = oldest;
	c->kinds[i].hash = hash;
	c->kinds[i].said_ns = now_ns;
	c->kinds[i].unsaid = 0;
	return true;
}

void complain(struct complaints *c, const char *format, ...)
{
	char line[512];
	struct text t = TEXT_ON(line);
	uint32_t unsaid = 0;
	va_list args;

	va_start(args, format);
	text_vformat(&t, format, args);
	va_end(args);
	if (!complaint_due(c, text_string(&t), clock_monotonic_ns(), &unsaid))
		return;
	if (unsaid)
		log_warn("%s (%u times more in the last minute or longer)", line, unsaid);
	else
		log_warn("%s", line);
}
