/* A resolv.conf; what is taken of it is what portd can read. */

#include "portd/policy.h"
#include "vpnkit/resolvconf.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct resolvconf rc = { .n = 0 };
	struct policy p = { .nserver = 0 };
	size_t i;

	resolvconf_parse((const char *)data, len, &rc);
	CHECK(rc.n <= RESOLVCONF_MAX);
	for (i = 0; i < rc.n; i++)
		CHECK(policy_add_server(&p, rc.server[i]) == 0);
	return 0;
}
