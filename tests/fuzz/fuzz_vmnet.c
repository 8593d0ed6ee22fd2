/* A client's handshake, in pieces of one size, then of another. */

#include "ethd/vmnet.h"

#include "fuzz.h"

/* The machine after all of it; what it took. */
static size_t
feed(struct vmnet *v, struct rd all, size_t step, bool grant)
{
	size_t len = all.len, n;
	struct rd r;

	vmnet_init(v);
	while (all.len > 0 && v->state != VMNETS_FRAMES &&
	       v->state != VMNETS_CLOSED) {
		n = all.len < step ? all.len : step;
		r = rd_init(all.p, n);
		if (v->state == VMNETS_DECIDE) {
			CHECK(vmnet_want(v) == 0);
			CHECK(vmnet_step(v,
				  grant ? VMNETE_GRANT : VMNETE_REFUSE) == 0);
			continue;
		}
		CHECK(vmnet_want(v) > 0);
		vmnet_input(v, &r);
		CHECK(r.len < n);
		rd_skip(&all, n - r.len);
	}
	return len - all.len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	size_t step = (size_t)fuzz_u8(&r) + 1;
	struct vmnet a, b;
	char text[UUID_STRLEN];
	struct uuid uuid;

	CHECK(feed(&a, r, step, true) == feed(&b, r, SIZE_MAX, true));
	CHECK(a.state == b.state);
	CHECK(feed(&b, r, 1, false) <= VMNET_INITLEN + VMNET_CMDLEN);
	if (a.state != VMNETS_FRAMES || a.cmd.anonymous)
		return 0;
	CHECK(memcmp(&a.cmd.uuid, &b.cmd.uuid, sizeof(uuid)) == 0);
	CHECK(uuid_parse(uuid_str(&a.cmd.uuid, text), &uuid) == 0);
	CHECK(memcmp(&a.cmd.uuid, &uuid, sizeof(uuid)) == 0);
	return 0;
}
