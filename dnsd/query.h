#ifndef QUERY_H
#define QUERY_H

/*
 * DNS messages, RFC 1035.  What is relayed is not parsed further than its
 * question, by hand; what we answer ourselves is built with ldns, which no
 * other file includes.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/rd.h"

#define DNS_HDRLEN 12
#define DNS_MAXMSG 65535
#define DNS_UDPMAX 512 /* RFC 1035 2.3.4 */
#define DNS_MAXIPS 64  /* addresses of one answer */

enum { DNS_TYPE_A = 1, DNS_TYPE_AAAA = 28 };
enum { DNS_CLASS_IN = 1 };
enum { DNS_OPCODE_QUERY = 0 };

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
};

/* The head of a guest's query; pointers are into the message. */
struct query {
	uint16_t id;
	uint8_t opcode;
	uint16_t type, class;
	const uint8_t *name; /* borrowed: the question section */
	size_t namelen;	     /* wire form with the root's zero */
	size_t qlen;	     /* the whole section: name, type, class */
};

/* -1: not a query with exactly one question. */
int query_parse(struct rd msg, struct query *);

/*
 * Whether a message answers the query sent with this id: the same question,
 * whatever the case of its letters.
 */
bool query_answered_by(const struct query *, uint16_t id, struct rd msg);

/* What to answer of our own. */
struct query_reply {
	enum dns_rcode rcode;
	const uint32_t *ip; /* A records, host order, TTL 0 */
	size_t nip;
	size_t max; /* DNS_UDPMAX or DNS_MAXMSG: cut to whole records, TC */
};

/*
 * Writes the answer to msg, the message query_parse() saw.  Returns its
 * length, 0 when it cannot be built or has no room in out.
 */
size_t query_build(struct rd msg, const struct query *,
    const struct query_reply *, uint8_t *out, size_t outlen);

#endif
