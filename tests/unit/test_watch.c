/*
 * A watched file, and what happens to the directories on the way to it.  The
 * loop turns until the callback has read what the file has to say; nothing
 * waits for a time.
 */

#include <sys/stat.h>
#include <ev.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vpnkit/watch.h"
#include "tests/check_main.h"

static struct {
	char top[64], path[PATH_MAX], text[16];
	struct ev_loop *loop;
	struct watch w;
	unsigned changes;
} lab;

static void
changed(void *arg)
{
	int fd = open(lab.path, O_RDONLY);
	ssize_t n = 0;

	if (fd != -1) {
		n = read(fd, lab.text, sizeof(lab.text) - 1);
		close(fd);
	}
	lab.text[n > 0 ? n : 0] = '\0';
	lab.changes++;
}

/* Each test is a process, and its folder the working directory. */
static void
lab_open(void)
{
	snprintf(lab.top, sizeof(lab.top), "/tmp/test_watch.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(lab.top));
	ck_assert_int_eq(chdir(lab.top), 0);
	ck_assert_ptr_nonnull(lab.loop = ev_loop_new(EVFLAG_AUTO));
	watch_init(&lab.w, lab.loop);
	ck_assert_int_ne(lab.w.fd, -1);
}

static void
lab_close(void)
{
	char cmd[96];

	watch_fini(&lab.w);
	ev_loop_destroy(lab.loop);
	snprintf(cmd, sizeof(cmd), "rm -r %s", lab.top);
	ck_assert_int_eq(system(cmd), 0);
}

/* By its path from the root in every second run. */
static void
watch(const char *path, int run)
{
	if (run % 2 == 0)
		snprintf(lab.path, sizeof(lab.path), "%s", path);
	else
		snprintf(lab.path, sizeof(lab.path), "%s/%s", lab.top, path);
	watch_add(&lab.w, lab.path, changed, NULL);
}

static void
put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void
make(const char *dir)
{
	ck_assert_int_eq(mkdir(dir, 0700), 0);
}

static void
move(const char *from, const char *to)
{
	ck_assert_int_eq(rename(from, to), 0);
}

/* The next callback comes. */
static void
next(void)
{
	unsigned n = lab.changes;

	while (lab.changes == n)
		ev_run(lab.loop, EVRUN_ONCE);
}

static void
comes(const char *text)
{
	while (strcmp(lab.text, text) != 0)
		ev_run(lab.loop, EVRUN_ONCE);
}

/* How many directories the kernel watches for us. */
static int
watched(void)
{
	char path[64], line[256];
	int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", lab.w.fd);
	ck_assert_ptr_nonnull(f = fopen(path, "r"));
	while (fgets(line, sizeof(line), f) != NULL)
		n += strncmp(line, "inotify wd:", 11) == 0;
	fclose(f);
	return n;
}

START_TEST(directories_are_made_later)
{
	watch("a/b/f", _i);
	make("a");
	next();
	make("a/b");
	next();
	put("a/b/f", "1");
	comes("1");
	put("a/b/f", "2");
	comes("2");
	ck_assert_int_eq(watched(), 1);
}
END_TEST

START_TEST(all_is_made_at_once)
{
	watch("a/b/f", _i);
	make("a");
	make("a/b");
	put("a/b/f", "1");
	comes("1");
	put("a/b/f", "2");
	comes("2");
}
END_TEST

START_TEST(a_directory_is_away_for_a_while)
{
	make("d");
	put("d/f", "1");
	watch("d/f", _i);
	ck_assert_int_eq(unlink("d/f"), 0);
	ck_assert_int_eq(rmdir("d"), 0);
	next();
	make("d");
	next();
	put("d/f", "2");
	comes("2");
	put("d/f", "3");
	comes("3");
}
END_TEST

START_TEST(an_empty_directory_is_removed)
{
	make("d");
	watch("d/f", _i);
	ck_assert_int_eq(rmdir("d"), 0);
	next();
	make("d");
	put("d/f", "1");
	comes("1");
}
END_TEST

START_TEST(a_directory_is_replaced)
{
	char old[16];
	int i;

	make("d");
	put("d/f", "1");
	watch("d/f", _i);
	for (i = 0; i < 10; i++) {
		snprintf(old, sizeof(old), "old.%d", i);
		move("d", old);
		make("d");
		put("d/f", "2");
		comes("2");
		put("d/f", "3");
		comes("3");
	}
	ck_assert_int_eq(watched(), 1);
}
END_TEST

START_TEST(a_directory_moves_away_and_back)
{
	make("d");
	put("d/f", "1");
	watch("d/f", _i);
	put("d/f", "2");
	comes("2");
	move("d", "away");
	comes("");
	move("away", "d");
	comes("2");
}
END_TEST

START_TEST(the_directory_of_a_target_is_away_for_a_while)
{
	make("run");
	put("run/f", "1");
	ck_assert_int_eq(symlink("run/f", "f"), 0);
	watch("f", _i);
	ck_assert_int_eq(unlink("run/f"), 0);
	ck_assert_int_eq(rmdir("run"), 0);
	next();
	make("run");
	next();
	put("run/f", "2");
	comes("2");
	ck_assert_int_eq(unlink("f"), 0);
	put("f", "3");
	comes("3");
	ck_assert_int_eq(watched(), 1);
}
END_TEST

START_TEST(a_link_to_a_directory_that_is_made_later)
{
	ck_assert_int_eq(symlink("real/e", "d"), 0);
	watch("d/f", _i);
	make("real");
	next();
	make("real/e");
	put("real/e/f", "1");
	comes("1");
}
END_TEST

START_TEST(a_file_in_the_place_of_a_directory)
{
	put("d", "");
	watch("d/f", _i);
	ck_assert_int_eq(unlink("d"), 0);
	next();
	make("d");
	put("d/f", "1");
	comes("1");
}
END_TEST

START_TEST(looks_again_when_asked)
{
	make("a");
	make("a/d");
	put("a/d/f", "1");
	watch("a/d/f", _i);
	move("a", "old");
	make("a");
	make("a/d");
	watch_again(&lab.w);
	put("a/d/f", "2");
	comes("2");
	ck_assert_int_eq(watched(), 1);
}
END_TEST

START_TEST(files_share_a_directory)
{
	static const char *const name[] = { "d/g", "e/g" };

	make("d");
	make("e");
	watch("d/f", _i);
	watch_add(&lab.w, name[0], changed, NULL);
	watch_add(&lab.w, name[1], changed, NULL);
	ck_assert_int_eq(watched(), 2);
	move("e", "old");
	next();
	ck_assert_int_eq(watched(), 2); /* the one above it instead */
	put("d/f", "1");
	comes("1");
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("watch");

	tcase_add_checked_fixture(tc, lab_open, lab_close);
	tcase_add_loop_test(tc, directories_are_made_later, 0, 2);
	tcase_add_loop_test(tc, all_is_made_at_once, 0, 2);
	tcase_add_loop_test(tc, a_directory_is_away_for_a_while, 0, 2);
	tcase_add_loop_test(tc, an_empty_directory_is_removed, 0, 2);
	tcase_add_loop_test(tc, a_directory_is_replaced, 0, 2);
	tcase_add_loop_test(tc, a_directory_moves_away_and_back, 0, 2);
	tcase_add_loop_test(
	    tc, the_directory_of_a_target_is_away_for_a_while, 0, 2);
	tcase_add_loop_test(tc, a_link_to_a_directory_that_is_made_later, 0, 2);
	tcase_add_loop_test(tc, a_file_in_the_place_of_a_directory, 0, 2);
	tcase_add_loop_test(tc, looks_again_when_asked, 0, 2);
	tcase_add_loop_test(tc, files_share_a_directory, 0, 2);
	return check_case("watch", tc);
}
