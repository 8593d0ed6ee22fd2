/*
 * netstackd's end of the packet channel, with an ethd that reads when it is
 * told to.  The core is played by this file.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "common/plat/plat.h"
#include "netstackd/netstackd.h"
#include "tests/check_main.h"

#define FRAME 60

static struct {
	struct stackd s; /* first: hooks get this address */
	struct daemon d;
	struct daemon_spec spec;
	struct chan eth; /* ethd's end */
	unsigned nready, ninput, nflush;
} fx;

void
net_input(struct net *net, usec_t now, const uint8_t *frame, size_t len)
{
	fx.ninput++;
}

const char *
net_dropped(const struct net *net)
{
	return NULL;
}

void
net_flush(struct net *net, usec_t now)
{
	fx.nflush++;
	errno = EPIPE; /* as after a write to a host that has gone */
}

void
net_tx_ready(struct net *net, usec_t now)
{
	fx.nready++;
}

/* A memory file, and the same to be read only. */
static void
arena(int *rw, int *ro)
{
	*rw = plat_memfd("test", CHAN_ARENA);
	ck_assert_int_ne(*rw, -1);
	*ro = plat_memfd_ro(*rw);
	ck_assert_int_ne(*ro, -1);
}

static void
setup(void)
{
	int sv[2], tx[2], rx[2];

	memset(&fx, 0, sizeof(fx));
	fx.d.spec = &fx.spec;
	ck_assert_int_eq(stats_init(&fx.d.stats, -1, NULL, 0), 0);
	fx.d.loop = ev_loop_new(EVFLAG_AUTO);
	fx.s.d = &fx.d;
	fx.s.net = (struct net *)&fx; /* never looked into */
	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	arena(&tx[0], &tx[1]);
	arena(&rx[0], &rx[1]);
	ck_assert_int_eq(chan_init(&fx.eth, sv[1], rx[0], tx[1]), 0);
	link_init(&fx.s);
	link_attach(&fx.s, sv[0], tx[0], rx[1], -1);
	ck_assert(fx.s.link.open);
}

static void
teardown(void)
{
	link_close(&fx.s);
	chan_fini(&fx.eth);
	tap_attach(&fx.s, -1);
	free(fx.d.stats.file);
	ev_loop_destroy(fx.d.loop);
}

/* Frames the core can push in one turn before it has to wait. */
static unsigned
push(unsigned max)
{
	size_t len;
	unsigned n;

	for (n = 0; n < max; n++) {
		link_space(&fx.s, &len);
		if (len < NET_MAXFRAME)
			break;
		link_push(&fx.s, 0, FRAME);
	}
	return n;
}

/* Until the socket takes no more; the arena has space left. */
static void
fill_socket(void)
{
	int one = 1;

	ck_assert_int_eq(setsockopt(fx.s.link.chan.fd, SOL_SOCKET, SO_SNDBUF,
			     &one, sizeof(one)),
	    0);
	ck_assert_uint_lt(push(10000), 10000);
	link_settle(&fx.s);
	ck_assert(chan_blocked(&fx.s.link.chan));
	ck_assert_uint_eq(fx.nready, 0);
}

/* ethd takes everything there is and gives it back. */
static unsigned
drain(void)
{
	struct chan_frame f;
	unsigned n = 0;

	while (chan_read(&fx.eth) == 1) {
		while (chan_next(&fx.eth, &f)) {
			chan_release(&fx.eth, f.end);
			n++;
		}
		ck_assert_int_eq(chan_flush(&fx.eth), 0);
	}
	return n;
}

/*
 * Many small frames in one turn, to a guest that says nothing: their credit
 * is too little to come by itself, so nobody may be left waiting for it.
 */
START_TEST(test_small_frames)
{
	ck_assert_uint_eq(push(1500), 1500);
	link_settle(&fx.s);
	ck_assert_uint_eq(drain(), 1500);
}
END_TEST

/* The core waits for the socket, and is told. */
START_TEST(test_socket_full)
{
	unsigned got = 0;

	fill_socket();
	while (fx.nready == 0) {
		got += drain();
		ev_run(fx.d.loop, EVRUN_NOWAIT);
	}
	ck_assert_uint_gt(push(100), 0);
	ck_assert_uint_gt(got, 0);
}
END_TEST

/* It is found to be free again by another way than the event. */
START_TEST(test_socket_free_again)
{
	fill_socket();
	drain();
	link_settle(&fx.s);
	ck_assert_uint_eq(fx.nready, 1);
	ck_assert_uint_gt(push(100), 0);
}
END_TEST

/*
 * A TAP, played by a socketpair that keeps messages apart.
 */

static const uint8_t server[6] = { 2, 0, 0, 0, 0, 1 };

/* The machine's end; the channel is a new one. */
static int
attach_tap(void)
{
	int sv[2], tap[2], tx[2], rx[2];

	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	ck_assert_int_eq(plat_socketpair(SOCK_SEQPACKET, tap), 0);
	arena(&tx[0], &tx[1]);
	arena(&rx[0], &rx[1]);
	chan_fini(&fx.eth);
	ck_assert_int_eq(chan_init(&fx.eth, sv[1], rx[0], tx[1]), 0);
	memcpy(fx.s.server_mac, server, sizeof(server));
	link_attach(&fx.s, sv[0], tx[0], rx[1], tap[0]);
	return tap[1];
}

/* Every turn ends with what the loop's own end of a turn does. */
static void
turn(void)
{
	ev_run(fx.d.loop, EVRUN_NOWAIT);
	link_settle(&fx.s);
}

static const struct {
	const char *what;
	uint8_t dst[6];
	size_t len;
	unsigned ours, others;
} tap_row[] = {
	{ "ours", { 2, 0, 0, 0, 0, 1 }, FRAME, 1, 0 },
	{ "another machine's", { 2, 0, 0, 0, 0, 9 }, FRAME, 0, 1 },
	{ "everybody's", { 255, 255, 255, 255, 255, 255 }, FRAME, 1, 1 },
	{ "the longest", { 2, 0, 0, 0, 0, 1 }, NET_MAXFRAME, 1, 0 },
	{ "no whole address", { 2, 0, 0, 0, 0 }, 5, 1, 0 },
};

START_TEST(test_tap_read)
{
	static uint8_t frame[NET_MAXFRAME];
	int tap = attach_tap();

	memcpy(frame, tap_row[_i].dst, 6);
	ck_assert_int_eq(
	    write(tap, frame, tap_row[_i].len), (ssize_t)tap_row[_i].len);
	turn();
	ck_assert_uint_eq(fx.ninput, tap_row[_i].ours);
	ck_assert_uint_eq(fx.nflush, 1);
	ck_assert_uint_eq(drain(), tap_row[_i].others);
	ck_assert_int_ne(fx.s.link.tap, -1);
	close(tap);
}
END_TEST

/* From the core, and from other machines. */
START_TEST(test_tap_write)
{
	static uint8_t got[NET_MAXFRAME];
	int tap = attach_tap();
	size_t len;
	uint8_t *p;

	p = link_space(&fx.s, &len);
	ck_assert_uint_ge(len, NET_MAXFRAME);
	memset(p, 7, FRAME);
	link_push(&fx.s, 0, FRAME);
	ck_assert_int_eq(read(tap, got, sizeof(got)), FRAME);
	ck_assert_uint_eq(got[FRAME - 1], 7);

	p = chan_space(&fx.eth, &len);
	memset(p, 8, FRAME + 1);
	chan_push(&fx.eth, 0, FRAME + 1);
	ck_assert_int_eq(chan_flush(&fx.eth), 0);
	turn();
	ck_assert_int_eq(read(tap, got, sizeof(got)), FRAME + 1);
	ck_assert_uint_eq(got[FRAME], 8);
	ck_assert_uint_eq(fx.ninput, 0);
	close(tap);
}
END_TEST

/* Nobody takes what is for others: it is lost, and nothing waits for it. */
START_TEST(test_tap_others_full)
{
	uint8_t frame[FRAME] = { 2, 9 };
	int tap = attach_tap(), i;

	for (i = 0; i < 30000; i++) {
		ck_assert_int_eq(write(tap, frame, sizeof(frame)), FRAME);
		turn();
	}
	memcpy(frame, server, sizeof(server));
	ck_assert_int_eq(write(tap, frame, sizeof(frame)), FRAME);
	turn();
	ck_assert_uint_eq(fx.ninput, 1);
	ck_assert_uint_lt(drain(), 30000);
	close(tap);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("link");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_small_frames);
	tcase_add_test(t, test_socket_full);
	tcase_add_test(t, test_socket_free_again);
	tcase_add_loop_test(
	    t, test_tap_read, 0, sizeof(tap_row) / sizeof(tap_row[0]));
	tcase_add_test(t, test_tap_write);
	tcase_add_test(t, test_tap_others_full);
	return check_case("link", t);
}
