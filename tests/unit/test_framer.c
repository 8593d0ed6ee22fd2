/*
 * The lengths of frames in byte streams.
 */

#include <sys/mman.h>
#include <string.h>
#include <unistd.h>

#include "ethd/framer.h"
#include "tests/check_main.h"

/* clang-format off */
static const struct {
	const char *what;
	enum framing framing;
	const char *in;
	size_t textlen; /* bytes of in; zeros follow */
	size_t inlen;
	int ret;
	size_t flen;
} cases[] = {
	{ "nothing", FRAMING_LE16, "", 0, 0, -2, 0 },
	{ "half a length", FRAMING_LE16, "\1", 1, 1, -2, 0 },
	{ "an empty frame", FRAMING_LE16, "\0\0", 2, 2, 2, 0 },
	{ "an empty frame and more", FRAMING_LE16, "\0\0\1", 3, 3, 2, 0 },
	{ "only its length", FRAMING_LE16, "\2\0", 2, 2, -2, 0 },
	{ "one byte short", FRAMING_LE16, "\2\0x", 3, 3, -2, 0 },
	{ "whole", FRAMING_LE16, "\2\0xy", 4, 4, 4, 2 },
	{ "little-endian", FRAMING_LE16, "\1\1", 2, 259, 259, 257 },
	{ "the longest", FRAMING_LE16, "\377\377", 2, 65537, 65537, 65535 },
	{ "the longest, one short", FRAMING_LE16, "\377\377", 2, 65536, -2, 0 },
	{ "half a BE length", FRAMING_BE32, "\0\0\0", 3, 3, -2, 0 },
	{ "an empty BE frame", FRAMING_BE32, "\0\0\0\0", 4, 4, 4, 0 },
	{ "whole BE", FRAMING_BE32, "\0\0\0\2xy", 6, 6, 6, 2 },
	{ "BE, one byte short", FRAMING_BE32, "\0\0\0\2x", 5, 5, -2, 0 },
	{ "the longest BE", FRAMING_BE32, "\0\0\377\377", 4, 65539, 65539, 65535 },
	{ "a lie", FRAMING_BE32, "\0\1\0\0", 4, 4, -1, 0 },
	{ "a big lie", FRAMING_BE32, "\377\377\377\377", 4, 4, -1, 0 },
	{ "datagrams have none", FRAMING_NONE, "\2\0xy", 4, 4, -1, 0 },
};
/* clang-format on */

#define NCASES (sizeof(cases) / sizeof(cases[0]))

/* A copy of the case that ends where memory does. */
static uint8_t *
guarded(int i, uint8_t **map, size_t *maplen)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t body = (cases[i].inlen + page) / page * page;
	uint8_t *p;

	*maplen = body + page;
	*map = mmap(NULL, *maplen, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(*map != MAP_FAILED);
	ck_assert_int_eq(mprotect(*map + body, page, PROT_NONE), 0);
	p = *map + body - cases[i].inlen;
	memcpy(p, cases[i].in, cases[i].textlen);
	return p;
}

START_TEST(test_next)
{
	uint8_t *map, *p;
	size_t maplen, flen = 0;
	int n;

	p = guarded(_i, &map, &maplen);
	n = framer_next(cases[_i].framing, p, cases[_i].inlen, &flen);
	ck_assert_msg(n == cases[_i].ret, "%s: %d", cases[_i].what, n);
	if (n > 0)
		ck_assert_msg(flen == cases[_i].flen, "%s: length %zu",
		    cases[_i].what, flen);
	munmap(map, maplen);
}
END_TEST

/* Every prefix of a good frame asks for more. */
START_TEST(test_prefixes)
{
	uint8_t *map, *p;
	size_t maplen, flen, len;
	int n;

	p = guarded(_i, &map, &maplen);
	for (len = 0; cases[_i].ret > 0 && len < (size_t)cases[_i].ret; len++) {
		n = framer_next(cases[_i].framing, p, len, &flen);
		ck_assert_msg(
		    n == -2, "%s cut at %zu: %d", cases[_i].what, len, n);
	}
	munmap(map, maplen);
}
END_TEST

/* What is put is what is found. */
START_TEST(test_put)
{
	static const size_t lens[] = { 0, 1, 14, 60, 255, 256, 1514, 65535 };
	static uint8_t buf[FRAMER_MAXLEN];
	enum framing f = (enum framing)_i;
	size_t i, flen;

	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		framer_put(f, buf, lens[i]);
		ck_assert_int_eq(framer_next(f, buf, sizeof(buf), &flen),
		    (int)(framer_prefix(f) + lens[i]));
		ck_assert_uint_eq(flen, lens[i]);
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("framer");

	tcase_add_loop_test(tc, test_next, 0, (int)NCASES);
	tcase_add_loop_test(tc, test_prefixes, 0, (int)NCASES);
	tcase_add_loop_test(tc, test_put, FRAMING_LE16, FRAMING_NONE);
	return check_case("framer", tc);
}
