#ifndef NETSTACKD_H
#define NETSTACKD_H

/*
 * The shell around the core: everything that touches a descriptor, the bus or
 * the clock.  One process is one guest.
 *
 *	link.c	  the packet channel	<-> frames of the core
 *	tap.c	  the machine's TAP	<-> the same, in its place
 *	hostio.c  host sockets		<-> flows of the core
 *	broker.c  portd, dnsd, proxyd	<-> the core's requests for sockets
 *	clock.c	  one timer		<-> the core's deadlines
 *
 * Each callback finds its struct, takes the time, does its system call and
 * tells the core.  What the core has pushed toward the guest goes out in one
 * write at the end of the loop's turn, and the timer is set there too.
 */

#include <ev.h>
#include <stdbool.h>

#include "common/chan.h"
#include "common/daemon.h"
#include "common/nitems.h"
#include "netstackd/core/net.h"
#include "netstackd/show.h"

#define STACKD_MAXQUEUE	 (32u << 20) /* bytes the core may hold */
#define STACKD_FDRESERVE 64	     /* descriptors that are not flows */
#define STACKD_DGRAM	 2048 /* a frame of those that are sent in one */
#define STACKD_NSERVER	 3	     /* enum net_server */

/* More than a server on this host takes to begin its answer. */
#define STACKD_ACK_BRIEF (1 * USEC_MS)

#define HOSTIO_MAXLATE 64

/* Bytes of a TAP's frames in one go; more would not stay in a cache. */
#define TAP_BUF (256 * 1024)

struct stackd;

struct link {
	struct chan chan; /* valid while open */
	bool open;
	bool dead;	/* to be closed when no callback of it is running */
	uint8_t *space; /* borrowed: as the core was given it last */
	bool starved;	/* the core found less space than a frame may need */
	struct ev_io rd, wr;
	/*
	 * The machine's own TAP: frames go there and come from there, and the
	 * channel has what goes between machines.
	 */
	int tap;	 /* owned; -1: none */
	size_t tap_head; /* of each frame there: VNET_HDRLEN, or 0 */
	struct ev_io tap_rd;
	uint8_t in[TAP_BUF], out[TAP_BUF];
};

/* The host side of one flow. */
struct hostflow {
	int fd;	       /* owned; -1: none */
	int early;     /* owned; datagrams from before fd; -1: none */
	uint8_t *head; /* owned; comes before the stream; NULL: none */
	size_t headlen;
	int error;	  /* a call of ours took it from the socket; 0: none */
	uint32_t gen;	  /* counts the slot's uses; part of an event's tag */
	ssize_t cur;	  /* plat_peek()'s own */
	size_t dry;	  /* a peek from here on finds nothing; 0: unknown */
	uint16_t gso;	  /* UDP_SEGMENT as it is set now; 0: off */
	uint16_t gso_bad; /* bursts of datagrams from this size on: refused */
	uint8_t proto;	  /* enum net_proto */
	/* How packets leave, as it is set now; TTL 0 and DF -1: unknown. */
	uint8_t ttl, tos;
	int8_t df;
	bool connecting;
	bool tells; /* of room, as TCP does to who has missed some */
	bool waits; /* for room, and is told when there is */
	bool reads; /* plat_discard()'s own */
	bool eof;   /* a short peek is not the end of the queue any more */
};

/* What nobody waits for: done at the end of the turn, in order. */
struct hostio_late {
	int fd; /* the last one of a descriptor closes it */
	enum hostio_what {
		LATE_CONNECTED,
		LATE_SHUTDOWN,
		LATE_CLOSE,
		LATE_RESET,
	} what;
	struct hostflow *flow; /* of LATE_CONNECTED; may have closed since */
};

struct hostio {
	struct hostflow *flow; /* owned; by id */
	uint32_t nflow;
	int set; /* owned: the edge-triggered set */
	struct ev_io watch;
	struct hostio_late late[HOSTIO_MAXLATE];
	size_t nlate;
	bool look; /* a connection has come, most likely finished */
};

enum ask {
	ASK_NONE,
	ASK_PENDING,
	ASK_OPEN,
	ASK_OFFERED, /* portd asked us; bus_id is its number */
	ASK_REFUSED, /* by us; the core is told when the turn ends */
};

struct broker_slot {
	uint32_t bus_id; /* of the last request; never used twice in a row */
	uint8_t server;	 /* enum net_server */
	uint8_t proto;	 /* enum net_proto */
	uint8_t ask;	 /* enum ask */
	bool listed;	 /* in broker.refused */
};

struct broker {
	struct broker_slot *slot; /* owned; by flow id */
	uint32_t nslot;
	struct ipc *link[STACKD_NSERVER]; /* borrowed; NULL: not there */
	uint32_t *refused;		  /* owned; ids, each once */
	uint32_t nrefused;
};

struct clock {
	struct ev_timer timer;
	usec_t at; /* what the timer is set to; USEC_NEVER: stopped */
};

struct stackd {
	struct daemon *d; /* borrowed */
	struct net *net;  /* owned; NULL until configured */
	uint32_t vm;
	char name[32];	       /* the log's: whose stack this is */
	uint8_t server_mac[6]; /* whose frames are ours */
	struct net_proxy proxy;
	struct link link;
	struct hostio host;
	struct broker broker;
	struct clock clock;
	struct net_ports forward[2]; /* of the gateway, as they come */
	uint32_t nforward;	     /* still to come */
	struct show show;
	struct ev_prepare settle; /* the end of each turn */
};

static inline usec_t
stackd_now(const struct stackd *s)
{
	return usec_now(s->d->loop);
}

/* link.c.  The descriptors become owned at once. */
void link_init(struct stackd *);
void link_attach(
    struct stackd *, int fd, int tx_fd, int rx_fd, int tap, bool vnet);
void link_start(struct stackd *); /* the core is there now */
void link_close(struct stackd *);
void link_settle(struct stackd *); /* sends what is queued */
uint8_t *link_space(void *arg, size_t *len);
void link_push(void *arg, size_t off, size_t len);
void link_push_vnet(void *arg, size_t off, size_t len, const struct vnet *);

/* A frame of the guest; as net_input(), or net_input_open(). */
void link_input(
    struct stackd *, usec_t now, const uint8_t *frame, size_t len, bool open);
/* One that the core is not to see. */
void link_bad(
    struct stackd *, const uint8_t *frame, size_t len, enum net_stat why);
/*
 * A frame for other machines, dropped when the channel is full.  It leaves
 * nothing open, or is to be cut; NULL: as a frame without header.
 */
void link_others(
    struct stackd *, const uint8_t *frame, size_t len, const struct vnet *);

/* tap.c */
void tap_init(struct stackd *);
/* Owns it; -1: there is none.  vnet: frames there have a header. */
void tap_attach(struct stackd *, int tap, bool vnet);
void tap_start(struct stackd *); /* the core is there now */
/* NULL: the frame leaves nothing open. */
void tap_write(
    struct stackd *, const uint8_t *frame, size_t len, const struct vnet *);

/* hostio.c */
int hostio_init(struct stackd *, uint32_t nflow);
void hostio_fini(struct stackd *);
/* Both at the end of a turn: first events of sockets that came in it, which
 * need no turn of their own, and last what nobody waits for. */
void hostio_look(struct stackd *);
void hostio_settle(struct stackd *);
/* fd becomes owned, even on error. */
int hostio_add(
    struct stackd *, uint32_t id, int fd, enum net_proto, bool connecting);
/* What a flow's socket has before its own: copied; early becomes owned. */
int hostio_head(struct stackd *, uint32_t id, const void *, size_t len);
void hostio_early(struct stackd *, uint32_t id, int early);
void hostio_close(struct stackd *, uint32_t id, bool reset);
/* -1: none, or of another protocol.  Borrowed. */
int hostio_fd(const struct stackd *, uint32_t id, enum net_proto);
ssize_t hostio_peek(
    void *arg, uint32_t id, size_t off, const struct iovec *, int n);
void hostio_consume(void *arg, uint32_t id, size_t n);
void hostio_hold(void *arg, uint32_t id, size_t n);
ssize_t hostio_write(void *arg, uint32_t id, const struct iovec *, int n);
void hostio_shutdown(void *arg, uint32_t id);
size_t hostio_room(void *arg, uint32_t id);
bool hostio_error(void *arg, uint32_t id, struct net_hosterr *);
size_t hostio_mtu(void *arg, uint32_t id);
/* For hostdgram.c: NULL and EBADF when there is no such flow. */
struct hostflow *hostio_flow(void *arg, uint32_t id);
void hostio_full(void *arg, uint32_t id); /* keeps errno; is told of room */
void hostio_early_end(struct hostflow *);
size_t hostio_len(const struct iovec *, int n);

/* hostdgram.c */
enum { HOSTDGRAM_SINGLY = 0, HOSTDGRAM_GSO = UINT16_MAX }; /* for gso_bad */
int hostio_recv(void *arg, uint32_t id, struct net_dgram *, int n);
int hostio_send(void *arg, uint32_t id, const struct net_dgram *, int n);

/* neterr.c: the system's errors, and their names on the bus, as the core's. */
enum net_error neterr_from_errno(int error);
enum net_error neterr_from_name(const char *);

/* broker.c */
int broker_init(struct stackd *, uint32_t nslot);
void broker_fini(struct stackd *);
void broker_open(void *arg, const struct net_open *);
void broker_close(struct stackd *, uint32_t id);
void broker_start(struct stackd *); /* the core is there now */
void broker_settle(struct stackd *);
void broker_peer(struct daemon *, struct ipc *);
void broker_peer_gone(struct daemon *, struct ipc *);
void broker_flow_fd(struct daemon *, struct ipc *, struct ipc_msg *);
void broker_flow_icmp(struct daemon *, struct ipc *, struct ipc_msg *);
void broker_flow_refused(struct daemon *, struct ipc *, struct ipc_msg *);
/* A flow that portd offered has this id now. */
void broker_offered(
    struct stackd *, uint32_t id, enum net_proto, uint32_t offer);
/* Its flow's id; -1: there is none any more. */
int64_t broker_find_offer(const struct stackd *, uint32_t offer);

/* offer.c: clients of the host's published ports. */
void offer_flow(struct daemon *, struct ipc *, struct ipc_msg *);
void offer_end(struct daemon *, struct ipc *, struct ipc_msg *);

/* clock.c */
void clock_init(struct stackd *);
void clock_fini(struct stackd *);
void clock_settle(struct stackd *);

#endif
