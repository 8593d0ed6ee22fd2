#include "tests/check_main.h"

#include "nettest.h"

#define MAX 8

static struct nettest t;

static void
setup(void)
{
	nt_conf(&t);
	t.conf.max_flows = MAX;
	nt_start(&t);
}

static void
teardown(void)
{
	ck_assert_uint_eq(net_flows(t.net), 0);
	nt_fini(&t);
}

static struct flow
flow(uint16_t port)
{
	return (struct flow){ .proto = NET_UDP,
		.server = NET_PORTD,
		.guest_ip = NT_GUEST,
		.guest_port = port,
		.host_ip = NT_REMOTE,
		.host_port = 99 };
}

START_TEST(test_by_id_and_address)
{
	struct flow f = flow(1);

	ck_assert_int_eq(flow_add(t.net, &f), 0);
	ck_assert_uint_eq(net_flows(t.net), 1);
	ck_assert_ptr_eq(flow_get(t.net, f.id), &f);
	ck_assert_ptr_eq(
	    flow_find(t.net, NET_UDP, NT_GUEST, 1, NT_REMOTE, 99), &f);
	ck_assert_ptr_null(
	    flow_find(t.net, NET_TCP, NT_GUEST, 1, NT_REMOTE, 99));
	ck_assert_ptr_null(
	    flow_find(t.net, NET_UDP, NT_GUEST, 2, NT_REMOTE, 99));
	ck_assert_ptr_null(
	    flow_find(t.net, NET_UDP, NT_GUEST, 1, NT_REMOTE, 98));
	ck_assert_ptr_null(flow_get(t.net, MAX));
	ck_assert_ptr_null(flow_get(t.net, UINT32_MAX));
	flow_del(t.net, &f);
	ck_assert_ptr_null(flow_get(t.net, f.id));
	ck_assert_ptr_null(
	    flow_find(t.net, NET_UDP, NT_GUEST, 1, NT_REMOTE, 99));
}
END_TEST

START_TEST(test_full)
{
	struct flow f[MAX + 1];
	unsigned i;

	for (i = 0; i < MAX; i++) {
		f[i] = flow((uint16_t)i);
		ck_assert_int_eq(flow_add(t.net, &f[i]), 0);
	}
	f[MAX] = flow(MAX);
	ck_assert_int_eq(flow_add(t.net, &f[MAX]), -1);
	ck_assert_uint_eq(t.stat[NETS_FLOW_LIMIT], 1);
	for (i = 0; i < MAX; i++) {
		ck_assert_ptr_eq(flow_find(t.net, NET_UDP, NT_GUEST,
				     (uint16_t)i, NT_REMOTE, 99),
		    &f[i]);
		flow_del(t.net, &f[i]);
	}
}
END_TEST

/* An id comes back only after all the others were given out. */
START_TEST(test_reuse_is_late)
{
	struct flow f = flow(1);
	uint32_t first;
	int i;

	ck_assert_int_eq(flow_add(t.net, &f), 0);
	first = f.id;
	for (i = 1; i < MAX; i++) {
		flow_del(t.net, &f);
		ck_assert_int_eq(flow_add(t.net, &f), 0);
		ck_assert_uint_ne(f.id, first);
	}
	flow_del(t.net, &f);
	ck_assert_int_eq(flow_add(t.net, &f), 0);
	ck_assert_uint_eq(f.id, first);
	flow_del(t.net, &f);
}
END_TEST

START_TEST(test_random)
{
	static struct flow f[MAX];
	bool in[MAX] = { false };
	uint32_t x = 7;
	int step, i;

	for (step = 0; step < 10000; step++) {
		x = x * 1664525 + 1013904223;
		i = (int)(x >> 20) % MAX;
		if (!in[i]) {
			/* Some of the addresses are alike. */
			f[i] = flow((uint16_t)(i % 3));
			ck_assert_int_eq(flow_add(t.net, &f[i]), 0);
		} else {
			flow_del(t.net, &f[i]);
		}
		in[i] = !in[i];
		for (i = 0; i < MAX; i++)
			ck_assert(!in[i] || flow_get(t.net, f[i].id) == &f[i]);
	}
	for (i = 0; i < MAX; i++) {
		if (in[i])
			flow_del(t.net, &f[i]);
	}
}
END_TEST

/* Requests wait for a server that is away, and are made again when lost. */
START_TEST(test_server_away)
{
	uint32_t bind, id;

	net_server_gone(t.net, t.now, NET_PORTD);
	nt_udp(&t, 1000, NT_REMOTE, 99, "x", 1);
	nt_flush(&t);
	ck_assert_uint_eq(t.nopen, 0);
	net_server_ready(t.net, t.now, NET_DNSD);
	ck_assert_uint_eq(t.nopen, 0);
	net_server_ready(t.net, t.now, NET_PORTD);
	ck_assert_uint_eq(t.nopen, 2);
	bind = nt_id(&t, NET_UDP_BIND, 1000, 0, 0);
	id = nt_id(&t, NET_UDP, 1000, NT_REMOTE, 99);
	/* Lost on the way. */
	t.sock[bind].asked = t.sock[id].asked = false;
	net_server_gone(t.net, t.now, NET_PORTD);
	net_opened(t.net, t.now, id, true); /* too late: nobody waits */
	ck_assert_ptr_null(nt_sent(&t));
	net_server_ready(t.net, t.now, NET_PORTD);
	ck_assert_uint_eq(t.nopen, 4);
	ck_assert_uint_eq(t.last_open.proto, NET_UDP);
	nt_opened(&t, bind);
	nt_opened(&t, id);
	ck_assert_ptr_nonnull(nt_sent(&t));
	/* Answered: not asked for again. */
	net_server_gone(t.net, t.now, NET_PORTD);
	net_server_ready(t.net, t.now, NET_PORTD);
	ck_assert_uint_eq(t.nopen, 4);
	nt_wait(&t, 1000 * USEC_SEC);
}
END_TEST

/* Events of flows that do not exist are nothing. */
START_TEST(test_strangers)
{
	uint32_t ids[] = { 0, MAX - 1, MAX, UINT32_MAX };
	unsigned i;

	for (i = 0; i < nitems(ids); i++) {
		net_opened(t.net, t.now, ids[i], true);
		net_open_failed(t.net, t.now, ids[i], NET_EOTHER);
		net_readable(t.net, t.now, ids[i]);
		net_writable(t.net, t.now, ids[i]);
		net_failed(t.net, t.now, ids[i], NET_EOTHER);
	}
	nt_none(&t);
}
END_TEST

static const struct {
	const char *what;
	uint32_t guest, gateway, highest, mask;
} masks[] = {
	{ "defaults", 0xc0a84103, 0xc0a84101, 0xc0a841fe, 0xffffff00 },
	{ "two addresses", 0x0a000002, 0x0a000001, 0x0a000003, 0xfffffffc },
	{ "top's successor counts", 0x0a000003, 0x0a000001, 0x0a000003,
	    0xfffffff8 },
	{ "wide", 0x0a000002, 0x0a000001, 0x0affffff, 0xff000000 },
	{ "nothing in common", 0xc0a84103, 0x0a000001, 0x0a000001, 0 },
};

START_TEST(test_netmask)
{
	struct nettest u;

	nt_conf(&u);
	u.conf.guest_ip = masks[_i].guest;
	u.conf.gateway_ip = masks[_i].gateway;
	u.conf.highest_ip = masks[_i].highest;
	nt_start(&u);
	ck_assert_msg(u.net->netmask == masks[_i].mask, "%s: %08x",
	    masks[_i].what, u.net->netmask);
	nt_fini(&u);
}
END_TEST

/* Every counter has a name, and no two the same. */
START_TEST(test_stat_names)
{
	int i, j;

	for (i = 0; i < NETS__MAX; i++) {
		ck_assert_ptr_nonnull(net_stat_name[i]);
		ck_assert_uint_lt(strlen(net_stat_name[i]), 32);
		for (j = 0; j < i; j++)
			ck_assert_str_ne(net_stat_name[i], net_stat_name[j]);
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("flow");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_by_id_and_address);
	tcase_add_test(tc, test_full);
	tcase_add_test(tc, test_reuse_is_late);
	tcase_add_test(tc, test_random);
	tcase_add_test(tc, test_server_away);
	tcase_add_test(tc, test_strangers);
	tcase_add_loop_test(tc, test_netmask, 0, nitems(masks));
	tcase_add_test(tc, test_stat_names);
	return check_case("flow", tc);
}
