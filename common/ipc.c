/*
 * One end of a bus link; ipc.h has the frame format.
 *
 * Sending.  Frames are put one behind the other into a buffer and leave at
 * the end of the loop's turn: then everything a turn has said is one write.
 * "The end of the turn" is an event of the lowest priority that ipc_send()
 * feeds to the loop: libev serves it when all other events of the turn are
 * done, whatever sent (a handler, a timer, a prepare watcher), and before it
 * waits again.  The descriptors of a write go with its first byte, and the
 * header of a frame says how many of later ones have come by then.  Only such a
 * write is a sendmsg(2); all others are write(2), the only one a sandboxed
 * reader is allowed.
 *
 * Receiving.  Descriptors are queued in the order in which they came and a
 * frame takes as many as its header says.  There may be no more than the frames
 * have announced.  What comes in one turn is bounded, so that a busy peer does
 * not keep the others waiting.  A peer that is held (see ipc_hold()) is not
 * read; whole frames of its that are here already wait in the buffer.
 *
 * Ending.  Whatever goes wrong, cut() only notes it and the end of the turn
 * tells the owner, once.  Handlers may free the link they are called for: the
 * memory then lives until the calls in progress have returned (`busy`).
 */

#include <sys/socket.h>
#include <sys/uio.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "common/ipc.h"
#include "common/ipc_wire.h"
#include "common/log.h"

#define IPC_INMIN      16384 /* first size of the input buffer */
#define IPC_TURN       256   /* messages after which a turn ends */
#define IPC_RETRY_SECS 0.01  /* after the kernel was out of something */
#define IPC_LAZY_SECS  0.001 /* a lazy message waits for another so long */
#define IPC_WHYLEN     96
/* More than this waits for a peer that ipc_hold() is about: it is not read. */
#define IPC_HOLD_BYTES 65536
#define IPC_HOLD_FDS   256

const char ipc_no_room[] = "no descriptors left";

struct ipc {
	struct ev_loop *loop; /* borrowed */
	struct ev_io rd, wr;
	struct ev_timer retry;
	struct ev_timer lazy;	     /* for messages nobody waits for */
	struct ev_watcher turn;	     /* fed by turn_end(), never started */
	const struct ipc_events *ev; /* borrowed */
	void *data;		     /* the owner's */
	enum ipc_role self, peer;
	uint32_t vm;
	int fd; /* owned */

	uint8_t *in; /* owned */
	size_t inlen, incap;
	int infd[2 * IPC_MAXFDS]; /* owned; no frame has taken them yet */
	size_t ninfd;
	size_t ahead; /* of them, announced by the last frame that was taken */

	struct ipc_queue out;

	bool hold;	 /* ipc_hold() */
	unsigned busy;	 /* calls to the owner in progress */
	bool dead;	 /* cut, or freed by the owner */
	bool told;	 /* gone() was called */
	bool freed;	 /* by the owner; memory goes when no longer busy */
	const char *why; /* of the cut: NULL, a constant or whybuf */
	char whybuf[IPC_WHYLEN];
};

static void
turn_end(struct ipc *ipc)
{
	if (!ev_is_pending(&ipc->turn))
		ev_feed_event(ipc->loop, &ipc->turn, EV_CUSTOM);
}

static void
stop_watchers(struct ipc *ipc)
{
	ev_io_stop(ipc->loop, &ipc->rd);
	ev_io_stop(ipc->loop, &ipc->wr);
	ev_timer_stop(ipc->loop, &ipc->retry);
	ev_timer_stop(ipc->loop, &ipc->lazy);
}

/* Nothing is read or written any more; the owner hears of it later. */
static void
cut(struct ipc *ipc, const char *why)
{
	if (ipc->dead)
		return;
	ipc->dead = true;
	ipc->why = why;
	stop_watchers(ipc);
	ipc_close_fds(ipc->infd, ipc->ninfd);
	ipc->ninfd = 0;
	ipc_queue_clear(&ipc->out);
	turn_end(ipc);
}

static void
release(struct ipc *ipc)
{
	free(ipc->in);
	ipc_queue_fini(&ipc->out);
	free(ipc);
}

/* Around everything that may call the owner. */
static void
enter(struct ipc *ipc)
{
	ipc->busy++;
}

static void
leave(struct ipc *ipc)
{
	if (--ipc->busy == 0 && ipc->freed)
		release(ipc);
}

/*
 * Receiving.
 */

static void
collect_fds(struct ipc *ipc, struct msghdr *mh)
{
	struct cmsghdr *c;
	size_t n;

	for (c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		/* Room for one call's descriptors is kept by take_input(). */
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(ipc->infd + ipc->ninfd, CMSG_DATA(c), n * sizeof(int));
		ipc->ninfd += n;
	}
}

/*
 * One recvmsg(2).  1: something came, and *more says whether to ask again at
 * once; 0: nothing there now; -1: the link is cut.
 */
static int
fill(struct ipc *ipc, bool *more)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(IPC_MAXFDS * sizeof(int))];
	} ctl;
	struct iovec iov = { ipc->in + ipc->inlen, ipc->incap - ipc->inlen };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl.buf,
		.msg_controllen = sizeof(ctl.buf) };
	size_t before = ipc->ninfd;
	ssize_t n;

	*more = false;
	if ((n = recvmsg(ipc->fd, &mh, MSG_CMSG_CLOEXEC)) == -1) {
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		cut(ipc, NULL);
		return -1;
	}
	collect_fds(ipc, &mh);
	if (n == 0) {
		cut(ipc, NULL);
		return -1;
	}
	if (mh.msg_flags & MSG_CTRUNC) {
		/* Either there were more than a message has, or our table is
		 * full: for that the sender is not to blame. */
		cut(ipc, ipc->ninfd - before == IPC_MAXFDS ? "descriptors lost"
							   : ipc_no_room);
		return -1;
	}
	ipc->inlen += (size_t)n;
	/* The kernel stops behind bytes that carry descriptors. */
	*more = ipc->inlen == ipc->incap || ipc->ninfd > before;
	return 1;
}

/* A violation in a message whose name is known, where it is. */
static void
cut_named(struct ipc *ipc, int type, const char *why)
{
	if (type != -1) {
		snprintf(ipc->whybuf, sizeof(ipc->whybuf), "%s: %s",
		    ipc_desc[type].name, why);
		why = ipc->whybuf;
	}
	cut(ipc, why);
}

static int
type_of(const json_t *body)
{
	const json_t *name = json_object_get(body, "msg");

	return json_is_string(name) ? ipc_type_parse(json_string_value(name),
					  json_string_length(name))
				    : -1;
}

/* Checked by one of two readers, and the message's from here on. */
static void
hand_over(struct ipc *ipc, struct ipc_msg *m, int type, size_t nfd)
{
	m->type = (enum ipc_type)type;
	m->nfd = nfd;
	memcpy(m->fd, ipc->infd, nfd * sizeof(int));
	ipc->ninfd -= nfd;
	memmove(ipc->infd, ipc->infd + nfd, ipc->ninfd * sizeof(int));
	ipc->ev->msg(ipc, m);
	ipc_close_fds(m->fd, m->nfd);
}

static void
deliver_json(struct ipc *ipc, const char *text, const struct ipc_frame *f)
{
	struct ipc_msg m;
	const char *why;
	json_t *body;
	int type;

	body = json_loadb(text, f->len, JSON_REJECT_DUPLICATES, NULL);
	if (body == NULL) {
		cut(ipc, "not JSON");
		return;
	}
	type = ipc_check(body, ipc->peer, ipc->self, f->nfd, m.val, &why);
	if (type == -1)
		cut_named(ipc, type_of(body), why);
	else
		hand_over(ipc, &m, type, f->nfd);
	json_decref(body);
}

/* Parses, checks and hands over the message of one frame. */
static void
deliver(struct ipc *ipc, char *text, const struct ipc_frame *f)
{
	struct ipc_msg m;
	const char *why;
	int type;

	if ((type = ipc_flat_read(text, f->len, m.val)) == -1) {
		deliver_json(ipc, text, f);
		return;
	}
	why = ipc_check_vals(
	    (enum ipc_type)type, ipc->peer, ipc->self, f->nfd, m.val);
	if (why != NULL)
		cut_named(ipc, type, why);
	else
		hand_over(ipc, &m, type, f->nfd);
}

/* How many descriptors can be here when a frame is not, or only in part. */
static size_t
fds_announced(const struct ipc *ipc, const struct ipc_frame *f, size_t len)
{
	if (len == 0)
		return ipc->ahead;
	return len < IPC_HDRLEN ? IPC_MAXFDS : f->nfd + f->ahead;
}

/*
 * Handles the frame at the front of the bytes.  Its length; -1: the link is
 * cut; -2: there is not all of it yet, and *need is its length so far as
 * known.
 */
static ssize_t
take_frame(struct ipc *ipc, uint8_t *p, size_t len, size_t *need)
{
	struct ipc_frame f = { 0, 0, 0 };
	const char *why;
	int r;

	*need = IPC_HDRLEN;
	if ((r = ipc_frame_head(p, len, &f, &why)) == -1) {
		cut(ipc, why);
		return -1;
	}
	if (r == 0)
		*need = IPC_HDRLEN + f.len;
	if (len < *need && ipc->ninfd <= fds_announced(ipc, &f, len))
		return -2;
	if (len < *need || f.nfd + f.ahead > ipc->ninfd) {
		cut(ipc, len < *need ? "descriptors of no message"
				     : "descriptors missing");
		return -1;
	}
	ipc->ahead = f.ahead;
	deliver(ipc, (char *)p + IPC_HDRLEN, &f);
	return ipc->dead ? -1 : (ssize_t)*need;
}

/* Makes room for what the frame at the front still needs. */
static int
grow_input(struct ipc *ipc, size_t need)
{
	uint8_t *p;

	if (need <= ipc->incap)
		return 0;
	if ((p = realloc(ipc->in, need)) == NULL) {
		log_warn("bus to %s", ipc_role_name[ipc->peer]);
		cut(ipc, NULL);
		return -1;
	}
	ipc->in = p;
	ipc->incap = need;
	return 0;
}

static bool
held(const struct ipc *ipc)
{
	return ipc->hold && (ipc_queue_bytes(&ipc->out) > IPC_HOLD_BYTES ||
				ipc_queue_fds(&ipc->out) > IPC_HOLD_FDS);
}

/*
 * Handles the whole frames of the buffer; then at most one in part is left,
 * and IPC_MAXFDS descriptors, or the peer is held.  Returns their number.
 */
static size_t
take_input(struct ipc *ipc)
{
	size_t need = 0, off = 0, taken = 0;
	ssize_t n = -2;

	while (!held(ipc) && (n = take_frame(ipc, ipc->in + off,
				  ipc->inlen - off, &need)) > 0) {
		off += (size_t)n;
		taken++;
	}
	if (n == -1 || grow_input(ipc, need) == -1)
		return taken;
	ipc->inlen -= off;
	memmove(ipc->in, ipc->in + off, ipc->inlen);
	return taken;
}

static void
input(struct ipc *ipc)
{
	size_t taken = 0;
	bool more;

	do {
		if (fill(ipc, &more) != 1)
			return;
		taken += take_input(ipc);
	} while (more && taken < IPC_TURN && !ipc->dead && !held(ipc));
	if (held(ipc))
		ev_io_stop(ipc->loop, &ipc->rd);
}

/* The peer has read enough of what waited for it: it is read again. */
static void
unhold(struct ipc *ipc)
{
	if (ipc->dead || ev_is_active(&ipc->rd) || held(ipc))
		return;
	take_input(ipc);
	if (!ipc->dead && !held(ipc))
		ev_io_start(ipc->loop, &ipc->rd);
}

static void
read_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct ipc *ipc = w->data;

	enter(ipc);
	input(ipc);
	leave(ipc);
}

/*
 * Sending.
 */

static ssize_t
send_fds(struct ipc *ipc, const struct ipc_run *run)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(IPC_MAXFDS * sizeof(int))];
	} ctl;
	size_t bytes = run->nfd * sizeof(int);
	struct iovec iov = { (void *)(uintptr_t)run->p, run->len };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl.buf,
		.msg_controllen = CMSG_SPACE(bytes) };
	struct cmsghdr *c;

	memset(&ctl, 0, CMSG_SPACE(bytes));
	c = CMSG_FIRSTHDR(&mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(c), run->fd, bytes);
	return sendmsg(ipc->fd, &mh, MSG_NOSIGNAL);
}

/*
 * A write failed.  0: it will be tried again, -1: the peer is gone.  The
 * kernel runs out of memory, or of descriptors under way in sockets, without
 * any event when there are some again.
 */
static int
write_failed(struct ipc *ipc)
{
	switch (errno) {
	case EAGAIN:
		ev_io_start(ipc->loop, &ipc->wr);
		return 0;
	case ENOBUFS:
	case ENOMEM:
	case ETOOMANYREFS:
		ev_io_stop(ipc->loop, &ipc->wr);
		ev_timer_set(&ipc->retry, IPC_RETRY_SECS, 0.);
		ev_timer_start(ipc->loop, &ipc->retry);
		return 0;
	default:
		return -1;
	}
}

/* Writes what the socket takes.  -1: the peer is gone. */
static int
output(struct ipc *ipc)
{
	struct ipc_run run;
	ssize_t n;

	while (ipc_queue_bytes(&ipc->out) > 0) {
		run = ipc_queue_next(&ipc->out);
		if (run.nfd > 0)
			n = send_fds(ipc, &run);
		else
			n = write(ipc->fd, run.p, run.len);
		if (n >= 0)
			ipc_queue_wrote(&ipc->out, &run, (size_t)n);
		else if (errno != EINTR)
			return write_failed(ipc);
	}
	ev_io_stop(ipc->loop, &ipc->wr);
	return 0;
}

static bool
blocked(const struct ipc *ipc)
{
	return ev_is_active(&ipc->wr) || ev_is_active(&ipc->retry);
}

static void
write_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	turn_end(w->data);
}

static void
timer_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	turn_end(w->data);
}

static void
turn_cb(struct ev_loop *loop, struct ev_watcher *w, int revents)
{
	struct ipc *ipc = w->data;

	enter(ipc);
	if (!ipc->dead && output(ipc) == -1) {
		/* The peer may have said why before it went. */
		input(ipc);
		cut(ipc, NULL);
	}
	unhold(ipc);
	if (ipc->dead && !ipc->told && !ipc->freed) {
		ipc->told = true;
		ipc->ev->gone(ipc, ipc->why);
	}
	leave(ipc);
}

/* The peer is not woken for a lazy message alone: another one may follow. */
static void
leave_soon(struct ipc *ipc, bool lazy)
{
	if (!lazy) {
		ev_timer_stop(ipc->loop, &ipc->lazy);
		turn_end(ipc);
	} else if (!ev_is_pending(&ipc->turn) && !ev_is_active(&ipc->lazy)) {
		ev_timer_set(&ipc->lazy, IPC_LAZY_SECS, 0.);
		ev_timer_start(ipc->loop, &ipc->lazy);
	}
}

static const char *
queue(struct ipc *ipc, enum ipc_type type, const struct ipc_val *val,
    const int *fd, size_t nfd, bool lazy)
{
	const char *why;

	if (ipc_queue_bytes(&ipc->out) > IPC_MAXQUEUE) {
		cut(ipc, "does not read its messages");
		return ipc->why;
	}
	why = ipc_queue_push(&ipc->out, type, val, fd, nfd);
	if (why == NULL && !blocked(ipc))
		leave_soon(ipc, lazy);
	return why;
}

/* Composes and queues.  NULL, or what is wrong. */
static const char *
enqueue(struct ipc *ipc, bool lazy, enum ipc_type type, const int *fd,
    size_t nfd, const char *fmt, va_list ap)
{
	struct ipc_val val[IPC_MAXFIELDS];
	const char *why;
	json_t *body;
	size_t i;

	for (i = 0; i < nfd; i++)
		if (fd[i] < 0)
			return "no descriptor";
	why = ipc_compose(type, ipc->self, ipc->peer, nfd, fmt, ap, val, &body);
	if (why == NULL)
		why = queue(ipc, type, val, fd, nfd, lazy);
	json_decref(body);
	return why;
}

static int
vsend(struct ipc *ipc, bool lazy, enum ipc_type type, const int *fd, size_t nfd,
    const char *fmt, va_list ap)
{
	const char *why;

	if (ipc->dead) {
		ipc_close_fds(fd, nfd);
		return -1;
	}
	why = enqueue(ipc, lazy, type, fd, nfd, fmt, ap);
	if (why == NULL)
		return 0;
	log_warnx("%s to %s not sent: %s", ipc_desc[type].name,
	    ipc_role_name[ipc->peer], why);
	ipc_close_fds(fd, nfd);
	return -1;
}

int
ipc_send(struct ipc *ipc, enum ipc_type type, const int *fd, size_t nfd,
    const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = vsend(ipc, false, type, fd, nfd, fmt, ap);
	va_end(ap);
	return ret;
}

int
ipc_send_lazy(struct ipc *ipc, enum ipc_type type, const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = vsend(ipc, true, type, NULL, 0, fmt, ap);
	va_end(ap);
	return ret;
}

size_t
ipc_queued(const struct ipc *ipc)
{
	return ipc_queue_bytes(&ipc->out);
}

/*
 * The link as an object.
 */

struct ipc *
ipc_new(struct ev_loop *loop, int fd, enum ipc_role self, enum ipc_role peer,
    uint32_t vm, const struct ipc_events *ev, void *data)
{
	struct ipc *ipc;

	/*
	 * The hash seed is read from a file by whoever makes the first object;
	 * the first link of a daemon comes before its sandbox.
	 */
	json_object_seed(0);
	if ((ipc = calloc(1, sizeof(*ipc))) == NULL ||
	    (ipc->in = malloc(IPC_INMIN)) == NULL) {
		log_warn("bus to %s", ipc_role_name[peer]);
		close(fd);
		free(ipc);
		return NULL;
	}
	ipc->loop = loop;
	ipc->fd = fd;
	ipc->incap = IPC_INMIN;
	ipc->self = self;
	ipc->peer = peer;
	ipc->vm = vm;
	ipc->ev = ev;
	ipc->data = data;
	ev_io_init(&ipc->rd, read_cb, fd, EV_READ);
	ev_io_init(&ipc->wr, write_cb, fd, EV_WRITE);
	ev_timer_init(&ipc->retry, timer_cb, 0., 0.);
	ev_timer_init(&ipc->lazy, timer_cb, 0., 0.);
	ev_init(&ipc->turn, turn_cb);
	ev_set_priority(&ipc->turn, EV_MINPRI);
	ipc->rd.data = ipc->wr.data = ipc->turn.data = ipc;
	ipc->retry.data = ipc->lazy.data = ipc;
	ev_io_start(loop, &ipc->rd);
	return ipc;
}

void
ipc_free(struct ipc *ipc)
{
	if (ipc == NULL || ipc->freed)
		return;
	/* What was said in this turn has not left yet. */
	if (!ipc->dead && !blocked(ipc))
		output(ipc);
	cut(ipc, NULL);
	ev_clear_pending(ipc->loop, &ipc->turn);
	close(ipc->fd);
	ipc->fd = -1;
	ipc->freed = true;
	if (ipc->busy == 0)
		release(ipc);
}

void
ipc_hold(struct ipc *ipc)
{
	ipc->hold = true;
}

void *
ipc_data(const struct ipc *ipc)
{
	return ipc->data;
}

void
ipc_set_data(struct ipc *ipc, void *data)
{
	ipc->data = data;
}

enum ipc_role
ipc_peer(const struct ipc *ipc)
{
	return ipc->peer;
}

uint32_t
ipc_vm(const struct ipc *ipc)
{
	return ipc->vm;
}

int
ipc_fd(const struct ipc *ipc)
{
	return ipc->fd;
}
