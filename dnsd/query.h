#ifndef QUERY_H
#define QUERY_H

/*
 * A guest's query: what it asks, the form it is sent to a server in, what
 * answers it, and the answers we give ourselves.  Pure.
 */

#include "dnsd/msg.h"

#define DNS_MAXIPS 64 /* addresses of one answer */

struct query {
	struct msg_head head; /* points into the message */
	uint8_t opcode;
	bool edns, dnssec_ok;
	uint8_t version;   /* of EDNS */
	uint16_t udp_size; /* of an answer by UDP */
	size_t opt;	   /* where the OPT record is, if it is the last */
	/*
	 * Nothing in it but the question and at most EDNS without options that
	 * say more than what a hop needs: what answers one answers all.
	 */
	bool plain;
	uint8_t variant; /* of plain ones: what else makes answers differ */
};

/* -1: not a well-formed query with exactly one question. */
int query_parse(struct rd msg, struct query *);
/*
 * What to answer to what is none: FORMERR, or NOTIMP to an opcode other than
 * QUERY.  The length; 0: nothing, as it is no query at all.
 */
size_t query_refuse(struct rd msg, uint8_t out[DNS_HDRLEN]);
/* Whether what answers one answers the other one. */
bool query_same(const struct query *, const struct query *);
/* Of all that has to be the same; key: a secret, as guests choose it. */
uint64_t query_hash(const struct query *, uint64_t key);

/*
 * Writes what to ask a server: the same with our own UDP size, and the name's
 * letters switched by the bits of random where plain.  RFC 6891 6.2.3: an OPT
 * record is between two hops; of its options those that are not go on.  The
 * length; 0: no room.
 */
size_t query_forward(struct rd msg, const struct query *, uint16_t id,
    const uint8_t *random, uint8_t *out, size_t cap);

enum query_match {
	MATCH_NOT,  /* something else */
	MATCH_CASE, /* but for the case of its letters */
	MATCH_YES,
};

/* Whether a message answers what was forwarded so; *h is then its head. */
enum query_match query_match(const struct query *, uint16_t id,
    const uint8_t *random, struct rd msg, struct msg_head *h);

/*
 * Who could not read what was forwarded may answer with no more than a header
 * that says so.  That error as an answer with its question, to out of
 * DNS_BAREMAX bytes; 0: it is none.
 */
#define DNS_BAREMAX (DNS_HDRLEN + 255 + 4)
size_t query_bare_error(
    const struct query *, uint16_t id, struct rd msg, uint8_t *out, size_t cap);

/* What to answer of our own. */
struct query_reply {
	enum dns_rcode rcode;
	const struct ipaddr *ip; /* TTL 0 */
	size_t nip;
	enum dns_ede ede; /* DNS_EDE_NONE, or with text */
	const char *text;
};

/* The length, 0 when there is no room in out. */
size_t query_build(struct rd msg, const struct query *,
    const struct query_reply *, uint8_t *out, size_t cap);

#endif
