#ifndef PROXYD_H
#define PROXYD_H

/*
 * proxyd: HTTP and HTTPS of the guests, through the host's proxy.
 *
 *	main.c		configuration, peers, the rest of a daemon
 *	conn.c		a guest's connection: its life, its timer, tunnels
 *	http.c		requests and responses on it
 *	https.c		intercepted TLS: the name in it, CONNECT
 *	hold.c		heads of responses that wait for their bodies
 *	upstream.c	connections to proxies and servers: names, sockets, pool
 *	sock.c		bytes from one socket to another
 *	head.c body.c hello.c match.c target.c rewrite.c	pure
 *
 * Bodies are never kept: a block is read, what of it belongs to the body is
 * written, and while that cannot be written nothing more is read.  A
 * connection that waits has no buffer at all.
 */

#include <bsd/sys/queue.h>
#include <ev.h>
#include <stdbool.h>

#include "common/daemon.h"
#include "common/log.h"
#include "common/nitems.h"
#include "proxyd/body.h"
#include "proxyd/head.h"
#include "proxyd/hello.h"
#include "proxyd/match.h"
#include "proxyd/rewrite.h"
#include "proxyd/target.h"

enum proxyd_stat {
	PROXYS_CONNS, /* of guests, now */
	PROXYS_CONNS_ALL,
	PROXYS_REQUESTS,
	PROXYS_VIA, /* requests and tunnels through a proxy */
	PROXYS_DIRECT,
	PROXYS_TUNNELS,
	PROXYS_UPSTREAMS, /* connections made */
	PROXYS_REUSED,
	PROXYS_RETRIED,
	PROXYS_BAD_REQUEST, /* refused: malformed */
	PROXYS_BAD_BODY,
	PROXYS_BAD_RESPONSE,
	PROXYS_BAD_HELLO,
	PROXYS_FORBIDDEN, /* refused: policy */
	PROXYS_LOOKUP_FAILED,
	PROXYS_CONNECT_FAILED,
	PROXYS_CONNECT_REFUSED, /* CONNECT, by the proxy */
	PROXYS_LIMIT_VM,
	PROXYS_LIMIT_ALL,
	PROXYS_LIMIT_HEAD,   /* heads that are too long */
	PROXYS_LIMIT_FIELDS, /* or have too many fields */
	PROXYS_LIMIT_IDLE,   /* idle upstreams closed for others */
	PROXYS_TIMEOUT_HEAD,
	PROXYS_TIMEOUT_IDLE,
	PROXYS_TIMEOUT_CONNECT,
	PROXYS__MAX
};

extern const char *const proxyd_stat_name[PROXYS__MAX];

#define PROXYD_PORTHTTP	  3128
#define PROXYD_PORTHTTPS  3129
#define PROXYD_MAXPORTS	  64
#define PROXYD_SLOTBITS	  14
#define PROXYD_MAXCONNS	  (1 << PROXYD_SLOTBITS)
#define PROXYD_MAXADDRS	  8    /* of one family */
#define PROXYD_MAXIDLE	  4096 /* idle upstreams */
#define PROXYD_VMIDLE	  1024
#define PROXYD_IDLESECS	  30.  /* of an upstream */
#define PROXYD_VMNAMES	  256  /* asked at a time, of dnsd's 1,024 */
#define PROXYD_INTERIMS	  1000 /* before one response */
#define PROXYD_ATTEMPTMS  250  /* RFC 8305 8, its Connection Attempt Delay */
#define PROXYD_DRAINMS	  5000
#define PROXYD_DRAINBYTES (1 << 20)

struct proxyd;
struct conn;
struct up;

/* The settings, shared by the connections that began under them. */
struct pconf {
	unsigned refs;
	bool enabled;
	uint32_t gateway_ip;
	struct {
		struct authority at; /* host "": none */
		char auth[1025];
	} proxy[2];
	uint16_t port[2][PROXYD_MAXPORTS];
	size_t nport[2];
	struct match exclude, allow;
	bool allow_enabled;
	char allow_error[1025];
	uint32_t head_ms, idle_ms, connect_ms, hello_ms;
};

enum { WHICH_HTTP, WHICH_HTTPS };

/* A block of bytes on their way. */
#define BLOCK_SIZE  65536
#define BLOCK_SPARE 64 /* kept for the next */

struct block {
	struct block *next;
	size_t off, len;
	uint8_t data[BLOCK_SIZE];
};

struct sock {
	struct proxyd *p; /* borrowed */
	int fd;		  /* owned; -1: none */
	struct ev_io rd, wr;
	struct block *in; /* owned; NULL: nothing is unread */
	uint8_t *out;	  /* owned: a head that leaves first */
	size_t outlen, outoff;
	bool readable; /* as far as is known */
	bool eof, broken, shut;
};

/* One direction of a connection. */
struct dir {
	struct sock *from, *to; /* borrowed */
	struct body body;
	size_t ready; /* bytes of from->in that may leave */
};

enum pump {
	PUMP_WAIT,
	PUMP_DONE,
	PUMP_CUT,    /* it ended too early */
	PUMP_BAD,    /* it is malformed */
	PUMP_BROKEN, /* nobody takes it */
};

/* Where a request goes. */
struct hop {
	bool via;
	int which;	     /* via: of the two proxies */
	struct authority at; /* whom to connect to */
};

enum conn_state {
	CONN_HEAD,    /* a request is to come */
	CONN_HELLO,   /* TLS is to begin */
	CONN_RESOLVE, /* asked dnsd */
	CONN_ASK,     /* asked portd */
	CONN_CONNECT,
	CONN_VIA, /* asked the proxy */
	CONN_EXCHANGE,
	CONN_TUNNEL,
	CONN_DRAIN, /* the last bytes leave */
	CONN_DEAD,
};

enum conn_job {
	JOB_HTTP,   /* requests */
	JOB_DIRECT, /* a tunnel to a server */
	JOB_VIA,    /* a tunnel through a proxy, by a CONNECT of ours */
};

TAILQ_HEAD(connhead, conn);
TAILQ_HEAD(uphead, up);

struct vm {
	uint32_t num;
	size_t nconn;
	size_t nidle;	       /* as in struct proxyd */
	size_t nname;	       /* connections whose names are being asked */
	struct connhead names; /* borrowed; those that wait for that */
	LIST_ENTRY(vm) entry;
};

struct conn {
	struct proxyd *p;   /* borrowed */
	struct pconf *conf; /* a reference */
	struct vm *vm;	    /* borrowed */
	uint32_t id;	    /* slot, and a count of its uses */
	uint32_t question;  /* slot, and a count: what was asked last for it */
	uint32_t dst;
	uint16_t dport;
	bool transparent;
	int which;
	enum conn_state state;
	enum conn_job job;
	struct sock guest;
	bool guest_gone; /* no half-close: there is nobody any more */
	struct up *up;	 /* owned; NULL: none */
	struct ev_timer timer;
	usec_t since; /* what the timer counts from */
	usec_t alarm; /* when it comes, or looks again */
	/* The way out. */
	struct hop hop;
	usec_t out; /* when it began */
	enum { NAME_NONE, NAME_WAITS, NAME_ASKED } name;
	TAILQ_ENTRY(conn) entry; /* of vm->names, while it waits */
	struct ipaddr addr[2 * PROXYD_MAXADDRS];
	size_t naddr, ntried;
	int family;		/* that was asked for; 4: the other is left */
	bool forbidden;		/* all that were tried */
	struct uphead attempts; /* owned; the newest is the last */
	/* The request, and its response. */
	struct head_scan scan, upscan;
	struct authority host; /* that was asked for */
	uint8_t *head;	       /* owned: the request's, until it leaves */
	size_t headlen;
	struct dir req, res;
	char method[8]; /* of those that matter */
	bool old;	/* HTTP/1.0 */
	bool keep_guest, keep_up;
	bool upgrade, connect; /* asked for */
	bool retriable;
	bool answered;	 /* a byte of the response has come */
	bool responding; /* its head has left */
	size_t drained;
	unsigned interims; /* responses, of this request */
	enum { HOLD_NONE, HOLD_WAITS, HOLD_OVER } hold; /* of its head */
	usec_t held;					/* since */
	TAILQ_ENTRY(conn) hold_entry; /* of p->held, while it waits */
};

struct up {
	struct sock s;
	struct proxyd *p;   /* borrowed */
	struct conn *conn;  /* borrowed; NULL: idle */
	struct pconf *conf; /* a reference */
	struct vm *vm;	    /* borrowed */
	struct hop hop;
	uint32_t last; /* the connection that used it last */
	bool reused;
	bool pinned; /* authenticated as a connection: for nobody else */
	usec_t since;
	TAILQ_ENTRY(up) entry; /* of p->idle, or of conn->attempts */
};

struct proxyd {
	struct daemon *d;		    /* borrowed */
	struct pconf *conf;		    /* a reference */
	struct conn *conn[PROXYD_MAXCONNS]; /* owned, by slot */
	uint32_t gen, questions;
	uint32_t free_slot[PROXYD_MAXCONNS];
	size_t nfree, nconn, maxconn, maxvm, maxidle;
	LIST_HEAD(, vm) vms; /* owned */
	struct uphead idle;  /* owned; oldest first */
	size_t nidle;	     /* and attempts beside a connection's first */
	struct ev_timer sweep;
	struct block *spare; /* owned */
	size_t nspare;
	struct connhead held; /* borrowed; responses that wait, oldest first */
	struct ev_prepare hold;
	unsigned luck, tried; /* with that */
	struct log_rate limit_log, refused_log, auth_log;
	struct head request, response; /* one at a time */
	struct target target;
	uint8_t scratch[REWRITE_MAX];
};

/* main.c */
struct pconf *pconf_ref(struct pconf *);
void pconf_unref(struct pconf *);

/* sock.c */
void sock_init(struct sock *, struct proxyd *, int fd,
    void (*cb)(struct ev_loop *, struct ev_io *, int), void *data);
void sock_fini(struct sock *);
void sock_want(struct sock *, bool rd, bool wr);
/* Reads once, if there is anything.  False: nothing new. */
bool sock_fill(struct sock *);
void sock_consume(struct sock *, size_t);
/* A copy of these bytes leaves before all else.  -1: no memory. */
int sock_put(struct sock *, const void *, size_t);
/* 1: all has left, and n bytes of from; 0: wait; -1: broken. */
int sock_send(struct sock *, struct sock *from, size_t n, size_t *sent);
void sock_shutdown(struct sock *);
bool sock_hungup(const struct sock *);
static inline size_t
sock_unread(const struct sock *s)
{
	return s->in == NULL ? 0 : s->in->len;
}
static inline const uint8_t *
sock_bytes(const struct sock *s)
{
	return s->in->data + s->in->off;
}
void dir_init(struct dir *, struct sock *from, struct sock *to, enum framing,
    uint64_t length);
enum pump dir_pump(struct dir *);
void dir_watch(struct dir *); /* after PUMP_WAIT */
void blocks_free(struct proxyd *);

/* conn.c */
void conn_new(struct proxyd *, struct ipc_msg *);
void conn_free(struct conn *);
void conn_run(struct conn *);
void conn_set(struct conn *, enum conn_state);
/* A number for what is asked for it now, and whose answer has that number. */
uint32_t conn_question(struct conn *);
struct conn *conn_asked(struct proxyd *, uint32_t question);
void conn_cb(struct ev_loop *, struct ev_io *, int);
void conn_up_cb(struct ev_loop *, struct ev_io *, int);
/* While something is asked: what the guest sends is kept, up to a block. */
void conn_wait(struct conn *);
void conn_tunnel(struct conn *);
void conn_drain(struct conn *);
/* A page for the guest, where one is still possible; ends the connection. */
void conn_error(struct conn *, unsigned status, const char *fmt, ...)
    __attribute__((__format__(printf, 3, 4)));
/* Nobody is there, for this reason. */
void conn_failed(struct conn *, unsigned status, const char *what);

/* http.c */
void http_head(struct conn *);
void http_begin(struct conn *); /* the upstream is there */
void http_exchange(struct conn *);
void http_up_failed(struct conn *);

/* hold.c */
void hold_init(struct proxyd *);
bool hold_head(struct conn *); /* true: the response waits for more */
void hold_end(struct conn *);

/* https.c */
void https_hello(struct conn *, bool timeout);
void https_begin(struct conn *);
void https_via(struct conn *);
void https_late(struct conn *);
void https_direct(struct conn *);

/* upstream.c */
void up_start(struct conn *, bool fresh);
void up_attempted(struct up *);	    /* it is connected, or failed */
usec_t up_due(const struct conn *); /* when up_late() is to be called */
void up_late(struct conn *);
void up_free(struct up *);
void up_end(struct conn *);	/* its connection, or the attempts at one */
void up_release(struct conn *); /* to the pool */
void up_flush(struct proxyd *);
void up_resolved(struct daemon *, struct ipc *, struct ipc_msg *);
void up_sock_fd(struct daemon *, struct ipc *, struct ipc_msg *);
void up_sock_refused(struct daemon *, struct ipc *, struct ipc_msg *);
void up_name_done(struct conn *); /* it needs no name any more */
void up_peer(struct proxyd *, enum ipc_role);
void up_init(struct proxyd *);

#endif
