/* SPDX-License-Identifier: Apache-2.0 */
/* A thread a connection, each of whose requests calls out with libcurl: curl_ways PORT UPSTREAM
 * WAY. WAY is easy2 (curl_easy_perform over HTTP/2), multi (a multi handle of the thread's own),
 * loop (one multi handle, which another thread drives), or lists: multi with all that may be done
 * to the list of headers, each of which must leave it as it was. The answer is 502 when anything
 * was not so. */
#include "relay.h"
#include <curl/curl.h>

static int upstream;
static const char *way;
static CURLM *shared;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;

static size_t forget(char *data, size_t size, size_t n, void *arg)
{
	(void)data;
	(void)arg;
	return size * n;
}

static void aim(CURL *curl, int id)
{
	char url[128];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/out/%d", upstream, id);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, forget);
	if (strcmp(way, "easy2") == 0) {
		curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
		/* libcurl 7.88 fails on such a connection the second time. */
		curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
	}
}

static bool went_well(CURL *curl)
{
	long status = 0;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return status == 200;
}

/* Drives the multi handle until its one transfer is over. */
static bool drive(CURLM *multi)
{
	int running = 1, left;
	CURLMsg *m;

	while (running)
		if (curl_multi_perform(multi, &running) ||
		    (running && curl_multi_poll(multi, NULL, 0, 1000, NULL)))
			return false;
	m = curl_multi_info_read(multi, &left);
	return m && m->msg == CURLMSG_DONE && m->data.result == CURLE_OK;
}

static bool by_multi(CURL *curl)
{
	CURLM *multi = curl_multi_init();
	bool ok = !curl_multi_add_handle(multi, curl) && drive(multi);

	curl_multi_remove_handle(multi, curl);
	curl_multi_cleanup(multi);
	return ok && went_well(curl);
}

/* The loop's thread takes finished transfers out of the multi handle. */
static void *loop(void *arg)
{
	int running, left;
	CURLMsg *m;

	(void)arg;
	for (;;) {
		pthread_mutex_lock(&lock);
		curl_multi_perform(shared, &running);
		while ((m = curl_multi_info_read(shared, &left))) {
			CURL *curl = m->easy_handle;
			int *over;

			curl_easy_getinfo(curl, CURLINFO_PRIVATE, &over);
			*over = m->data.result == CURLE_OK ? 1 : -1;
			curl_multi_remove_handle(shared, curl);
		}
		pthread_cond_broadcast(&done);
		pthread_mutex_unlock(&lock);
		curl_multi_poll(shared, NULL, 0, 5, NULL);
	}
	return NULL;
}

static bool by_loop(CURL *curl)
{
	int over = 0;

	curl_easy_setopt(curl, CURLOPT_PRIVATE, &over);
	pthread_mutex_lock(&lock);
	curl_multi_add_handle(shared, curl);
	curl_multi_wakeup(shared);
	while (!over)
		pthread_cond_wait(&done, &lock);
	pthread_mutex_unlock(&lock);
	return over > 0 && went_well(curl);
}

static bool is_as_it_was(const struct curl_slist *list)
{
	return strcmp(list->data, "X-One: 1") == 0 && list->next &&
	       strcmp(list->next->data, "X-Two: 2") == 0 && !list->next->next;
}

/* A list that is the handle's for the first transfer, changed before the second, gone with the
 * third; a copy of the handle that is made while ours is in front of it. */
static bool by_lists(CURL *curl, int id)
{
	struct curl_slist *list = curl_slist_append(NULL, "X-One: 1");
	CURLM *multi = curl_multi_init();
	CURL *copy;
	bool ok;

	list = curl_slist_append(list, "X-Two: 2");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
	ok = !curl_multi_add_handle(multi, curl);
	copy = curl_easy_duphandle(curl);
	ok = ok && drive(multi) && went_well(curl) && is_as_it_was(list);
	curl_multi_cleanup(multi); /* takes the handle out by itself */
	ok = ok && by_multi(copy) && by_multi(curl) && is_as_it_was(list);
	curl_easy_cleanup(copy);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(list);
	ok = ok && by_multi(curl);
	curl_easy_reset(curl);
	aim(curl, id);
	return ok && by_multi(curl);
}

static bool ask(CURL *curl, int id)
{
	aim(curl, id);
	if (strcmp(way, "multi") == 0)
		return by_multi(curl);
	if (strcmp(way, "loop") == 0)
		return by_loop(curl);
	if (strcmp(way, "lists") == 0)
		return by_lists(curl, id);
	return curl_easy_perform(curl) == CURLE_OK && went_well(curl);
}

static void *serve(void *arg)
{
	int fd = (int)(long)arg;
	CURL *curl = curl_easy_init();
	char head[4096];

	while (read_head(fd, head, sizeof(head)))
		answer(fd, ask(curl, id_of(head)));
	curl_easy_cleanup(curl);
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t;
	int listener;

	if (argc < 4)
		return 2;
	upstream = atoi(argv[2]);
	way = argv[3];
	curl_global_init(CURL_GLOBAL_ALL);
	shared = curl_multi_init();
	if (strcmp(way, "loop") == 0)
		pthread_create(&t, NULL, loop, NULL);
	listener = listen_on(atoi(argv[1]));
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			continue;
		if (pthread_create(&t, NULL, serve, (void *)(long)fd))
			close(fd);
		else
			pthread_detach(t);
	}
}
