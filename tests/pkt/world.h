#ifndef WORLD_H
#define WORLD_H

/*
 * Everything around the core in a test: a clock that is a variable, host
 * sockets made of counters, and frames as lists.
 *
 * Byte i of each stream has a value of its own, so whoever gets a byte knows
 * whether it is the right one.
 */

#include <sys/queue.h>

#include "netstackd/core/core.h"
#include "netstackd/core/tcp_wire.h"

#define WORLD_NSOCK 64
#define WORLD_SENT  64
#define WORLD_NERR  8
#define WORLD_SPACE (1u << 20)

/* A host socket, and the program behind it. */
struct host {
	bool asked, open, closed, reset, shut;
	unsigned asks;
	struct net_open ask;
	uint64_t sent;	   /* bytes the host's program has sent */
	uint64_t consumed; /* of them taken by the core */
	size_t hold;	   /* of them the socket was asked to hold */
	bool eof;	   /* and then it has shut down */
	uint64_t written;  /* bytes the core has written */
	bool bounded;	   /* it takes only room bytes more */
	size_t room;	 /* or datagrams */
	int write_error; /* errno of every write or send; 0: none */
	int recv_error;	 /* errno of the next receive; 0: none */
	/* Datagrams that wait to be received, all alike. */
	unsigned dgrams;
	size_t dgram_len;
	uint32_t dgram_src;
	uint16_t dgram_port; /* its sender's; of NET_DNS: the guest's */
	uint8_t dgram_ttl;
	unsigned sent_dgrams; /* and how the last of them was to leave */
	size_t sent_len;
	uint8_t sent_data[WORLD_SENT]; /* as much of it as fits */
	uint8_t sent_ttl, sent_tos;
	bool sent_df;
	/* ICMP errors that came for it, oldest first. */
	struct net_hosterr err[WORLD_NERR];
	int nerr;
	size_t mtu;	  /* larger packets are refused; 0: none */
	uint16_t echo_id; /* NET_ICMP */
	bool raw;
};

struct frame {
	TAILQ_ENTRY(frame) link;
	usec_t at;
	size_t len;
	uint16_t seg; /* to be cut by this; 0: not */
	uint8_t data[];
};
TAILQ_HEAD(frame_list, frame);

struct world {
	struct net_conf conf;
	struct net *net; /* owned */
	uint64_t stat[NETS__MAX];
	usec_t now;
	struct host host[WORLD_NSOCK]; /* by flow id */
	struct frame_list out;	       /* owned frames, oldest first */
	struct frame_list held;	       /* the guest's, until the flush */
	bool full;		       /* the channel */
	size_t room;		       /* of space, when it is not full */
	size_t used; /* pushed since space was last asked for */
	unsigned pushes;
	bool blind; /* what the guest sends is not looked at */
	bool vnet;  /* as a TAP with vnet headers, */
	bool cut;   /* which cuts what is large */
	uint32_t seed;
	char error[256]; /* the first thing that went wrong */
	uint8_t space[WORLD_SPACE]; /* last: not cleared */
};

uint8_t world_host_byte(uint64_t i);
void world_host_fill(uint8_t *, size_t len, uint64_t at);
uint8_t world_guest_byte(uint64_t i);
/* Bytes of every datagram, either way, from the first of them on. */
void world_dgram_fill(uint8_t *, size_t len, size_t first);

/* conf as for a plain VM; change it before world_start(). */
void world_init(struct world *);
int world_start(struct world *);
void world_fini(struct world *);

__attribute__((format(printf, 2, 3))) void world_error(
    struct world *, const char *fmt, ...);

/* A segment of the guest to dst; its payload starts at stream byte first. */
void world_input(struct world *, uint32_t dst, const struct tcp_seg *,
    size_t len, uint64_t first, bool badsum);
/* Any frame of the guest. */
void world_frame(struct world *, const void *, size_t len);
/* Ends the batch. */
void world_flush(struct world *);
/* Lets the timers run that are due up to then. */
void world_advance(struct world *, usec_t to);
/* The oldest frame; to be freed.  NULL: none. */
struct frame *world_take(struct world *);

#endif
