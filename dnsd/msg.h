#ifndef MSG_H
#define MSG_H

/*
 * DNS messages, RFC 1035: walked over and changed in place, never taken apart.
 * What is inside of records is nobody's business here, so that all types are
 * alike, unknown ones too.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipaddr.h"
#include "common/rd.h"
#include "common/wr.h"

#define DNS_HDRLEN  12
#define DNS_MAXMSG  65535
#define DNS_UDPMAX  512	 /* RFC 1035 2.3.4 */
#define DNS_EDNSMAX 1232 /* what a server may send by UDP; no fragments */
#define DNS_OPTLEN  11	 /* of an OPT record without options */

enum {
	DNS_QR = 0x8000,
	DNS_AA = 0x0400,
	DNS_TC = 0x0200,
	DNS_RD = 0x0100,
	DNS_RA = 0x0080,
	DNS_AD = 0x0020,
	DNS_CD = 0x0010,
};

enum {
	DNS_TYPE_A = 1,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_OPT = 41,
	DNS_TYPE_IXFR = 251,
	DNS_TYPE_AXFR = 252,
	DNS_TYPE_ANY = 255,
};

enum { DNS_CLASS_IN = 1 };
enum { DNS_OPCODE_QUERY = 0 };
enum { DNS_EDNS_DO = 0x8000 };

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16, /* half of it is in the OPT record */
};

/* RFC 8914. */
enum dns_ede {
	DNS_EDE_NONE = -1,
	DNS_EDE_STALE = 3,
	DNS_EDE_NOT_READY = 14,
	DNS_EDE_STALE_NXDOMAIN = 19,
	DNS_EDE_NOT_SUPPORTED = 21,
	DNS_EDE_NO_REACHABLE = 22,
	DNS_EDE_NETWORK = 23,
};

enum { SEC_QUESTION, SEC_ANSWER, SEC_AUTHORITY, SEC_ADDITIONAL, SEC__MAX };

/* The head of a message and its one question; pointers are into it. */
struct msg_head {
	uint16_t id, flags, count[SEC__MAX];
	const uint8_t *name; /* borrowed: the question */
	size_t namelen;	     /* wire form with the root's zero */
	uint16_t type, class;
	size_t end; /* of the question */
};

/* Where things of a record are in its message. */
struct msg_rr {
	size_t start, namelen, ttl_at, end;
	bool compressed; /* the owner's name has a pointer */
	uint16_t type, class;
	uint32_t ttl;
	struct rd rdata;
};

/* Goes through the records behind the question. */
struct msg_walk {
	const uint8_t *base; /* borrowed */
	struct rd r;
	int section;
	uint16_t left; /* of this section */
	uint16_t count[SEC__MAX];
};

/* -1: no header, or not exactly one question with a plain name. */
int msg_head(struct rd, struct msg_head *);
struct msg_walk msg_walk(struct rd, const struct msg_head *);
/* 1: the next record; 0: there is no more; -1: the message is broken. */
int msg_next(struct msg_walk *, struct msg_rr *);

/* What there is to know about an answer. */
struct msg_facts {
	bool trailing;	/* bytes behind the last record */
	bool cacheable; /* ttl is how long */
	uint32_t ttl;
	size_t opt; /* of the OPT record; 0: none */
	size_t len; /* up to the end of the last record */
};

/* -1: the message is broken. */
int msg_facts(struct rd, const struct msg_head *, struct msg_facts *);

/* Puts a name's letters as they are in `name' wherever it is an owner. */
void msg_set_case(uint8_t *msg, size_t len, const struct msg_head *,
    const uint8_t *name, size_t namelen);
/* Takes age seconds from every TTL, but not below floor. */
void msg_age(uint8_t *msg, size_t len, const struct msg_head *, uint32_t age,
    uint32_t floor);
/*
 * Cuts the message in place to whole records that fit in max, OPT included,
 * and sets TC if more than additional records were lost.  Of a broken one the
 * records before that stay, without additional ones.  The new length.
 */
size_t msg_cut(uint8_t *msg, size_t len, const struct msg_head *, size_t max);
/*
 * Adds an extended error to the OPT record, if there is one, it is the last
 * record and there is room; the new length.
 */
size_t msg_add_ede(uint8_t *msg, size_t len, size_t cap,
    const struct msg_head *, enum dns_ede, const char *text);

static inline void
msg_put_id(uint8_t *msg, uint16_t id)
{
	msg[0] = (uint8_t)(id >> 8);
	msg[1] = (uint8_t)id;
}

#endif
