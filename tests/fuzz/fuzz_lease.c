/* Clients ask for addresses, and another ethd's leases come back. */

#include "ethd/lease.h"

#include "fuzz.h"

static const struct lease_conf conf = { .lowest = 0xc0a84103,
	.highest = 0xc0a84109,
	.gateway = 0xc0a84101,
	.host = 0xc0a84105 };

static void
check_pool(const struct lease_pool *p)
{
	const struct lease *a, *b;

	for (a = &p->slot[1]; a < &p->slot[16]; a++) {
		CHECK(a->vm == 0 || &p->slot[a->vm] == a);
		for (b = a + 1; a->vm != 0 && b < &p->slot[16]; b++)
			CHECK(b->vm == 0 ||
			      (b->ip != a->ip && memcmp(&b->uuid, &a->uuid,
						     sizeof(a->uuid)) != 0));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct lease_pool pool;
	struct rd r = rd_init(data, len);
	char text[LEASE_TEXTLEN];
	struct uuid uuid = { { 0 } };
	struct macaddr mac;
	struct lease *l;
	enum lease_result res;
	uint32_t ip, vm;
	uint8_t op;

	memset(&pool, 0, sizeof(pool));
	pool.conf = conf;
	while (rd_u8(&r, &op) == 0) {
		uuid.b[15] = fuzz_u8(&r) % 16;
		ip = 0xc0a84100 | (fuzz_u8(&r) & 15);
		l = NULL;
		if (op & 1) {
			res = lease_get(
			    &pool, &uuid, op & 2 ? &ip : NULL, op >> 3, &l);
			CHECK((res == LEASE_OK) == (l != NULL));
			lease_text(res, ip, text);
			CHECK(strlen(text) < sizeof(text));
		} else {
			vm = fuzz_u8(&r) % 16;
			mac = lease_mac(vm ^ ((op & 2) >> 1));
			l = lease_restore(&pool, vm, &uuid, &mac, ip);
		}
		if (l != NULL) {
			l->used = (op & 4) != 0;
			l->spare_at = op >> 3;
		}
		check_pool(&pool);
	}
	return 0;
}
