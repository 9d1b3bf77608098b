/* SPDX-License-Identifier: Apache-2.0 */
/* As much of Criterion as our tests use, for SAN=thread: Criterion's own start-up does not survive
 * ThreadSanitizer. Each test runs in a process of its own; messages are not formatted. */
#ifndef UNIT_PLAIN_CRITERION_H
#define UNIT_PLAIN_CRITERION_H

#pragma GCC system_header /* Criterion compares what the test gives it, signed or not */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct plain_options {
	void (*init)(void);
	void (*fini)(void);
	double timeout;
	int signal;
	int exit_code;
	int disabled;
	const char *description;
};

struct plain_test {
	const char *suite, *name;
	void (*run)(void);
	struct plain_options options;
	struct plain_test *next;
};

static struct plain_test *plain_tests;

#define Test(suite_, name_, ...)                                                       \
	static void suite_##_##name_##_run(void);                                      \
	__attribute__((constructor)) static void suite_##_##name_##_add(void)          \
	{                                                                              \
		static struct plain_test t = {                                         \
			#suite_, #name_, suite_##_##name_##_run, { __VA_ARGS__ }, NULL \
		};                                                                     \
		t.next = plain_tests;                                                  \
		plain_tests = &t;                                                      \
	}                                                                              \
	static void suite_##_##name_##_run(void)

/* Options of every test of a suite. */
struct plain_suite {
	const char *name;
	struct plain_options options;
	struct plain_suite *next;
};

static struct plain_suite *plain_suites;

#define TestSuite(suite_, ...)                                                    \
	__attribute__((constructor)) static void suite_##_suite_add(void)         \
	{                                                                         \
		static struct plain_suite s = { #suite_, { __VA_ARGS__ }, NULL }; \
		s.next = plain_suites;                                            \
		plain_suites = &s;                                                \
	}                                                                         \
	struct plain_suite

#define plain_assert(true_, text_)                                                             \
	((true_) ? (void)0                                                                     \
		 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, text_), fflush(stderr), \
		    _exit(99)))

#define cr_assert(c, ...)              plain_assert((c), #c)
#define cr_assert_not(c, ...)          plain_assert(!(c), "not: " #c)
#define cr_assert_eq(a, b, ...)        plain_assert((a) == (b), #a " == " #b)
#define cr_assert_neq(a, b, ...)       plain_assert((a) != (b), #a " != " #b)
#define cr_assert_lt(a, b, ...)        plain_assert((a) < (b), #a " < " #b)
#define cr_assert_leq(a, b, ...)       plain_assert((a) <= (b), #a " <= " #b)
#define cr_assert_gt(a, b, ...)        plain_assert((a) > (b), #a " > " #b)
#define cr_assert_geq(a, b, ...)       plain_assert((a) >= (b), #a " >= " #b)
#define cr_assert_null(p, ...)         plain_assert((p) == NULL, #p " is NULL")
#define cr_assert_not_null(p, ...)     plain_assert((p) != NULL, #p " is not NULL")
#define cr_assert_str_eq(a, b, ...)    plain_assert(strcmp((a), (b)) == 0, #a " eq " #b)
#define cr_assert_arr_eq(a, b, n, ...) plain_assert(memcmp((a), (b), (n)) == 0, #a " eq " #b)
#define cr_assert_str_neq(a, b, ...)   plain_assert(strcmp((a), (b)) != 0, #a " ne " #b)
#define cr_assert_fail(...)            plain_assert(0, "fail")
#define cr_fatal(...)                  plain_assert(0, "fatal")

/* A failed expectation ends the test here: one message less, never one pass more. */
#define cr_expect          cr_assert
#define cr_log_info(...)   ((void)0)
#define cr_expect_not      cr_assert_not
#define cr_expect_eq       cr_assert_eq
#define cr_expect_neq      cr_assert_neq
#define cr_expect_lt       cr_assert_lt
#define cr_expect_leq      cr_assert_leq
#define cr_expect_gt       cr_assert_gt
#define cr_expect_geq      cr_assert_geq
#define cr_expect_null     cr_assert_null
#define cr_expect_not_null cr_assert_not_null
#define cr_expect_str_eq   cr_assert_str_eq
#define cr_expect_arr_eq   cr_assert_arr_eq

static inline const struct plain_options *plain_options_of(const char *suite)
{
	static const struct plain_options none;

	for (const struct plain_suite *s = plain_suites; s; s = s->next)
		if (strcmp(s->name, suite) == 0)
			return &s->options;
	return &none;
}

static inline int plain_run(const struct plain_test *t)
{
	const struct plain_options *suite = plain_options_of(t->suite);
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (t->options.timeout > 0)
			alarm((unsigned)t->options.timeout * 4);
		if (suite->init)
			suite->init();
		if (t->options.init)
			t->options.init();
		t->run();
		if (t->options.fini)
			t->options.fini();
		if (suite->fini)
			suite->fini();
		exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 0;
	if (t->options.signal)
		return WIFSIGNALED(status) && WTERMSIG(status) == t->options.signal;
	return WIFEXITED(status) && WEXITSTATUS(status) == t->options.exit_code;
}

int main(void)
{
	unsigned tested = 0, failed = 0;

	for (const struct plain_test *t = plain_tests; t; t = t->next) {
		if (t->options.disabled)
			continue;
		tested++;
		if (!plain_run(t)) {
			failed++;
			printf("[FAIL] %s::%s\n", t->suite, t->name);
		}
	}
	printf("[====] Synthesis: Tested: %u | Failing: %u\n", tested, failed);
	return failed != 0;
}

#endif
