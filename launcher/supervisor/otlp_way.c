/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/supervisor/otlp_way.h"

#include <errno.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/id.h"
#include "base/log.h"
#include "launcher/spill.h"

#define MIB     (1024ull * 1024)
#define LOOK_NS 10000000000ull

static void warn(void *arg, const char *message)
{
	(void)arg;
	count(warnings);
	log_warn("%s", message);
}

int otlp_way_init(struct otlp_way *w, const struct config *c, _Atomic uint32_t *stop)
{
	int err;

	*w = (struct otlp_way){ .config = c, .stop = stop };
	w->transport = curl_transport_new(c, OTLP_TRACES, stop, warn, NULL);
	if (!w->transport)
		return -ENOMEM;
	if (!*c->spill_dir)
		return 0;
	err = spill_open(&w->spill, c->spill_dir, c->spill_max * MIB);
	if (err) {
		count(warnings);
		log_warn("TAGALONG_SPILL_DIR=%s cannot be used (error %d): what cannot be "
			 "delivered is not kept",
			 c->spill_dir, -err);
	}
	retry_start(&w->retry, NO_DEADLINE);
	w->look_ns = clock_monotonic_ns() + LOOK_NS;
	return 0;
}

void otlp_way_free(struct otlp_way *w)
{
	spill_close(w->spill);
	curl_transport_free(w->transport);
}

/* What the disk lost since the last time. */
static void count_dropped(struct otlp_way *w)
{
	uint64_t now = spill_dropped_items(w->spill);

	count_add(spans_dropped_spill, now - w->dropped_before);
	w->dropped_before = now;
}

static void keep(struct otlp_way *w, const struct payload *p)
{
	if (spill_put(w->spill, p) == 0)
		count_add(spans_spilled, p->items);
	count_dropped(w);
}

static uint64_t budget(const struct otlp_way *w, uint64_t deadline_ns)
{
	uint64_t own = retry_deadline(clock_monotonic_ns(), w->config->otlp_timeout,
				      w->config->bsp_export_timeout);

	return own < deadline_ns ? own : deadline_ns;
}

static bool is_stopped(const struct otlp_way *w)
{
	return atomic_load_explicit(w->stop, memory_order_relaxed) != 0;
}

/* One attempt. False: it was not delivered, and should be kept. */
static bool attempt(struct otlp_way *w, const struct payload *p, uint64_t deadline_ns)
{
	struct outcome o = { .loss = LOSS_NONE };
	uint64_t asked_ms = 0, now;

	count(exports);
	if (curl_transport_attempt(w->transport, p, budget(w, deadline_ns), &o, &asked_ms) &&
	    !(o.loss == LOSS_UNDELIVERABLE && is_stopped(w))) {
		outcome_count(&o, p->items);
		retry_start(&w->retry, NO_DEADLINE);
		w->next_try_ns = 0;
		return true;
	}
	count(export_failures);
	now = clock_monotonic_ns();
	w->next_try_ns = retry_next(&w->retry, now, asked_ms, id_random());
	return false;
}

static void send_with_retries(struct otlp_way *w, const struct payload *p, uint64_t deadline_ns,
			      uint64_t *hold_off_ns)
{
	struct outcome o = { .loss = LOSS_NONE };

	count(exports);
	curl_transport_send(w->transport, p, budget(w, deadline_ns), &o);
	if (o.loss == LOSS_UNDELIVERABLE && is_stopped(w))
		count_add(spans_dropped_exit, p->items);
	else
		outcome_count(&o, p->items);
	*hold_off_ns = o.hold_off_ns;
}

void otlp_way_send(struct otlp_way *w, const struct payload *p, uint64_t deadline_ns,
		   uint64_t *hold_off_ns)
{
	*hold_off_ns = 0;
	if (!w->spill)
		send_with_retries(w, p, deadline_ns, hold_off_ns);
	else if (spill_is_waiting(w->spill) || clock_monotonic_ns() < w->next_try_ns ||
		 !attempt(w, p, deadline_ns))
		keep(w, p);
}

void otlp_way_leave(struct otlp_way *w, const struct payload *p)
{
	if (w->spill)
		keep(w, p);
	else
		count_add(spans_dropped_exit, p->items);
}

uint64_t otlp_way_due(const struct otlp_way *w)
{
	if (!w->spill)
		return UINT64_MAX;
	return spill_is_waiting(w->spill) ? w->next_try_ns : w->look_ns;
}

void otlp_way_catch_up(struct otlp_way *w, uint64_t deadline_ns, bool *more)
{
	struct payload p;

	*more = false;
	if (clock_monotonic_ns() < otlp_way_due(w))
		return;
	w->look_ns = clock_monotonic_ns() + LOOK_NS;
	if (!spill_oldest(w->spill, &p)) {
		/* There is none, or it is not to be read just now. */
		w->next_try_ns = retry_next(&w->retry, clock_monotonic_ns(), 0, id_random());
		count_dropped(w);
		return;
	}
	if (!attempt(w, &p, deadline_ns))
		return;
	spill_pop(w->spill);
	count_dropped(w);
	*more = spill_is_waiting(w->spill);
}

bool otlp_way_failing(const struct otlp_way *w)
{
	return curl_transport_failing(w->transport);
}
