#ifndef HOSTS_H
#define HOSTS_H

/*
 * hosts(5): an address and its names a line.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/ipaddr.h"

#define HOSTS_NAMELEN 200 /* with the zero; "ADDRESS NAME" fits a message */

/* A text while it is read. */
struct hosts {
	const char *p, *end, *line_end; /* borrowed */
	struct ipaddr addr;		/* of this line */
	unsigned line, bad_line;	/* numbers; bad: the first; 0: none */
};

struct hosts hosts_init(const char *text, size_t len);
/* The next name and its address; false: there is no more. */
bool hosts_next(struct hosts *, struct ipaddr *, char name[HOSTS_NAMELEN]);

#endif
