/*
 * netstackd's requests for sockets, with a portd that is a bare socket and
 * reads nothing.  The core is played by this file.
 */

#include <sys/socket.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "netstackd/netstackd.h"
#include "tests/check_main.h"

#define NFLOW NET_MAXFLOWS

static struct {
	struct stackd s; /* first: hooks get this address */
	struct daemon d;
	struct ipc *link; /* owned */
	int portd;	  /* owned: the other end */
	unsigned ngone;
	unsigned nfailed;
	bool failed[NFLOW];
	bool inside; /* a call into the broker */
} fx;

void
net_opened(struct net *net, usec_t now, uint32_t id, bool connected)
{
	ck_abort_msg("flow %u opened", id);
}

void
net_opened_icmp(
    struct net *net, usec_t now, uint32_t id, uint16_t echo_id, bool raw)
{
	ck_abort_msg("flow %u opened", id);
}

void
net_open_failed(struct net *net, usec_t now, uint32_t id, enum net_error e)
{
	ck_assert(!fx.inside);
	ck_assert_uint_eq(e, NET_ETIMEDOUT);
	ck_assert(!fx.failed[id]);
	fx.failed[id] = true;
	fx.nfailed++;
}

void
net_server_gone(struct net *net, usec_t now, enum net_server server)
{
}

void
net_server_ready(struct net *net, usec_t now, enum net_server server)
{
}

void
net_readable(struct net *net, usec_t now, uint32_t id)
{
}

void
net_writable(struct net *net, usec_t now, uint32_t id)
{
}

void
net_failed(struct net *net, usec_t now, uint32_t id, enum net_error e)
{
}

static void
link_msg(struct ipc *ipc, struct ipc_msg *m)
{
}

static void
link_gone(struct ipc *ipc, const char *why)
{
	fx.ngone++;
}

static void
setup(void)
{
	static const struct ipc_events events = { link_msg, link_gone };
	int sv[2];

	memset(&fx, 0, sizeof(fx));
	fx.s.d = &fx.d;
	fx.s.net = (struct net *)&fx; /* never looked into */
	fx.d.loop = ev_loop_new(EVFLAG_AUTO);
	ck_assert_int_eq(stats_init(&fx.d.stats, -1, NULL, 0), 0);
	ck_assert_int_eq(broker_init(&fx.s, NFLOW), 0);
	ck_assert_int_eq(hostio_init(&fx.s, NFLOW), 0);
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	fx.portd = sv[1];
	fx.link =
	    ipc_new(fx.d.loop, sv[0], ROLE_STACK, ROLE_PORT, 0, &events, &fx.d);
	ck_assert_ptr_nonnull(fx.link);
	fx.d.data = &fx.s;
	broker_peer(&fx.d, fx.link);
}

static void
teardown(void)
{
	ipc_free(fx.link);
	close(fx.portd);
	hostio_fini(&fx.s);
	broker_fini(&fx.s);
	free(fx.d.stats.file);
	ev_loop_destroy(fx.d.loop);
}

static void
ask(uint32_t id)
{
	struct net_open o = { .id = id,
		.proto = NET_UDP_BIND,
		.src = 0xc0a864fe,
		.dst = 0xcbcbcbcb,
		.sport = 65535,
		.dport = 65535 };

	fx.failed[id] = false;
	fx.inside = true;
	broker_open(&fx.s, &o);
	fx.inside = false;
}

/*
 * A guest opens and ends flows faster than portd works them off, for ever.
 * What it gets is refusals; the link stays, and portd is not to blame.
 */
START_TEST(test_flood)
{
	uint32_t i;

	for (i = 0; i < 3 * NFLOW; i++) {
		if (i >= NFLOW)
			broker_close(&fx.s, i % NFLOW);
		ask(i % NFLOW);
		if (i % 512 != 0)
			continue;
		broker_settle(&fx.s);
		ev_run(fx.d.loop, EVRUN_NOWAIT);
		ck_assert_uint_eq(fx.ngone, 0);
	}
	for (i = 0; i < NFLOW; i++)
		broker_close(&fx.s, i);
	broker_settle(&fx.s);
	ev_run(fx.d.loop, EVRUN_NOWAIT);
	ck_assert_uint_eq(fx.ngone, 0);
	ck_assert_uint_gt(fx.nfailed, NFLOW);
	ck_assert_uint_ge(fx.d.stats.file->value[NETS_FLOW_LIMIT], fx.nfailed);
}
END_TEST

/* A flow that was refused and closed in one turn hears nothing of it. */
START_TEST(test_closed_before_told)
{
	uint32_t i;

	for (i = 0; ipc_queued(fx.link) <= 2u << 20; i++)
		ask(i);
	ask(i);
	broker_close(&fx.s, i);
	ask(i + 1);
	broker_settle(&fx.s);
	ck_assert_uint_eq(fx.nfailed, 1);
	ck_assert(fx.failed[i + 1]);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("broker");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_flood);
	tcase_add_test(t, test_closed_before_told);
	return check_case("broker", t);
}
