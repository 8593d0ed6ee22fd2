/*
 * netstackd's end of the packet channel, with an ethd that reads when it is
 * told to.  The core is played by this file.
 */

#include <sys/socket.h>
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
	unsigned nready;
} fx;

void
net_input(struct net *net, usec_t now, const uint8_t *frame, size_t len)
{
}

const char *
net_dropped(const struct net *net)
{
	return NULL;
}

void
net_flush(struct net *net, usec_t now)
{
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
	fx.d.loop = ev_loop_new(EVFLAG_AUTO);
	fx.s.d = &fx.d;
	fx.s.net = (struct net *)&fx; /* never looked into */
	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	arena(&tx[0], &tx[1]);
	arena(&rx[0], &rx[1]);
	ck_assert_int_eq(chan_init(&fx.eth, sv[1], rx[0], tx[1]), 0);
	link_init(&fx.s);
	link_attach(&fx.s, sv[0], tx[0], rx[1]);
	ck_assert(fx.s.link.open);
}

static void
teardown(void)
{
	link_close(&fx.s);
	chan_fini(&fx.eth);
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

int
main(void)
{
	TCase *t = tcase_create("link");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_small_frames);
	tcase_add_test(t, test_socket_full);
	tcase_add_test(t, test_socket_free_again);
	return check_case("link", t);
}
