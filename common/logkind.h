#ifndef LOGKIND_H
#define LOGKIND_H

/*
 * How often lines of one kind are written: LOGKIND_BURST in LOGKIND_PERIOD,
 * and what is left out then is counted.  A kind is where a line comes from,
 * which its format string stands for.  Pure: the time is a parameter.
 */

#include <stdbool.h>

#include "common/usec.h"

#define LOGKIND_BURST  100u
#define LOGKIND_PERIOD (10 * USEC_SEC)
#define LOGKIND_MAX    64 /* known at a time: the one used least goes */

struct logkind {
	const char *fmt; /* borrowed for good; NULL: free */
	usec_t since;	 /* begin of the period */
	unsigned n, left_out;
};

struct logkinds {
	struct logkind kind[LOGKIND_MAX];
};

/* Whether to write a line now; otherwise it is counted. */
bool logkinds_may(struct logkinds *, const char *fmt, usec_t now);
/*
 * A kind whose period is over and of which lines were left out, and how many;
 * it is forgotten.  NULL: there is none now.
 */
const char *logkinds_over(struct logkinds *, usec_t now, unsigned *left_out);
/* Whether there will be one later. */
bool logkinds_pending(const struct logkinds *);

#endif
