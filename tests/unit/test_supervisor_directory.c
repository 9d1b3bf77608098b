/* SPDX-License-Identifier: Apache-2.0 */
/* The directory between a supervisor and its processes. */
#include <pthread.h>
#include "shared_fixture.h"

static struct shared_world world;
static char place[64];

static void begin(void)
{
	world_begin(&world);
	snprintf(place, sizeof(place), "/tmp/shared-unit-%d", getpid());
}

static void end(void)
{
	if (world.directory.path[0])
		world_end(&world);
	rmdir(place);
}

TestSuite(directory, .init = begin, .fini = end, .timeout = 60);

static void put_file(const char *name)
{
	int fd = openat(world.directory.fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	close(fd);
}

Test(directory, ours_goes_with_all_that_is_in_it)
{
	char path[SHARED_PATH_MAX];

	strcpy(path, world.directory.path);
	put_file("spans-of-somebody-killed-in-the-middle");
	cr_assert_eq(world_open(&world), 0);
	directory_leave(&world.directory, true);
	cr_expect_neq(access(path, F_OK), 0);
	cr_expect_eq(world.shared.control->supervisor.pid, 0, "and its processes can know");
}

static void make_old(const char *path)
{
	cr_assert_eq(utimensat(AT_FDCWD, path, (struct timespec[]){ { 1, 0 }, { 1, 0 } }, 0), 0);
}

static void new_one(struct directory *d, bool old)
{
	cr_assert_eq(directory_create(d), 0);
	close(openat(d->fd, "spans-a", O_CREAT | O_WRONLY, 0600));
	if (old)
		make_old(d->path);
}

/* As when its process is gone: a mapping holds the lock as well. */
static void let_go(struct directory *d)
{
	close(d->lock);
	munmap(d->control, 4096);
	d->lock = -1;
	d->control = NULL;
}

Test(directory, what_the_killed_have_left_goes_with_the_next_one)
{
	struct directory killed, lives, fresh, next;

	new_one(&killed, true);
	let_go(&killed);
	new_one(&lives, true);
	new_one(&fresh, false);
	let_go(&fresh);
	cr_assert_eq(directory_create(&next), 0);
	cr_expect_neq(access(killed.path, F_OK), 0);
	cr_expect_eq(access(lives.path, F_OK), 0, "its supervisor has it locked");
	cr_expect_eq(access(fresh.path, F_OK), 0, "it may be about to");
	directory_leave(&killed, true);
	directory_leave(&lives, true);
	directory_leave(&fresh, true);
	directory_leave(&next, true);
}

Test(directory, no_file_is_missed_however_soon_it_comes_after_another)
{
	for (unsigned i = 0; i < 300; i++) {
		char name[32];
		unsigned seen = 0;

		/* Two within one tick of the file system's clock, with a look in between. */
		snprintf(name, sizeof(name), "spans-a%u", i);
		put_file(name);
		directory_each(&world.directory, false, count_file, &seen);
		snprintf(name, sizeof(name), "spans-b%u", i);
		put_file(name);
		seen = 0;
		directory_each(&world.directory, false, count_file, &seen);
		cr_assert_eq(seen, 2 * i + 2);
	}
}

Test(directory, nothing_is_read_when_nothing_changed)
{
	unsigned seen = 0;

	put_file("spans-a");
	usleep(150000);
	directory_each(&world.directory, false, count_file, &seen);
	cr_expect_eq(seen, 1);
	directory_each(&world.directory, false, count_file, &seen);
	cr_expect_eq(seen, 1);
	directory_each(&world.directory, true, count_file, &seen);
	cr_expect_eq(seen, 2, "unless all is asked for");
	directory_look_again(&world.directory);
	directory_each(&world.directory, false, count_file, &seen);
	cr_expect_eq(seen, 3, "or it was not finished");
}

Test(directory, other_names_are_not_ours)
{
	put_file("x");
	put_file("spans");
	cr_expect_eq(files_in(&world.directory), 0);
	unlinkat(world.directory.fd, "x", 0);
	unlinkat(world.directory.fd, "spans", 0);
}

Test(directory, a_named_one_is_made_for_everybody_and_stays)
{
	struct directory d;
	struct stat st;

	umask(077);
	cr_assert_eq(directory_use(&d, place), 0);
	cr_assert_eq(stat(place, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 01777);
	cr_assert_eq(fstat(d.lock, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0644);
	cr_expect_eq(d.control->file_mode, 0600);
	directory_leave(&d, true);
	cr_expect_eq(access(place, F_OK), 0);
	unlink(text_copy("%s/control", place));
}

Test(directory, where_the_group_is_inherited_its_members_share)
{
	struct directory d;

	cr_assert_eq(mkdir(place, 0700), 0);
	cr_assert_eq(chmod(place, 02770), 0);
	cr_assert_eq(directory_use(&d, place), 0);
	cr_expect_eq(d.control->file_mode, 0660);
	directory_leave(&d, true);
	unlink(text_copy("%s/control", place));
}

Test(directory, a_group_that_is_inherited_stays)
{
	char inner[80];
	struct directory d;
	struct stat st;

	snprintf(inner, sizeof(inner), "%s/inner", place);
	cr_assert_eq(mkdir(place, 0700), 0);
	cr_assert_eq(chmod(place, 02770), 0);
	cr_assert_eq(directory_use(&d, inner), 0);
	cr_assert_eq(stat(inner, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 03777);
	cr_expect_eq(d.control->file_mode, 0660);
	directory_leave(&d, true);
	unlink(text_copy("%s/control", inner));
	rmdir(inner);
}

Test(directory, two_do_not_serve_one)
{
	struct directory one, two;

	cr_assert_eq(directory_use(&one, place), 0);
	cr_expect_eq(directory_use(&two, place), -EBUSY);
	directory_leave(&two, false);
	directory_leave(&one, false);
	cr_expect_eq(directory_use(&two, place), 0);
	directory_leave(&two, true);
	unlink(text_copy("%s/control", place));
}

Test(directory, what_is_in_the_place_of_the_control_file_is_not_used)
{
	char *control = text_copy("%s/control", place);
	char *other = text_copy("%s/other", place);
	struct directory d;

	cr_assert_eq(mkdir(place, 0700), 0);
	cr_assert_eq(symlink("/etc/hostname", control), 0);
	cr_expect_eq(directory_use(&d, place), -ELOOP);
	unlink(control);
	close(open(other, O_CREAT | O_WRONLY, 0600));
	cr_assert_eq(link(other, control), 0);
	cr_expect_eq(directory_use(&d, place), -EPERM);
	directory_leave(&d, false);
	unlink(other);
	unlink(control);
	if (geteuid() == 0) {
		close(open(control, O_CREAT | O_WRONLY, 0666));
		cr_assert_eq(chown(control, 65534, 65534), 0);
		cr_expect_eq(directory_use(&d, place), -EPERM, "somebody else's");
		directory_leave(&d, false);
		unlink(control);
	}
	cr_expect_eq(directory_use(&d, "relative"), -EINVAL);
	cr_expect_eq(directory_use(&d, text_copy("/%0300s", "x")), -EINVAL);
}

static void *sleep_main(void *arg)
{
	struct directory *d = arg;

	directory_wait(d, directory_calls(d), 30000);
	return NULL;
}

Test(directory, a_process_wakes_its_supervisor)
{
	uint64_t before = clock_monotonic_ns();
	pthread_t thread;

	cr_assert_eq(world_open(&world), 0);
	pthread_create(&thread, NULL, sleep_main, &world.directory);
	while (!shared_wake(&world.shared))
		cr_assert_lt(clock_monotonic_ns() - before, 20000000000u);
	pthread_join(thread, NULL);
	cr_expect_lt(clock_monotonic_ns() - before, 20000000000u);
}

Test(directory, who_carries_its_name_is_known)
{
	cr_expect_not(directory_is_named(&world.directory));
	setenv("TAGALONG_SHARED_DIR", world.directory.path, 1);
	FILE *f = popen("sleep 60 & echo $!", "r");
	int pid = 0;

	cr_assert_eq(fscanf(f, "%d", &pid), 1);
	for (int i = 0; i < 2000 && !directory_is_named(&world.directory); i++)
		usleep(1000);
	cr_expect(directory_is_named(&world.directory));
	kill(pid, SIGKILL);
	pclose(f);
	for (int i = 0; i < 2000 && directory_is_named(&world.directory); i++)
		usleep(1000);
	cr_expect_not(directory_is_named(&world.directory));
}
