#ifndef FRONT_H
#define FRONT_H

/*
 * portd's front role: a process of its own that speaks with the clients of the
 * port control sockets, and with the forwarder in the VM.  It opens nothing:
 * listeners come from the supervisor, sockets and forwards from portd.
 *
 *	client.c   bytes of the control sockets: 9P or HTTP, told apart by the
 *		   first of them
 *	web.c	   what HTTP requests do
 *	settings.c the same where the HTTP proxy's settings are asked for
 *	book.c	   the forwards, and what portd is asked for
 *	tunnel.c   the connection to the forwarder, its handshake and frames
 *	conn.c	   clients of forwards, each between its socket and the tunnel
 *	via.c	   the question a Unix socket is asked before a stream
 */

#include <bsd/sys/queue.h>
#include <ev.h>
#include <stdbool.h>

#include "common/daemon.h"
#include "common/log.h"
#include "common/nitems.h"
#include "portd/front/api.h"
#include "portd/front/buf.h"
#include "portd/front/fs.h"
#include "portd/front/mux.h"

#define FRONT_MAXCLIENTS   256
#define FRONT_MAXLISTENERS 64
#define FRONT_MAXFWDS	   4096
#define FRONT_BUCKETS	   1024
#define FRONT_CLIENTOUT	   65536 /* bytes waiting; no request is read then */
#define FRONT_MAXVIAS	   1024

enum front_stat {
	FRONTS_CLIENTS, /* now */
	FRONTS_CLIENT_LIMIT,
	FRONTS_NO_ROOM, /* accepting waited for a descriptor */
	FRONTS_9P,
	FRONTS_9P_ERRORS,
	FRONTS_9P_FIDS,
	FRONTS_9P_NAMES,
	FRONTS_HTTP,
	FRONTS_HTTP_ERRORS,
	FRONTS_NEITHER, /* neither 9P nor HTTP */
	FRONTS_SETTINGS,
	FRONTS_FWDS, /* forwards now */
	FRONTS_FWD_FAILED,
	FRONTS_FWD_LIMIT,
	FRONTS_CONNS, /* through the tunnel, now */
	FRONTS_CONN_LIMIT,
	FRONTS_TUNNELS, /* connections to the forwarder */
	FRONTS_TUNNEL_REFUSED,
	FRONTS_TUNNEL_LOST,
	FRONTS_DATAGRAMS,
	FRONTS_DATAGRAM_FULL, /* to a client that took none */
	FRONTS_DATAGRAM_LONG, /* from one, of more than 65,507 bytes */
	FRONTS_MUX,	      /* and on: enum mux_stat */
	FRONTS_VIA = FRONTS_MUX + MUXS__MAX,
	FRONTS_VIA_REFUSED,
	FRONTS__MAX
};

struct front;

/*
 * Forwards.
 */

enum fwd_state {
	FWD_ASKED,
	FWD_ACTIVE,
	FWD_LEAVING, /* until portd says that it is gone */
};

struct fwd {
	struct front *f; /* borrowed */
	uint32_t id;
	enum fwd_state state;
	struct api_port want;	/* as it was asked for */
	uint16_t port;		/* the host's real one */
	struct fs_entry *entry; /* borrowed; NULL unless it is of 9P */
	bool web;		/* it is of HTTP */
	bool held;		/* the supervisor knows of it */
	TAILQ_ENTRY(fwd) entries;
	struct fwd *next; /* hash chain */
};

/* portd is asked; the error's name when it cannot be. */
const char *fwd_add(
    struct front *, const struct api_port *, struct fs_entry *, struct fwd **);
/* Ends it; it is freed when portd has said so. */
void fwd_remove(struct fwd *);
struct fwd *fwd_find(struct front *, uint32_t id);
void book_portd(struct front *); /* there is a new one */
void book_portd_gone(struct front *);
void book_fini(struct front *);
void book_added(struct daemon *, struct ipc *, struct ipc_msg *);
void book_failed(struct daemon *, struct ipc *, struct ipc_msg *);
void book_gone(struct daemon *, struct ipc *, struct ipc_msg *);
/* One that the front before this had; the administrator ends one. */
void book_held(struct daemon *, struct ipc *, struct ipc_msg *);
void book_end(struct daemon *, struct ipc *, struct ipc_msg *);
extern const struct fs_hooks book_fs_hooks;

/*
 * Clients of the control sockets.
 */

enum client_kind {
	CLIENT_NEW,
	CLIENT_9P,
	CLIENT_HTTP,
	CLIENT_SETTINGS, /* of --http-api-path: HTTP, too, but one request */
};

struct client {
	struct front *f; /* borrowed */
	int fd;		 /* owned */
	struct ev_io rd, wr;
	struct buf in, out;
	enum client_kind kind;
	bool eof, closing;
	struct fs_session *fs; /* owned */
	struct http_req req;
	bool have_head, continued;
	struct http_chunks chunks; /* of a body that comes in those */
	struct buf body;	   /* what they had in them */
	struct fwd *waits;	   /* borrowed: its end is awaited */
	uint32_t asked;		   /* the supervisor; 0: nothing */
	TAILQ_ENTRY(client) entry;
};

struct control {
	struct front *f;       /* borrowed */
	int fd;		       /* owned */
	enum client_kind kind; /* of its clients, as far as is known */
	struct ev_io rd;
	struct ev_timer retry;
};

void client_listener(struct daemon *, struct ipc *, struct ipc_msg *);
void client_fini(struct front *);
/* Goes on with what it was waiting for. */
void client_resume(struct client *);
/* Whether it has to wait before its next request. */
bool client_waits(const struct client *);

/* web.c: a whole request, with its body. */
void web_request(struct client *, const char *body);
/* settings.c: the same of the HTTP proxy's settings. */
void settings_request(struct client *, const char *body);
void settings_bad(struct client *, int status);
void settings_answer(struct daemon *, struct ipc *, struct ipc_msg *);
/* An answer of a status and an error's text. */
void web_fail(struct client *, int status, const char *text, bool bare);
/* What became of a forward: NULL, or why not. */
void web_done(struct fwd *, const char *error);
/* What was already read is bad: the last answer. */
void web_bad(struct client *, int status);

/*
 * The tunnel.
 */

enum tunnel_form { FORM_AUTO, FORM_MUX, FORM_HANDSHAKE, FORM_2017 };

enum tunnel_state {
	TUNNEL_DOWN,
	TUNNEL_ASKED,	/* portd */
	TUNNEL_CONNECT, /* not writable yet */
	TUNNEL_GREET,	/* what is spoken is not known yet */
	TUNNEL_UP,
};

#define TRACE_MAX 500

struct trace {
	usec_t when;
	bool sent;
	uint8_t cmd;
	uint32_t id;
	uint64_t value;
};

struct conn;
TAILQ_HEAD(conn_list, conn);

struct tunnel {
	struct front *f; /* borrowed */
	enum tunnel_state state;
	int fd; /* owned */
	struct ev_io rd, wr;
	struct ev_timer greet;
	struct buf in;	/* of the handshake */
	struct buf out; /* the same */
	bool shakes;	/* the forwarder was seen to want the handshake */
	bool heard;	/* it has said something this time */
	struct mux mux;
	bool choked; /* someone found its output full */
	struct trace trace[TRACE_MAX];
	size_t ntrace;
	struct log_rate log;
};

void tunnel_init(struct front *);
void tunnel_fini(struct front *);
/* A connection waits for it. */
void tunnel_want(struct front *);
/* What was put into the multiplexer leaves. */
void tunnel_flush(struct tunnel *);
void tunnel_portd(struct front *); /* there is a new one: asks it again */
void tunnel_fd(struct daemon *, struct ipc *, struct ipc_msg *);
void tunnel_refused(struct daemon *, struct ipc *, struct ipc_msg *);
/* The line HyperKit wants first, where that is who connects. */
int tunnel_line(struct front *, struct buf *);
/* Its latest frames and its channels as text, owned by the caller. */
char *tunnel_dump(struct front *, size_t *len);
void tunnel_ask(struct front *, uint32_t id);

/*
 * Clients of forwards.
 */

struct conn {
	struct front *f; /* borrowed */
	uint32_t num;	 /* ours, from 1 */
	uint32_t id;	 /* portd's */
	unsigned portd;	 /* which one's */
	struct mux_dest dest;
	struct ipaddr from; /* the client */
	uint16_t fport;
	int fd, early; /* owned; early: datagrams that came before */
	struct ev_io rd, wr;
	struct ev_timer timer;	 /* idle, or the next look at: */
	size_t unsent;		 /* by the kernel, both being done */
	usec_t last;		 /* datagram */
	struct buf tohost, tovm; /* waiting for room */
	struct mux_chan *chan;	 /* NULL: not open, or not any more */
	int tfd;		 /* owned: its own transport, 2017 */
	struct ev_io trd, twr;
	bool waiting;		/* for the tunnel */
	bool retried;		/* has lost one tunnel before it was used */
	bool host_eof;		/* the client sends no more */
	bool vm_eof, vm_closed; /* nor does the VM; it is gone */
	bool heard;		/* the VM has said something */
	bool ending;		/* only the client has to take the rest */
	TAILQ_ENTRY(conn) entry;
};

void conn_open(struct daemon *, struct ipc *, struct ipc_msg *);
/* The tunnel is there: all who wait get their channel. */
void conns_start(struct front *);
/* It is not to be had, or lost; those unharmed wait for the next. */
void conns_refused(struct front *);
void conns_lost(struct front *);
/* Its output has room again. */
void conns_resume(struct front *);
void conns_fini(struct front *);
void conns_portd(struct front *);
/* portd is gone: sockets of UDP clients hold ports that the next one needs. */
void conns_portd_gone(struct front *);
/* The forward of a UDP client is gone. */
void conn_end(struct daemon *, struct ipc *, struct ipc_msg *);
/* A transport of its own. */
void conn_transport(struct front *, uint32_t num, int fd);
void conn_refused(struct front *, uint32_t num);
extern const struct mux_hooks conn_mux_hooks;

/* conn_io.c: bytes between its two ends. */
void conn_init(struct conn *);
void conn_dedicated(struct conn *, int fd); /* its transport, owned */
void conn_free(struct conn *);
void conn_reset(struct conn *); /* the client sees that, too */
bool conn_udp(const struct conn *);
void conn_pump(struct conn *);	/* toward the VM */
void conn_flush(struct conn *); /* toward the client */
void conn_input(struct conn *, const uint8_t *, size_t);
void conn_vm_eof(struct conn *);
void conn_vm_closed(struct conn *);
void conn_watch(struct conn *);

/*
 * Questions before streams.
 */

void via_conn(struct daemon *, struct ipc *, struct ipc_msg *);
void via_fini(struct front *);
/* What an answer says: 1 yes, 0 no or junk. */
int via_parse(const char *text, size_t len);

struct via;

struct front {
	struct daemon *d;  /* borrowed */
	struct ipc *portd; /* borrowed; NULL: not there */
	unsigned nportd;   /* how many there have been */
	bool tunnelled;	   /* forwards go through the tunnel */
	bool hyperkit;	   /* which begins with a line for HyperKit */
	enum tunnel_form form;
	struct control control[FRONT_MAXLISTENERS];
	size_t ncontrol;
	TAILQ_HEAD(, client) clients; /* owned; oldest first */
	size_t nclient;
	struct fs fs;
	TAILQ_HEAD(fwd_tailq, fwd) fwds; /* owned; oldest first */
	struct fwd *fwd_by_id[FRONT_BUCKETS];
	size_t nfwd;
	uint32_t next_fwd, next_ask;
	struct tunnel tunnel;
	struct conn_list conns;	 /* owned; who was served longest ago first */
	struct conn_list ending; /* the same of who took something */
	size_t nconn, maxconn, nending;
	uint32_t next_conn;
	LIST_HEAD(, via) vias; /* owned */
	size_t nvia;
};

static inline void
front_count(struct front *f, unsigned i)
{
	stats_inc(&f->d->stats, i);
}

/* One more, or less. */
static inline void
front_now(struct front *f, enum front_stat i, int n)
{
	stats_add(&f->d->stats, i, (uint64_t)(int64_t)n);
}

#endif
