#ifndef HEALTH_H
#define HEALTH_H

/*
 * Whether a server is there.  That it is silent says little: a question or its
 * answer may have been lost, or it is slow, or knows nobody who knows that
 * name.  So it is
 *
 *	well	  until it has left questions unanswered
 *	doubtful  when it was not heard of for as long as it may take since:
 *		  it is waited for a moment only
 *	offline	  after several questions and several seconds: what others
 *		  know is not delayed by it
 *	gone	  after more of them: nor is what others say there is not
 *
 * and well again with whatever it sends.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/usec.h"

#define HEALTH_LONGEST (10 * USEC_SEC) /* that any server is waited for */

struct server;

/*
 * It has not answered what it was asked then; again: what has been counted
 * before, and is still not answered.
 */
void health_silent(struct server *, usec_t asked, bool again);
void health_heard(struct server *);
/* The same if this came to one of its sockets and may be an answer. */
void health_datagram(struct server *, const uint8_t *, size_t len);
bool health_doubtful(const struct server *);
bool health_gone(const struct server *);
/* How long it may take. */
usec_t health_timeout(const struct server *);

#endif
