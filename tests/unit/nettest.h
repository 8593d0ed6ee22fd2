#ifndef NETTEST_H
#define NETTEST_H

/*
 * A guest and a host around one core, for tests: frames go in, what comes out
 * is collected, sockets are lists of datagrams, time is a variable.
 */

#include "netstackd/core/core.h"

#define NT_GUEST   0xc0a84103 /* 192.168.65.3 */
#define NT_GATEWAY 0xc0a84101
#define NT_HOST	   0xc0a84102
#define NT_REMOTE  0x08080404
#define NT_SOCKS   256
#define NT_FRAMES  4096
#define NT_DGRAMS  2048

struct nt_dgram {
	uint8_t *p; /* owned */
	size_t len;
	uint32_t addr;
	uint16_t port;
	uint32_t id;   /* flow it was sent on; or IPv4's, to the guest */
	uint8_t ttl, tos; /* it was sent with, or came with */
	bool df;
	unsigned call; /* number of the send call */
};

struct nt_list {
	struct nt_dgram d[NT_DGRAMS];
	size_t first, n; /* next to take; end */
};

struct nt_sock {
	bool asked;
	struct net_open open;
	int send_error, recv_error; /* given once */
	struct net_hosterr err[8];  /* of the host's network, newest last */
	int nerr;
	size_t mtu;
	struct nt_list in;
};

struct nettest {
	struct net *net; /* owned */
	struct net_conf conf;
	uint64_t stat[NETS__MAX];
	usec_t now;
	uint32_t seed;
	/* The channel: frames are copied out of it at once. */
	uint8_t *chan; /* owned */
	size_t chan_cap, chan_used, chan_base;
	bool chan_stuck; /* no credit before nt_credit() */
	struct nt_dgram frame[NT_FRAMES];
	size_t frame_first, nframe;
	unsigned nlarge; /* frames that held many of these */
	/* Host sockets, by flow. */
	struct nt_sock *sock; /* owned, NT_SOCKS of them */
	unsigned nopen, nclose, nsend;
	struct net_open last_open;
	int send_room;	      /* datagrams the sockets take; -1: any number */
	struct nt_list *sent; /* owned */
	/* Frames of the running batch, kept until the flush. */
	uint8_t *kept[NT_FRAMES]; /* owned */
	size_t nkept;
};

/* A packet as it came out; checksums were verified. */
struct nt_pkt {
	uint8_t eth_dst[6];
	uint32_t src, dst;
	uint8_t proto, ttl, tos;
	uint16_t id, frag;
	const uint8_t *p; /* borrowed from the collected frame */
	size_t len;
	/* UDP only. */
	uint16_t sport, dport;
	const uint8_t *data;
	size_t datalen;
};

/* Every server is there; conf may be changed between the two. */
void nt_conf(struct nettest *);
void nt_start(struct nettest *);
void nt_init(struct nettest *); /* both */
/* Frees the core and demands that nothing is left. */
void nt_fini(struct nettest *);

/* Frames of the guest. */
void nt_frame(struct nettest *, const void *, size_t len);
size_t nt_build(const struct nettest *, uint8_t *frame, uint32_t src,
    uint32_t dst, uint8_t proto, const void *, size_t len);
size_t nt_build_udp(const struct nettest *, uint8_t *frame, uint16_t sport,
    uint32_t dst, uint16_t dport, const void *, size_t len);
void nt_ip(
    struct nettest *, uint32_t dst, uint8_t proto, const void *, size_t len);
void nt_udp(struct nettest *, uint16_t sport, uint32_t dst, uint16_t dport,
    const void *, size_t len);
void nt_flush(struct nettest *);
/* Writes the header's checksum again. */
void nt_resum(uint8_t *frame);

/* Time passes, timers run. */
void nt_wait(struct nettest *, usec_t);

/* What came out: the next frame; NULL when there is none. */
const struct nt_dgram *nt_next(struct nettest *);
/* The next packet, checked. */
void nt_pkt(struct nettest *, struct nt_pkt *);
void nt_none(struct nettest *); /* there must be no frame */
void nt_credit(struct nettest *);
/* Next packet must be this ICMP error. */
void nt_unreachable(struct nettest *, uint8_t code, uint32_t src);

/* The host's side. */
uint32_t nt_id(const struct nettest *, enum net_proto, uint16_t sport,
    uint32_t dst, uint16_t dport);
void nt_opened(struct nettest *, uint32_t id);
void nt_arrive(struct nettest *, uint32_t id, uint32_t addr, uint16_t port,
    const void *, size_t len); /* queued; nt_readable() tells the core */
void nt_readable(struct nettest *, uint32_t id);
const struct nt_dgram *nt_sent(struct nettest *); /* next one sent, or NULL */

/* The obvious checksum, to compare with. */
uint16_t nt_cksum(const void *, size_t len, uint32_t start);

#endif
