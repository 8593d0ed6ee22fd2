/*
 * Clients of forwards as a list: who comes, who waits for the tunnel, and who
 * ends with it.  conn_io.c moves their bytes.
 */

#include <sys/socket.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "portd/front/front.h"

/* A way to the VM, or a place among those who wait for one. */
static void
conn_start(struct conn *c)
{
	struct tunnel *t = &c->f->tunnel;

	c->waiting = true;
	if (c->f->form == FORM_2017) {
		tunnel_ask(c->f, c->num);
		return;
	}
	if (t->state != TUNNEL_UP) {
		tunnel_want(c->f);
		return;
	}
	c->waiting = false;
	if ((c->chan = mux_open(&t->mux, &c->dest, c)) == NULL)
		conn_reset(c);
	else
		conn_watch(c);
}

static struct conn *
conn_find(struct front *f, uint32_t num)
{
	struct conn *c;

	TAILQ_FOREACH (c, &f->conns, entry) {
		if (c->num == num)
			return c;
	}
	return NULL;
}

/* The descriptors become owned. */
static struct conn *
conn_new(struct front *f, const struct fwd *w, int fd, int early)
{
	static const uint8_t protos[FWD__MAX] = {
		[FWD_TCP] = MUX_TCP,
		[FWD_UDP] = MUX_UDP,
		[FWD_UNIX] = MUX_UNIX,
	};
	const struct fwd_spec *s = &w->want.spec;
	struct conn *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->f = f;
	while (++f->next_conn == 0)
		continue;
	c->num = f->next_conn;
	c->dest.proto = protos[s->proto];
	c->dest.ip = s->in.ip;
	c->dest.port = s->in.port;
	memcpy(c->dest.path, s->in.path, sizeof(c->dest.path));
	c->fd = fd;
	c->early = early;
	c->tfd = -1;
	TAILQ_INSERT_TAIL(&f->conns, c, entry);
	f->nconn++;
	front_now(f, FRONTS_CONNS, 1);
	conn_init(c);
	return c;
}

/* The client sees at once that nobody is there. */
static void
refuse(struct ipc *from, struct ipc_msg *m)
{
	const struct linger now = { 1, 0 };
	int fd = ipc_take_fd(m, 0);

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	ipc_send(from, IPC_TUNNEL_CLOSE, NULL, 0, "{s:I}", "id",
	    (json_int_t)ipc_u64(m, "id"));
}

/*
 * A place for one more, if need be that of who has taken nothing for longest
 * of what its VM, which has gone, left for it.
 */
static bool
make_room(struct front *f)
{
	if (f->nconn < f->maxconn && f->nending < MUX_MAXCHANS)
		return true;
	front_count(f, FRONTS_CONN_LIMIT);
	if (TAILQ_EMPTY(&f->ending))
		return false;
	conn_reset(TAILQ_FIRST(&f->ending));
	return true;
}

void
conn_open(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct front *f = d->data;
	struct fwd *w = fwd_find(f, (uint32_t)ipc_u64(m, "forward"));
	struct conn *c;

	if (w == NULL || w->state == FWD_LEAVING || !make_room(f) ||
	    (c = conn_new(f, w, m->fd[0], m->nfd > 1 ? m->fd[1] : -1)) ==
		NULL) {
		refuse(from, m);
		return;
	}
	ipc_take_fd(m, 0);
	ipc_take_fd(m, 1);
	c->id = (uint32_t)ipc_u64(m, "id");
	c->portd = f->nportd;
	c->from = ipc_addr(m, "from");
	c->fport = (uint16_t)ipc_u64(m, "fport");
	conn_start(c);
	tunnel_flush(&f->tunnel);
}

/*
 * The tunnel.  Whoever is freed here is not the next of the list.
 */

void
conns_start(struct front *f)
{
	struct conn *c, *next;

	for (c = TAILQ_FIRST(&f->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->waiting)
			conn_start(c);
	}
}

void
conns_refused(struct front *f)
{
	struct conn *c, *next;

	for (c = TAILQ_FIRST(&f->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->waiting)
			conn_reset(c);
	}
}

/*
 * A channel that never got a window was never seen by anybody, or only by one
 * end: nothing of its client's is lost, and it may try once more.
 */
static bool
unharmed(const struct conn *c)
{
	return !c->retried && !c->heard && !c->vm_eof && c->chan != NULL &&
	       c->chan->allowed == 0;
}

/* The channels themselves go with the multiplexer. */
void
conns_lost(struct front *f)
{
	struct conn *c, *next;

	for (c = TAILQ_FIRST(&f->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->waiting) {
			/* It had not begun: as if it had been refused. */
			if (!c->retried)
				c->retried = true;
			else
				conn_reset(c);
		} else if (unharmed(c)) {
			c->chan->data = NULL;
			c->chan = NULL;
			c->waiting = c->retried = true;
			conn_watch(c);
		} else if (c->chan != NULL) {
			conn_reset(c);
		}
	}
}

void
conns_resume(struct front *f)
{
	struct conn *c, *last = TAILQ_LAST(&f->conns, conn_list), *next;

	for (c = TAILQ_FIRST(&f->conns); c != NULL; c = next) {
		next = c == last ? NULL : TAILQ_NEXT(c, entry);
		if (f->tunnel.choked)
			break;
		if (c->chan != NULL)
			conn_pump(c);
	}
}

/* Those with a transport of their own. */
void
conn_transport(struct front *f, uint32_t num, int fd)
{
	struct conn *c = conn_find(f, num);

	if (c == NULL || !c->waiting) {
		close(fd);
		return;
	}
	front_count(f, FRONTS_TUNNELS);
	conn_dedicated(c, fd);
}

void
conn_refused(struct front *f, uint32_t num)
{
	struct conn *c = conn_find(f, num);

	if (c != NULL && c->waiting)
		conn_reset(c);
}

/* What was asked of the one before is lost. */
void
conns_portd(struct front *f)
{
	struct conn *c;

	if (f->form != FORM_2017)
		return;
	TAILQ_FOREACH (c, &f->conns, entry) {
		if (c->waiting)
			tunnel_ask(f, c->num);
	}
}

void
conns_portd_gone(struct front *f)
{
	struct conn *c, *next;

	for (c = TAILQ_FIRST(&f->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (conn_udp(c))
			conn_reset(c);
	}
	tunnel_flush(&f->tunnel);
}

void
conn_end(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct front *f = d->data;
	uint32_t id = (uint32_t)ipc_u64(m, "id");
	struct conn *c;

	TAILQ_FOREACH (c, &f->conns, entry) {
		if (c->id == id && c->portd == f->nportd)
			break;
	}
	if (c == NULL)
		return;
	conn_reset(c);
	tunnel_flush(&f->tunnel);
}

void
conns_fini(struct front *f)
{
	while (!TAILQ_EMPTY(&f->conns))
		conn_free(TAILQ_FIRST(&f->conns));
	while (!TAILQ_EMPTY(&f->ending))
		conn_free(TAILQ_FIRST(&f->ending));
}
