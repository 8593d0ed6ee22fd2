#ifndef PLAT_H
#define PLAT_H

/*
 * Everything an operating system must give us.  One file per system implements
 * it; nothing else in the tree asks which system it runs on.  Unless said
 * otherwise: 0 or a descriptor on success, -1 with errno; descriptors are
 * close-on-exec and non-blocking.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/usec.h"

/* Clock and limits. */
usec_t plat_now(void); /* monotonic */
/* Raises the limit on descriptors to the hard limit; returns the limit. */
int plat_nofile(void);
int plat_ncpu(void); /* processors that can run us */
/*
 * Waking this process no longer stops whoever has the processor: SCHED_BATCH.
 * For processes that the administrator has given no other policy, which is
 * what plat_sched_normal() tells, and which a sandboxed one can't ask.
 */
void plat_sched_batch(bool on);
bool plat_sched_normal(void);
/* What the system's lists of processes call this one. */
void plat_name(const char *);
/*
 * The system's own text for its range of ports that nobody asks for by number,
 * and for those of them it gives to nobody; empty where it has none.
 */
#define PLAT_PORTSLEN 4096
void plat_udp_ports(char range[PLAT_PORTSLEN], char reserved[PLAT_PORTSLEN]);
/* libev's name of the back end to use: EVBACKEND_*. */
unsigned plat_ev_backend(void);

/* Local sockets and shared memory. */
int plat_socketpair(int type, int sv[2]); /* SOCK_STREAM or SOCK_DGRAM */
int plat_unix_connect(const char *path);  /* a stream; waits for no accept */
/* A sealed memory file of a fixed size: it can neither shrink nor grow. */
int plat_memfd(const char *name, size_t size);
/* A read-only descriptor of a memory file: cannot be mapped writable. */
int plat_memfd_ro(int fd);
/* Maps a memory file for reading, at that address or not at all: NULL. */
const void *plat_map_at(int fd, size_t size, uintptr_t at);
/* Maps a memory file of size bytes twice in a row; NULL on error. */
void *plat_map_ring(int fd, size_t size, bool writable);
void plat_unmap_ring(void *, size_t size);

/* The user at the other end of a local stream socket. */
int plat_peer_uid(int fd, uid_t *);
/*
 * Whether it is a TAP device; and whether each of its frames is bare, or behind
 * a header of VNET_HDRLEN bytes (common/vnet.h).
 */
enum plat_tap { PLAT_TAP_NOT, PLAT_TAP_BARE, PLAT_TAP_VNET };
enum plat_tap plat_tap(int fd);
/*
 * Whether the sender's kernel may leave checksums, and the cutting of TCP over
 * IPv4, to the reader of such a header.  What it has sent stays as it is.
 */
int plat_tap_offload(int fd, bool on);
/* Bytes of memory a process has of its own; 0: unknown. */
uint64_t plat_memory(pid_t);
/* Whether a signal or a debugger has stopped it; false: unknown, too. */
bool plat_stopped(pid_t);
/* Whether a stream's other end will send no more, read to its end or not. */
bool plat_ended(int fd);
/* Bytes written to a local socket that its other end has not read. */
size_t plat_unread(int fd);
/* Bytes written to a TCP socket, and its end, that were not sent yet. */
size_t plat_unsent(int fd);

/* Children. */
struct plat_spawn {
	const char *path;   /* executable */
	char *const *argv;
	const int (*fdmap)[2]; /* {descriptor here, number there}; -1: none */
	size_t nfdmap;
	bool pidns;	 /* in a PID namespace of its own, where possible */
	unsigned nofile; /* descriptors it may have for good; 0: as many as we */
};
/* Returns the pid, -1 when fork or exec failed (errno of either). */
pid_t plat_spawn(const struct plat_spawn *);

/*
 * Sockets as the stack uses them.  A stream is peeked at an offset and
 * consumed later; a retransmission is another peek.
 */
/* Bytes peeked; 0 at the end of the stream; -1 EAGAIN when there are none.
 * *cur is the socket's own idea of the peek offset, kept by the caller: -1
 * before the first call; negative also where the kernel has none. */
ssize_t plat_peek(int fd, size_t off, ssize_t *cur, const struct iovec *,
    int niov);
/* What the first peek would do first, ahead of its time. */
void plat_peek_prepare(int fd, ssize_t *cur);
/* Drops n bytes from the front; *cur follows.  *reads, false at first and kept
 * by the caller: this kind of socket drops nothing unread. */
int plat_discard(int fd, size_t n, ssize_t *cur, bool *reads);
/* The socket should be ready to hold n bytes unread, if it can be told. */
void plat_hold(int fd, size_t n);
/*
 * Bytes the socket would take now without blocking, by its own counters, less
 * a part for its overhead.  When little is left, a write event follows as soon
 * as there is more, as after a write that failed with EAGAIN.
 */
size_t plat_room(int fd);

/*
 * Sockets that send datagrams, and ICMP echo.
 */
struct plat_sockerr {
	int error; /* as from a call that failed */
	uint8_t type, code; /* of the ICMP message */
	uint32_t info;	    /* what it says of the path's MTU */
	uint32_t from;	    /* its sender; 0: unknown */
};
/* From now on what routers say of the socket's packets is kept; or not. */
int plat_sockerr_keep(int fd, bool on);
/*
 * Takes the oldest ICMP error that was kept, and of what it quotes, behind the
 * headers of IP and UDP, at most *len bytes.  0, or -1: there is none.
 */
int plat_sockerr(int fd, struct plat_sockerr *, uint8_t *data, size_t *len);
/*
 * A stream, mostly one not connected yet, that does not leave this machine:
 * there is no path to probe, and it is not paced.
 */
void plat_tcp_here(int fd);
/*
 * Connects a UDP socket that has no port of its own choice to the same or
 * another address, from a new port that the system draws.  -1 also where that
 * cannot be had.  none is an address of AF_UNSPEC, of the same length.
 */
struct sockaddr;
struct sockaddr_storage;
int plat_udp_again(int fd, const struct sockaddr *none,
    const struct sockaddr *to, unsigned len);
/* Our own address of a UDP socket; its port is left out.  -1 with errno. */
int plat_udp_source(int fd, struct sockaddr_storage *from);
/*
 * Our own address of one that is not connected yet, for good: the system does
 * not look for it with each connect.  from has no port, and is of len bytes.
 * -1 with errno.
 */
int plat_udp_from(int fd, const struct sockaddr_storage *from, unsigned len);
/* The TTL and TOS of packets, and whether they may not be fragmented. */
int plat_ttl(int fd, int ttl);
int plat_tos(int fd, int tos);
int plat_df(int fd, bool df);
/* The largest packet that passes to the peer; 0: unknown. */
size_t plat_path_mtu(int fd);
/*
 * A socket for ICMP echo requests, and replies to them; EACCES where the
 * process's group may not have one.  Bound, connected to nobody.  *id is what
 * the kernel puts in as the identifier.
 */
int plat_ping(uint16_t *id);
/* A raw ICMP socket; needs rights. */
int plat_raw_icmp(void);
/* Leaves to it nothing but echo replies with that identifier, for good. */
int plat_raw_limit(int fd, uint16_t id);
/* As recv() of one datagram; who sent it, and the TTL it came with or 0. */
ssize_t plat_recv_ttl(int fd, const struct iovec *, int niov, uint32_t *from,
    uint8_t *ttl);

/*
 * An edge-triggered set of descriptors: one event per change, none for a
 * state that lasts.  What libev cannot express; watched by libev as one fd.
 */
#define PLAT_EDGE_READ	1u
#define PLAT_EDGE_WRITE 2u
#define PLAT_EDGE_HUP	4u /* error or both directions closed */
#define PLAT_EDGE_EOF	8u /* the other end sends no more; READ as well */
#define PLAT_EDGE_URG	16u /* a mark in the stream, where reads stop short */

struct plat_edge_event {
	uint64_t tag;
	unsigned what; /* PLAT_EDGE_* */
};

int plat_edge_new(void);
/* All kinds of events; PLAT_EDGE_WRITE only with writes. */
int plat_edge_add(int set, int fd, uint64_t tag, bool writes);
/* Whether it is told from now on; first, if it can be written to now. */
int plat_edge_writes(int set, int fd, uint64_t tag, bool writes);
void plat_edge_del(int set, int fd);
/* Never blocks; number of events. */
int plat_edge_wait(int set, struct plat_edge_event *, int max);

/*
 * Watching files by their directories, so that a rename over, a deletion and
 * a later creation are all seen.
 */
int plat_watch_new(void);
/* Returns a watch number; several files of one directory share it. */
int plat_watch_dir(int set, const char *dir);
/* Watch may be that of a directory which is gone. */
void plat_watch_drop(int set, int watch);
/*
 * Calls back for each changed name; name is valid during the call.  An empty
 * name: the directory itself is gone, has moved or has other permissions; with
 * watch -1: changes were lost, so everything may have changed.
 */
void plat_watch_read(int set, void (*cb)(void *arg, int watch,
    const char *name), void *arg);

/*
 * A descriptor that becomes readable when addresses or default routes of the
 * host change; reading tells whether any did.
 */
int plat_netchange_new(void);
bool plat_netchange_read(int fd);

/*
 * Tells the service manager, if one listens: "READY=1" and the like.  The
 * second is how often it wants to hear "WATCHDOG=1"; USEC_NEVER: it does not.
 */
void plat_notify(const char *text);
usec_t plat_watchdog(void);

/* A socket that launchd keeps for us; EAFNOSUPPORT where there is none. */
int plat_launchd_socket(const char *name);

/* Hypervisor sockets; EAFNOSUPPORT where there are none. */
int plat_vsock_listen(uint32_t cid, uint32_t port);
int plat_vsock_connect(uint32_t cid, uint32_t port); /* begins to */

#endif
