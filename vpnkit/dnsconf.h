#ifndef DNSCONF_H
#define DNSCONF_H

/*
 * The file of --dns; vpnkit.conf(5) describes it.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipaddr.h"

#define DNSCONF_SERVERS	   64
#define DNSCONF_ZONES	   256 /* of one server */
#define DNSCONF_SEARCH	   64
#define DNSCONF_NAMELEN	   254 /* with the zero */
#define DNSCONF_ERRLEN	   160
#define DNSCONF_TIMEOUT_MS 5000
#define DNSCONF_OFFLINE	   5

struct dnsconf_name {
	char text[DNSCONF_NAMELEN];
};

struct dnsconf_server {
	struct ipaddr addr;
	uint16_t port;
	uint32_t order, timeout_ms;
	size_t nzone;
	struct dnsconf_name *zone; /* owned; NULL: none */
};

struct dnsconf {
	size_t n, nsearch;
	uint32_t offline_after;
	unsigned unknown; /* the first line that was not understood; 0: none */
	struct dnsconf_server server[DNSCONF_SERVERS];
	struct dnsconf_name search[DNSCONF_SEARCH];
};

/*
 * -1: err, of DNSCONF_ERRLEN bytes, says which line is wrong and why, and
 * there is nothing to clear.
 */
int dnsconf_parse(const char *text, size_t len, struct dnsconf *, char *err);
void dnsconf_clear(struct dnsconf *);

#endif
