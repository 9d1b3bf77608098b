/* SPDX-License-Identifier: Apache-2.0 */
/* Supervised export: when the ring is shared, and what happens when nobody takes from it any more.
 */
#include <linux/futex.h>
#include "base/config.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/raw.h"
#include "exporter/exporter_parts.h"
#include "exporter/metrics_export.h"
#include "exporter/request_metrics.h"

static void set_way(enum way w)
{
	atomic_store_explicit(&exporter.way, w, memory_order_release);
	raw_futex(&exporter.way, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT32_MAX, NULL);
}

static bool claim(enum way from)
{
	uint32_t way = from;

	return atomic_compare_exchange_strong(&exporter.way, &way, WAY_OPENING);
}

/* What the constructor left out, since a supervisor was going to do it. */
static void go_on_alone(struct ring *r)
{
	sink_fall_back(&exporter.sink, &config);
	in_process_begin(r);
	set_way(WAY_IN_PROCESS);
}

static void fall_back(int err)
{
	count(supervised_fallbacks);
	if (err == -EXDEV)
		log_info("spans of this process go elsewhere than its supervisor's: it exports by "
			 "itself");
	else
		log_warn("TAGALONG_SHARED_DIR=%s cannot be used (error %d): this process exports "
			 "by itself",
			 config.shared_dir, -err);
	go_on_alone(NULL);
}

static void open_or_fall_back(void)
{
	size_t metrics = metrics_export_is_wanted() ? request_metrics_size() : 0;
	struct ring *before = atomic_load(&exporter.ring);
	int err = shared_open(&exporter.shared, &config, &exporter.sink.resource, metrics);

	exporter.lost = before;
	if (err) {
		fall_back(err);
		return;
	}
	if (metrics)
		metrics_export_share(shared_metrics(&exporter.shared),
				     exporter.shared.file->since_ns);
	atomic_store_explicit(&exporter.ring, shared_ring(&exporter.shared), memory_order_release);
	set_way(WAY_SUPERVISED);
}

void supervised_begin(void)
{
	if (claim(WAY_OPEN))
		open_or_fall_back();
}

/* The ring is ours: what it holds leaves first. */
static void take_over(void)
{
	const struct shared_file *f = exporter.shared.file;

	count(supervised_fallbacks);
	count_add(spans_dropped_supervisor, shared_in_hand(f, shared_ring(&exporter.shared)));
	log_warn("the supervisor is gone: this process exports by itself");
	shared_unlink(&exporter.shared);
	go_on_alone(shared_ring(&exporter.shared));
}

bool supervised_holds_back(void)
{
	const struct shared_file *f = exporter.shared.file;

	return atomic_load_explicit(&exporter.way, memory_order_acquire) == WAY_SUPERVISED && f &&
	       atomic_load_explicit(&f->held_back, memory_order_relaxed);
}

void supervised_look(void)
{
	enum shared_state state = shared_look(&exporter.shared);

	if (state == SHARED_ATTENDED || !claim(WAY_SUPERVISED))
		return;
	if (state == SHARED_ADOPTED) {
		take_over();
	} else if (state == SHARED_RETIRED) {
		/* Another thread may have been faster. */
		if (shared_is_closed(&exporter.shared))
			open_or_fall_back();
		else
			set_way(WAY_SUPERVISED);
	} else {
		exporter.lost = shared_ring(&exporter.shared);
		fall_back(-ETIMEDOUT);
	}
}
