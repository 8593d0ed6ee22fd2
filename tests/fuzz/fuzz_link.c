/*
 * A bus link whose other end sends anything, in pieces and with descriptors:
 * it is cut or it is not, and no descriptor stays open.
 */

#include <sys/socket.h>
#include <fcntl.h>
#include <unistd.h>

#include <ev.h>

#include "common/ipc.h"
#include "common/plat/plat.h"

#include "fuzz.h"

struct end {
	struct ipc *link;
	unsigned messages, gone;
};

static void
got(struct ipc *link, struct ipc_msg *m)
{
	struct end *e = ipc_data(link);

	CHECK(!e->gone && m->nfd <= IPC_MAXFDS);
	e->messages++;
	/* Every other message's owner takes a descriptor. */
	if (m->nfd > 0 && e->messages % 2 == 0)
		close(ipc_take_fd(m, 0));
}

static void
gone(struct ipc *link, const char *why)
{
	struct end *e = ipc_data(link);

	CHECK(e->gone++ == 0);
	if (why == NULL || *why < 'o') { /* now, or later by ourselves */
		ipc_free(link);
		e->link = NULL;
	}
}

static void
say(int fd, int null, const uint8_t *p, size_t len, size_t nfd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(7 * sizeof(int))];
	} ctl = { .buf = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)p, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[7] = { null, null, null, null, null, null, null };

	if (nfd > 0) {
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(nfd * sizeof(int));
		ctl.align.cmsg_level = SOL_SOCKET;
		ctl.align.cmsg_type = SCM_RIGHTS;
		ctl.align.cmsg_len = CMSG_LEN(nfd * sizeof(int));
		memcpy(CMSG_DATA(&ctl.align), fds, nfd * sizeof(int));
	}
	if (sendmsg(fd, &mh, MSG_NOSIGNAL) == -1)
		return; /* cut, and closed */
}

static int
open_null(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	CHECK(fd != -1);
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct ipc_events events = { got, gone };
	struct ev_loop *loop = ev_default_loop(EVBACKEND_POLL);
	struct rd r = rd_init(data, len);
	struct end end = { NULL, 0, 0 };
	int sv[2], null = open_null(), again;
	uint8_t how, *p;
	enum ipc_role self, peer;
	size_t n;

	self = fuzz_u8(&r) % ROLE__MAX;
	peer = fuzz_u8(&r) % ROLE__MAX;
	CHECK(plat_socketpair(SOCK_STREAM, sv) == 0);
	end.link = ipc_new(loop, sv[0], self, peer, 1, &events, &end);
	CHECK(end.link != NULL);
	while (rd_u8(&r, &how) == 0) {
		p = fuzz_bytes(&r, (size_t)(how >> 3) * (how >> 3), &n);
		if (n > 0)
			say(sv[1], null, p, n, how & 7);
		free(p);
		ev_run(loop, EVRUN_NOWAIT);
	}
	close(sv[1]);
	ev_run(loop, EVRUN_NOWAIT);
	ev_run(loop, EVRUN_NOWAIT);
	CHECK(end.gone == 1);
	ipc_free(end.link);
	/* The numbers given out are the lowest that are free. */
	close(null);
	again = open_null();
	close(again);
	CHECK(again == null);
	return 0;
}
