#ifndef ANSWER_H
#define ANSWER_H

/*
 * The two ends of asking for a name's addresses: the query, and what an answer
 * to it says.  Pure.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/ipaddr.h"
#include "common/rd.h"

#define ANSWER_MAXIPS	16
#define ANSWER_QUERYMAX 300 /* with the two bytes of length */

/*
 * Writes a query for the addresses of name, of that family (4 or 6), behind
 * its length as on a stream, to out of ANSWER_QUERYMAX bytes.  Its length; 0:
 * not a name.
 */
size_t answer_query(uint8_t *out, uint16_t id, const char *name, int family);

struct answer {
	uint16_t id;
	uint8_t rcode;
	size_t nip;
	struct ipaddr ip[ANSWER_MAXIPS]; /* as they came */
};

/*
 * Takes the addresses of that family.  -1: not an answer, or cut.  Aliases are
 * followed by whoever answered.
 */
int answer_parse(struct rd msg, int family, struct answer *);
/* The id of any message, to know what was asked; -1: not an answer. */
int answer_id(struct rd msg, uint16_t *id);

#endif
