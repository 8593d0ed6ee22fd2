#ifndef MATCH_H
#define MATCH_H

/*
 * Rules of `exclude' and `allow': networks, addresses, and names.  Pure.
 *
 * A name's labels are compared from the right, whatever their case.  A rule
 * with fewer labels than the name means all names below it; a label that is
 * empty or `*' stands for any one.  So mit.edu means itself and dave.mit.edu,
 * .mit.edu only the latter; `*' alone means everything, addresses too.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/ipaddr.h"

#define MATCH_MAXRULES 160
#define MATCH_NAMELEN  255

struct rule {
	bool network;
	struct ipprefix prefix;
	char name[MATCH_NAMELEN + 1];
};

struct match {
	struct rule *rule; /* owned */
	size_t n;
};

/* Appends a rule; -1: no memory, or too many or too long. */
int match_add(struct match *, const char *);
void match_clear(struct match *);
/* host is a name or the text of an address, without brackets. */
bool match_host(const struct match *, const char *host);
bool match_addr(const struct match *, const struct ipaddr *);

#endif
