#ifndef RESOLVCONF_H
#define RESOLVCONF_H

/*
 * The name servers in a resolv.conf(5) file.  Pure.
 */

#include <stddef.h>

#include "common/ipaddr.h"

#define RESOLVCONF_MAX	  16		      /* servers kept */
#define RESOLVCONF_STRLEN (IPADDR_STRLEN + 6) /* "IP#PORT" */

struct resolvconf {
	char server[RESOLVCONF_MAX][RESOLVCONF_STRLEN]; /* "192.0.2.1#53" */
	size_t n;
};

/*
 * Takes every `nameserver' line with an address it understands, in order and
 * each address once; whatever else is in the text is skipped.
 */
void resolvconf_parse(const char *text, size_t len, struct resolvconf *);

#endif
