#ifndef IPADDR_H
#define IPADDR_H

/*
 * Addresses as values: IPv4 and IPv6 in one struct, prefixes, Ethernet
 * addresses, their text forms and comparisons.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IPADDR_STRLEN  46 /* INET6_ADDRSTRLEN */
#define MACADDR_STRLEN 18

struct ipaddr {
	uint8_t family; /* 4 or 6; 0 is "no address" */
	uint8_t b[16];	/* network order; IPv4 uses the first four */
};

struct ipprefix {
	struct ipaddr addr;
	uint8_t len; /* bits */
};

struct macaddr {
	uint8_t b[6];
};

/* v is in host order: 192.168.65.1 is 0xc0a84101. */
struct ipaddr ipaddr_from_u32(uint32_t v);
/* 0 unless family is 4; host order. */
uint32_t ipaddr_to_u32(const struct ipaddr *);
/* Strict text forms: dotted quad, RFC 4291.  -1: not an address. */
int ipaddr_parse(const char *, struct ipaddr *);
/* Writes the RFC 5952 text to buf of IPADDR_STRLEN bytes; returns buf. */
const char *ipaddr_str(const struct ipaddr *, char *buf);
int ipaddr_cmp(const struct ipaddr *, const struct ipaddr *);
/* 127.0.0.0/8 and ::1. */
bool ipaddr_is_loopback(const struct ipaddr *);
/* An IPv4 address inside ::ffff:0:0/96 becomes plain IPv4. */
struct ipaddr ipaddr_unmap(const struct ipaddr *);

int ipprefix_parse(const char *, struct ipprefix *);
bool ipprefix_match(const struct ipprefix *, const struct ipaddr *);

int macaddr_parse(const char *, struct macaddr *);
const char *macaddr_str(const struct macaddr *, char *buf);

#endif
