/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP by libcurl: all that the specification has, over http/protobuf, http/json and grpc. For the
 * `tagalong` command only; nothing of it is in the library. One thread at a time, but for
 * curl_transport_failing(). */
#ifndef EXPORTER_CURL_CURL_TRANSPORT_H
#define EXPORTER_CURL_CURL_TRANSPORT_H

#include "base/config.h"
#include "base/text.h"
#include "exporter/outcome.h"
#include "exporter/payload.h"

struct curl_transport;

/* For one signal, as the configuration says; warn() gets one sentence for each thing that is wrong
 * with it. stop: a word that is set to end all waits, which they do within 50 ms. c and stop must
 * outlive the transport. NULL: no memory. */
struct curl_transport *curl_transport_new(const struct config *c, enum otlp_signal signal,
					  _Atomic uint32_t *stop,
					  void (*warn)(void *arg, const char *message), void *arg);
void curl_transport_free(struct curl_transport *t);

/* fn(arg) is called every 50 ms or so while an attempt waits; it may do anything but use the
 * transport. */
void curl_transport_meanwhile(struct curl_transport *t, void (*fn)(void *arg), void *arg);

/* What to encode for it: JSON for http/json, else protobuf. Over HTTP it sends either. */
enum otlp_encoding curl_transport_encoding(const struct curl_transport *t);

/* One attempt by the deadline (monotonic). True: *o is final. False: worth another try; *asked_ms
 * is what the receiver asked for (Retry-After, RetryInfo), else 0. When stopped, *o is
 * LOSS_UNDELIVERABLE, and final. */
bool curl_transport_attempt(struct curl_transport *t, const struct payload *p, uint64_t deadline_ns,
			    struct outcome *o, uint64_t *asked_ms);

/* With retries until the deadline. Waits; several seconds if need be. */
void curl_transport_send(struct curl_transport *t, const struct payload *p, uint64_t deadline_ns,
			 struct outcome *o);

/* The last attempt got no final answer. Any thread may ask. */
bool curl_transport_failing(const struct curl_transport *t);

/* scheme://host:port/path, without userinfo and query; of grpc without a path. */
void curl_transport_describe(const struct curl_transport *t, struct text *out);

/* Why the last attempt did not get through, or "". Good until the next. */
const char *curl_transport_problem(const struct curl_transport *t);

#endif
