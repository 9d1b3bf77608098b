/* SPDX-License-Identifier: Apache-2.0 */
/* A process's side of supervised export. */
#include "shared_fixture.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

static struct shared_world world;

static void begin(void)
{
	world_begin(&world);
}

static void end(void)
{
	world_end(&world);
}

TestSuite(shared, .init = begin, .fini = end);

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static unsigned descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* ---- opening ---- */

Test(shared, a_file_holds_an_empty_ring_and_says_whose_it_is)
{
	struct shared_file *f;
	unsigned before = descriptors();
	struct stat st;

	cr_assert_eq(world_open(&world), 0);
	f = world.shared.file;
	cr_expect_eq(descriptors(), before, "none is kept");
	cr_assert_eq(stat(world.shared.path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	cr_expect_eq((size_t)st.st_size, world.shared.size);
	cr_expect_geq((uint64_t)st.st_blocks * 512, (uint64_t)st.st_size, "its memory is there");
	cr_expect_eq(f->ready, 1);
	cr_expect_eq(f->magic, SHARED_MAGIC);
	cr_expect_eq(f->layout, SHARED_LAYOUT);
	cr_expect_eq(f->owner.pid, (uint32_t)getpid());
	cr_expect_eq(f->owner.start_ticks, alive_start_ticks((uint32_t)getpid()));
	cr_expect_eq(f->consumer, 0);
	cr_expect_eq(f->use, SHARED_USED);
	cr_expect(ring_check(shared_ring(&world.shared), f->ring_size));
	cr_expect_null(shared_metrics(&world.shared));
	cr_expect(put_one(shared_ring(&world.shared), 1, 1));
}

Test(shared, room_for_metrics_is_there_when_asked_for)
{
	cr_assert_eq(shared_open(&world.shared, &world.config, &world.resource, 5000), 0);
	cr_assert_not_null(shared_metrics(&world.shared));
	memset(shared_metrics(&world.shared), 1, 5000);
	cr_expect(ring_check(shared_ring(&world.shared), world.shared.file->ring_size));
}

Test(shared, what_was_counted_before_is_brought_along)
{
	count_add(spans_committed, 5);
	cr_assert_eq(world_open(&world), 0);
	count(spans_committed);
	cr_expect_eq(world.shared.file->counters.spans_committed, 6);
	cr_expect_eq(counted(spans_committed), 6);
}

Test(shared, no_directory_is_named)
{
	struct shared s;

	world.config.shared_dir = "";
	cr_expect_not(shared_init(&s, &world.config));
	world.config.shared_dir = text_copy("/%0300s", "x");
	cr_expect_not(shared_init(&s, &world.config));
}

Test(shared, the_directory_is_gone)
{
	world_join(&world, "/nowhere/at/all");
	cr_expect_eq(world_open(&world), -ENOENT);
	cr_expect_eq(world_open(&world), -ENOENT, "and again");
}

Test(shared, nobody_serves_the_directory)
{
	world.directory.control->supervisor.pid = 0;
	cr_expect_eq(world_open(&world), -ESRCH);
	cr_expect_eq(files_in(&world.directory), 0);
}

Test(shared, the_supervisor_is_dead)
{
	kill_supervisor(&world);
	cr_expect_eq(world_open(&world), -ESRCH);
}

Test(shared, another_version_is_not_understood)
{
	world.directory.control->layout++;
	cr_expect_eq(world_open(&world), -EPROTO);
	world.directory.control->layout--;
	world.directory.control->magic++;
	cr_expect_eq(world_open(&world), -EPROTO);
	world.directory.control->magic--;
	cr_expect_eq(world_open(&world), 0);
}

Test(shared, a_control_file_that_is_cut_off_is_not_mapped)
{
	cr_assert_eq(ftruncate(world.directory.lock, 8), 0);
	cr_expect_eq(world_open(&world), -EPROTO);
	cr_assert_eq(ftruncate(world.directory.lock, 4096), 0);
}

Test(shared, links_and_pipes_are_no_control_files)
{
	char *path = text_copy("%s/control", world.directory.path);
	char *away = text_copy("%s/away", world.directory.path);

	cr_assert_eq(rename(path, away), 0);
	cr_assert_eq(symlink(away, path), 0);
	cr_expect_eq(world_open(&world), -ELOOP);
	unlink(path);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_expect_eq(world_open(&world), -EPROTO, "and it does not wait for a writer");
	unlink(path);
	cr_assert_eq(rename(away, path), 0);
}

Test(shared, somebody_elses_control_file_is_not_believed)
{
	if (geteuid() != 0)
		cr_skip_test("gives a file away");
	cr_assert_eq(fchown(world.directory.lock, 65534, 65534), 0);
	cr_expect_eq(world_open(&world), -EPERM);
	cr_assert_eq(chown(world.directory.path, 65534, 65534), 0);
	cr_expect_eq(world_open(&world), 0, "it is the directory's owner's");
}

Test(shared, the_control_file_cannot_be_written_to)
{
	struct stat st;

	cr_assert_eq(fstat(world.directory.lock, &st), 0);
	cr_expect_eq(st.st_mode & 0022, 0);
	cr_assert_eq(world_open(&world), 0);
	/* A futex call is all that is needed, whoever we are. */
	cr_expect_not(shared_wake(&world.shared), "nobody sleeps");
}

/* ---- what the kernel refuses ---- */

static void check_nothing_is_left(int err)
{
	cr_expect_eq(world_open(&world), err);
	cr_expect_null(world.shared.file);
	cr_expect_eq(files_in(&world.directory), 0, "no file is left");
}

Test(shared, a_limit_on_file_sizes_is_no_signal)
{
	struct rlimit little = { 4096, 4096 };

	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
	check_nothing_is_left(-EFBIG);
}

Test(shared, a_call_that_is_interrupted_for_ever_is_given_up)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fallocate, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINTR),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(*code), code };

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
	check_nothing_is_left(-EINTR);
}

Test(shared, no_descriptor_is_left)
{
	struct rlimit none = { 3, 1024 };

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	check_nothing_is_left(-EMFILE);
	none.rlim_cur = 1024;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	cr_expect_eq(world_open(&world), 0);
}

Test(shared, there_is_no_address_space)
{
	struct rlimit little = { 1 << 20, 1 << 30 };

#ifdef TAGALONG_SANITIZED
	cr_skip_test("a sanitizer needs more");
#endif
	cr_assert_eq(setrlimit(RLIMIT_AS, &little), 0);
	cr_expect_eq(world_open(&world), -ENOMEM);
	little.rlim_cur = little.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_AS, &little), 0);
	cr_expect_eq(files_in(&world.directory), 0);
}

Test(shared, the_memory_of_the_file_system_is_used_up)
{
	char place[] = "/tmp/shared-XXXXXX";
	struct directory d;

	if (geteuid() != 0)
		cr_skip_test("mounts a file system");
	cr_assert_not_null(mkdtemp(place));
	if (mount("tmpfs", place, "tmpfs", 0, "size=64k,mode=0700") < 0) {
		rmdir(place);
		cr_skip_test("may not mount");
	}
	cr_assert_eq(directory_use(&d, place), 0);
	directory_serve(&d);
	world_join(&world, place);
	cr_expect_eq(world_open(&world), -ENOSPC);
	cr_expect_eq(files_in(&d), 0);
	directory_leave(&d, true);
	umount2(place, MNT_DETACH);
	rmdir(place);
}

Test(shared, the_directory_is_closed_to_us)
{
	pid_t pid;
	int status;

	if (geteuid() != 0)
		cr_skip_test("drops its privileges");
	chmod(world.directory.path, 0700);
	pid = fork();
	if (pid == 0)
		_exit(setuid(65534) == 0 && world_open(&world) == -EACCES ? 0 : 1);
	waitpid(pid, &status, 0);
	cr_expect_eq(status, 0);
}

Test(shared, who_has_dropped_root_still_has_a_place)
{
	pid_t pid;
	int status;

	if (geteuid() != 0)
		cr_skip_test("drops its privileges");
	pid = fork();
	if (pid == 0)
		_exit(setuid(65534) == 0 && world_open(&world) == 0 ? 0 : 1);
	waitpid(pid, &status, 0);
	cr_expect_eq(status, 0);
	cr_expect_eq(files_in(&world.directory), 1);
}

/* ---- where spans go ---- */

static uint64_t destination(const char *endpoint, const char *headers, const char *file)
{
	struct config c = world.config;

	c.otlp_endpoint = endpoint;
	c.otlp_headers = headers;
	c.traces_file = file;
	return shared_destination(&c);
}

Test(shared, a_destination_is_equal_where_it_is_the_same)
{
	const uint64_t a = destination("http://a:4318", "", "");

	cr_expect_eq(destination("", "", ""), 0, "nothing said");
	cr_expect_neq(a, 0);
	cr_expect_eq(destination("http://a:4318", "", ""), a);
	cr_expect_neq(destination("http://b:4318", "", ""), a);
	cr_expect_neq(destination("http://a:4318", "tenant=b", ""), a);
	cr_expect_neq(destination("http://a:4318", "", "/f"), a);
	cr_expect_neq(destination("", "http://a:4318", ""), a);
	cr_expect_neq(destination("", "", "http://a:4318"), a);
}

Test(shared, who_sends_elsewhere_sends_by_itself)
{
	world.directory.control->destination = destination("http://a:4318", "", "");
	world.config.otlp_endpoint = "http://b:4318";
	cr_expect_eq(world_open(&world), -EXDEV);
	world.config.otlp_endpoint = "http://a:4318";
	cr_expect_eq(world_open(&world), 0);
}

Test(shared, whose_metrics_go_elsewhere_sends_by_itself)
{
	struct config with = world.config;

	with.metrics_exporter = EXPORTER_OTLP;
	with.otlp_metrics_endpoint = "http://b:4318/v1/metrics";
	world.directory.control->metrics_destination = shared_metrics_destination(&with);
	world.config.metrics_exporter = EXPORTER_OTLP;
	world.config.otlp_metrics_endpoint = "http://a:4318/v1/metrics";
	cr_expect_eq(world_open(&world), -EXDEV);
	world.config.otlp_metrics_endpoint = "http://b:4318/v1/metrics";
	cr_expect_eq(world_open(&world), 0);
}

Test(shared, whose_metrics_go_nowhere_need_not_agree_on_them)
{
	world.config.otlp_metrics_endpoint = "http://a:4318/v1/metrics";
	cr_expect_eq(world_open(&world), 0);
}

Test(shared, who_says_nothing_takes_what_there_is)
{
	world.directory.control->destination = destination("http://a:4318", "", "");
	cr_expect_eq(world_open(&world), 0);
}

/* ---- who takes the spans ---- */

/* As if the last look was long ago. */
static enum shared_state look_now(void)
{
	atomic_store(&world.shared.look_again_ns, 0);
	return shared_look(&world.shared);
}

Test(shared, a_living_supervisor_attends)
{
	cr_assert_eq(world_open(&world), 0);
	cr_expect_eq(look_now(), SHARED_ATTENDED);
	atomic_store(&world.directory.control->alive_ns, 0);
	cr_expect_eq(look_now(), SHARED_ATTENDED, "it is busy or stopped, but there");
}

Test(shared, a_dead_ones_ring_is_adopted_once)
{
	cr_assert_eq(world_open(&world), 0);
	world.shared.file->consumer = world.directory.control->token;
	kill_supervisor(&world);
	cr_expect_eq(look_now(), SHARED_ADOPTED);
	cr_expect_eq(world.shared.file->consumer, SHARED_OWNER);
}

Test(shared, one_that_ends_for_good_is_known_at_once)
{
	cr_assert_eq(world_open(&world), 0);
	world.directory.control->supervisor.pid = 0;
	cr_expect_eq(look_now(), SHARED_ADOPTED);
}

Test(shared, looks_are_rare)
{
	cr_assert_eq(world_open(&world), 0);
	cr_expect_eq(look_now(), SHARED_ATTENDED);
	world.directory.control->supervisor.pid = 0;
	cr_expect_eq(shared_look(&world.shared), SHARED_ATTENDED);
	cr_expect_eq(look_now(), SHARED_ADOPTED);
}

Test(shared, one_that_cannot_be_looked_for_is_lost_in_the_end)
{
	uint64_t now = clock_monotonic_ns();

	cr_assert_eq(world_open(&world), 0);
	world.directory.control->supervisor.pid_space++;
	atomic_store(&world.directory.control->alive_ns, now - SHARED_LOST_NS / 2);
	cr_expect_eq(look_now(), SHARED_ATTENDED);
	atomic_store(&world.directory.control->alive_ns, now - SHARED_LOST_NS * 2);
	cr_expect_eq(look_now(), SHARED_LOST);
	cr_expect_neq(world.shared.file->consumer, SHARED_OWNER);
}

Test(shared, a_closed_file_is_replaced_by_a_new_one)
{
	struct ring *before;

	cr_assert_eq(world_open(&world), 0);
	before = shared_ring(&world.shared);
	cr_expect_null(shared_old_ring(&world.shared));
	world.shared.file->use = SHARED_CLOSED;
	cr_expect_eq(shared_look(&world.shared), SHARED_RETIRED);
	cr_assert_eq(world_open(&world), 0);
	cr_expect_eq(shared_look(&world.shared), SHARED_ATTENDED);
	cr_expect_eq(files_in(&world.directory), 2);
	cr_expect_eq(shared_old_ring(&world.shared), before);
	cr_expect(put_one(before, 1, 1), "a writer may still be in there");
	cr_expect_eq(ring_waiting(shared_ring(&world.shared)), 0);
}

Test(shared, who_left_comes_back_unless_it_is_too_late)
{
	cr_assert_eq(world_open(&world), 0);
	shared_leave(&world.shared);
	cr_expect_eq(world.shared.file->use, SHARED_LEFT);
	cr_expect_eq(shared_look(&world.shared), SHARED_ATTENDED);
	cr_expect_eq(world.shared.file->use, SHARED_USED);
	shared_leave(&world.shared);
	world.shared.file->use = SHARED_CLOSED;
	cr_expect_eq(shared_look(&world.shared), SHARED_RETIRED);
	shared_leave(&world.shared);
	cr_expect_eq(world.shared.file->use, SHARED_CLOSED);
}

Test(shared, a_file_is_taken_away_by_its_process)
{
	cr_assert_eq(world_open(&world), 0);
	shared_unlink(&world.shared);
	cr_expect_eq(files_in(&world.directory), 0);
	cr_expect(put_one(shared_ring(&world.shared), 1, 1), "but stays mapped");
	shared_unlink(&world.shared);
}

/* ---- children ---- */

Test(shared, a_child_has_a_file_of_its_own)
{
	char path[sizeof(world.shared.path)];
	pid_t pid;
	int status;

	cr_assert_eq(world_open(&world), 0);
	strcpy(path, world.shared.path);
	pid = fork();
	if (pid == 0) {
		counters_reset();
		shared_child(&world.shared, true);
		if (world.shared.file || world_open(&world) || !strcmp(path, world.shared.path) ||
		    world.shared.file->owner.pid != (uint32_t)getpid())
			_exit(1);
		_exit(put_one(shared_ring(&world.shared), 1, 1) ? 0 : 2);
	}
	waitpid(pid, &status, 0);
	cr_expect_eq(status, 0);
	cr_expect(is_there(path));
	cr_expect_eq(files_in(&world.directory), 2);
	cr_expect_eq(ring_waiting(shared_ring(&world.shared)), 0, "nothing of it is ours");
}
