#ifndef PORTD_H
#define PORTD_H

/*
 * portd opens sockets for the others.  It parses nothing but table-checked
 * messages and reads nothing from the sockets it makes.
 *
 * A socket is sent away as soon as it exists, a TCP one while it still
 * connects, and portd's own copy is closed: a thousand destinations that never
 * answer cost descriptors of the guest that asked for them and delay nobody.
 * What stays here is a struct flow, for the limits and for the local port of
 * the guest's UDP port.
 */

#include <bsd/sys/queue.h>
#include <ev.h>
#include <stdbool.h>

#include "common/daemon.h"
#include "common/log.h"
#include "portd/limits.h"
#include "portd/policy.h"
#include "portd/ports.h"

enum portd_stat {
	PORTS_TCP,
	PORTS_UDP_BIND,
	PORTS_UDP,    /* sockets made */
	PORTS_FLOWS,  /* flows of guests now */
	PORTS_POLICY, /* refused: address */
	PORTS_LIMIT_ALL,
	PORTS_LIMIT_VM,
	PORTS_LIMIT_DST,
	PORTS_LIMIT_PORTS, /* refused: UDP ports */
	PORTS_FAILED,	 /* refused: the system said no */
	PORTS_PORT_BUSY, /* guest's own UDP port was not free */
	PORTS_WAITED,	 /* had to wait for a descriptor */
	PORTS_WAIT_FULL, /* refused: too many waiting */
	PORTS_SOCKS,
	PORTS_SOCKS_REFUSED, /* of dnsd and proxyd */
	PORTS_PAIRS,	     /* between a stack and dnsd or proxyd */
	PORTS_PAIRS_REFUSED,
	PORTS_ICMP, /* sockets made for echo */
	PORTS_ICMP_RAW,
	PORTS_ICMP_REFUSED,
	PORTS_HTTP,	     /* streams to proxyd */
	PORTS_HTTP_NONE,     /* refused: there is no proxyd now */
	PORTS_FETCH,	     /* sockets for proxyd */
	PORTS_FETCH_REFUSED,
	PORTS_BAD_SERVER,    /* not "address#port" in the configuration */
	PORTS_FORWARDS,	  /* now */
	PORTS_FORWARD_ADDED,
	PORTS_FORWARD_FAILED,
	PORTS_CLIENTS, /* of forwards, now */
	PORTS_CLIENTS_OFFERED,
	PORTS_CLIENTS_REFUSED, /* reset or dropped: nobody to serve them */
	PORTS_CLIENT_BUSY,     /* ... because their stack does not read */
	PORTS_ACCEPT_WAITED,   /* no descriptor for the next client */
	PORTS_EARLY_LOST,      /* datagrams of a new client, too many */
	PORTS_VIA,	       /* flows through a Unix socket */
	PORTS_VIA_REFUSED,
	PORTS__MAX
};

extern const char *const portd_stat_name[PORTS__MAX];

#define FLOW_BUCKETS_BITS 10
#define FLOW_BUCKETS	  (1 << FLOW_BUCKETS_BITS)
#define WAIT_MAX	  256 /* requests of one VM that wait */
#define WAIT_RETRY_SEC	  0.1

enum flow_kind {
	FLOW_TCP,
	FLOW_UDP_BIND, /* receives all that comes to one guest port */
	FLOW_UDP,      /* connected, on the local port of the bind */
	FLOW_HTTP,     /* a stream to proxyd */
	FLOW_ICMP,     /* connected; echo */
};

struct vm;
struct client;
struct forward;
struct hostreq;
struct servtab;
struct pair_early;

struct flow {
	uint32_t id; /* the stack's number for it */
	enum flow_kind kind;
	uint32_t guest_ip, dst; /* host order; dst as the guest sees it */
	uint16_t guest_port, dst_port;
	uint16_t local_port; /* binds: what the guest port has become;
			      * raw: the identifier */
	bool raw;	     /* ICMP by a raw socket */
	bool loopback;	     /* connect to 127.0.0.1 */
	bool waiting;	     /* in portd.wait, or raw_wait */
	bool raw_asked;	     /* the latter */
	uint32_t to;	     /* instead of dst, or 0 */
	uint16_t to_port;
	bool via;		       /* through a Unix socket */
	uint32_t via_id;	       /* for front, which has it too */
	int via_fd;		       /* owned; -1: not there yet */
	struct vm *vm;		       /* borrowed */
	struct flow *next, *next_bind; /* hash chains */
	TAILQ_ENTRY(flow) wait;
};

/* A guest's stack and what it has; or proxyd, and what it waits for. */
struct vm {
	struct ipc *link;		  /* borrowed; the key */
	struct flow *by_id[FLOW_BUCKETS]; /* owned */
	struct flow *by_bind[FLOW_BUCKETS];
	struct limits_vm used;
	uint32_t nport; /* UDP ports it has */
	unsigned nwait;
	struct ipaddr ip; /* family 0: not known */
	LIST_ENTRY(vm) entry;
};

/* A port of the gateway that leads elsewhere. */
struct gateway_forward {
	bool tcp;
	uint16_t port, dport;
	uint32_t dst;
};

/* Destinations behind a Unix socket. */
struct via {
	struct ipprefix prefix;
	uint16_t dport; /* 0: all */
	char path[108];
};

#define ROUTES_MAX 1024

/* As they come, until all are there, and as they are used. */
struct routes {
	struct gateway_forward *gw, *gw_next; /* owned */
	struct via *via, *via_next;
	size_t ngw, gw_want, gw_got, nvia, via_want, via_got;
};

struct vm_ip {
	uint32_t vm;
	struct ipaddr ip;
	LIST_ENTRY(vm_ip) entry;
};

#define CLIENT_BUCKETS	   4096
#define DGRAM_BUCKETS_BITS 10
#define DGRAM_MAX	   65535 /* more than a datagram has */

#define AHEAD_MAX 4

/* ahead.c: for TCP flows of guests, with everything set. */
struct ahead {
	int fd[AHEAD_MAX]; /* owned */
	size_t n;
	struct ev_prepare turn;
};

struct portd {
	struct daemon *d; /* borrowed */
	usec_t again_until; /* a predecessor's UDP ports may not be free yet */
	struct policy policy;
	struct servtab *servers; /* owned mapping; NULL: none */
	uint32_t gateway_ip;
	struct limits limits;
	struct ports ports; /* UDP, of the host */
	struct ahead ahead;
	LIST_HEAD(, vm) vms;	 /* owned */
	TAILQ_HEAD(flow_list, flow) wait; /* for a descriptor; oldest first */
	struct ev_timer retry;	 /* runs while someone waits */
	struct flow_list raw_wait; /* for the supervisor's answers */
	uint8_t raw_id[65536 / 8]; /* identifiers in use, as bits */
	bool raw_none;		   /* it has no raw sockets either */
	struct log_rate limit_log;
	struct routes routes;
	LIST_HEAD(, vm_ip) vm_ips; /* owned */
	/* Ports of the host; forward.h. */
	TAILQ_HEAD(, forward) forwards;	       /* owned */
	struct client *client[CLIENT_BUCKETS]; /* owned; by id */
	struct client *udp[1 << DGRAM_BUCKETS_BITS];
	TAILQ_HEAD(, client) unsent;   /* of UDP forwards, not yet offered */
	LIST_HEAD(, hostreq) hostreqs; /* owned */
	size_t nhostreq;
	uint32_t next_client, next_host, next_via;
	TAILQ_HEAD(, pair_early) early; /* owned; pairs.c */
	size_t nearly;
	struct ev_timer early_look; /* runs while one waits */
	struct limits_vm front_used; /* by clients of the tunnel */
	struct ev_timer resume;	     /* who waits for descriptors */
	int backlog;
	bool preserve;
	uint8_t dgram[DGRAM_MAX]; /* one datagram on its way, unread */
};

/* flow.c: the tables. */
struct vm *vm_new(struct portd *, struct ipc *);
struct vm *vm_find(struct portd *, const struct ipc *);
void vm_free(struct portd *, struct vm *); /* and all its flows */
/* A copy of want, entered; its place in the limits is already taken. */
struct flow *flow_new(struct portd *, struct vm *, const struct flow *want);
void flow_free(struct portd *, struct flow *); /* gives its place back */
struct flow *flow_find(struct portd *, struct vm *, uint32_t id);
struct flow *flow_find_bind(
    struct portd *, struct vm *, uint32_t guest_ip, uint16_t guest_port);

/* opener.c: flows of guests. */
void opener_init(struct portd *);
void opener_fini(struct portd *);
void opener_flow_open(struct daemon *, struct ipc *, struct ipc_msg *);
void opener_flow_close(struct daemon *, struct ipc *, struct ipc_msg *);
/*
 * proxyd wants a socket to where a guest would go through a Unix socket: it is
 * answered as such a flow, sooner or later.  False: that is not such a place.
 */
bool opener_fetch(struct portd *, struct ipc *, uint32_t id,
    const struct ipaddr *, uint16_t port);
/* No socket for f, which is freed. */
void opener_refuse(struct portd *, struct flow *, enum portd_stat, int error);

/* icmp.c: sockets for echo. */
/* Opens f's socket, now or later, and answers.  False: no descriptor. */
bool icmp_try(struct portd *, struct flow *);
void icmp_forget(struct portd *, struct flow *); /* it is about to be freed */
void icmp_raw_fd(struct daemon *, struct ipc *, struct ipc_msg *);
/* fd becomes owned; -1: error says why. */
void opener_flow_connected(
    struct portd *, struct flow *, int fd, const char *error);
void opener_via_answer(struct daemon *, struct ipc *, struct ipc_msg *);
void opener_front_gone(struct portd *);
void opener_log_limit(struct portd *);

/* routes.c: what leads elsewhere, and where VMs are. */
void routes_gateway_begin(struct daemon *, struct ipc *, struct ipc_msg *);
void routes_gateway(struct daemon *, struct ipc *, struct ipc_msg *);
void routes_via_begin(struct daemon *, struct ipc *, struct ipc_msg *);
void routes_via(struct daemon *, struct ipc *, struct ipc_msg *);
void routes_vm_ip(struct daemon *, struct ipc *, struct ipc_msg *);
const struct gateway_forward *routes_gateway_find(
    const struct portd *, bool tcp, uint16_t port);
const struct via *routes_via_find(
    const struct portd *, uint32_t dst, uint16_t port);
struct ipaddr routes_vm(const struct portd *, uint32_t vm);
void routes_fini(struct portd *);

/* socks.c: sockets as such, and what dnsd and proxyd ask for. */
/* Where a flow leads in the end. */
struct ipaddr sock_flow_addr(const struct flow *);
uint16_t sock_flow_port(const struct flow *);
int sock_any(
    struct portd *, bool tcp, const struct ipaddr *, uint16_t port);
/* Non-blocking; for the last descriptor what lay ahead goes.  -1 with errno. */
int sock_new(struct portd *, int family, int type);
/* -1 with errno. */
int sock_flow(struct portd *, const struct flow *, struct flow *bind);
/* A socket for a guest's TCP flow, not yet connected.  -1 with errno. */
int sock_flow_tcp(void);
int sock_connect_flow(int fd, const struct flow *); /* and drains it */
int sock_fail(int fd); /* closes fd, keeps errno, -1 */
bool sock_no_room(int error); /* of descriptors or memory: may pass */
const char *sock_error_name(int error);
int sock_error_number(const char *name);
struct sockaddr_storage;
/* Into a socket address, and out of one; the length. */
unsigned sock_addr(
    struct sockaddr_storage *, const struct ipaddr *, uint16_t port);
void sock_name(
    const struct sockaddr_storage *, struct ipaddr *, uint16_t *port);
/* Drops what came between bind() and connect().  -1 with errno. */
int sock_drain(int fd);
/* What every stream that a stack peeks at needs.  -1 with errno. */
int sock_stream_options(int fd);
void socks_open(struct daemon *, struct ipc *, struct ipc_msg *);

/* ahead.c */
void ahead_init(struct portd *);
void ahead_fini(struct portd *);
int ahead_take(struct portd *); /* as sock_flow_tcp() */
bool ahead_drop(struct portd *); /* descriptors are short; false: none there */

/* front.c: the other role of this program, a process of its own. */
int front_main(int argc, char *argv[]);

/* pairs.c: what a stack and dnsd or proxyd hold the ends of. */
void pairs_init(struct portd *);
void pairs_open(struct daemon *, struct ipc *, struct ipc_msg *);
/* There is a new stack: who has asked for it is served. */
void pairs_stack(struct portd *, struct ipc *stack);
/* Of who asked; NULL: of all. */
void pairs_forget(struct portd *, const struct ipc *);
/* http.c: streams to proxyd, and sockets for it. */
bool http_allowed(const struct portd *, const struct flow *);
int http_flow(struct portd *, const struct flow *); /* -1 with errno */
void http_fetch(struct daemon *, struct ipc *, struct ipc_msg *);

#endif
