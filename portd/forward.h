#ifndef FORWARD_H
#define FORWARD_H

/*
 * Ports of the host that lead to a guest.
 *
 *	forward.c  what listens where
 *	client.c   who connects: accepted, offered to a stack or to front
 *	dgram.c	   the same for UDP, where portd makes each client a socket
 *	host.c	   what the supervisor is asked for
 *
 * Of a stream nothing is read here.  Of UDP only what comes before a client
 * has a socket of its own: it is handed on unread with that socket.
 */

#include "portd/portd.h"

#define FORWARD_MAX	4096 /* of one owner */
#define FORWARD_NFD	2    /* sockets of one: [::1] beside 127.0.0.1 */
#define FORWARD_PATHLEN 108
#define CLIENT_MAXQUEUE (64u << 10) /* bytes of offers a peer leaves unread */
#define CLIENT_KEY	1 /* as a destination in the limits: all clients */

enum forward_proto { FORWARD_TCP, FORWARD_UDP, FORWARD_UNIX };

struct forward;

struct forward_sock {
	int fd; /* owned; -1: none */
	struct ev_io rd;
	struct forward *f; /* borrowed */
};

struct forward {
	uint32_t id;
	struct ipc *owner; /* borrowed; the supervisor's link or front's */
	enum forward_proto proto;
	char path[FORWARD_PATHLEN]; /* of a Unix socket */
	struct ipaddr addr;
	uint16_t port; /* as asked; then as bound */
	struct ipaddr dst;
	uint16_t dport;
	bool tunnel, proxy;
	bool paused;	  /* no descriptors: until portd.resume */
	bool from_host;	  /* the supervisor made the socket */
	uint32_t host_id; /* of that request */
	struct ev_timer again; /* until its port may be free */
	struct forward_sock sock[FORWARD_NFD];
	TAILQ_ENTRY(forward) entry;
};

/* A client that was offered to somebody, who has not yet said "done". */
struct client {
	uint32_t id;
	struct ipc *link;	/* borrowed: a stack's or front's */
	struct limits_vm *used; /* borrowed: of that peer */
	struct client *next;	/* by id */
	/* UDP only, while it is known there. */
	struct forward *f; /* borrowed; NULL: forgotten, or not UDP */
	struct client *next_udp;
	bool udp;	   /* its socket shares the forward's port */
	bool to_many;	   /* to is a broadcast or multicast address */
	struct ipaddr from, to;
	uint16_t fport, tport;
	uint32_t scope; /* of link-local ones: their link; else 0 */
	int fd, early, theirs; /* owned until offered; -1: were */
	bool waits;	       /* for the supervisor to bind its socket */
	TAILQ_ENTRY(client) unsent;
};

/* forward.c */
void forward_add(struct daemon *, struct ipc *, struct ipc_msg *);
void forward_remove(struct daemon *, struct ipc *, struct ipc_msg *);
/* The owner's link is about to go. */
void forward_owner_gone(struct portd *, const struct ipc *);
void forward_free(struct portd *, struct forward *);
/* The answer to host_bind(): fd becomes owned, or -1 and an error. */
void forward_answered(
    struct portd *, struct forward *, int fd, const char *error);
/* The answer to host_bind_localhost6(): fd becomes owned; -1: it has none. */
void forward_localhost6(struct portd *, struct forward *, int fd);
/* The addresses allowed are new: ends those that are not any more. */
void forward_recheck(struct portd *);
/* No descriptors: it is not looked at until some may be free. */
void forward_pause(struct portd *, struct forward *);
void forward_init(struct portd *);
void forward_fini(struct portd *);

/* client.c */
void client_accept_cb(struct ev_loop *, struct ev_io *, int);
void client_done(struct daemon *, struct ipc *, struct ipc_msg *);
/* Where a forward leads now; NULL: nowhere. */
struct ipc *client_peer(
    struct portd *, const struct forward *, struct limits_vm **);
/* Enters a client, with its place in the limits; NULL: no room, counted. */
struct client *client_new(struct portd *, struct ipc *, struct limits_vm *used);
/* Gives the descriptors away. */
void client_offer(struct portd *, const struct forward *, const struct client *,
    const int *fd, size_t nfd);
void client_free(struct portd *, struct client *);
void client_peer_gone(struct portd *, const struct ipc *);

/* dgram.c */
void dgram_read_cb(struct ev_loop *, struct ev_io *, int);
/* Forgets a client's address; its socket is its own business. */
void dgram_forget(struct portd *, struct client *);
/* Clients that were offered are told to go, with the port that they hold. */
void dgram_forward_gone(struct portd *, const struct forward *);
/* Whether sockets of earlier clients hold this port still. */
bool dgram_lingers(const struct portd *, uint16_t port);
void dgram_bound(struct portd *, struct client *, int fd);

/* host.c: 0 is no request. */
uint32_t host_bind(struct portd *, struct forward *);
uint32_t host_bind_client(struct portd *, struct client *);
/* The [::1] beside a TCP forward. */
uint32_t host_bind_localhost6(struct portd *, struct forward *);
void host_release(struct portd *, uint32_t id);
/* Its answer has nobody to go to any more. */
void host_forget(struct portd *, const void *who);
void host_fini(struct portd *);
void host_tunnel_open(struct daemon *, struct ipc *, struct ipc_msg *);
void host_fd(struct daemon *, struct ipc *, struct ipc_msg *);
void host_failed(struct daemon *, struct ipc *, struct ipc_msg *);
/* A connection of a guest's flow through a path of the configuration. */
uint32_t host_connect_flow(struct portd *, struct flow *, const char *path);

#endif
