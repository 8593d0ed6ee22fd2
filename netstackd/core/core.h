#ifndef CORE_H
#define CORE_H

/*
 * What the files of the core share: struct net, the flow table, timers, the
 * way out.  Not for the shell, which has net.h.
 */

#include "common/cksum.h"
#include "common/nitems.h"
#include "common/rd.h"
#include "netstackd/core/net.h"

#define ETH_HDRLEN  14
#define IP4_HDRLEN  20
#define FRAME_HDRLEN (ETH_HDRLEN + IP4_HDRLEN)
#define IP4_TTL	    64

#define IPPROTO4_ICMP 1
#define IPPROTO4_TCP  6
#define IPPROTO4_UDP  17

/* A guest packet after IPv4 was checked; for protocol input functions. */
struct ip4_pkt {
	uint32_t src, dst;
	uint8_t proto, ttl, tos;
	bool df;
	struct rd payload;	/* borrowed until net_flush(), but see copied */
	const uint8_t *hdr;	/* the IPv4 header, for quoting in ICMP */
	size_t hdrlen;
	bool copied;		/* reassembled: payload dies with this call */
};

/*
 * One timer of one flow: a heap of deadlines in struct net.  Set and cleared
 * freely; the callback runs from net_tick(), unarmed.
 */
struct timer {
	usec_t at;
	uint32_t slot; /* index in the heap + 1; 0 is not armed */
	void (*fn)(struct net *, usec_t now, struct timer *);
};

/* USEC_NEVER clears. */
void timer_set(struct net *, struct timer *, usec_t at);
void timer_clear(struct net *, struct timer *);

/* Where a flow's request for a socket is; kept by flow_open() and net.c. */
enum flow_ask {
	FLOW_IDLE,    /* not asked, or answered */
	FLOW_WAITING, /* for the server to be there */
	FLOW_ASKED,
};

/* The common head of every flow; tcp.h and udp.h have the rest. */
struct flow {
	uint32_t id;	     /* index in the table */
	enum net_proto proto;
	enum net_server server;
	uint32_t guest_ip, host_ip; /* host_ip as the guest sees it */
	uint16_t guest_port, host_port; /* host_* are 0 for binds */
	enum flow_ask ask;
	struct flow *next;	    /* hash chain */
};

/*
 * The table: by id, and by (proto, guest, host).  flow_add() takes the caller's
 * zeroed struct, which starts with a struct flow with its addresses set, gives
 * it an id and enters it; -1 when the table is full (counted).  flow_del()
 * takes it out; the caller frees it.  The id is not given out again before all
 * others were.
 */
int flow_add(struct net *, struct flow *);
void flow_del(struct net *, struct flow *);
struct flow *flow_get(struct net *, uint32_t id);
struct flow *flow_find(struct net *, enum net_proto, uint32_t guest_ip,
    uint16_t guest_port, uint32_t host_ip, uint16_t host_port);
/*
 * Asks the shell for the flow's socket.  While the server is away the request
 * waits and is made when it is there, and is made again when the server went
 * away without answering: nobody else has to.  Asking twice is harmless.
 */
void flow_open(struct net *, struct flow *);

/*
 * The way out.  ip4_space() gives the channel's free bytes as hooks->space
 * does.  ip4_header() writes the Ethernet and IPv4 headers for a packet of
 * proto with paylen bytes of payload to FRAME_HDRLEN bytes at frame.
 * ip4_push() publishes it and counts.  ip4_send() does all of it for a payload
 * that lies elsewhere, fragmenting where the MTU asks for it unless df;
 * -1 when the channel is full (counted) or df and too big.
 */
uint8_t *ip4_space(struct net *, size_t *len);
void ip4_header(struct net *, uint8_t *frame, uint32_t src, uint8_t proto,
    size_t paylen, uint8_t tos, bool df);
void ip4_push(struct net *, size_t off, size_t len);
void ip4_push_vnet(struct net *, size_t off, size_t len, const struct vnet *);
int ip4_send(struct net *, uint32_t src, uint8_t proto, const void *payload,
    size_t len, uint8_t tos, bool df);

/*
 * The same for everything the above does not say: another destination, or a
 * fragment.  frag is the second half of the header's third word.
 */
struct ip4_out {
	const uint8_t *eth_dst;
	uint32_t src, dst;
	uint8_t proto, tos;
	uint8_t ttl; /* 0: IP4_TTL */
	uint16_t id, frag;
};
#define IP4_DF 0x4000
#define IP4_MF 0x2000
void ip4_put(struct net *, uint8_t *frame, const struct ip4_out *,
    size_t paylen);
/* As ip4_send(), of a payload in n pieces. */
int ip4_sendv(struct net *, uint32_t src, uint8_t proto,
    const struct iovec *, int n, uint8_t tos, bool df);
/* The same with all that the header may say; id is chosen here. */
int ip4_sendo(struct net *, struct ip4_out *, const struct iovec *, int n);

/* Big-endian values at p. */
static inline void
put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
put_u32(uint8_t *p, uint32_t v)
{
	put_u16(p, (uint16_t)(v >> 16));
	put_u16(p + 2, (uint16_t)v);
}

/* Destination classes. */
enum ip4_dst {
	DST_GATEWAY,
	DST_HOST,      /* host-ip, when enabled */
	DST_GUEST,     /* the guest itself */
	DST_BROADCAST, /* limited, or the subnet's */
	DST_NEVER,     /* 0/8, 127/8, multicast, 240/4 */
	DST_REMOTE,
};
enum ip4_dst ip4_classify(const struct net *, uint32_t dst);

#define ICMP_BURST 64 /* errors at once; then one each 5 ms */

#define ICMP_HDRLEN	   8
#define ICMP_ECHO_REPLY	   0
#define ICMP_UNREACHABLE   3
#define ICMP_ECHO_REQUEST  8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER	   12

#define UNREACH_NET	   0
#define UNREACH_HOST	   1
#define UNREACH_PROTO	   2
#define UNREACH_PORT	   3
#define UNREACH_FRAG	   4
#define UNREACH_NET_ADMIN  9
#define UNREACH_HOST_ADMIN 10
#define UNREACH_ADMIN	   13

/* An ICMP error toward the guest. */
struct icmp_msg {
	uint8_t type, code;
	uint16_t mtu;
	uint32_t src; /* 0: the gateway */
};

/* They quote pkt; rate limited and counted. */
void icmp_error(struct net *, usec_t now, const struct ip4_pkt *,
    const struct icmp_msg *);
/* That of a host socket's error. */
void icmp_unreachable(struct net *, usec_t now, const struct ip4_pkt *,
    enum net_error, uint16_t mtu);

#define NET_ERRORS 256 /* taken from a socket at once */

/* What is kept of a flow's last datagram, so that an error can quote it. */
struct sent {
	uint16_t id, len; /* of the IP packet; len of its payload */
	uint16_t sum;	  /* UDP's; in memory order */
	uint8_t ttl, tos;
	bool df;
};

/* A packet made again for quoting; some of its payload lies behind the
 * header. */
struct quote {
	uint8_t b[FRAME_HDRLEN + ICMP_HDRLEN + NET_QUOTE];
	struct ip4_pkt pkt;
};
/* The headers of f's packet.  len is that of its payload, have as much of it
 * as stands at q->b + FRAME_HDRLEN. */
void quote_init(struct net *, struct quote *, const struct flow *,
    uint8_t proto, const struct sent *, size_t len, size_t have);

/*
 * An error of the host's network, in the guest's words, about the packet that
 * was sent on f.  pkt quotes it.
 */
void icmp_host_error(struct net *, usec_t now, const struct flow *,
    const struct ip4_pkt *, const struct net_hosterr *);

/*
 * Path MTUs, learnt for ten minutes (RFC 1191 6.3).  pmtu_check() answers the
 * guest, and is false, when its packet is known not to pass.
 */
#define PMTU_BITS 8
struct pmtu {
	uint32_t dst;
	uint16_t mtu;
	usec_t until;
};
void pmtu_learn(struct net *, usec_t now, uint32_t dst, size_t mtu);
bool pmtu_check(struct net *, usec_t now, const struct ip4_pkt *);

/* How a packet of the guest is to leave: a router counts its TTL down. */
void ip4_leave(const struct net *, const struct ip4_pkt *, struct net_dgram *);

/* An IPv4 packet, and whatever follows it in the frame.  group: it was sent to
 * an Ethernet group address. */
void ip4_input(struct net *, usec_t now, struct rd *, bool group);

/*
 * The frame that is being read comes from the guest's own IPv4 address: its
 * sender is where frames to the guest go from now on.  A NIC behind QEMU has
 * an address of its own, which no handshake tells.
 */
void net_learn_eth(struct net *);

/* info.c: an error of a host socket in a word. */
const char *info_error(enum net_error);

/* Inputs by protocol; pkt is checked, addressed to us, checksum not yet. */
void arp_input(struct net *, usec_t now, struct rd *);
void icmp_input(struct net *, usec_t now, const struct ip4_pkt *);
/* What is no echo request: an error of the guest, or of no use. */
void icmp_guest_error(struct net *, const struct ip4_pkt *);
/* An echo request to a remote host; the message is checked. */
void icmp_flow_input(struct net *, usec_t now, const struct ip4_pkt *);
void udp_input(struct net *, usec_t now, const struct ip4_pkt *);
void tcp_input(struct net *, usec_t now, const struct ip4_pkt *);
void dhcp_input(struct net *, usec_t now, const struct ip4_pkt *,
    struct rd *payload);

/*
 * A client of the host: want lacks nothing but the host's port where host_ip
 * is the gateway's.  The flow's id, and it waits for net_opened(); -1: no.
 */
int64_t tcp_offer(struct net *, usec_t now, struct flow *want);
int64_t udp_offer(struct net *, usec_t now, struct flow *want);
/*
 * portd is gone: its successor cannot bind the ports that sockets of clients
 * hold, and makes the clients new ones when they speak again.
 */
void udp_offers_gone(struct net *);
/* The same of one, whose port is gone; not one of the guest's own flows. */
void udp_offer_end(struct net *, struct flow *);
/* A port of the gateway's that nothing of the guest's port speaks with, from
 * *last on, which follows; 0: there is none. */
uint16_t flow_gateway_port(struct net *, const struct flow *, uint16_t *last);

/* Whether this port of the gateway leads elsewhere. */
bool net_gateway_forward(const struct net *, enum net_proto, uint16_t port);

/* Per-protocol halves of net.h's calls, by flow->proto. */
struct flow_ops {
	void (*opened)(struct net *, usec_t, struct flow *, bool connected);
	void (*open_failed)(struct net *, usec_t, struct flow *,
	    enum net_error);
	void (*readable)(struct net *, usec_t, struct flow *);
	void (*writable)(struct net *, usec_t, struct flow *);
	void (*failed)(struct net *, usec_t, struct flow *, enum net_error);
	/* Of every flow of that server; waiting requests were made already. */
	void (*server_ready)(struct net *, usec_t, struct flow *);
	/* At net_free(): closes, takes out of the table, frees. */
	void (*free)(struct net *, struct flow *);
};
extern const struct flow_ops tcp_ops, udp_ops, udp_bind_ops, dns_ops;
extern const struct flow_ops icmp_ops;

/* The batch ends: host writes and acknowledgements. */
void tcp_flush(struct net *, usec_t now);
void udp_flush(struct net *, usec_t now);
/* The channel has space again. */
void tcp_tx_ready(struct net *, usec_t now);
void udp_tx_ready(struct net *, usec_t now);
void icmp_tx_ready(struct net *, usec_t now);
/* What net_opened_icmp() says of the flow's socket. */
void icmp_named(struct flow *, uint16_t echo_id, bool raw);

struct tcp_net; /* TCP's per-VM state: batch, queues, secret, blocked flows */
struct udp_net;
struct frag_net;
struct icmp_net;

struct net {
	struct net_conf conf;
	const struct net_hooks *hook; /* borrowed */
	void *arg;
	uint64_t *stat; /* borrowed */
	uint8_t guest_eth[6]; /* where frames to the guest go */
	uint8_t rx_eth[6];    /* who sent the frame that is being read */
	bool rx_open;	      /* which leaves TCP's or UDP's checksum open */
	bool vnet;	      /* frames to the guest may */
	bool uso;	      /* so may many datagrams in one frame be */
	uint32_t netmask;
	uint16_t ip_id;
	uint32_t queued; /* bytes held, of conf.max_queue */
	/* Flow table. */
	struct flow **by_id; /* owned array of max_flows */
	struct flow **bucket;
	uint32_t nbucket; /* power of two */
	uint32_t hash_key;
	uint32_t *freeid; /* FIFO ring of free ids */
	uint32_t free_head, nfree;
	bool udp_first; /* to use the channel's space, this time */
	bool server_up[3]; /* by enum net_server */
	usec_t arp_defend[2]; /* when next: the gateway, the host */
	struct net_ports forward[2]; /* of the gateway: TCP, UDP */
	struct net_proxy proxy;
	/* Timers. */
	struct timer **heap;
	uint32_t nheap, heap_cap;
	/* ICMP rate limit: a token bucket. */
	struct pmtu pmtu[1 << PMTU_BITS];
	uint16_t pmtu_least; /* of all that were learnt; 0: none */
	usec_t icmp_at;
	uint32_t icmp_tokens;
	/* Constants, for who is told why; NULL: there is no reason. */
	const char *drop; /* the last counter of a drop or an end */
	const char *fail; /* what became of the host socket */
	struct tcp_net *tcp;   /* owned */
	struct udp_net *udp;   /* owned */
	struct frag_net *frag; /* owned */
	struct icmp_net *icmp; /* owned */
};

int flow_table_new(struct net *);
void flow_table_free(struct net *);
int tcp_net_new(struct net *);
void tcp_net_free(struct net *);
int udp_net_new(struct net *);
void udp_net_free(struct net *);
int frag_net_new(struct net *);
void frag_net_free(struct net *);
int icmp_net_new(struct net *);
void icmp_net_free(struct net *);

/* Counters of what was lost, and why a flow ended. */
static inline bool
stat_is_drop(enum net_stat s)
{
	switch (s) {
	case NETS_RX_SHORT:
	case NETS_RX_ETHERTYPE:
	case NETS_RX_NOTFORUS:
	case NETS_RX_BADSUM:
	case NETS_RX_BADSRC:
	case NETS_RX_BADDST:
	case NETS_RX_TTL:
	case NETS_RX_PROTO:
	case NETS_TX_FULL:
	case NETS_RX_VNET:
	case NETS_DHCP_BAD:
	case NETS_FRAG_LIMIT:
	case NETS_FRAG_BAD:
	case NETS_ICMP_LIMIT:
	case NETS_ICMP_IGNORED:
	case NETS_ICMP_UNWANTED:
	case NETS_UDP_EXPIRED:
	case NETS_UDP_QUEUE_FULL:
	case NETS_UDP_FAILED:
	case NETS_UDP_LIMIT:
	case NETS_UDP_BADPEER:
	case NETS_TCP_REFUSED:
	case NETS_TCP_RST_RX:
	case NETS_TCP_RST_TX:
	case NETS_TCP_OOO_FULL:
	case NETS_TCP_BADSEQ:
	case NETS_TCP_TIMEOUT:
	case NETS_TCP_EVICTED:
	case NETS_FLOW_LIMIT:
		return true;
	default:
		return false;
	}
}

/* s is a constant nearly everywhere: then the question costs nothing. */
static inline void
stat_inc(struct net *net, enum net_stat s)
{
	net->stat[s]++;
	if (stat_is_drop(s))
		net->drop = net_stat_name[s];
}

static inline void
flow_changed(struct net *net, const struct flow *f)
{
	if (net->hook->flow != NULL)
		net->hook->flow(net->arg, f->id, NET_FLOW_CHANGED);
}

static inline void
stat_add(struct net *net, enum net_stat s, uint64_t n)
{
	net->stat[s] += n;
}

#endif
