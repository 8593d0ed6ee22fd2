#ifndef NET_H
#define NET_H

/*
 * The core's whole API: one guest's network, a translator between frames and
 * host sockets.  It reads no clock, does no I/O and has no globals: time is a
 * parameter, everything else goes through the hooks.  The same inputs give
 * the same outputs.
 *
 * IPv4 addresses and ports are in host order throughout.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/usec.h"
#include "common/vnet.h"

struct net;

/* Guest frames: 14 bytes of Ethernet and up to 65,521 of payload. */
#define NET_MAXFRAME 65535
/* Frames that may be pushed after one look at the free space. */
#define NET_TXBATCH 64

struct net_conf {
	uint8_t guest_mac[6];
	uint8_t server_mac[6];
	uint32_t guest_ip;
	uint32_t gateway_ip;
	uint32_t host_ip; /* 0: disabled */
	uint32_t highest_ip;
	uint16_t mtu;	      /* IP packets toward the guest, 576..65521 */
	char domain[256];     /* DHCP option 15; may be empty */
	char search[8][256];  /* DHCP option 119 */
	unsigned nsearch;
	/* How long an ACK waits for an answer that may never come; 0: not. */
	usec_t ack_brief;
	/* Limits of everything a guest can create. */
	uint32_t max_flows;	/* all kinds together, at most NET_MAXFLOWS */
	uint32_t max_queue;	/* bytes held for flows, whole VM */
};

#define NET_MAXFLOWS 32768

/* What a flow is to whoever serves it; names as on the bus. */
enum net_proto {
	NET_TCP,
	NET_UDP_BIND, /* receives everything sent to one guest port */
	NET_UDP,      /* connected, on the local port of the bind */
	NET_DNS,      /* all UDP queries of the VM to gateway:53 */
	NET_ICMP,     /* echo of one identifier, sport, to one address */
};

/* Who serves it. */
enum net_server { NET_PORTD, NET_DNSD, NET_PROXYD };

#define NET_MAXPROXY 128

/* Which TCP of the guest is for proxyd: by the port, wherever it goes to. */
struct net_proxy {
	uint16_t port[NET_MAXPROXY];
	unsigned nport;
	bool gateway; /* and NET_PROXY_HTTP and _HTTPS of the gateway */
};

#define NET_PROXY_HTTP	3128
#define NET_PROXY_HTTPS 3129

struct net_open {
	uint32_t id; /* < max_flows; reused only after close() */
	enum net_proto proto;
	enum net_server server;
	uint32_t src, dst; /* guest side, host side */
	uint16_t sport, dport;
};

/* Why there is no socket, or no longer. */
enum net_error {
	NET_EREFUSED,	/* ECONNREFUSED */
	NET_ERESET,	/* ECONNRESET */
	NET_EPIPE,	/* the same, behind the end of the stream */
	NET_ETIMEDOUT,
	NET_ENETUNREACH,
	NET_EHOSTUNREACH,
	NET_EADMIN,	/* EACCES, EPERM: policy */
	NET_EMSGSIZE,
	NET_ELIMIT,	/* no descriptors, too many flows */
	NET_EOTHER,
	NET_EQUEUED, /* to net_failed(): error() knows more */
};

/* Of a quoted packet, behind its IP header; routers quote no more. */
#define NET_QUOTE 548

/* An ICMP error that came for a socket. */
struct net_hosterr {
	uint8_t type, code;
	uint16_t mtu;  /* of "fragmentation needed" */
	uint32_t from; /* whoever sent it; 0: unknown */
	/*
	 * What it quotes: of UDP the payload, of ICMP the message, as far as
	 * it goes.
	 */
	size_t len;
	uint8_t data[NET_QUOTE];
};

/* One datagram of a batch. */
struct net_dgram {
	struct iovec iov[2];
	int niov;
	uint32_t addr; /* the other end; 0 on a connected socket */
	uint16_t port;
	size_t len; /* received; may be cut to what iov holds */
	/*
	 * To be sent: how the packet is to leave, 0 as TTL: as any other.
	 * Received: the TTL it came with, 0 where that is not known.
	 */
	uint8_t ttl, tos;
	bool df; /* not to be fragmented, or not to be sent */
};

enum net_flow_event { NET_FLOW_NEW, NET_FLOW_CHANGED, NET_FLOW_GONE };

/*
 * What the shell does for the core.  Flows go by their id.  A negative result
 * is -1 with errno; EAGAIN means a readable or writable event will follow.
 */
struct net_hooks {
	/*
	 * Frames toward the guest: the contiguous free bytes, *len 0 when the
	 * channel is full (then net_tx_ready() follows); full is already
	 * when a frame of NET_MAXFRAME bytes does not fit, so otherwise one
	 * does, and there is room for NET_TXBATCH pushes.  push publishes
	 * [off, off + len) of them as a frame; call space again before the
	 * next push unless its offset lies behind the last one's end.
	 */
	uint8_t *(*space)(void *arg, size_t *len);
	void (*push)(void *arg, size_t off, size_t len);
	/*
	 * The same of a TCP packet, or of UDP datagrams in one, with its
	 * checksum left open, and up to NET_MAXFRAME bytes long if it is to be
	 * cut; only where net_set_vnet() says so.
	 */
	void (*push_vnet)(
	    void *arg, size_t off, size_t len, const struct vnet *);

	/* Asks for a socket; net_opened() or net_open_failed() follows, never
	 * from inside this call. */
	void (*open)(void *arg, const struct net_open *);
	/* The core forgets the id.  reset: RST to the host peer (TCP). */
	void (*close)(void *arg, uint32_t id, bool reset);

	/* Streams. */
	ssize_t (*peek)(void *arg, uint32_t id, size_t off,
	    const struct iovec *, int n); /* 0: end of stream */
	void (*consume)(void *arg, uint32_t id, size_t n);
	ssize_t (*write)(void *arg, uint32_t id, const struct iovec *, int n);
	void (*shutdown)(void *arg, uint32_t id); /* no more from the guest */
	/* The host socket should hold so many bytes of its stream. */
	void (*hold)(void *arg, uint32_t id, size_t n);
	/* Bytes the host socket takes now. */
	size_t (*room)(void *arg, uint32_t id);

	/* Datagrams; the number received or sent, or -1. */
	int (*recv)(void *arg, uint32_t id, struct net_dgram *, int n);
	/*
	 * All n have one size but the last, which may be shorter, and leave in
	 * the same way; not so those to dnsd, which may go in one datagram.
	 */
	int (*send)(void *arg, uint32_t id, const struct net_dgram *, int n);
	/* Takes the oldest ICMP error that came for the socket; false: none. */
	bool (*error)(void *arg, uint32_t id, struct net_hosterr *);
	/* The largest packet that passes to where the socket is connected;
	 * 0: not known. */
	size_t (*mtu)(void *arg, uint32_t id);

	uint32_t (*random)(void *arg);

	/*
	 * A flow is there, may look different now, or is about to go: for who
	 * shows flows to people.  NULL: nobody does.
	 */
	void (*flow)(void *arg, uint32_t id, enum net_flow_event);
};

/* What a flow looks like; the texts are constants. */
struct net_flow_info {
	enum net_proto proto;
	uint32_t guest_ip, host_ip;
	uint16_t guest_port, host_port;
	const char *state;
	const char *limit; /* what more data waits for; "" for none */
	const char *why;   /* NET_FLOW_GONE: it ends for; "" by itself */
	uint32_t rtt;	   /* to the guest, usec; 0 is not known */
};

/* Counters; names in net_stat_name[].  Every limit and drop has one. */
enum net_stat {
	NETS_RX_FRAMES, NETS_RX_BYTES, NETS_TX_FRAMES, NETS_TX_BYTES,
	NETS_RX_SHORT,	    /* frame or header cut short, or lying lengths */
	NETS_RX_ETHERTYPE,  /* neither IPv4 nor ARP */
	NETS_RX_NOTFORUS,   /* Ethernet destination of somebody else */
	NETS_RX_BADSUM,	    /* IPv4, UDP, TCP or ICMP checksum */
	NETS_RX_BADSRC,	    /* source address is not the guest's */
	NETS_RX_BADDST,	    /* destination never reached: 0/8, 127/8, ... */
	NETS_RX_TTL,	    /* TTL ended here */
	NETS_RX_PROTO,	    /* IP protocol not served */
	NETS_TX_FULL,	    /* dropped: channel full, or TAP down */
	NETS_RX_VNET,	    /* dropped: a vnet header that lies */
	NETS_RX_LARGE, NETS_TX_LARGE, /* many segments, or datagrams */
	NETS_CUT,	    /* such a frame, for another machine */
	NETS_ARP_REPLIES,
	NETS_ARP_FOREIGN,   /* from an address that is not the guest's */
	NETS_ARP_CONFLICT,  /* the guest says that it is the gateway or host */
	NETS_ARP_DEFENDED,  /* and was contradicted */
	NETS_DHCP_RX, NETS_DHCP_TX, NETS_DHCP_BAD,
	NETS_DHCP_NAK,	    /* asked for another address */
	NETS_DHCP_DECLINED, /* found its address in use */
	NETS_FRAG_RX, NETS_FRAG_OK, NETS_FRAG_TIMEOUT, NETS_FRAG_LIMIT,
	NETS_FRAG_BAD,
	NETS_ICMP_ECHO, NETS_ICMP_TX, NETS_ICMP_LIMIT, NETS_ICMP_IGNORED,
	NETS_ICMP_OUT, NETS_ICMP_IN, /* echo to and from remote hosts */
	NETS_ICMP_FLOWS, NETS_ICMP_EXPIRED,
	NETS_ICMP_EVICTED, /* ended early: too many */
	NETS_ICMP_DROPPED, /* the socket was full or not there yet */
	NETS_ICMP_FAILED,  /* the host refused one, or its socket */
	NETS_ICMP_BADREPLY, /* of nobody the guest has asked */
	NETS_ICMP_ERRORS,  /* of the host's network, told to the guest */
	NETS_ICMP_BADERR,  /* such that make no sense */
	NETS_PMTU_LEARNT, NETS_PMTU_TOOBIG,
	NETS_ICMP_NARROW,  /* flows the guest has made send less */
	NETS_ICMP_UNWANTED, /* that its firewall has refused */
	NETS_UDP_RX, NETS_UDP_TX, NETS_UDP_FLOWS, NETS_UDP_EXPIRED,
	NETS_UDP_QUEUE_FULL, NETS_UDP_FAILED,
	NETS_UDP_LIMIT,	  /* ended early: too many */
	NETS_UDP_BADPEER, /* from an address the guest must not see */
	NETS_TCP_FLOWS, NETS_TCP_OPENED, NETS_TCP_ESTABLISHED,
	NETS_TCP_OFFERED, NETS_TCP_REFUSED, NETS_TCP_RST_RX, NETS_TCP_RST_TX,
	NETS_TCP_RETRANS, NETS_TCP_RTO, NETS_TCP_FAST, NETS_TCP_DUPACK,
	NETS_TCP_OOO, NETS_TCP_OOO_FULL, NETS_TCP_BADSEQ, NETS_TCP_PROBE,
	NETS_TCP_TIMEOUT, NETS_TCP_PARTIAL, NETS_TCP_CHALLENGE,
	NETS_TCP_TAIL,	  /* probes for the loss of a flight's end */
	NETS_TCP_EVICTED, /* made room while they waited for the host */
	NETS_TCP_TW_EARLY, /* made room in TIME-WAIT */
	NETS_TCP_CHALLENGE_LIMIT, /* ... ACKs not sent: too many */
	NETS_FLOW_LIMIT,
	NETS_OFFER_REFUSED, /* no room for a client of the host */
	NETS__MAX
};

extern const char *const net_stat_name[NETS__MAX];

/* conf is copied; hooks and arg are borrowed.  stats has NETS__MAX values and
 * is borrowed.  NULL: out of memory. */
struct net *net_new(const struct net_conf *, const struct net_hooks *,
    void *arg, uint64_t *stats);
void net_free(struct net *); /* closes every flow first */
/* Takes domain and search from conf, for the next DHCP answers. */
void net_set_names(struct net *, const struct net_conf *);
/* For the connections to come; copied. */
void net_set_proxy(struct net *, const struct net_proxy *);

/* Ports as a set. */
struct net_ports {
	uint8_t bit[65536 / 8];
};
/* The gateway's ports that portd leads elsewhere; copied. */
void net_set_forwards(
    struct net *, const struct net_ports *tcp, const struct net_ports *udp);

/*
 * One frame of the guest, without FCS, borrowed until net_flush() returns.
 * net_flush() ends a batch: it writes to host sockets what the frames held
 * and acknowledges what they took.
 */
void net_input(struct net *, usec_t now, const uint8_t *frame, size_t len);
void net_flush(struct net *, usec_t now);
/* Of an IPv4 packet, no fragment, that leaves its TCP or UDP checksum open:
 * it was on no wire since it was made. */
void net_input_open(
    struct net *, usec_t now, const uint8_t *frame, size_t len);
/* Whether frames toward the guest may be what vnet headers describe. */
void net_set_vnet(struct net *, bool);
/* The guest's kernel cuts no UDP: until net_set_vnet() none is left to it. */
void net_no_uso(struct net *);

/* Timers: call net_tick() at net_deadline(), USEC_NEVER when there is none. */
void net_tick(struct net *, usec_t now);
usec_t net_deadline(struct net *);

/* The channel has space again. */
void net_tx_ready(struct net *, usec_t now);

/*
 * Answers to open().  connected: the socket is usable at once; otherwise the
 * first net_writable() says that its connect has succeeded, net_failed() that
 * it has not.
 */
void net_opened(struct net *, usec_t now, uint32_t id, bool connected);
/* To that of NET_ICMP: echo_id is what its messages carry outside; on a raw
 * socket the core puts it in, and receives IP headers. */
void net_opened_icmp(struct net *, usec_t now, uint32_t id, uint16_t echo_id,
    bool raw);
void net_open_failed(struct net *, usec_t now, uint32_t id, enum net_error);
/*
 * A client of the host wants to speak with a port of the guest, which shall
 * see it as from:fport, or, where that cannot be, as some port of the gateway.
 * The flow's id: its socket is there, and net_opened() says so to the core;
 * -1: no room.
 */
struct net_offer {
	enum net_proto proto; /* NET_TCP or NET_UDP */
	uint16_t guest_port;
	uint32_t from; /* 0: the gateway */
	uint16_t fport;
};
int64_t net_offer(struct net *, usec_t now, const struct net_offer *);
/* Edges of a socket. */
void net_readable(struct net *, usec_t now, uint32_t id);
void net_writable(struct net *, usec_t now, uint32_t id);
void net_failed(struct net *, usec_t now, uint32_t id, enum net_error);

/* The port that this client of UDP came by is gone. */
void net_offer_end(struct net *, uint32_t id);
/* Every request to this server that is not answered yet is lost. */
void net_server_gone(struct net *, usec_t now, enum net_server);
/* That server is there (again). */
void net_server_ready(struct net *, usec_t now, enum net_server);

/* -1: there is no such flow. */
int net_flow_info(const struct net *, uint32_t id, struct net_flow_info *);
/* The counter of the last drop since the last net_input(); NULL: none. */
const char *net_dropped(const struct net *);

/* Flows in use: zero after everything is closed. */
size_t net_flows(const struct net *);

#endif
