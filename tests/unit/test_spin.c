/*
 * When a process polls before it sleeps: a sequence of waits and what they
 * lead to, in virtual time.
 */

#include "common/spin.h"
#include "tests/check_main.h"

static const struct {
	const char *what;
	int n;	      /* times */
	usec_t wait;  /* after each of which there was something to do */
	size_t moved; /* bytes */
	size_t many;  /* exchanges */
	bool spinning;
} cases[] = {
	{ "one short wait is no habit", 1, 20, 60, 1, false },
	{ "many short waits are", 20, 20, 60, 1, true },
	{ "just short enough", 20, SPIN_USEC, 60, 1, true },
	{ "just too long", 20, SPIN_USEC + 1, 60, 1, false },
	{ "long waits", 20, USEC_SEC, 60, 1, false },
	{ "bulk", 20, 20, SPIN_BULK, 1, false },
	{ "nearly bulk", 20, 20, SPIN_BULK - 1, 1, true },
	{ "many at a time", 20, 20, 60, SPIN_MANY, false },
	{ "nearly many", 20, 20, 60, SPIN_MANY - 1, true },
	{ "nothing, often", 20, 20, 0, 0, true },
};

START_TEST(habit)
{
	struct spin s = { 0 };
	usec_t now = 1000 * USEC_SEC;
	int i;

	s.since = now;
	for (i = 0; i < cases[_i].n; i++) {
		now += cases[_i].wait;
		spin_event(&s, now, cases[_i].moved, cases[_i].many);
	}
	ck_assert_msg(s.spinning == cases[_i].spinning, "%s", cases[_i].what);
}
END_TEST

/* Once there were many at a time, it takes more to be alone. */
START_TEST(busy)
{
	struct spin s = { .score = SPIN_MAX };
	usec_t now = USEC_SEC;
	int i;

	s.since = now;
	ck_assert(!spin_crowd(&s));
	spin_event(&s, now, 60, SPIN_MANY);
	for (i = 0; i < SPIN_BUSY; i++) {
		ck_assert(!s.spinning && spin_crowd(&s));
		spin_event(&s, now += 20, 60, 1);
	}
	ck_assert(!s.spinning && !spin_crowd(&s));
	for (i = 0; i < SPIN_MAX; i++)
		spin_event(&s, now += 20, 60, 1);
	ck_assert(s.spinning);
}
END_TEST

/* The many have gone and it is quiet: that is no crowd any more. */
START_TEST(quiet_again)
{
	struct spin s = { .score = SPIN_MAX };
	usec_t now = USEC_SEC;
	int i;

	spin_event(&s, now, 60, SPIN_MANY);
	spin_event(&s, now, 60, 1); /* no multiple of SPIN_MAX is left */
	for (i = 0; i < SPIN_BUSY / SPIN_MAX; i++) {
		ck_assert(spin_crowd(&s));
		spin_event(&s, now += SPIN_USEC + 1, 60, 1);
	}
	ck_assert(!spin_crowd(&s) && !s.spinning);
}
END_TEST

START_TEST(ends_by_itself)
{
	struct spin s = { .score = SPIN_MAX };
	usec_t now = USEC_SEC;

	spin_event(&s, now, 0, 0);
	spin_event(&s, now, 0, 0);
	ck_assert(s.spinning);
	ck_assert(spin_rest(&s, now + SPIN_USEC));
	ck_assert(!spin_rest(&s, now + SPIN_USEC + 1));
	ck_assert(!spin_rest(&s, now + SPIN_USEC + 2));
}
END_TEST

START_TEST(forgets_when_it_spins_in_vain)
{
	struct spin s = { .score = SPIN_MAX };
	usec_t now = USEC_SEC;
	int i;

	for (i = 0; i < SPIN_MAX; i++) {
		spin_event(&s, now, 0, 0);
		spin_rest(&s, now + SPIN_USEC + 1);
		now += USEC_SEC;
	}
	spin_event(&s, now, 0, 0);
	ck_assert(!s.spinning);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("spin");

	tcase_add_loop_test(t, habit, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(t, busy);
	tcase_add_test(t, quiet_again);
	tcase_add_test(t, ends_by_itself);
	tcase_add_test(t, forgets_when_it_spins_in_vain);
	return check_case("spin", t);
}
