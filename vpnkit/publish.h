#ifndef PUBLISH_H
#define PUBLISH_H

/*
 * The text forms of what leads somewhere: --publish, --tcpv4-forwards, and the
 * JSON of --gateway-forwards and --forwards.  Pure but for jansson.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipaddr.h"

#define PUBLISH_PATHMAX 107

/* One --publish: count ports in a row on both sides. */
struct publish {
	bool udp, proxy;
	char path[PUBLISH_PATHMAX + 1]; /* of a Unix socket; "" there is none */
	struct ipaddr host, guest;
	uint16_t host_port, guest_port;
	uint16_t count;
};

/*
 * HOSTIP:HOSTPORT:GUESTIP:GUESTPORT[/tcp|udp][/proxy]; a port may be a range
 * FIRST-LAST, of the same length on both sides; an IPv6 address stands in
 * brackets.  PATH:GUESTIP:GUESTPORT[/proxy] is a Unix socket on the host.  -1
 * with *why, a constant.
 */
int publish_parse(const char *, struct publish *, const char **why);
/* The host's end alone: HOSTIP:HOSTPORT[/tcp|udp], or PATH. */
int publish_parse_end(const char *, struct publish *, const char **why);

#define PUBLISH_MAX  4096
#define FORWARDS_MAX 1024

/* A port of the gateway. */
struct gwforward {
	bool udp;
	uint16_t port, dport;
	struct ipaddr dst;
};

/* PORT:IP:PORT.  -1: not that. */
int gwforward_parse(const char *, bool udp, struct gwforward *);
/* The whole file; the number, or -1 with *why. */
int gwforward_json(
    const json_t *, struct gwforward *, size_t max, const char **why);

/* Destinations behind a Unix socket. */
struct viaforward {
	char prefix[IPADDR_STRLEN + 4];
	uint16_t dport; /* 0: all */
	char path[108];
};

int viaforward_json(
    const json_t *, struct viaforward *, size_t max, const char **why);

#endif
