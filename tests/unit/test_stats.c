#include <sys/mman.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/stats.h"
#include "tests/check_main.h"

static const char *const names[] = { "rx-frames", "tx-frames",
	"a-name-that-is-longer-than-the-file-has-room-for" };

static int
file_of(size_t size)
{
	FILE *f = tmpfile();
	int fd;

	ck_assert_ptr_nonnull(f);
	fd = dup(fileno(f));
	fclose(f);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	return fd;
}

START_TEST(test_private)
{
	struct stats s;

	ck_assert_int_eq(stats_init(&s, -1, names, 3), 0);
	stats_inc(&s, 0);
	stats_add(&s, 0, 41);
	stats_set(&s, 1, 7);
	ck_assert_uint_eq(s.file->n, 3);
	ck_assert_uint_eq(s.file->value[0], 42);
	ck_assert_uint_eq(s.file->value[1], 7);
	ck_assert_uint_eq(s.file->value[2], 0);
	free(s.file);
}
END_TEST

START_TEST(test_shared)
{
	int fd = file_of(STATS_BYTES), keep = dup(fd);
	const struct stats_file *f;
	struct stats s, again;

	ck_assert_int_eq(stats_init(&s, fd, names, 3), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1); /* not kept open */
	f = mmap(NULL, STATS_BYTES, PROT_READ, MAP_SHARED, keep, 0);
	ck_assert_ptr_ne(f, MAP_FAILED);
	stats_add(&s, 2, 5);
	ck_assert_uint_eq(f->n, 3);
	ck_assert_str_eq(f->name[0], "rx-frames");
	ck_assert_uint_eq(strlen(f->name[2]), STATS_NAMELEN - 1);
	ck_assert_uint_eq(f->value[2], 5);

	/* A restarted daemon goes on counting. */
	munmap(s.file, STATS_BYTES);
	ck_assert_int_eq(stats_init(&again, keep, names, 3), 0);
	stats_inc(&again, 2);
	ck_assert_uint_eq(f->value[2], 6);
}
END_TEST

START_TEST(test_bad)
{
	int fd = file_of(STATS_BYTES - 1), p[2];
	struct stats s;

	ck_assert_int_eq(stats_init(&s, fd, names, 3), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_ptr_null(s.file);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(stats_init(&s, p[0], names, 3), -1);
	ck_assert_int_eq(stats_init(&s, -1, names, STATS_MAX + 1), -1);
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("stats");

	tcase_add_test(t, test_private);
	tcase_add_test(t, test_shared);
	tcase_add_test(t, test_bad);
	return check_case("stats", t);
}
