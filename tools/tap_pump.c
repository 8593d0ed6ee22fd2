/*
 * Where the suite takes the TAP itself there is nothing to move: the connection
 * only says that we are there.  Otherwise:
 *
 * Frames go through one buffer a direction and are not copied in it: what the
 * TAP gives is read behind two bytes kept for its length, many frames a turn,
 * and leaves in one write; what the socket gives is read in large pieces and
 * written to the TAP from where it lies.
 *
 * A TAP that may be handed over has a header before each frame, which is ours
 * to obey as long as it is not (common/vnet.h): that takes a copy.  Its guest's
 * kernel leaves nothing to us then, but for frames that waited when the suite
 * went away.
 *
 * Back-pressure: while the socket does not take all, the TAP is not read, so
 * that the guest's own queue fills; while the TAP does not take a frame, the
 * socket is not read.  Three descriptors whose interest changes all the time:
 * poll() costs less here than telling an epoll set of every change.
 */

#include "tools/tap_pump.h"
#include "tools/tap_hand.h"

#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/plat/plat.h"
#include "common/vnet.h"
#include "common/wr.h"

#define PUMP_TXBUF	 (256 * 1024)
#define PUMP_BATCH	 64 /* frames a turn, for the other side's sake */
#define ETH_HDRLEN	 14
#define RECONNECT_EVERY	 (100 * USEC_MS)
#define RECONNECT_WITHIN (30 * USEC_SEC)
#define HANDSHAKE_WITHIN (2 * USEC_SEC)
#define HAND_TRIES	 50
#define HAND_EVERY	 100 /* ms without a frame */

enum { P_SOCK, P_TAP, P_SIG, P_HAND, P__MAX };

struct pump {
	struct conn *conn; /* borrowed */
	int tap;	   /* owned */
	size_t head;	   /* of its frames: VNET_HDRLEN, or 0 */
	bool relay;	   /* never to be handed over */
	struct hand *hand; /* owned; NULL: we move the frames */
	int hand_tries;	   /* left */
	int sigfd;	   /* borrowed */
	pid_t command;
	bool ended; /* the command did; status says how */
	int status;
	struct rd frame; /* the TAP did not take it yet; len 0: none */
	size_t sent;	 /* bytes of txbuf[0..txlen) the socket took */
	size_t txlen;
	uint8_t txbuf[PUMP_TXBUF]; /* whole frames with their lengths */
	uint8_t in[VNET_HDRLEN + CONN_MAXFRAME]; /* one of the TAP; if head */
};

static void
pump_hand_end(struct pump *p)
{
	hand_free(p->hand);
	p->hand = NULL;
	/* Where that fails there is only more to do for us. */
	if (p->head > 0)
		(void)plat_tap_offload(p->tap, false);
}

/* The suite may just be learning of us, or of the end of the one before us. */
static void
pump_hand(struct pump *p)
{
	bool again = false;

	p->hand = hand_over(p->conn->path, p->conn->uuid, p->tap, &again);
	if (p->hand == NULL)
		pump_hand_end(p); /* it may have been taken for a moment */
	if (p->hand != NULL || !again)
		p->hand_tries = 0;
	else
		p->hand_tries--;
}

/* For a new connection, or when the TAP was given back. */
static void
pump_hand_anew(struct pump *p)
{
	if (p->hand != NULL || p->relay || p->ended)
		return;
	p->hand_tries = HAND_TRIES;
	pump_hand(p);
}

struct pump *
pump_new(struct conn *c, int tap, bool relay, int sigfd, pid_t command)
{
	struct pump *p;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	p->conn = c;
	p->tap = tap;
	p->head = plat_tap(tap) == PLAT_TAP_VNET ? VNET_HDRLEN : 0;
	p->sigfd = sigfd;
	p->command = command;
	p->relay = relay;
	pump_hand_anew(p);
	return p;
}

void
pump_free(struct pump *p)
{
	if (p == NULL)
		return;
	hand_free(p->hand);
	close(p->tap);
	free(p);
}

void
pump_signals(sigset_t *set)
{
	static const int passed[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1,
		SIGUSR2, SIGALRM };
	size_t i;

	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	for (i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
		sigaddset(set, passed[i]);
}

static void
pump_reap(struct pump *p)
{
	if (!p->ended && waitpid(p->command, &p->status, WNOHANG) == p->command)
		p->ended = true;
}

static void
pump_signal(struct pump *p)
{
	struct signalfd_siginfo si;

	while (read(p->sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			pump_reap(p);
		/* From the terminal it went to the whole foreground group. */
		else if (si.ssi_code != SI_KERNEL && !p->ended)
			(void)kill(p->command, (int)si.ssi_signo);
	}
}

/* 0 also when the socket is full; -1: the other side is gone. */
static int
pump_send(struct pump *p)
{
	ssize_t n;

	n = send(
	    p->conn->fd, p->txbuf + p->sent, p->txlen - p->sent, MSG_NOSIGNAL);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	p->sent += (size_t)n;
	if (p->sent == p->txlen)
		p->sent = p->txlen = 0;
	return 0;
}

static void
put_frame(struct wr *w, const uint8_t *frame, size_t len)
{
	if (len > 0 && w->cap - w->len >= 2 + len) {
		(void)wr_le16(w, (uint16_t)len);
		(void)wr_bytes(w, frame, len);
	}
}

/*
 * What is in p->in as the socket is to have it: of a large one as many segments
 * as there is room for, as a full device would do it.
 */
static void
put_vnet(struct pump *p, struct wr *w, size_t n)
{
	struct rd r = rd_init(p->in, n);
	uint8_t *frame = p->in + VNET_HDRLEN;
	struct vnet_cut c;
	struct vnet v;
	size_t len;

	if (vnet_read(&r, &v) == -1)
		return;
	if (v.seg == 0) {
		vnet_complete(frame, r.len, &v);
		put_frame(w, frame, r.len);
		return;
	}
	vnet_cut(&c, &v, frame);
	while (w->cap - w->len > 2) {
		len = vnet_cut_next(&c, w->p + w->len + 2, w->cap - w->len - 2);
		if (len == 0)
			return;
		(void)wr_le16(w, (uint16_t)len);
		w->len += len;
	}
}

static ssize_t
pump_read_frame(struct pump *p, struct wr *w)
{
	ssize_t n;

	if (p->head > 0) {
		n = read(p->tap, p->in, sizeof(p->in));
		if (n > 0)
			put_vnet(p, w, (size_t)n);
		return n;
	}
	n = read(p->tap, w->p + w->len + 2, CONN_MAXFRAME);
	if (n > 0) {
		(void)wr_le16(w, (uint16_t)n);
		w->len += (size_t)n;
	}
	return n;
}

/* Fills the empty buffer.  -1: there is no TAP any more. */
static int
pump_read_tap(struct pump *p)
{
	struct wr w = wr_init(p->txbuf, sizeof(p->txbuf));
	ssize_t n;
	int i;

	for (i = 0; i < PUMP_BATCH; i++) {
		if (w.cap - w.len < 2 + CONN_MAXFRAME)
			break;
		n = pump_read_frame(p, &w);
		if (n == -1 && errno == EAGAIN)
			break;
		if (n == -1 && errno != EINTR)
			return -1;
	}
	p->txlen = w.len;
	return 0;
}

/*
 * Hands the TAP what has arrived; stops at the first frame it does not take.
 * A frame it never will take is dropped, as Ethernet would.
 */
static void
pump_write_tap(struct pump *p)
{
	uint8_t head[VNET_HDRLEN] = { 0 };
	struct iovec iov[2] = { { head, p->head } };
	ssize_t n;

	for (;;) {
		if (p->frame.len == 0 && !conn_next(p->conn, &p->frame))
			return;
		if (p->frame.len < ETH_HDRLEN) {
			p->frame.len = 0;
			continue;
		}
		iov[1].iov_base = (void *)(uintptr_t)p->frame.p;
		iov[1].iov_len = p->frame.len;
		n = p->head > 0 ? writev(p->tap, iov, 2)
				: write(p->tap, p->frame.p, p->frame.len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			return;
		p->frame.len = 0;
	}
}

/*
 * What the old connection took is gone with it or delivered; a frame it took
 * in part is sent again whole.
 */
static void
pump_rewind(struct pump *p)
{
	struct rd r = rd_init(p->txbuf, p->txlen), frame;
	size_t start = 0;
	uint16_t len;

	while (rd_le16(&r, &len) == 0 && rd_sub(&r, len, &frame) == 0 &&
	       p->txlen - r.len <= p->sent)
		start = p->txlen - r.len;
	p->sent = start;
	p->frame.len = 0;
}

/* The suite may have given the TAP back, or be gone with it. */
static void
pump_held(struct pump *p)
{
	if (p->hand == NULL || hand_holds(p->hand))
		return;
	pump_hand_end(p);
}

/* 0 also when the command ended meanwhile. */
static int
pump_reconnect(struct pump *p)
{
	struct pollfd pfd = { .fd = p->sigfd, .events = POLLIN };
	usec_t until = plat_now() + RECONNECT_WITHIN;
	struct macaddr mac = p->conn->mac;

	conn_close(p->conn);
	pump_rewind(p);
	pump_held(p);
	while (!p->ended) {
		if (conn_open(p->conn, HANDSHAKE_WITHIN) == 0)
			break;
		if (plat_now() >= until) {
			warnx("network lost: %s", p->conn->err);
			return -1;
		}
		if (poll(&pfd, 1, (int)(RECONNECT_EVERY / USEC_MS)) == 1)
			pump_signal(p);
	}
	if (!p->ended && memcmp(&mac, &p->conn->mac, sizeof(mac)) != 0) {
		warnx("network lost: %s gave us another Ethernet address",
		    p->conn->path);
		return -1;
	}
	pump_hand_anew(p);
	return 0;
}

/* From the suite to the guest.  -1: the connection is gone. */
static int
pump_in(struct pump *p)
{
	int n;

	if (p->frame.len == 0) {
		n = conn_fill(p->conn);
		if (n != 1)
			return n;
	}
	pump_write_tap(p);
	return 0;
}

static void
pump_interest(const struct pump *p, struct pollfd pfd[P__MAX])
{
	bool full = p->txlen > 0, stuck = p->frame.len > 0;
	bool ours = p->hand == NULL;

	pfd[P_SOCK].fd = p->conn->fd;
	pfd[P_SOCK].events =
	    (short)((stuck ? 0 : POLLIN) | (full ? POLLOUT : 0));
	pfd[P_TAP].fd = ours ? p->tap : -1;
	pfd[P_TAP].events =
	    (short)((full ? 0 : POLLIN) | (stuck ? POLLOUT : 0));
	pfd[P_SIG].fd = p->sigfd;
	pfd[P_SIG].events = POLLIN;
	pfd[P_HAND].fd = ours ? -1 : hand_fd(p->hand);
	pfd[P_HAND].events = POLLIN;
}

/* One turn; -1: there is no network any more. */
static int
pump_turn(struct pump *p)
{
	struct pollfd pfd[P__MAX];
	bool lost = false;
	int n;

	pump_interest(p, pfd);
	n = poll(pfd, P__MAX, p->hand_tries > 0 ? HAND_EVERY : -1);
	if (n == -1) {
		if (errno == EINTR)
			return 0;
		warn("poll");
		return -1;
	}
	if (n == 0)
		pump_hand(p);
	if (pfd[P_SIG].revents != 0)
		pump_signal(p);
	if (pfd[P_HAND].revents != 0) {
		pump_held(p);
		pump_hand_anew(p);
	}
	if (pfd[P_TAP].revents & POLLOUT)
		pump_write_tap(p);
	if (pfd[P_SOCK].revents & ~POLLOUT)
		lost = pump_in(p) == -1;
	if ((pfd[P_TAP].revents & ~POLLOUT) && p->txlen == 0 &&
	    pump_read_tap(p) == -1) {
		warn("network lost: TAP device");
		return -1;
	}
	if (p->txlen > 0 && !lost)
		lost = pump_send(p) == -1;
	return lost ? pump_reconnect(p) : 0;
}

int
pump_run(struct pump *p, int *status)
{
	/* Frames may have come behind the answer of DHCP. */
	pump_write_tap(p);
	while (!p->ended)
		if (pump_turn(p) == -1)
			return -1;
	*status = p->status;
	return 0;
}
