#ifndef IPC_H
#define IPC_H

/*
 * The bus: one JSON object behind a header, with file descriptors, over a
 * non-blocking stream socketpair.
 *
 *	u32 length of the JSON text, little-endian; at most IPC_MAXLEN
 *	u8  number of descriptors of this frame
 *	u8  number of descriptors of later frames that come with this one
 *	u8[2] zero
 *	the JSON text: an object with the member "msg" (the message's name)
 *	and exactly the fields of its row in ipc_msgs.c
 *
 * Descriptors are matched to frames in order.  Every message is checked
 * against the table before a handler sees it.  A violation never harms the
 * receiver: the link is cut, `violation` says why, and the owner tells the
 * supervisor, who restarts the sender.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipaddr.h"
#include "common/ipc_msgs.h"

struct ev_loop;

#define IPC_MAXLEN  131072	  /* bytes of one message; the longest row fits */
#define IPC_MAXFDS  64		  /* descriptors of one message */
#define IPC_MAXQUEUE (4 << 20)	  /* bytes waiting to be sent, then cut */

/* A checked message, valid during the handler's call. */
struct ipc_msg {
	enum ipc_type type;
	struct ipc_val val[IPC_MAXFIELDS]; /* in the row's order; borrowed */
	int fd[IPC_MAXFDS];	/* owned by the message; see ipc_take_fd */
	size_t nfd;
};

struct ipc; /* one end of a link */

struct ipc_events {
	void (*msg)(struct ipc *, struct ipc_msg *);
	/*
	 * The link is dead: why is NULL on EOF or a socket error, ipc_no_room
	 * when we had no descriptors left for those that came, else the
	 * peer's violation in words.  Called once, from the loop; the handler may
	 * ipc_free() the link.
	 */
	void (*gone)(struct ipc *, const char *why);
};

/* Compared by address. */
extern const char ipc_no_room[];

/*
 * fd becomes owned; it must be non-blocking, and the process must ignore
 * SIGPIPE: messages without descriptors go by write(2).  self and peer are
 * this process's and the peer's role; vm is the peer's or own VM number where
 * links are per VM, else 0.  NULL when out of memory, logged.  ipc_free() may
 * be called from everywhere, also from this link's own handlers; it tries to
 * write what is still queued.
 */
struct ipc *ipc_new(struct ev_loop *, int fd, enum ipc_role self,
    enum ipc_role peer, uint32_t vm, const struct ipc_events *, void *data);
void ipc_free(struct ipc *);
/*
 * From now on nothing is read from the peer while it leaves much unread, so
 * that it cannot make us keep messages and descriptors for it without end.
 * For who only answers: two ends that both do it can wait for each other.
 */
void ipc_hold(struct ipc *);

void *ipc_data(const struct ipc *);
void ipc_set_data(struct ipc *, void *);
enum ipc_role ipc_peer(const struct ipc *);
uint32_t ipc_vm(const struct ipc *);
int ipc_fd(const struct ipc *); /* borrowed */

/*
 * Queues one message; fmt and what follows are json_pack()'s, without "msg":
 *	ipc_send(ipc, IPC_FLOW_CLOSE, NULL, 0, "{s:I}", "id", (json_int_t)id);
 * The descriptors become owned by the link at once, even on error.  0, or -1
 * when the link is dead, full or the message is not as the table says (a bug,
 * logged).  Messages leave in order, several in one write, when the loop has
 * served the other events of this turn.
 */
int ipc_send(struct ipc *, enum ipc_type, const int *fd, size_t nfd,
    const char *fmt, ...);
/*
 * The same for what nobody waits for: leaves with the next message that is
 * not lazy, or after a millisecond.
 */
int ipc_send_lazy(struct ipc *, enum ipc_type, const char *fmt, ...);
/* Bytes accepted but not yet written. */
size_t ipc_queued(const struct ipc *);

/* Typed getters for a checked message: the table says they cannot fail. */
uint64_t ipc_u64(const struct ipc_msg *, const char *field);
bool ipc_bool(const struct ipc_msg *, const char *field);
const char *ipc_str(const struct ipc_msg *, const char *field);
struct ipaddr ipc_addr(const struct ipc_msg *, const char *field);
struct macaddr ipc_mac(const struct ipc_msg *, const char *field);
size_t ipc_nstr(const struct ipc_msg *, const char *field); /* array length */
const char *ipc_strat(const struct ipc_msg *, const char *field, size_t i);
/* Takes descriptor i out of the message; the caller owns it. */
int ipc_take_fd(struct ipc_msg *, size_t i);

#endif
