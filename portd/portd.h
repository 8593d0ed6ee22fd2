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
	struct vm *vm;	     /* borrowed */
	struct flow *next, *next_bind; /* hash chains */
	TAILQ_ENTRY(flow) wait;
};

/* A guest's stack and what it has. */
struct vm {
	struct ipc *link;		  /* borrowed; the key */
	struct flow *by_id[FLOW_BUCKETS]; /* owned */
	struct flow *by_bind[FLOW_BUCKETS];
	struct limits_vm used;
	uint32_t nport; /* UDP ports it has */
	unsigned nwait;
	LIST_ENTRY(vm) entry;
};

struct portd {
	struct daemon *d; /* borrowed */
	struct policy policy;
	uint32_t gateway_ip;
	struct limits limits;
	struct ports ports; /* UDP, of the host */
	LIST_HEAD(, vm) vms;	 /* owned */
	TAILQ_HEAD(flow_list, flow) wait; /* for a descriptor; oldest first */
	struct ev_timer retry;	 /* runs while someone waits */
	struct flow_list raw_wait; /* for the supervisor's answers */
	uint8_t raw_id[65536 / 8]; /* identifiers in use, as bits */
	bool raw_none;		   /* it has no raw sockets either */
	struct log_rate limit_log;
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
/* No socket for f, which is freed. */
void opener_refuse(struct portd *, struct flow *, enum portd_stat, int error);

/* icmp.c: sockets for echo. */
/* Opens f's socket, now or later, and answers.  False: no descriptor. */
bool icmp_try(struct portd *, struct flow *);
void icmp_forget(struct portd *, struct flow *); /* it is about to be freed */
void icmp_raw_fd(struct daemon *, struct ipc *, struct ipc_msg *);

/* socks.c: sockets as such, and what dnsd and proxyd ask for. */
int sock_any(bool tcp, const struct ipaddr *, uint16_t port);
/* keep: a bind may have the guest's own port.  -1 with errno. */
int sock_flow(const struct flow *, struct flow *bind, bool keep);
int sock_connect_flow(int fd, const struct flow *); /* and drains it */
int sock_fail(int fd); /* closes fd, keeps errno, -1 */
bool sock_no_room(int error); /* of descriptors or memory: may pass */
const char *sock_error_name(int error);
void socks_open(struct daemon *, struct ipc *, struct ipc_msg *);

/* front.c: the other role of this program, a process of its own. */
int front_main(int argc, char *argv[]);

/* pairs.c: what a stack and dnsd or proxyd hold the ends of. */
void pairs_open(struct daemon *, struct ipc *, struct ipc_msg *);
/* http.c: streams to proxyd, and sockets for it. */
bool http_allowed(const struct portd *, const struct flow *);
int http_flow(struct portd *, const struct flow *); /* -1 with errno */
void http_fetch(struct daemon *, struct ipc *, struct ipc_msg *);

#endif
