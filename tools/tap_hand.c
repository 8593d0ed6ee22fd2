#include <ev.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ipc.h"
#include "common/plat/plat.h"

#include "tools/tap_hand.h"

#define ANSWER_SECS 5.

struct hand {
	struct ev_loop *loop; /* owned */
	struct ipc *ipc;      /* owned; NULL when the suite is gone */
	bool greeted, answered, taken;
};

static void
hand_msg(struct ipc *ipc, struct ipc_msg *m)
{
	struct hand *h = ipc_data(ipc);

	if (m->type == IPC_ADMIN_HELLO)
		h->greeted = true;
	if (m->type != IPC_ADMIN_DONE)
		return;
	h->answered = true;
	h->taken = ipc_str(m, "error")[0] == '\0';
}

static void
hand_ended(struct ipc *ipc, const char *why)
{
	struct hand *h = ipc_data(ipc);

	ipc_free(ipc);
	h->ipc = NULL;
}

static const struct ipc_events events = { hand_msg, hand_ended };

static void
late_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	ev_break(loop, EVBREAK_ALL);
}

/* Until *flag is true, the suite is gone, or the time over. */
static void
wait_for(struct hand *h, const bool *flag)
{
	struct ev_timer late;

	ev_timer_init(&late, late_cb, ANSWER_SECS, 0.);
	ev_timer_start(h->loop, &late);
	while (!*flag && h->ipc != NULL && ev_is_active(&late))
		ev_run(h->loop, EVRUN_ONCE);
	ev_timer_stop(h->loop, &late);
}

static int
connect_admin(const char *socket)
{
	char path[256];

	if (snprintf(path, sizeof(path), "%s.admin", socket) >=
	    (int)sizeof(path))
		return -1;
	return plat_unix_connect(path);
}

static int
ask(struct hand *h, const char *uuid, int tap)
{
	int fd;

	wait_for(h, &h->greeted);
	if (!h->greeted || h->ipc == NULL ||
	    (fd = fcntl(tap, F_DUPFD_CLOEXEC, 0)) == -1)
		return -1;
	if (ipc_send(h->ipc, IPC_ADMIN_TAP, &fd, 1, "{s:s}", "uuid", uuid) ==
	    -1)
		return -1;
	wait_for(h, &h->answered);
	return h->taken && h->ipc != NULL ? 0 : -1;
}

struct hand *
hand_over(const char *socket, const char *uuid, int tap, bool *again)
{
	struct hand *h;
	int fd;

	*again = false;
	if ((fd = connect_admin(socket)) == -1)
		return NULL;
	if ((h = calloc(1, sizeof(*h))) == NULL ||
	    (h->loop = ev_loop_new(EVFLAG_AUTO)) == NULL) {
		free(h);
		close(fd);
		return NULL;
	}
	h->ipc = ipc_new(h->loop, fd, ROLE_ADMIN, ROLE_MAIN, 0, &events, h);
	if (h->ipc != NULL && ask(h, uuid, tap) == 0)
		return h;
	*again = h->answered;
	hand_free(h);
	return NULL;
}

void
hand_free(struct hand *h)
{
	if (h == NULL)
		return;
	ipc_free(h->ipc);
	ev_loop_destroy(h->loop);
	free(h);
}

int
hand_fd(const struct hand *h)
{
	return ipc_fd(h->ipc);
}

bool
hand_holds(struct hand *h)
{
	ev_run(h->loop, EVRUN_NOWAIT);
	return h->ipc != NULL;
}
