#ifndef ANSWER_H
#define ANSWER_H

/*
 * The two ends of asking for a name's addresses: the query, and what an answer
 * to it says.  Pure.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/rd.h"

#define ANSWER_MAXIPS	16
#define ANSWER_QUERYMAX 300 /* with the two bytes of length */

/*
 * Writes a query for the IPv4 addresses of name, behind its length as on a
 * stream, to out of ANSWER_QUERYMAX bytes.  Its length; 0: not a name.
 */
size_t answer_query(uint8_t *out, uint16_t id, const char *name);

struct answer {
	uint16_t id;
	uint8_t rcode;
	size_t nip;
	uint32_t ip[ANSWER_MAXIPS]; /* host order, as they came */
};

/* -1: not an answer, or cut.  Aliases are followed by whoever answered. */
int answer_parse(struct rd msg, struct answer *);

#endif
