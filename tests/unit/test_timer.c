#include "tests/check_main.h"

#include "nettest.h"

#define N 300

struct item {
	struct timer t;
	usec_t fired;
	struct item *kill; /* cleared by this one's callback */
	usec_t again;	   /* armed again for then; 0: not */
};

static struct nettest t;

static void
setup(void)
{
	nt_init(&t);
}

static void
teardown(void)
{
	ck_assert_int_eq(net_deadline(t.net), USEC_NEVER);
	nt_fini(&t);
}

static void
fire(struct net *net, usec_t now, struct timer *tm)
{
	struct item *i = (struct item *)tm;

	ck_assert_uint_eq(tm->slot, 0);
	i->fired = now;
	if (i->kill != NULL)
		timer_clear(net, &i->kill->t);
	if (i->again != 0)
		timer_set(net, tm, i->again);
}

static uint32_t
rnd(uint32_t *x)
{
	*x = *x * 1664525 + 1013904223;
	return *x >> 8;
}

/* Random sets, moves and clears against a plain array. */
START_TEST(test_random)
{
	static struct item it[N];
	usec_t want[N], first;
	uint32_t x = (uint32_t)_i + 1;
	int step, i;

	memset(it, 0, sizeof(it));
	for (i = 0; i < N; i++) {
		it[i].t.fn = fire;
		want[i] = USEC_NEVER;
	}
	for (step = 0; step < 5000; step++) {
		i = (int)(rnd(&x) % N);
		want[i] =
		    rnd(&x) % 3 == 0 ? USEC_NEVER : (usec_t)(rnd(&x) % 1000);
		timer_set(t.net, &it[i].t, want[i]);
		first = USEC_NEVER;
		for (i = 0; i < N; i++)
			first = want[i] < first ? want[i] : first;
		ck_assert_int_eq(net_deadline(t.net), first);
	}
	while ((first = net_deadline(t.net)) != USEC_NEVER)
		net_tick(t.net, first);
	for (i = 0; i < N; i++)
		ck_assert_int_eq(
		    it[i].fired, want[i] == USEC_NEVER ? 0 : want[i]);
}
END_TEST

START_TEST(test_not_early)
{
	struct item a = { .t.fn = fire };

	timer_set(t.net, &a.t, 100);
	net_tick(t.net, 99);
	ck_assert_int_eq(a.fired, 0);
	net_tick(t.net, 100);
	ck_assert_int_eq(a.fired, 100);
}
END_TEST

START_TEST(test_clears_another)
{
	struct item b = { .t.fn = fire };
	struct item a = { .t.fn = fire, .kill = &b };

	timer_set(t.net, &a.t, 100);
	timer_set(t.net, &b.t, 101);
	net_tick(t.net, 200);
	ck_assert_int_eq(a.fired, 200);
	ck_assert_int_eq(b.fired, 0);
}
END_TEST

/* One that is always due runs once a tick. */
START_TEST(test_always_due)
{
	struct item a = { .t.fn = fire, .again = 50 };

	timer_set(t.net, &a.t, 100);
	net_tick(t.net, 200);
	ck_assert_int_eq(net_deadline(t.net), 50);
	timer_clear(t.net, &a.t);
	timer_clear(t.net, &a.t);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("timer");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_random, 0, 5);
	tcase_add_test(tc, test_not_early);
	tcase_add_test(tc, test_clears_another);
	tcase_add_test(tc, test_always_due);
	return check_case("timer", tc);
}
