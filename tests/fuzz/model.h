#ifndef MODEL_H
#define MODEL_H

/*
 * A guest's view of its TCP flows through the core, told by the frames alone,
 * and what must be true of the core after everything that happens.
 */

#include "netstackd/core/tcp.h"
#include "tests/fuzz/frames.h"

#define NTALK 6

/* One pair of addresses; flows between them come one after the other. */
struct talk {
	uint16_t sport, dport;
	uint32_t dst;
	bool known;	/* a SYN has come, mostly with an ACK */
	bool opening;	/* without: irs is not known */
	uint32_t id;	/* of the flow, when known */
	uint32_t iss;	/* the core's */
	uint32_t irs;	/* ours, as it was acknowledged */
	uint32_t sent;	/* end of what the core has sent */
	uint32_t acked; /* of it, what we have acknowledged */
};

struct model {
	struct world w;
	struct talk talk[NTALK];
};

void model_init(struct model *);

/* The flow of a talk; NULL: none now. */
struct tcp *model_flow(struct model *, const struct talk *);
/* The guest has acknowledged this. */
void model_acked(struct talk *, uint32_t ack);

/* Takes the frames that came out, and checks everything. */
void model_check(struct model *);
/*
 * Guest and host behave from now on: what the host has sent arrives.  Then all
 * flows end, and nothing may be left.
 */
void model_end(struct model *);

/* Lets the timers run that are due up to then. */
void model_advance(struct model *, usec_t to);

#endif
