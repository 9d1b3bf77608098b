/* SPDX-License-Identifier: Apache-2.0 */
/* A thread a connection; each request calls out with libcurl before it is answered:
 * thread_per_connection PORT UPSTREAM [background]. */
#include "relay.h"
#include <curl/curl.h>

static int upstream;

static size_t forget(char *data, size_t size, size_t n, void *arg)
{
	(void)data;
	(void)arg;
	return size * n;
}

static bool get(CURL *curl, const char *path)
{
	char url[128];
	long status = 0;

	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", upstream, path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, forget);
	if (curl_easy_perform(curl) != CURLE_OK)
		return false;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return status == 200;
}

static void *serve(void *arg)
{
	int fd = (int)(long)arg;
	CURL *curl = curl_easy_init();
	char head[4096], path[64];

	while (read_head(fd, head, sizeof(head))) {
		snprintf(path, sizeof(path), "/out/%d", id_of(head));
		answer(fd, get(curl, path));
	}
	curl_easy_cleanup(curl);
	close(fd);
	return NULL;
}

static void *background(void *arg)
{
	CURL *curl = curl_easy_init();

	(void)arg;
	for (;;) {
		get(curl, "/background");
		usleep(5000);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_attr_t attr;
	pthread_t t;
	int listener;

	if (argc < 3)
		return 2;
	upstream = atoi(argv[2]);
	curl_global_init(CURL_GLOBAL_ALL);
	listener = listen_on(atoi(argv[1]));
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	if (argc > 3)
		pthread_create(&t, &attr, background, NULL);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0 && pthread_create(&t, &attr, serve, (void *)(long)fd))
			close(fd);
	}
}
