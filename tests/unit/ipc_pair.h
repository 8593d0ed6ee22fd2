#ifndef IPC_PAIR_H
#define IPC_PAIR_H

/*
 * The fixture of the bus tests: one link over a real socketpair and a real
 * loop.  The other end is a link, too, or a bare socket where bytes must be
 * wrong on purpose.  No test waits for time: each turn of the loop is run
 * without blocking.  Teardown checks that no descriptor has leaked.
 */

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "common/ipc.h"
#include "common/ipc_wire.h"
#include "common/log.h"
#include "common/nitems.h"
#include "common/wr.h"

#define GOOD	"{\"msg\":\"flow-refused\",\"id\":5,\"error\":\"EPERM\"}"
#define GOOD_FD "{\"msg\":\"flow-fd\",\"id\":5}"

/* What one end has heard. */
struct end {
	struct ipc *ipc; /* owned */
	unsigned nmsg, ngone;
	uint64_t last;	 /* id of the last message */
	bool in_order;	 /* the ids were 1, 2, 3, ... */
	char text[64];	 /* of the last flow-refused */
	char why[128];	 /* of the end; "-" for none */
	ino_t ino[1024]; /* of the descriptors, in order */
	size_t nino;
	unsigned free_at; /* free the link in this message's handler */
	bool free_in_gone;
	bool answer;	/* with a flow-close of the same id */
	bool answer_fd; /* with a flow-fd of the same id */
};

static struct ev_loop *loop;
static struct end a, b; /* a is the stack, b portd */
static int raw;		/* b's socket where b is not a link */
static int null_fd;	/* a descriptor to send */
static int fds_before;

static inline int
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static inline void
note_fd(struct end *e, int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	if (e->nino < (size_t)nitems(e->ino))
		e->ino[e->nino++] = st.st_ino;
}

static inline int
send_id(struct ipc *ipc, enum ipc_type type, unsigned id)
{
	return ipc_send(ipc, type, NULL, 0, "{s:I}", "id", (json_int_t)id);
}

static inline void
answer_fd(struct ipc *ipc, unsigned id)
{
	int fd = dup(null_fd);

	ck_assert_int_eq(
	    ipc_send(ipc, IPC_FLOW_FD, &fd, 1, "{s:I}", "id", (json_int_t)id),
	    0);
}

static inline void
on_msg(struct ipc *ipc, struct ipc_msg *m)
{
	struct end *e = ipc_data(ipc);
	size_t i;

	ck_assert_ptr_eq(e->ipc, ipc);
	e->nmsg++;
	e->last = ipc_u64(m, "id");
	e->in_order = e->last == e->nmsg && (e->nmsg == 1 || e->in_order);
	if (m->type == IPC_FLOW_REFUSED)
		snprintf(e->text, sizeof(e->text), "%s", ipc_str(m, "error"));
	for (i = 0; i < m->nfd; i++)
		note_fd(e, m->fd[i]);
	/* Some descriptors are taken, the others left behind. */
	if (m->nfd > 0 && e->nmsg % 2 == 0)
		ck_assert_int_eq(close(ipc_take_fd(m, 0)), 0);
	if (e->answer)
		ck_assert_int_eq(
		    send_id(ipc, IPC_FLOW_CLOSE, (unsigned)e->last), 0);
	if (e->answer_fd)
		answer_fd(ipc, (unsigned)e->last);
	if (e->nmsg == e->free_at) {
		ipc_free(ipc);
		e->ipc = NULL;
	}
}

static inline void
on_gone(struct ipc *ipc, const char *why)
{
	struct end *e = ipc_data(ipc);

	e->ngone++;
	snprintf(e->why, sizeof(e->why), "%s", why != NULL ? why : "-");
	if (e->free_in_gone) {
		ipc_free(ipc);
		e->ipc = NULL;
	}
}

static const struct ipc_events events = { on_msg, on_gone };

/* Links a to a socket that is left in raw. */
static inline void
link_a(enum ipc_role self, enum ipc_role peer)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX,
			     SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv),
	    0);
	a.ipc = ipc_new(loop, sv[0], self, peer, 7, &events, &a);
	ck_assert_ptr_nonnull(a.ipc);
	raw = sv[1];
}

static inline void
link_b(enum ipc_role self, enum ipc_role peer)
{
	b.ipc = ipc_new(loop, raw, self, peer, 7, &events, &b);
	ck_assert_ptr_nonnull(b.ipc);
	raw = -1;
}

static inline void
link_stack(void)
{
	link_a(ROLE_STACK, ROLE_PORT);
}

static inline void
link_both(void)
{
	link_stack();
	link_b(ROLE_PORT, ROLE_STACK);
}

static inline void
turns(int n)
{
	while (n-- > 0)
		ev_run(loop, EVRUN_NOWAIT);
}

static inline void
setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LVL_ERROR);
	loop = ev_loop_new(EVFLAG_AUTO);
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(null_fd, 0);
	/* The loop opens its own descriptors when it first runs. */
	turns(1);
	fds_before = count_fds();
	raw = -1;
}

static inline void
teardown(void)
{
	ipc_free(a.ipc);
	ipc_free(b.ipc);
	if (raw != -1)
		close(raw);
	turns(1);
	ck_assert_int_eq(count_fds(), fds_before);
	ev_loop_destroy(loop);
	close(null_fd);
}

/* A frame with any text and any numbers of descriptors in its header. */
static inline size_t
frame_ahead(
    uint8_t *buf, size_t cap, const char *text, unsigned nfd, unsigned ahead)
{
	struct wr w = wr_init(buf, cap);

	ck_assert_int_eq(wr_le32(&w, (uint32_t)strlen(text)), 0);
	ck_assert_int_eq(wr_u8(&w, (uint8_t)nfd), 0);
	ck_assert_int_eq(wr_u8(&w, (uint8_t)ahead), 0);
	ck_assert_int_eq(wr_zero(&w, 2), 0);
	ck_assert_int_eq(wr_bytes(&w, text, strlen(text)), 0);
	return w.len;
}

static inline size_t
frame(uint8_t *buf, size_t cap, const char *text, unsigned nfd)
{
	return frame_ahead(buf, cap, text, nfd, 0);
}

/* Bytes, with n descriptors of the null device. */
static inline void
raw_send(const void *p, size_t len, unsigned n)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(128 * sizeof(int))];
	} ctl = { .buf = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)p, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	int fd[128];
	unsigned i;

	if (n > 0) {
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		for (i = 0; i < n; i++)
			fd[i] = null_fd;
		memcpy(CMSG_DATA(c), fd, n * sizeof(int));
	}
	ck_assert_int_eq(sendmsg(raw, &mh, 0), (ssize_t)len);
}

static inline void
raw_frame(const char *text, unsigned head_nfd, unsigned nfd)
{
	uint8_t buf[1024];
	size_t n = frame(buf, sizeof(buf), text, head_nfd);

	raw_send(buf, n, nfd);
}

static inline int
new_file(ino_t *ino)
{
	FILE *f = tmpfile();
	struct stat st;
	int fd;

	ck_assert_ptr_nonnull(f);
	fd = dup(fileno(f));
	fclose(f);
	ck_assert_int_eq(fstat(fd, &st), 0);
	*ino = st.st_ino;
	return fd;
}

#endif
