/*
 * Split DNS: which servers a name is asked of.
 */

#include <stdlib.h>
#include <string.h>

#include "dnsd/route.h"
#include "tests/check_main.h"

#define WIRE(s) (const uint8_t *)s, sizeof(s)

/* One server: its order, then its zones. */
struct spec {
	uint32_t order;
	const char *zone[3];
};

/* clang-format off */
static const struct {
	const char *what;
	struct spec server[10];
	size_t n;
	const uint8_t *name;
	size_t len;
	const char *want; /* numbers, in their order */
} cases[] = {
	{ "no zones", { { 0 }, { 0 } }, 2, WIRE("\1a"), "01" },
	{ "by order", { { 2 }, { 0 }, { 1 }, { 0 } }, 4, WIRE("\1a"),
	    "1320" },
	{ "in a zone", { { 0 }, { 0, { "corp" } } }, 2, WIRE("\1a\4corp"),
	    "1" },
	{ "the zone itself, in capitals", { { 0 }, { 0, { "corp" } } }, 2,
	    WIRE("\4CORP"), "1" },
	{ "not in it", { { 0 }, { 0, { "corp" } } }, 2, WIRE("\4corx"), "0" },
	{ "not at a dot", { { 0 }, { 0, { "corp" } } }, 2, WIRE("\5xcorp"),
	    "0" },
	{ "the longest zone", { { 0, { "corp" } }, { 0, { "a.corp" } },
	    { 0, { "b.a.corp" } } }, 3, WIRE("\1x\1a\4corp"), "1" },
	{ "several of one", { { 0, { "x", "corp" } }, { 0, { "a.corp" } },
	    { 1, { "corp", "y" } } }, 3, WIRE("\1b\4corp"), "02" },
	{ "all have zones, none this one", { { 0, { "a" } }, { 0, { "b" } } },
	    2, WIRE("\1c"), "01" },
	{ "more than are asked", { { 0 }, { 0 }, { 0 }, { 0 }, { 0 }, { 0 },
	    { 0 }, { 9 }, { 1 }, { 0 } }, 10, WIRE("\1a"), "01234569" },
	{ "none", { { 0 } }, 0, WIRE("\1a"), "" },
};
/* clang-format on */

static void
fill(struct route *r, const struct spec *spec, size_t n)
{
	struct route_server *s;
	size_t i;

	memset(r, 0, sizeof(*r));
	for (i = 0; i < n; i++) {
		s = &r->server[r->n++];
		s->order = spec[i].order;
		s->port = (uint16_t)i;
		s->zone = calloc(3, sizeof(*s->zone));
		for (; spec[i].zone[s->nzone] != NULL; s->nzone++)
			ck_assert_int_eq(name_parse(spec[i].zone[s->nzone],
					     &s->zone[s->nzone]),
			    0);
	}
}

START_TEST(test_select)
{
	uint8_t list[ROUTE_MAXASKED];
	struct route r;
	size_t i, n;

	fill(&r, cases[_i].server, cases[_i].n);
	n = route_select(&r, cases[_i].name, cases[_i].len, list);
	ck_assert_msg(n == strlen(cases[_i].want), "%s", cases[_i].what);
	for (i = 0; i < n; i++)
		ck_assert_msg(
		    list[i] == cases[_i].want[i] - '0', "%s", cases[_i].what);
	route_clear(&r);
	ck_assert_uint_eq(r.n, 0);
}
END_TEST

START_TEST(test_equal)
{
	struct route a, b;

	fill(&a, cases[7].server, cases[7].n);
	fill(&b, cases[7].server, cases[7].n);
	ck_assert(route_equal(&a, &b));
	b.server[1].timeout_ms++;
	ck_assert(!route_equal(&a, &b));
	b.server[1].timeout_ms--;
	b.server[2].zone[0].wire[1]++;
	ck_assert(!route_equal(&a, &b));
	b.server[2].zone[0].wire[1]--;
	b.n--;
	ck_assert(!route_equal(&a, &b));
	b.n++;
	route_clear(&a);
	route_clear(&b);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("route");

	tcase_add_loop_test(tc, test_select, 0, nitems(cases));
	tcase_add_test(tc, test_equal);
	return check_case("route", tc);
}
