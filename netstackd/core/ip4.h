#ifndef IP4_H
#define IP4_H

/* What the files of IPv4 share; everybody else has core.h. */

#include "netstackd/core/core.h"

#define IP4_MAXHDRLEN 60
#define IP4_OFFMASK   0x1fff

/* The header's fields that only IPv4 itself looks at. */
struct ip4_hdr {
	uint16_t id, frag;
};

/*
 * Takes one fragment.  1: the datagram is whole, and pkt becomes it, valid
 * until frag_done(); 0: not yet, or never.
 */
int frag_input(
    struct net *, usec_t now, const struct ip4_hdr *, struct ip4_pkt *pkt);
void frag_done(struct net *);

#endif
