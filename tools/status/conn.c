/*
 * The admin socket, one request at a time: send it, run the loop until its
 * answer is there.
 */

#include <ev.h>
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "common/ipc.h"
#include "common/plat/plat.h"
#include "tools/status/status.h"

#define ANSWER_SECS 30.

struct conn {
	struct ev_loop *loop;
	struct ipc *ipc; /* owned; NULL when the suite is gone */
	struct ev_timer timer;
	struct ev_async wake;  /* of conn_catch() */
	struct snapshot *snap; /* borrowed: being filled */
	struct port_row *row;  /* borrowed: the same */
	char version[256];
	bool greeted, answered, end, late;
	char error[256]; /* of admin-done */
	int fd;		 /* owned: of admin-capture-fd; -1 */
};

static void
copy(char *to, size_t size, const struct ipc_msg *m, const char *field)
{
	strlcpy(to, ipc_str(m, field), size);
}

static void
on_hello(struct conn *c, struct ipc_msg *m)
{
	copy(c->version, sizeof(c->version), m, "version");
	c->greeted = true;
}

static void
on_process(struct conn *c, struct ipc_msg *m)
{
	c->answered = true;
	if (snapshot_add(c->snap, m) == -1)
		err(EX_NOSUITE, NULL);
}

static void
on_port(struct conn *c, struct ipc_msg *m)
{
	struct port_row *r = c->row;

	c->answered = true;
	if (r == NULL)
		return;
	r->serial = (uint32_t)ipc_u64(m, "serial");
	copy(r->by, sizeof(r->by), m, "by");
	copy(r->state, sizeof(r->state), m, "state");
	copy(r->proto, sizeof(r->proto), m, "proto");
	copy(r->addr, sizeof(r->addr), m, "addr");
	copy(r->dst, sizeof(r->dst), m, "dst");
	copy(r->dpath, sizeof(r->dpath), m, "dpath");
	copy(r->note, sizeof(r->note), m, "note");
	r->want = (unsigned)ipc_u64(m, "want");
	r->port = (unsigned)ipc_u64(m, "port");
	r->dport = (unsigned)ipc_u64(m, "dport");
	r->proxy = ipc_bool(m, "proxy");
}

static void
client_msg(struct ipc *ipc, struct ipc_msg *m)
{
	struct conn *c = ipc_data(ipc);

	switch (m->type) {
	case IPC_ADMIN_HELLO:
		on_hello(c, m);
		break;
	case IPC_STATUS_PROCESS:
		if (c->snap != NULL)
			on_process(c, m);
		break;
	case IPC_STATUS_END:
		c->answered = c->end = true;
		break;
	case IPC_PORTS_ENTRY:
		on_port(c, m);
		break;
	case IPC_ADMIN_DONE:
		copy(c->error, sizeof(c->error), m, "error");
		c->answered = true;
		break;
	case IPC_ADMIN_CAPTURE_FD:
		c->fd = ipc_take_fd(m, 0);
		c->answered = true;
		break;
	default:
		break;
	}
}

static void
client_gone(struct ipc *ipc, const char *why)
{
	struct conn *c = ipc_data(ipc);

	if (why != NULL)
		warnx("the suite does not speak this version's language: %s",
		    why);
	ipc_free(ipc);
	c->ipc = NULL;
}

static const struct ipc_events events = { client_msg, client_gone };

static void
late_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct conn *c = w->data;

	c->late = true;
}

/* Nothing to do but to look. */
static void
wake_cb(struct ev_loop *loop, struct ev_async *w, int revents)
{
}

static struct conn *caught;
volatile sig_atomic_t conn_stopped;

static void
on_signal(int sig)
{
	conn_stopped = sig;
	if (caught != NULL)
		ev_async_send(caught->loop, &caught->wake);
}

void
conn_catch(struct conn *c)
{
	struct sigaction sa = { .sa_handler = on_signal };

	caught = c;
	ev_async_init(&c->wake, wake_cb);
	ev_async_start(c->loop, &c->wake);
	ev_unref(c->loop);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

/* Until *flag is true. */
static void
wait_for(struct conn *c, const bool *flag)
{
	c->late = false;
	ev_timer_stop(c->loop, &c->timer);
	ev_timer_set(&c->timer, ANSWER_SECS, 0.);
	ev_timer_start(c->loop, &c->timer);
	while (!*flag && c->ipc != NULL && !c->late && !conn_stopped)
		ev_run(c->loop, EVRUN_ONCE);
	ev_timer_stop(c->loop, &c->timer);
	if (!*flag && conn_stopped)
		exit(128 + conn_stopped);
	if (c->late)
		errx(EX_NOSUITE, "the suite does not answer");
	if (!*flag)
		errx(EX_NOSUITE, "the suite has closed the connection");
}

struct conn *
conn_open(const char *path)
{
	struct conn *c;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	if ((fd = plat_unix_connect(path)) == -1)
		err(EX_NOSUITE, "%s", path);
	if ((c = calloc(1, sizeof(*c))) == NULL ||
	    (c->loop = ev_loop_new(EVFLAG_AUTO)) == NULL)
		err(EX_NOSUITE, NULL);
	c->fd = -1;
	ev_init(&c->timer, late_cb);
	ev_set_priority(&c->timer, -1); /* the answer first, if it is there */
	c->timer.data = c;
	c->ipc = ipc_new(c->loop, fd, ROLE_ADMIN, ROLE_MAIN, 0, &events, c);
	if (c->ipc == NULL)
		errx(EX_NOSUITE, "out of memory");
	wait_for(c, &c->greeted);
	return c;
}

void
conn_close(struct conn *c)
{
	caught = NULL;
	ipc_free(c->ipc);
	if (c->fd != -1)
		close(c->fd);
	ev_loop_destroy(c->loop);
	free(c);
}

bool
conn_alive(struct conn *c)
{
	ev_run(c->loop, EVRUN_NOWAIT);
	return c->ipc != NULL;
}

static void
ask(struct conn *c, enum ipc_type type, json_t *body)
{
	int r = -1;

	c->answered = false;
	c->error[0] = '\0';
	if (c->ipc != NULL && body != NULL)
		r = ipc_send(c->ipc, type, NULL, 0, "O", body);
	json_decref(body);
	if (r == -1)
		errx(EX_USE, "this is too long to be asked");
	wait_for(c, &c->answered);
}

void
conn_snapshot(struct conn *c, struct snapshot *s)
{
	uint32_t after = 0;

	memset(s, 0, sizeof(*s));
	strlcpy(s->version, c->version, sizeof(s->version));
	c->snap = s;
	c->end = false;
	while (!c->end) {
		ask(c, IPC_STATUS_NEXT,
		    json_pack("{s:I}", "after", (json_int_t)after));
		if (s->n > 0)
			after = s->v[s->n - 1].serial;
	}
	c->snap = NULL;
	s->now = plat_now();
}

void
conn_do(struct conn *c, int type, json_t *body)
{
	ask(c, (enum ipc_type)type, body);
	if (c->error[0] != '\0')
		errx(EX_REFUSED, "%s", c->error);
}

bool
conn_port(struct conn *c, int type, json_t *body, struct port_row *r)
{
	c->row = r;
	c->end = false;
	conn_do(c, type, body);
	c->row = NULL;
	return !c->end;
}

int
conn_capture(struct conn *c, uint32_t vm, uint32_t snaplen)
{
	int fd;

	ask(c, IPC_ADMIN_CAPTURE,
	    json_pack("{s:I, s:I}", "vm", (json_int_t)vm, "snaplen",
		(json_int_t)snaplen));
	if (c->error[0] != '\0')
		warnx("VM %u: %s", vm, c->error);
	fd = c->fd;
	c->fd = -1;
	return fd;
}
