/* The file of --dns, and a hosts file. */

#include "vpnkit/dnsconf.h"
#include "vpnkit/hosts.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct dnsconf c;
	char err[DNSCONF_ERRLEN] = "", name[HOSTS_NAMELEN];
	struct hosts h = hosts_init((const char *)data, len);
	struct ipaddr a;
	size_t i, n = 0;

	if (dnsconf_parse((const char *)data, len, &c, err) == -1)
		CHECK(*err >= '1' && *err <= '9');
	CHECK(c.n <= DNSCONF_SERVERS && c.nsearch <= DNSCONF_SEARCH);
	for (i = 0; i < c.n && *err == '\0'; i++) {
		CHECK(c.server[i].port != 0 && c.server[i].addr.family != 0);
		CHECK(c.server[i].nzone <= DNSCONF_ZONES);
	}
	dnsconf_clear(&c);
	while (hosts_next(&h, &a, name)) {
		CHECK(*name != '\0' && strlen(name) < HOSTS_NAMELEN);
		CHECK(a.family == 4 || a.family == 6);
		CHECK(++n <= len);
	}
	return 0;
}
