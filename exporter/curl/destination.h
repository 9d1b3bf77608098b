/* SPDX-License-Identifier: Apache-2.0 */
/* Where one signal goes and how: the OTLP variables, as libcurl is to be told them. */
#ifndef EXPORTER_CURL_DESTINATION_H
#define EXPORTER_CURL_DESTINATION_H

#include "base/config.h"
#include "exporter/endpoint_url.h"
#include "exporter/payload.h"

#define DESTINATION_URL_MAX     8192
#define DESTINATION_HEADERS_MAX 16384

struct destination {
	uint32_t protocol; /* OTLP_HTTP_PROTOBUF, OTLP_HTTP_JSON, OTLP_GRPC */
	bool https;
	bool gzip;
	bool loopback;                       /* no proxy is asked */
	char url[DESTINATION_URL_MAX];       /* no userinfo */
	char described[DESTINATION_URL_MAX]; /* for messages: no query either */
	bool has_user;
	char user[ENDPOINT_USERINFO_MAX + 1], password[ENDPOINT_USERINFO_MAX + 1];
	/* PEM files; NULL: none. */
	const char *certificate, *client_key, *client_certificate;
	char headers[DESTINATION_HEADERS_MAX]; /* "name: value\r\n" of each, terminated */
};

typedef void (*destination_warn_fn)(void *arg, const char *message);

/* Fills *d for a signal. What is not understood gives one warning each; a URL that is not one gives
 * the default. No secret stands in a warning. The strings of c must outlive d. */
void destination_read(struct destination *d, const struct config *c, enum otlp_signal signal,
		      destination_warn_fn warn, void *arg);

#endif
