/*
 * proxyd's bytes from one socket to another; files play the sockets, for they
 * never let anybody wait.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxyd/proxyd.h"
#include "tests/check_main.h"

/* A turn's worth: see PUMP_TURNS. */
#define TURN ((size_t)16 * BLOCK_SIZE)

static struct proxyd p;
static struct daemon d;

static void
nothing_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
}

/* A file of len bytes. */
static int
file_of(size_t len)
{
	char path[] = "/tmp/test_sock.XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)len), 0);
	return fd;
}

static const struct {
	const char *what;
	size_t len;
	enum pump first;
} bodies[] = {
	{ "nothing", 0, PUMP_DONE },
	{ "one byte", 1, PUMP_DONE },
	{ "almost a turn", TURN - 1, PUMP_DONE },
	{ "just a turn", TURN, PUMP_DONE },
	{ "more than a turn", TURN + 1, PUMP_WAIT },
};

/* The end of a body is seen with its last byte, whatever else may come. */
START_TEST(end_of_a_body)
{
	struct sock from, to;
	struct dir dir;

	memset(&p, 0, sizeof(p));
	p.d = &d;
	d.loop = ev_loop_new(EVFLAG_AUTO);
	sock_init(&from, &p, file_of(2 * TURN), nothing_cb, NULL);
	sock_init(&to, &p, file_of(0), nothing_cb, NULL);
	from.readable = true;
	dir_init(&dir, &from, &to, FRAMING_LENGTH, bodies[_i].len);
	ck_assert_msg(
	    dir_pump(&dir) == bodies[_i].first, "%s", bodies[_i].what);
	if (bodies[_i].first == PUMP_WAIT)
		ck_assert_int_eq(dir_pump(&dir), PUMP_DONE);
	ck_assert_int_eq(lseek(to.fd, 0, SEEK_END), (off_t)bodies[_i].len);
	sock_fini(&from);
	sock_fini(&to);
	blocks_free(&p);
	ev_loop_destroy(d.loop);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("sock");

	tcase_add_loop_test(tc, end_of_a_body, 0, nitems(bodies));
	return check_case("sock", tc);
}
