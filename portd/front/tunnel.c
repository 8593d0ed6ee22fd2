/*
 * The connection to the forwarder in the VM, made when the first client of a
 * forward needs it, and again when it was lost and another one comes.
 *
 * Of the three generations in the field the newest speaks first, with a
 * handshake; the others wait.  So after a moment of silence it is taken for
 * the older multiplexer, unless the administrator said otherwise.  One that
 * was only slow says its magic where a frame should be: then we know, too, and
 * the next connection begins with ours.  The oldest has no multiplexer, and
 * each client a connection of its own: conn.c.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "portd/front/front.h"

#define CONNECT_SEC 10.
#define GREET_SEC   0.2
#define SHAKE_SEC   10. /* for one that has begun, or must */
#define READ_SIZE   65536
#define READ_TIMES  4 /* in a turn */
#define GREETMAX    (MUX_MAGICLEN + 2 + 65535)
#define CONNECT_CID 3	   /* the VM, for HyperKit */
#define FORWARDER   0xf3a5 /* the port of vpnkit-forwarder */
#define SHARED	    0	   /* the number of this connection for portd */

static void tunnel_dead(struct tunnel *, const char *why);
static void tunnel_none(struct tunnel *, const char *why);
static void tunnel_connected(struct tunnel *);

/*
 * What it looks like.
 */

static void
hook_trace(void *arg, bool sent, const struct mux_frame *m)
{
	struct tunnel *t = &((struct front *)arg)->tunnel;
	struct trace *e = &t->trace[t->ntrace++ % TRACE_MAX];

	e->when = usec_now(t->f->d->loop);
	e->sent = sent;
	e->cmd = m->cmd;
	e->id = m->id;
	e->value = m->cmd == MUX_WINDOW ? m->seq : m->len;
}

static void
hook_count(void *arg, enum mux_stat i)
{
	front_count(arg, FRONTS_MUX + (unsigned)i);
}

char *
tunnel_dump(struct front *f, size_t *len)
{
	static const char *const states[] = { "down", "asked for", "connecting",
		"being greeted", "up" };
	struct tunnel *t = &f->tunnel;
	size_t i = t->ntrace > TRACE_MAX ? t->ntrace - TRACE_MAX : 0;
	const struct mux_chan *c;
	const struct trace *e;
	char *text = NULL;
	FILE *o;

	if ((o = open_memstream(&text, len)) == NULL)
		return NULL;
	for (; i < t->ntrace; i++) {
		e = &t->trace[i % TRACE_MAX];
		fprintf(o, "%lld.%06lld %s %s %u %llu\n",
		    (long long)(e->when / USEC_SEC),
		    (long long)(e->when % USEC_SEC), e->sent ? ">" : "<",
		    mux_cmd_name[e->cmd], e->id, (unsigned long long)e->value);
	}
	fprintf(o, "tunnel %s, %zu connections\n", states[t->state], f->nconn);
	if (t->state == TUNNEL_UP) {
		LIST_FOREACH (c, &t->mux.chans, entry)
			fprintf(o,
			    "channel %u%s%s%s sent %llu of %llu, got %llu\n",
			    c->id, c->sent_shutdown ? " shutdown" : "",
			    c->got_shutdown ? " eof" : "",
			    c->sent_close ? " closed" : "",
			    (unsigned long long)c->sent,
			    (unsigned long long)c->allowed,
			    (unsigned long long)c->got);
	}
	if (fclose(o) == 0)
		return text;
	free(text);
	return NULL;
}

/*
 * Out.
 */

/* 0: all is gone, or nothing more goes now. */
static int
write_buf(int fd, struct buf *b)
{
	ssize_t n;

	while (b->len > 0) {
		n = write(fd, buf_data(b), b->len);
		if (n == -1)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		buf_drop(b, (size_t)n);
	}
	return 0;
}

/* A forwarder that was slow with its magic. */
static bool
was_magic(const struct tunnel *t, const uint8_t *p, size_t n)
{
	return t->f->form == FORM_AUTO && !t->heard && n >= 4 &&
	       memcmp(p, MUX_MAGIC, 4) == 0;
}

/* It does not listen any more; what it has said may tell why. */
static void
last_words(struct tunnel *t)
{
	uint8_t in[4];
	ssize_t n;

	if (t->state == TUNNEL_UP && (n = read(t->fd, in, sizeof(in))) > 0 &&
	    was_magic(t, in, (size_t)n))
		t->shakes = true;
}

void
tunnel_flush(struct tunnel *t)
{
	struct ev_loop *loop = t->f->d->loop;
	int error;

	if (t->fd == -1 || t->state == TUNNEL_CONNECT)
		return;
	if (write_buf(t->fd, &t->out) == -1 ||
	    (t->out.len == 0 && t->state == TUNNEL_UP &&
		write_buf(t->fd, &t->mux.out) == -1)) {
		error = errno;
		last_words(t);
		tunnel_dead(t, strerror(error));
		return;
	}
	/* Who found it full goes on from the loop. */
	if (t->out.len > 0 || t->mux.out.len > 0 || t->choked)
		ev_io_start(loop, &t->wr);
	else
		ev_io_stop(loop, &t->wr);
	if (t->mux.out.len < MUX_INPUTMAX)
		ev_io_start(loop, &t->rd);
	else
		ev_io_stop(loop, &t->rd);
}

static void
write_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct tunnel *t = w->data;

	if (t->state == TUNNEL_CONNECT) {
		tunnel_connected(t);
		return;
	}
	tunnel_flush(t);
	if (!t->choked || t->mux.out.len > MUX_OUTMAX / 2)
		return;
	t->choked = false;
	conns_resume(t->f);
	tunnel_flush(t);
}

/*
 * The beginning.
 */

int
tunnel_line(struct front *f, struct buf *b)
{
	char line[32];
	int n;

	if (!f->hyperkit)
		return 0;
	n = snprintf(line, sizeof(line), "%08x.%08x\n", CONNECT_CID, FORWARDER);
	return buf_put(b, line, (size_t)n);
}

static int
put_handshake(struct tunnel *t)
{
	if (buf_put(&t->out, MUX_MAGIC, MUX_MAGICLEN) == -1)
		return -1;
	return buf_put(&t->out, "\0", 2);
}

/* Frames from here on, of which there may be some already. */
static void
tunnel_up(struct tunnel *t)
{
	struct buf in = t->in;
	int r;

	memset(&t->in, 0, sizeof(t->in));
	ev_timer_stop(t->f->d->loop, &t->greet);
	t->state = TUNNEL_UP;
	mux_init(&t->mux, &conn_mux_hooks, t->f);
	conns_start(t->f);
	r = mux_input(&t->mux, buf_data(&in), in.len);
	buf_free(&in);
	if (r == -1)
		tunnel_dead(t, "spoke no frames");
	else
		tunnel_flush(t);
}

/* What has come of the handshake, when one may come. */
static void
greet_input(struct tunnel *t)
{
	int n = mux_handshake_get(buf_data(&t->in), t->in.len);

	if (n == -2 && t->in.len < GREETMAX)
		return;
	if (n < 0 && t->shakes) {
		t->shakes = false;
		tunnel_dead(t, "did not shake hands");
		return;
	}
	if (n > 0) {
		buf_take(&t->in, (size_t)n);
		/* Unless we were first. */
		if (!t->shakes && put_handshake(t) == -1) {
			tunnel_dead(t, "out of memory");
			return;
		}
		t->shakes = true;
	}
	tunnel_up(t);
}

static void
greet_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct tunnel *t = w->data;

	if (t->state == TUNNEL_CONNECT) {
		tunnel_none(t, strerror(ETIMEDOUT));
	} else if (w->repeat > GREET_SEC) {
		tunnel_dead(t, "did not shake hands");
	} else if (t->in.len == 0) {
		tunnel_up(t);
	} else {
		/* The beginning of a handshake: the rest will come. */
		w->repeat = SHAKE_SEC;
		ev_timer_again(loop, w);
	}
}

/* The socket may be connecting still; a vsock takes no bytes before. */
static void
tunnel_begin(struct tunnel *t, int fd)
{
	t->fd = fd;
	t->state = TUNNEL_CONNECT;
	t->heard = false;
	t->choked = false;
	ev_io_set(&t->rd, fd, EV_READ);
	ev_io_set(&t->wr, fd, EV_WRITE);
	ev_io_start(t->f->d->loop, &t->wr);
	t->greet.repeat = CONNECT_SEC;
	ev_timer_again(t->f->d->loop, &t->greet);
}

static void
tunnel_greet(struct tunnel *t)
{
	struct front *f = t->f;

	front_count(f, FRONTS_TUNNELS);
	t->state = TUNNEL_GREET;
	if (f->form == FORM_HANDSHAKE)
		t->shakes = true;
	if (tunnel_line(f, &t->out) == -1 ||
	    (t->shakes && put_handshake(t) == -1)) {
		tunnel_dead(t, "out of memory");
		return;
	}
	t->greet.repeat = t->shakes ? SHAKE_SEC : GREET_SEC;
	ev_timer_again(f->d->loop, &t->greet);
	if (f->form == FORM_MUX)
		tunnel_up(t);
	if (t->fd != -1)
		tunnel_flush(t);
}

/* Connected, or not to be. */
static void
tunnel_connected(struct tunnel *t)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0)
		tunnel_none(t, strerror(error));
	else
		tunnel_greet(t);
}

/*
 * In, and the end.
 */

static int
tunnel_input(struct tunnel *t, const uint8_t *p, size_t n)
{
	if (t->state == TUNNEL_GREET) {
		if (buf_put(&t->in, p, n) == -1)
			return -1;
		greet_input(t);
		return t->fd == -1 ? -1 : 0;
	}
	if (was_magic(t, p, n))
		t->shakes = true;
	t->heard = true;
	if (mux_input(&t->mux, p, n) == 0)
		return 0;
	tunnel_dead(t, "spoke no frames");
	return -1;
}

static void
read_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	static uint8_t in[READ_SIZE];
	struct tunnel *t = w->data;
	ssize_t n;
	int i;

	for (i = 0; i < READ_TIMES; i++) {
		n = read(t->fd, in, sizeof(in));
		if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR)) {
			tunnel_dead(t, n == 0 ? "closed it" : strerror(errno));
			return;
		}
		if (n == -1)
			break;
		if (tunnel_input(t, in, (size_t)n) == -1)
			return;
		if ((size_t)n < sizeof(in))
			break;
	}
	tunnel_flush(t);
}

static void
tunnel_close(struct tunnel *t)
{
	struct ev_loop *loop = t->f->d->loop;

	ev_io_stop(loop, &t->rd);
	ev_io_stop(loop, &t->wr);
	ev_timer_stop(loop, &t->greet);
	if (t->fd != -1)
		close(t->fd);
	t->fd = -1;
	buf_free(&t->in);
	buf_free(&t->out);
	mux_fini(&t->mux);
	t->state = TUNNEL_DOWN;
}

static void
tunnel_dead(struct tunnel *t, const char *why)
{
	struct front *f = t->f;
	unsigned missed;

	if (t->fd == -1)
		return;
	/* Perhaps another forwarder, of another age, is there now. */
	if (t->state == TUNNEL_GREET && t->in.len == 0)
		t->shakes = false;
	front_count(f, FRONTS_TUNNEL_LOST);
	if (log_rate_ok(&t->log, usec_now(f->d->loop), &missed))
		log_warnx("the tunnel is lost, the other end %s (%u more "
			  "times)",
		    why, missed);
	conns_lost(f);
	tunnel_close(t);
	if (!TAILQ_EMPTY(&f->conns))
		conns_start(f);
}

static void
tell_none(struct tunnel *t, const char *why)
{
	unsigned missed;

	front_count(t->f, FRONTS_TUNNEL_REFUSED);
	if (log_rate_ok(&t->log, usec_now(t->f->d->loop), &missed))
		log_warnx(
		    "no tunnel to the VM: %s (%u more times)", why, missed);
}

/* It could not connect: as if portd had said so. */
static void
tunnel_none(struct tunnel *t, const char *why)
{
	tell_none(t, why);
	tunnel_close(t);
	conns_refused(t->f);
}

/*
 * portd.
 */

void
tunnel_ask(struct front *f, uint32_t id)
{
	if (f->portd != NULL)
		ipc_send(f->portd, IPC_TUNNEL_OPEN, NULL, 0, "{s:I}", "id",
		    (json_int_t)id);
}

void
tunnel_want(struct front *f)
{
	struct tunnel *t = &f->tunnel;

	if (t->state != TUNNEL_DOWN)
		return;
	t->state = TUNNEL_ASKED;
	tunnel_ask(f, SHARED);
}

void
tunnel_portd(struct front *f)
{
	if (f->tunnel.state == TUNNEL_ASKED)
		tunnel_ask(f, SHARED);
}

void
tunnel_fd(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct front *f = d->data;
	uint32_t id = (uint32_t)ipc_u64(m, "id");

	if (id != SHARED)
		conn_transport(f, id, ipc_take_fd(m, 0));
	else if (f->tunnel.state == TUNNEL_ASKED)
		tunnel_begin(&f->tunnel, ipc_take_fd(m, 0));
}

void
tunnel_refused(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct front *f = d->data;
	struct tunnel *t = &f->tunnel;
	uint32_t id = (uint32_t)ipc_u64(m, "id");

	tell_none(t, ipc_str(m, "error"));
	if (id != SHARED) {
		conn_refused(f, id);
		return;
	}
	if (t->state != TUNNEL_ASKED)
		return;
	t->state = TUNNEL_DOWN;
	conns_refused(f);
}

void
tunnel_init(struct front *f)
{
	struct tunnel *t = &f->tunnel;

	t->f = f;
	t->fd = -1;
	LIST_INIT(&t->mux.chans);
	ev_io_init(&t->rd, read_cb, -1, EV_READ);
	ev_io_init(&t->wr, write_cb, -1, EV_WRITE);
	ev_timer_init(&t->greet, greet_cb, 0., GREET_SEC);
	ev_set_priority(&t->greet, TIMER_LATE);
	t->rd.data = t->wr.data = t->greet.data = t;
}

void
tunnel_fini(struct front *f)
{
	tunnel_close(&f->tunnel);
}

/*
 * Channels' news go to their connections.
 */

static void
chan_data(struct mux_chan *ch, const uint8_t *p, size_t n)
{
	conn_input(ch->data, p, n);
}

static void
chan_window(struct mux_chan *ch)
{
	conn_pump(ch->data);
}

static void
chan_shutdown(struct mux_chan *ch)
{
	conn_vm_eof(ch->data);
}

static void
chan_closed(struct mux_chan *ch)
{
	conn_vm_closed(ch->data);
}

const struct mux_hooks conn_mux_hooks = { chan_data, chan_window, chan_shutdown,
	chan_closed, hook_count, hook_trace };
