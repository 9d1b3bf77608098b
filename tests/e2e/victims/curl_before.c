/* SPDX-License-Identifier: Apache-2.0 */
/* To be preloaded: stands before libcurl, and marks what is asked for through it. */
#define _GNU_SOURCE
#include <curl/curl.h>
#include <dlfcn.h>

CURLMcode curl_multi_add_handle(CURLM *multi, CURL *easy)
{
	CURLMcode (*next)(CURLM *, CURL *) = dlsym(RTLD_NEXT, "curl_multi_add_handle");

	curl_easy_setopt(easy, CURLOPT_USERAGENT, "before");
	return next(multi, easy);
}
