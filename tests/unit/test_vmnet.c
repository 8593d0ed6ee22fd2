/*
 * The vmnet handshake, byte for byte.
 */

#include <sys/mman.h>
#include <string.h>
#include <unistd.h>

#include "ethd/vmnet.h"
#include "tests/check_main.h"

#define UUID  "01234567-89ab-4cde-8f01-23456789abcd"
#define UUIDU "01234567-89AB-4CDE-8F01-23456789ABCD"
#define ZERO9 "\0\0\0\0\0\0\0\0\0"
#define NULLS ZERO9 ZERO9 ZERO9 ZERO9
#define X40   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define INIT  "VMN3T\26\0\0\0" X40

static const struct uuid uuid = { { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x4c,
    0xde, 0x8f, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd } };

/* clang-format off */
static const struct {
	const char *what;
	const char *in; /* 49 bytes */
	enum vmnet_event event;
	enum vmnet_state state;
} inits[] = {
	{ "good", INIT, VMNETE_INIT, VMNETS_COMMAND },
	{ "another magic", "VMNET\26\0\0\0" X40, VMNETE_INIT, VMNETS_COMMAND },
	{ "version 1", "VMN3T\1\0\0\0" X40, VMNETE_BAD_VERSION,
	    VMNETS_CLOSED },
	{ "version 23", "VMN3T\27\0\0\0" X40, VMNETE_BAD_VERSION,
	    VMNETS_CLOSED },
	{ "version 22 and more", "VMN3T\26\0\0\1" X40, VMNETE_BAD_VERSION,
	    VMNETS_CLOSED },
	{ "big-endian version", "VMN3T\0\0\0\26" X40, VMNETE_BAD_VERSION,
	    VMNETS_CLOSED },
};
/* clang-format on */

#define NINITS (sizeof(inits) / sizeof(inits[0]))

/* clang-format off */
static const struct {
	const char *what;
	const char *in; /* 41 bytes */
	enum vmnet_event event;
	bool anonymous, has_ip;
	uint32_t ip;
} cmds[] = {
	{ "ethernet", "\1" UUID "\0\0\0\0", VMNETE_COMMAND, false, false, 0 },
	{ "upper case", "\1" UUIDU "\0\0\0\0", VMNETE_COMMAND, false, false,
	    0 },
	{ "any padding", "\1" UUID "\1\2\3\4", VMNETE_COMMAND, false, false,
	    0 },
	{ "no uuid", "\1" NULLS "\0\0\0\0", VMNETE_COMMAND, true, false, 0 },
	{ "preferred address", "\10" UUID "\372\101\250\300", VMNETE_COMMAND,
	    false, true, 0xc0a841fa },
	{ "preferred, no uuid", "\10" NULLS "\372\101\250\300",
	    VMNETE_COMMAND, true, true, 0xc0a841fa },
	{ "bind", "\6\1\0\0\177\120\0\0" ZERO9 ZERO9 ZERO9 "\0\0\0\0\0\0",
	    VMNETE_BAD_COMMAND, false, false, 0 },
	{ "command 0", "\0" UUID "\0\0\0\0", VMNETE_BAD_COMMAND, false, false,
	    0 },
	{ "command 99", "\143" UUID "\0\0\0\0", VMNETE_BAD_COMMAND, false,
	    false, 0 },
	{ "no hex", "\1" "0123456g-89ab-4cde-8f01-23456789abcd" "\0\0\0\0",
	    VMNETE_BAD_UUID, false, false, 0 },
	{ "no hyphen", "\1" "0123456789ab-4cde-8f01-23456789abcd0" "\0\0\0\0",
	    VMNETE_BAD_UUID, false, false, 0 },
	{ "one zero byte", "\1" "01234567-89ab-4cde-8f01-23456789abc\0"
	    "\0\0\0\0", VMNETE_BAD_UUID, false, false, 0 },
	{ "zero but one", "\1" "0" ZERO9 ZERO9 ZERO9 "\0\0\0\0\0\0\0\0"
	    "\0\0\0\0", VMNETE_BAD_UUID, false, false, 0 },
};
/* clang-format on */

#define NCMDS (sizeof(cmds) / sizeof(cmds[0]))

/* Feeds pieces of step bytes; the last event, and what is left over. */
static enum vmnet_event
feed(struct vmnet *v, const char *in, size_t len, size_t step, size_t *left)
{
	enum vmnet_event event = VMNETE_MORE;
	struct rd r;
	size_t n;

	while (len > 0 && event == VMNETE_MORE) {
		n = step < len ? step : len;
		r = rd_init(in, n);
		event = vmnet_input(v, &r);
		in += n - r.len;
		len -= n - r.len;
		if (r.len == n)
			break; /* it wants nothing */
	}
	*left = len;
	return event;
}

START_TEST(test_init_msg)
{
	static const size_t step[] = { 1, 2, 7, 48, 49, 1000 };
	enum vmnet_event event;
	struct vmnet v;
	size_t i, left;

	for (i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		vmnet_init(&v);
		ck_assert_uint_eq(vmnet_want(&v), VMNET_INITLEN);
		event = feed(&v, inits[_i].in, 49, step[i], &left);
		ck_assert_msg(
		    event == inits[_i].event, "%s: %d", inits[_i].what, event);
		ck_assert_msg(v.state == inits[_i].state, "%s: %s",
		    inits[_i].what, vmnet_state_name[v.state]);
		ck_assert_uint_eq(left, 0);
	}
}
END_TEST

static void
check_cmd(const struct vmnet *v, int i)
{
	if (cmds[i].event != VMNETE_COMMAND) {
		ck_assert_int_eq(v->state, VMNETS_CLOSED);
		return;
	}
	ck_assert_int_eq(v->state, VMNETS_DECIDE);
	ck_assert_msg(
	    v->cmd.anonymous == cmds[i].anonymous, "%s", cmds[i].what);
	ck_assert_msg(v->cmd.has_ip == cmds[i].has_ip, "%s", cmds[i].what);
	if (cmds[i].has_ip)
		ck_assert_uint_eq(v->cmd.ip, cmds[i].ip);
	if (!cmds[i].anonymous)
		ck_assert_mem_eq(&v->cmd.uuid, &uuid, sizeof(uuid));
}

/* Everything in one piece, with frames behind it, and byte by byte. */
START_TEST(test_command)
{
	char in[VMNET_INITLEN + VMNET_CMDLEN + 5];
	size_t step, left;
	struct vmnet v;

	memset(in, 'F', sizeof(in));
	memcpy(in, INIT, VMNET_INITLEN);
	memcpy(in + VMNET_INITLEN, cmds[_i].in, VMNET_CMDLEN);
	for (step = 1; step <= sizeof(in); step++) {
		vmnet_init(&v);
		ck_assert_int_eq(
		    feed(&v, in, sizeof(in), step, &left), VMNETE_INIT);
		ck_assert_uint_eq(left, VMNET_CMDLEN + 5);
		ck_assert_msg(feed(&v, in + VMNET_INITLEN, left, step, &left) ==
				  cmds[_i].event,
		    "%s by %zu", cmds[_i].what, step);
		ck_assert_uint_eq(left, 5);
		ck_assert_uint_eq(vmnet_want(&v), 0);
		check_cmd(&v, _i);
	}
}
END_TEST

/* No prefix is anything but unfinished, also at the end of memory. */
START_TEST(test_prefixes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), len, left;
	struct vmnet v;
	char *map;

	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(map != MAP_FAILED);
	ck_assert_int_eq(mprotect(map + page, page, PROT_NONE), 0);
	for (len = 0; len < VMNET_INITLEN; len++) {
		memcpy(map + page - len, INIT, len);
		vmnet_init(&v);
		ck_assert_int_eq(
		    feed(&v, map + page - len, len, 64, &left), VMNETE_MORE);
		ck_assert_uint_eq(vmnet_want(&v), VMNET_INITLEN - len);
	}
	for (len = 0; len < VMNET_CMDLEN; len++) {
		vmnet_init(&v);
		feed(&v, INIT, VMNET_INITLEN, 64, &left);
		memcpy(map + page - len, cmds[0].in, len);
		ck_assert_int_eq(
		    feed(&v, map + page - len, len, 64, &left), VMNETE_MORE);
		ck_assert_uint_eq(vmnet_want(&v), VMNET_CMDLEN - len);
	}
	munmap(map, 2 * page);
}
END_TEST

/* Only the awaited decision is an edge, and the ends are ends. */
START_TEST(test_edges)
{
	struct vmnet v;
	unsigned s, e;
	int ok;

	for (s = VMNETS_INIT; s < VMNETS__MAX; s++) {
		ck_assert_ptr_nonnull(vmnet_state_name[s]);
		for (e = VMNETE_GRANT; e < VMNETE__MAX; e++) {
			vmnet_init(&v);
			v.state = (enum vmnet_state)s;
			ok = vmnet_step(&v, (enum vmnet_event)e);
			ck_assert_int_eq(ok, s == VMNETS_DECIDE ? 0 : -1);
		}
		vmnet_init(&v);
		v.state = (enum vmnet_state)s;
		ck_assert_int_eq(vmnet_step(&v, VMNETE_MORE), -1);
	}
}
END_TEST

START_TEST(test_put_init)
{
	uint8_t out[VMNET_INITLEN];

	vmnet_put_init(out);
	ck_assert_mem_eq(out,
	    "VMN3T\26\0\0\0"
	    "0123456789012345678901234567890123456789",
	    VMNET_INITLEN);
}
END_TEST

/* clang-format off */
static const struct {
	uint16_t mtu;
	const char *head; /* type, MTU, maximum, as on the wire */
} vifs[] = {
	{ 1500, "\1\334\5\16\6" },
	{ 65485, "\1\315\377\377\377" },
	{ 65486, "\1\316\377\377\377" },
	{ 65521, "\1\361\377\377\377" },
};
/* clang-format on */

START_TEST(test_put_vif)
{
	static const uint8_t zero[VMNET_REPLYLEN];
	struct macaddr mac = { { 2, 0x50, 0, 0, 0, 1 } };
	uint8_t out[VMNET_REPLYLEN];

	memset(out, 0xff, sizeof(out));
	vmnet_put_vif(out, vifs[_i].mtu, &mac);
	ck_assert_mem_eq(out, vifs[_i].head, 5);
	ck_assert_mem_eq(out + 5, mac.b, 6);
	ck_assert_mem_eq(out + 11, zero, 247);
}
END_TEST

START_TEST(test_put_disconnect)
{
	static const uint8_t zero[VMNET_REPLYLEN];
	char longtext[300];
	uint8_t out[VMNET_REPLYLEN];

	memset(out, 0xff, sizeof(out));
	vmnet_put_disconnect(out, "Preferred IP address out of range.");
	ck_assert_mem_eq(out, "\2\42Preferred IP address out of range.", 36);
	ck_assert_mem_eq(out + 36, zero, VMNET_REPLYLEN - 36);
	memset(longtext, 'x', sizeof(longtext) - 1);
	longtext[sizeof(longtext) - 1] = '\0';
	vmnet_put_disconnect(out, longtext);
	ck_assert_mem_eq(out, "\2\377xxx", 5);
	ck_assert_uint_eq(out[256], 'x');
	ck_assert_uint_eq(out[257], 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("vmnet");

	tcase_add_loop_test(tc, test_init_msg, 0, (int)NINITS);
	tcase_add_loop_test(tc, test_command, 0, (int)NCMDS);
	tcase_add_test(tc, test_prefixes);
	tcase_add_test(tc, test_edges);
	tcase_add_test(tc, test_put_init);
	tcase_add_loop_test(
	    tc, test_put_vif, 0, (int)(sizeof(vifs) / sizeof(vifs[0])));
	tcase_add_test(tc, test_put_disconnect);
	return check_case("vmnet", tc);
}
