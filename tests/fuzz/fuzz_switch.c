/* VMs come and go and send frames; four of them, to meet often. */

#include "ethd/switch.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct switch_table t = { .server = { { 2, 0, 0, 0, 0, 9 } } };
	static const struct lease_pool pool = {
		.conf = { .gateway = 0x01010101, .host = 0x02020202 },
		.slot[1] = { .vm = 1, .ip = 0x03030303 },
	};
	struct rd r = rd_init(data, len);
	enum switch_verdict v;
	uint32_t vm, to;
	uint8_t op, *frame;
	usec_t now = 0;
	size_t n;

	while (rd_u8(&r, &op) == 0) {
		vm = (op >> 2) % 4 + 1;
		if ((op & 3) == 0)
			switch_add(&t, vm);
		else if ((op & 3) == 1)
			switch_del(&t, vm);
		if ((op & 3) < 2 || !t.live[vm])
			continue;
		frame = fuzz_bytes(&r, fuzz_u8(&r) % 40, &n);
		to = 0;
		v = switch_input(&t, vm, frame, n, &to);
		CHECK((v == SWITCH_SHORT) == (n < SWITCH_HDRLEN));
		CHECK(v != SWITCH_VM || (to != vm && to <= 4 && t.live[to]));
		CHECK(t.nlearned <= 4);
		CHECK(!switch_forged(&pool, vm, frame, n) || n >= 28);
		if (v == SWITCH_ALL)
			(void)switch_flood(&t, vm, now += op);
		free(frame);
	}
	return 0;
}
