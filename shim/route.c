/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/route.h"
#include <netinet/in.h>
#include "base/config.h"
#include "base/counters.h"
#include "base/log.h"
#include "shim/wire/address.h"
#include "shim/wire/url.h"

/* Views into the configuration's own text, which lives as long as the process. */
struct list {
	struct bytes *item;
	unsigned n, max;
};

static struct bytes pattern_items[ROUTE_PATTERNS_MAX];
static struct bytes exclude_items[ROUTE_EXCLUDES_MAX];
static struct bytes host_items[ROUTE_HOSTS_MAX];
static struct bytes method_items[ROUTE_METHODS_MAX];
static struct bytes header_items[HEADERS_LISTS][ROUTE_HEADERS_MAX];

static struct list patterns = { pattern_items, 0, ROUTE_PATTERNS_MAX };
static struct list excludes = { exclude_items, 0, ROUTE_EXCLUDES_MAX };
static struct list hosts = { host_items, 0, ROUTE_HOSTS_MAX };
static struct list methods = { method_items, 0, ROUTE_METHODS_MAX };
static struct list headers[HEADERS_LISTS] = {
#define LIST(id) [id] = { header_items[id], 0, ROUTE_HEADERS_MAX }
	LIST(HEADERS_SERVER_REQUEST),  LIST(HEADERS_SERVER_RESPONSE),
	LIST(HEADERS_CLIENT_REQUEST),  LIST(HEADERS_CLIENT_RESPONSE),
	LIST(METADATA_SERVER_REQUEST), LIST(METADATA_SERVER_RESPONSE),
	LIST(METADATA_CLIENT_REQUEST), LIST(METADATA_CLIENT_RESPONSE),
#undef LIST
};

static unsigned captured_headers; /* of all lists */

/* RFC 9110 and PATCH and QUERY, which the semantic conventions know as well. */
#define DEFAULT_METHODS "GET,HEAD,POST,PUT,DELETE,CONNECT,OPTIONS,TRACE,PATCH,QUERY"

static void list_read(struct list *list, const char *value, const char *variable)
{
	struct bytes rest = bytes_of(value);

	list->n = 0;
	while (rest.p) {
		struct bytes item = bytes_trim(bytes_split(&rest, ','));

		if (!item.n)
			continue;
		if (list->n == list->max) {
			log_warn("%s: only the first %u entries are used", variable, list->max);
			count(warnings);
			return;
		}
		list->item[list->n++] = item;
	}
}

/* A pattern that cannot fit any path is a mistake worth a word. */
static void warn_about_paths(const struct list *list, const char *variable)
{
	for (unsigned i = 0; i < list->n; i++) {
		struct bytes b = list->item[i];

		if (b.p[0] == '/' || b.p[0] == '*' || b.p[0] == '?')
			continue;
		log_warn("%s: '%.*s' does not begin with '/', so no path fits it", variable,
			 (int)b.n, b.p);
		count(warnings);
	}
}

void route_init(void)
{
	list_read(&patterns, config.routes, "TAGALONG_ROUTES");
	warn_about_paths(&patterns, "TAGALONG_ROUTES");
	list_read(&excludes, config.exclude_paths, "TAGALONG_EXCLUDE_PATHS");
	warn_about_paths(&excludes, "TAGALONG_EXCLUDE_PATHS");
	list_read(&hosts, config.propagate_to, "TAGALONG_PROPAGATE_TO");
	list_read(&methods, config.known_methods[0] ? config.known_methods : DEFAULT_METHODS,
		  "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS");
	list_read(&headers[HEADERS_SERVER_REQUEST], config.server_request_headers,
		  "OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS");
	list_read(&headers[HEADERS_SERVER_RESPONSE], config.server_response_headers,
		  "OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS");
	list_read(&headers[HEADERS_CLIENT_REQUEST], config.client_request_headers,
		  "OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS");
	list_read(&headers[HEADERS_CLIENT_RESPONSE], config.client_response_headers,
		  "OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS");
	list_read(&headers[METADATA_SERVER_REQUEST], config.server_request_metadata,
		  "OTEL_INSTRUMENTATION_GRPC_CAPTURE_METADATA_SERVER_REQUEST");
	list_read(&headers[METADATA_SERVER_RESPONSE], config.server_response_metadata,
		  "OTEL_INSTRUMENTATION_GRPC_CAPTURE_METADATA_SERVER_RESPONSE");
	list_read(&headers[METADATA_CLIENT_REQUEST], config.client_request_metadata,
		  "OTEL_INSTRUMENTATION_GRPC_CAPTURE_METADATA_CLIENT_REQUEST");
	list_read(&headers[METADATA_CLIENT_RESPONSE], config.client_response_metadata,
		  "OTEL_INSTRUMENTATION_GRPC_CAPTURE_METADATA_CLIENT_RESPONSE");
	captured_headers = 0;
	for (unsigned i = 0; i < HEADERS_LISTS; i++)
		captured_headers += headers[i].n;
}

bool route_excluded(struct bytes path)
{
	for (unsigned i = 0; i < excludes.n; i++)
		if (glob_match(excludes.item[i], path, false))
			return true;
	return false;
}

struct bytes route_find(struct bytes path)
{
	for (unsigned i = 0; i < patterns.n; i++)
		if (route_match(patterns.item[i], path))
			return patterns.item[i];
	return (struct bytes){ NULL, 0 };
}

static struct bytes bare_host(struct bytes host)
{
	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		return (struct bytes){ host.p + 1, host.n - 2 };
	if (host.n > 1 && host.p[host.n - 1] == '.') /* the root of the name system */
		host.n--;
	return host;
}

bool route_is_metadata(struct bytes host)
{
	uint8_t address[ADDRESS_LEN];

	host = bare_host(host);
	if (address_parse(address, host) == 0)
		return address_is_metadata(address);
	/* These names mean 169.254.169.254 wherever they resolve at all. */
	return bytes_equal_nocase(host, BYTES("metadata.google.internal")) ||
	       bytes_equal_nocase(host, BYTES("metadata.goog")) ||
	       bytes_equal_nocase(host, BYTES("instance-data.ec2.internal"));
}

bool route_is_metadata_peer(const struct sockaddr *address, socklen_t len)
{
	if (len >= sizeof(struct sockaddr_in) && address->sa_family == AF_INET) {
		struct sockaddr_in v4;
		uint8_t mapped[ADDRESS_LEN] = { [10] = 0xff, [11] = 0xff };

		memcpy(&v4, address, sizeof(v4));
		memcpy(mapped + 12, &v4.sin_addr, 4);
		return address_is_metadata(mapped);
	}
	if (len >= sizeof(struct sockaddr_in6) && address->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;

		memcpy(&v6, address, sizeof(v6));
		return address_is_metadata(v6.sin6_addr.s6_addr);
	}
	return false;
}

bool route_propagates_to(struct bytes host)
{
	host = bare_host(host);
	if (route_is_metadata(host))
		return false;
	for (unsigned i = 0; i < hosts.n; i++)
		if (glob_match(hosts.item[i], host, true))
			return true;
	return false;
}

struct bytes route_known_method(struct bytes method)
{
	for (unsigned i = 0; i < methods.n; i++)
		if (method.p == methods.item[i].p || bytes_equal(methods.item[i], method))
			return methods.item[i]; /* or that is what it is already */
	return (struct bytes){ NULL, 0 };
}

bool route_captures(enum header_list list, struct bytes name)
{
	for (unsigned i = 0; i < headers[list].n; i++)
		if (bytes_equal_nocase(headers[list].item[i], name))
			return true;
	return false;
}

bool route_captures_any(enum header_list list)
{
	return headers[list].n > 0;
}

bool route_captures_nothing(void)
{
	return !captured_headers;
}
