/*
 * The daemon: listeners of the supervisor, and a snapshot of the suite for who
 * came.  A snapshot is collected process by process; whoever comes while one
 * is under way gets the one after it.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "common/log.h"
#include "common/plat/plat.h"
#include "diagd/diagd.h"

#include "config.h"

#define POLL_SECS  0.01
#define LOOK_TICKS 100 /* of that: then new processes are looked for */
#define REST_SECS  0.1

static const char *const kind_name[DIAG__MAX] = {
	[DIAG_PCAP] = "pcap",
	[DIAG_TAR] = "diag",
	[DIAG_METRICS] = "metrics",
	[DIAG_TREE] = "tree",
};

static const char *const stat_name[DIAGS__MAX] = {
	[DIAGS_CLIENTS] = "clients",
	[DIAGS_ACCEPTED] = "accepted",
	[DIAGS_REFUSED] = "refused",
	[DIAGS_LOST] = "packets-lost",
};

static void
ask_next(struct diagd *dd)
{
	uint32_t after = dd->next.n > 0 ? dd->next.v[dd->next.n - 1].serial : 0;

	ipc_send(dd->d->sup, IPC_STATUS_NEXT, NULL, 0, "{s:I}", "after",
	    (json_int_t)after);
}

static bool
any_waiting(const struct diagd *dd)
{
	const struct client *c;

	LIST_FOREACH (c, &dd->clients, entry)
		if (c->waiting)
			return true;
	return false;
}

void
diagd_collect(struct diagd *dd)
{
	if (dd->collecting)
		return;
	dd->collecting = true;
	ask_next(dd);
}

static void
on_process(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct diagd *dd = d->data;

	if (!dd->collecting)
		return;
	if (snapshot_add(&dd->next, m) == -1)
		log_warnx("snapshot: out of memory");
	ask_next(dd);
}

static void
on_end(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct diagd *dd = d->data;

	snapshot_fini(&dd->snap);
	dd->snap = dd->next;
	dd->snap.now = usec_now(d->loop);
	strlcpy(dd->snap.version, VPNKIT_VERSION, sizeof(dd->snap.version));
	memset(&dd->next, 0, sizeof(dd->next));
	dd->collecting = false;
	clients_serve(dd);
	if (dd->nclient > 0 && !ev_is_active(&dd->poll))
		ev_timer_start(d->loop, &dd->poll);
}

static void
poll_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct diagd *dd = w->data;

	if (dd->nclient == 0) {
		ev_timer_stop(loop, w);
		return;
	}
	clients_expire(dd);
	clients_follow(dd);
	if (++dd->ticks % LOOK_TICKS == 0 || any_waiting(dd))
		diagd_collect(dd);
}

/*
 * Listeners.
 */

static void
accept_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct listener *l = w->data;
	int fd;

	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd != -1) {
		client_new(l->dd, l->kind, fd);
	} else if (errno != EAGAIN && errno != EINTR) {
		ev_io_stop(loop, &l->rd);
		ev_timer_start(loop, &l->dd->resume);
	}
}

static void
resume_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct diagd *dd = w->data;
	size_t i;

	for (i = 0; i < dd->nlistener; i++)
		ev_io_start(loop, &dd->listener[i].rd);
}

static void
on_listener(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct diagd *dd = d->data;
	struct listener *l = &dd->listener[dd->nlistener];
	const char *kind = ipc_str(m, "kind");
	int k;

	for (k = 0; k < DIAG__MAX && strcmp(kind_name[k], kind) != 0; k++)
		continue;
	if (k == DIAG__MAX || dd->nlistener == DIAGD_MAXLISTENERS) {
		log_warnx("no such listener: %s", kind);
		return;
	}
	l->dd = dd;
	l->kind = (enum diag_kind)k;
	l->fd = ipc_take_fd(m, 0);
	ev_io_init(&l->rd, accept_cb, l->fd, EV_READ);
	l->rd.data = l;
	ev_io_start(d->loop, &l->rd);
	dd->nlistener++;
}

static int
diagd_start(struct daemon *d)
{
	struct diagd *dd = calloc(1, sizeof(*dd));

	if (dd == NULL) {
		log_warn("start");
		return -1;
	}
	d->data = dd;
	dd->d = d;
	LIST_INIT(&dd->clients);
	ev_timer_init(&dd->poll, poll_cb, POLL_SECS, POLL_SECS);
	ev_timer_init(&dd->resume, resume_cb, REST_SECS, 0.);
	dd->poll.data = dd->resume.data = dd;
	return 0;
}

static void
diagd_stop(struct daemon *d)
{
	struct diagd *dd = d->data;
	struct client *c;

	while ((c = LIST_FIRST(&dd->clients)) != NULL)
		client_free(c);
	while (dd->nlistener > 0) {
		ev_io_stop(d->loop, &dd->listener[--dd->nlistener].rd);
		close(dd->listener[dd->nlistener].fd);
	}
	ev_timer_stop(d->loop, &dd->poll);
	ev_timer_stop(d->loop, &dd->resume);
	snapshot_fini(&dd->snap);
	snapshot_fini(&dd->next);
	free(dd);
	d->data = NULL;
}

static const struct ipc_handler handlers[] = {
	{ IPC_LISTENER, on_listener },
	{ IPC_STATUS_PROCESS, on_process },
	{ IPC_STATUS_END, on_end },
};

static const struct daemon_spec diagd = {
	.role = ROLE_DIAG,
	.sandbox = SANDBOX_READER,
	.handler = handlers,
	.nhandler = sizeof(handlers) / sizeof(handlers[0]),
	.stats_name = stat_name,
	.nstats = DIAGS__MAX,
	.start = diagd_start,
	.stop = diagd_stop,
};

int
main(int argc, char *argv[])
{
	return daemon_main(&diagd, argc, argv);
}
