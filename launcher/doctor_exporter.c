/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/config.h"
#include "exporter/curl/curl_transport.h"
#include "launcher/doctor.h"
#include "launcher/probe.h"

#define RUN_RECEIVER "Start the receiver, or name another by --endpoint URL or --file PATH."

static void report_status(struct findings *f, const char *url, const struct probe *p)
{
	if (p->status == 401 || p->status == 403)
		found(f, LEVEL_PROBLEM, "exporter", "Look at OTEL_EXPORTER_OTLP_HEADERS.",
		      "%s does not let us in: HTTP %u", url, p->status);
	else if (p->status == 404 || p->status == 405)
		found(f, LEVEL_PROBLEM, "exporter",
		      "OTLP over HTTP is at .../v1/traces, usually on port 4318.",
		      "%s takes no traces: HTTP %u", url, p->status);
	else if (p->status == 429 || p->status >= 500)
		found(f, LEVEL_WARNING, "exporter",
		      "Spans are sent again for a while, then counted "
		      "as lost.",
		      "%s is there but has no time for us: HTTP %u", url, p->status);
	else if (p->status / 100 != 2)
		found(f, LEVEL_WARNING, "exporter", "Is it an OTLP receiver?",
		      "%s answers HTTP %u to an empty export", url, p->status);
	else if (strncasecmp(p->content_type, "application/x-protobuf", 22) == 0 ||
		 strncasecmp(p->content_type, "application/json", 16) == 0 || !p->content_type[0])
		found(f, LEVEL_OK, "exporter", "", "%s takes OTLP", url);
	else
		found(f, LEVEL_PROBLEM, "exporter",
		      "OTLP over HTTP is at .../v1/traces, usually on port 4318.",
		      "%s answers %s: that is no OTLP receiver", url, p->content_type);
}

static void report_probe(struct findings *f, const char *url, const struct probe *p)
{
	switch (p->outcome) {
	case PROBE_ANSWER:
		report_status(f, url, p);
		break;
	case PROBE_NO_NAME:
		found(f, LEVEL_PROBLEM, "exporter", RUN_RECEIVER, "%s: the host is not known: %s",
		      url, p->text);
		break;
	case PROBE_NO_CONNECTION:
		found(f, LEVEL_PROBLEM, "exporter", RUN_RECEIVER, "%s cannot be reached: %s", url,
		      strerror(p->error));
		break;
	case PROBE_SILENCE:
		found(f, LEVEL_PROBLEM, "exporter", "",
		      "%s takes the connection and does not answer", url);
		break;
	case PROBE_CLOSED:
		found(f, LEVEL_PROBLEM, "exporter", "Is it another port?",
		      "%s ends the connection without an answer", url);
		break;
	case PROBE_TLS:
		found(f, LEVEL_PROBLEM, "exporter",
		      "Only plain http is sent from inside a program: let a collector on this "
		      "host pass spans on.",
		      "%s speaks TLS", url);
		break;
	case PROBE_HTTP2:
		found(f, LEVEL_PROBLEM, "exporter",
		      "That is the port for gRPC (usually 4317): use the one for HTTP (usually "
		      "4318).",
		      "%s speaks HTTP/2 only", url);
		break;
	case PROBE_STRANGE:
		found(f, LEVEL_PROBLEM, "exporter", "Is it another port?", "%s does not speak HTTP",
		      url);
		break;
	case PROBE_FAILED:
		found(f, LEVEL_WARNING, "exporter", "", "%s could not be tried: %s", url,
		      strerror(p->error));
		break;
	}
}

static void ignore_warning(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

#define GRPC_PORT 4317 /* taken for gRPC when no protocol is named */

static bool needs_libcurl(const struct endpoint *endpoint)
{
	return endpoint->trouble || (endpoint->port == GRPC_PORT && !config.otlp_protocol_set);
}

static void try_by_libcurl(struct findings *f, struct curl_transport *t, enum otlp_signal signal,
			   long timeout_ms)
{
	const struct payload empty = { signal, curl_transport_encoding(t), 0, { "", 0 } };
	const struct payload empty_json = { signal, OTLP_JSON, 0, BYTES("{}") };
	char url[2048];
	struct text text = TEXT_ON(url);
	uint64_t deadline_ns = clock_monotonic_ns() + (uint64_t)timeout_ms * 1000000;
	uint64_t asked_ms;
	struct outcome o;
	bool final;

	curl_transport_describe(t, &text);
	text_string(&text);
	final = curl_transport_attempt(t, empty.encoding == OTLP_JSON ? &empty_json : &empty,
				       deadline_ns, &o, &asked_ms);

	if (final && o.loss == LOSS_NONE)
		found(f, LEVEL_OK, "exporter", "", "%s takes %s", url,
		      signal == OTLP_METRICS ? "metrics" : "OTLP");
	else if (!final && o.loss == LOSS_RESPONSE)
		found(f, LEVEL_WARNING, "exporter",
		      signal == OTLP_METRICS
			      ? "Numbers are told again the next time."
			      : "Spans are sent again for a while, then counted as lost.",
		      "%s is there but has no time for us: %s", url, curl_transport_problem(t));
	else if (final)
		found(f, LEVEL_PROBLEM, "exporter",
		      "Look at OTEL_EXPORTER_OTLP_PROTOCOL, _HEADERS.", "%s takes no %s: %s", url,
		      signal == OTLP_METRICS ? "metrics" : "traces", curl_transport_problem(t));
	else
		found(f, LEVEL_PROBLEM, "exporter", RUN_RECEIVER, "%s cannot be reached: %s", url,
		      curl_transport_problem(t));
}

static void examine_by_libcurl(struct findings *f, const struct exporter_question *q,
			       enum otlp_signal signal)
{
	static _Atomic uint32_t stop;
	struct curl_transport *t = curl_transport_new(&config, signal, &stop, ignore_warning, NULL);
	char url[2048];
	struct text text = TEXT_ON(url);

	if (!t) {
		found(f, LEVEL_WARNING, "exporter", "", "libcurl does not start");
		return;
	}
	curl_transport_describe(t, &text);
	text_string(&text);
	if (q->network)
		try_by_libcurl(f, t, signal, q->timeout_ms);
	else
		found(f, LEVEL_OK, "exporter", "", "%s go to %s (not tried)",
		      signal == OTLP_METRICS ? "metrics" : "spans", url);
	curl_transport_free(t);
}

/* What is wrong with the variables has been said by settings_read(). */
static void examine_endpoint(struct findings *f, const struct exporter_question *q)
{
	static struct endpoint endpoint;
	char url[2048];
	struct text text = TEXT_ON(url);
	struct probe probe;

	endpoint_read(&endpoint, &config, ignore_warning, NULL);
	if (q->place == EXPORT_SUPERVISED && needs_libcurl(&endpoint)) {
		examine_by_libcurl(f, q, OTLP_TRACES);
		return;
	}
	endpoint_describe(&endpoint, &text);
	text_string(&text);
	if (endpoint.trouble) {
		found(f, LEVEL_PROBLEM, "exporter",
		      "Let `tagalong run` send them, or a collector on this host take them by http "
		      "and pass them on, or use --file.",
		      "%s: %s cannot be sent from inside a program", url,
		      endpoint.is_https ? "https" : "gRPC");
		return;
	}
	if (!q->network) {
		found(f, LEVEL_OK, "exporter", "", "spans go to %s (not tried)", url);
		return;
	}
	probe = probe_send(&endpoint, q->timeout_ms);
	report_probe(f, url, &probe);
}

/* A process sends them itself where it sends its spans itself. */
static void examine_metrics(struct findings *f, const struct exporter_question *q)
{
	static struct endpoint endpoint;
	char url[2048];
	struct text text = TEXT_ON(url);

	endpoint_read_metrics(&endpoint, &config, ignore_warning, NULL);
	if (q->place == EXPORT_SUPERVISED || !endpoint.trouble) {
		examine_by_libcurl(f, q, OTLP_METRICS);
		return;
	}
	endpoint_describe(&endpoint, &text);
	found(f, LEVEL_PROBLEM, "exporter",
	      "Let `tagalong run` send them, or a collector on this host take them by http and "
	      "pass them on.",
	      "%s: metrics cannot be sent there from inside a program", text_string(&text));
}

static void examine_traces_file(struct findings *f)
{
	const char *path = config.traces_file;
	bool there = access(path, F_OK) == 0;
	int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);

	if (fd < 0) {
		found(f, LEVEL_PROBLEM, "exporter", "", "%s cannot be written: %s", path,
		      strerror(errno));
		return;
	}
	close(fd);
	if (!there)
		unlink(path);
	if (*path != '/')
		found(f, LEVEL_WARNING, "exporter", "Name it from the root.",
		      "TAGALONG_TRACES_FILE=%s depends on where the program is started", path);
	else
		found(f, LEVEL_OK, "exporter", "", "spans are appended to %s", path);
}

void exporter_examine(struct findings *f, const struct exporter_question *q)
{
	bool chosen = getenv("OTEL_TRACES_EXPORTER");

	if (config.metrics_exporter & EXPORTER_OTLP)
		examine_metrics(f, q);
	if (*config.traces_file)
		examine_traces_file(f);
	if (*config.traces_file && !chosen)
		return;
	if (config.traces_exporter & EXPORTER_CONSOLE)
		found(f, LEVEL_OK, "exporter", "", "traces are drawn on stderr");
	if (config.traces_exporter & EXPORTER_OTLP)
		examine_endpoint(f, q);
	else if (!(config.traces_exporter & EXPORTER_CONSOLE) && !*config.traces_file)
		found(f, LEVEL_PROBLEM, "exporter", "Unset OTEL_TRACES_EXPORTER.",
		      "OTEL_TRACES_EXPORTER is none: spans go nowhere");
}
