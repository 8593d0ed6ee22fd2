/*
 * Clients of the control sockets.  The first bytes say what one speaks: a
 * Tversion has its type, 100, in the fifth, and no method of HTTP has that.
 *
 * A request is read when the one before it is answered and the answer has
 * mostly left, so a client that does not read, or asks without end, costs what
 * fits its buffers and delays nobody.  Whoever connects and says nothing may
 * stay, since HyperKit connects long before its guest mounts, and so may
 * clients of HTTP between two requests; but these are the first to go when
 * others need the place.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "portd/front/front.h"

#define ACCEPT_BATCH 16
#define RETRY_SEC    0.1
#define READ_SIZE    16384
#define IN_MAX	     (HTTP_MAXHEAD + HTTP_MAXBODY)
#define SNIFF_LEN    5
#define SNIFF_MAX    65536 /* no Tversion is that long */

static void client_cb(struct ev_loop *, struct ev_io *, int);

static void
client_free(struct client *c)
{
	struct front *f = c->f;

	ev_clear_pending(f->d->loop, &c->rd);
	ev_io_stop(f->d->loop, &c->rd);
	ev_io_stop(f->d->loop, &c->wr);
	fs_session_free(c->fs);
	close(c->fd);
	buf_free(&c->in);
	buf_free(&c->out);
	buf_free(&c->body);
	TAILQ_REMOVE(&f->clients, c, entry);
	f->nclient--;
	front_now(f, FRONTS_CLIENTS, -1);
	free(c);
}

bool
client_waits(const struct client *c)
{
	return c->waits != NULL || c->asked != 0 ||
	       (c->fs != NULL && fs_session_waits(c->fs));
}

/* Nothing is read or served now. */
static bool
paused(const struct client *c)
{
	return c->closing || client_waits(c) || c->out.len >= FRONT_CLIENTOUT;
}

/*
 * Each of these serves at most one request: 1, or 0 when there is none whole
 * yet, or -1: the client has to go.
 */

static int
serve_9p(struct client *c)
{
	uint8_t *room;
	struct wr out;
	int n, r;

	n = np_frame(buf_data(&c->in), c->in.len, fs_session_msize(c->fs));
	if (n <= 0)
		return n;
	if ((room = buf_room(&c->out, NP_MAXMSIZE)) == NULL)
		return -1;
	out = wr_init(room, NP_MAXMSIZE);
	r = fs_input(c->fs, buf_data(&c->in), (size_t)n, &out);
	buf_add(&c->out, out.len);
	buf_take(&c->in, (size_t)n);
	if (r == -1)
		c->closing = true; /* the answer still says why */
	return 1;
}

static void
bad_request(struct client *c, int status)
{
	if (c->kind == CLIENT_SETTINGS)
		settings_bad(c, status);
	else
		web_bad(c, status);
}

static int
serve_head(struct client *c)
{
	int n, status;

	n = http_parse(
	    (const char *)buf_data(&c->in), c->in.len, &c->req, &status);
	if (n == -2)
		return 0;
	if (n == -1) {
		bad_request(c, status);
		return 1;
	}
	buf_take(&c->in, (size_t)n);
	c->have_head = true;
	c->continued = false;
	memset(&c->chunks, 0, sizeof(c->chunks));
	return 1;
}

/* Moves what has come of a body in chunks.  -1: it is malformed. */
static int
take_chunks(struct client *c, int *status)
{
	const char *data;
	size_t len;
	int n;

	while (c->in.len > 0 && !c->chunks.done) {
		n = http_chunks_take(&c->chunks, (const char *)buf_data(&c->in),
		    c->in.len, &data, &len, status);
		if (n == -1)
			return -1;
		*status = 500;
		if (buf_put(&c->body, data, len) == -1)
			return -1;
		buf_take(&c->in, (size_t)n);
	}
	return 0;
}

/* 1: the body is whole; 0: more of it has to come; -1: it was refused. */
static int
take_body(struct client *c)
{
	int status;

	if (!c->req.chunked)
		return c->in.len >= c->req.body;
	if (take_chunks(c, &status) == -1) {
		bad_request(c, status);
		return -1;
	}
	c->req.body = c->body.len;
	return c->chunks.done;
}

static void
request(struct client *c, struct buf *from)
{
	const char *body = c->req.body > 0 ? (const char *)buf_data(from) : "";

	if (c->kind == CLIENT_SETTINGS)
		settings_request(c, body);
	else
		web_request(c, body);
	buf_take(from, c->req.body);
}

static int
serve_http(struct client *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	int r;

	if (!c->have_head)
		return serve_head(c);
	if ((r = take_body(c)) == -1)
		return 1; /* that was the answer */
	if (r == 0) {
		if (c->req.expects && !c->continued &&
		    buf_put(&c->out, go_on, sizeof(go_on) - 1) == -1)
			return -1;
		c->continued = true;
		return 0;
	}
	c->have_head = false;
	request(c, c->req.chunked ? &c->body : &c->in);
	return 1;
}

static int
sniff(struct client *c)
{
	struct rd r = rd_init(buf_data(&c->in), c->in.len);
	uint32_t size = 0;
	uint8_t type = 0;

	if (c->in.len < SNIFF_LEN)
		return 0;
	rd_le32(&r, &size);
	rd_u8(&r, &type);
	if (type == NP_TVERSION && size <= SNIFF_MAX) {
		c->kind = CLIENT_9P;
		c->fs = fs_session_new(&c->f->fs, c);
		return c->fs != NULL ? 1 : -1;
	}
	if (!http_begins((const char *)buf_data(&c->in), c->in.len)) {
		front_count(c->f, FRONTS_NEITHER);
		return -1;
	}
	c->kind = CLIENT_HTTP;
	return 1;
}

static int
serve(struct client *c)
{
	static int (*const fn[])(struct client *) = {
		[CLIENT_NEW] = sniff,
		[CLIENT_9P] = serve_9p,
		[CLIENT_HTTP] = serve_http,
		[CLIENT_SETTINGS] = serve_http,
	};
	int r = 1;

	while (r == 1 && c->in.len > 0 && !paused(c))
		r = fn[c->kind](c);
	/* Without a body it is whole now; with one it may have to be called. */
	if (r == 1 && c->in.len == 0 && c->have_head && !paused(c))
		r = serve_http(c);
	return r == -1 ? -1 : 0;
}

/* -1: it is gone, or has sent what nobody waits for. */
static int
fill(struct client *c)
{
	uint8_t *p;
	ssize_t n;

	if (c->in.len >= IN_MAX || (p = buf_room(&c->in, READ_SIZE)) == NULL)
		return -1;
	n = read(c->fd, p, READ_SIZE);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	c->eof = n == 0;
	buf_add(&c->in, (size_t)n);
	return 0;
}

static int
flush(struct client *c)
{
	ssize_t n;

	while (c->out.len > 0) {
		n = write(c->fd, buf_data(&c->out), c->out.len);
		if (n == -1)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		buf_take(&c->out, (size_t)n);
	}
	return 0;
}

/* Whether it has nothing more to say or to hear. */
static bool
finished(const struct client *c)
{
	if (client_waits(c))
		return false;
	if (c->eof && c->kind == CLIENT_9P)
		return true;
	return (c->eof || c->closing) && c->out.len == 0;
}

static void
client_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct client *c = w->data;
	bool full;

	if (w == &c->rd && (revents & EV_READ) != 0 && !c->eof && !paused(c) &&
	    fill(c) == -1) {
		client_free(c);
		return;
	}
	do {
		if (serve(c) == -1) {
			client_free(c);
			return;
		}
		full = c->out.len >= FRONT_CLIENTOUT;
		if (flush(c) == -1) {
			client_free(c);
			return;
		}
	} while (full && !paused(c));
	if (finished(c)) {
		client_free(c);
		return;
	}
	if (c->eof || paused(c))
		ev_io_stop(loop, &c->rd);
	else
		ev_io_start(loop, &c->rd);
	if (c->out.len > 0)
		ev_io_start(loop, &c->wr);
	else
		ev_io_stop(loop, &c->wr);
}

/* From the loop: whoever calls may be in the middle of something. */
void
client_resume(struct client *c)
{
	ev_feed_event(c->f->d->loop, &c->rd, EV_CUSTOM);
}

/*
 * Listeners.
 */

/* fd becomes owned. */
static void
client_new(struct front *f, int fd, enum client_kind kind)
{
	struct client *c;

	if ((c = calloc(1, sizeof(*c))) == NULL) {
		close(fd);
		return;
	}
	c->f = f;
	c->fd = fd;
	c->kind = kind;
	ev_io_init(&c->rd, client_cb, fd, EV_READ);
	ev_io_init(&c->wr, client_cb, fd, EV_WRITE);
	c->rd.data = c->wr.data = c;
	TAILQ_INSERT_TAIL(&f->clients, c, entry);
	f->nclient++;
	front_now(f, FRONTS_CLIENTS, 1);
	ev_io_start(f->d->loop, &c->rd);
}

/*
 * A place for one more, if need be that of who has said nothing longest, or
 * else of an HTTP client that has no whole request under way.
 */
static bool
make_room(struct front *f)
{
	static const enum client_kind kinds[] = { CLIENT_NEW, CLIENT_HTTP,
		CLIENT_SETTINGS };
	struct client *c;
	size_t i;

	if (f->nclient < FRONT_MAXCLIENTS)
		return true;
	front_count(f, FRONTS_CLIENT_LIMIT);
	for (i = 0; i < nitems(kinds); i++) {
		TAILQ_FOREACH (c, &f->clients, entry) {
			if (c->kind == kinds[i] && !client_waits(c) &&
			    c->out.len == 0) {
				client_free(c);
				return true;
			}
		}
	}
	return false;
}

static void
accept_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct control *l = w->data;
	int fd, i;

	for (i = 0; i < ACCEPT_BATCH; i++) {
		fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1)
			break;
		if (make_room(l->f))
			client_new(l->f, fd, l->kind);
		else
			close(fd);
	}
	if (i == ACCEPT_BATCH || errno == EAGAIN || errno == EINTR ||
	    errno == ECONNABORTED)
		return;
	/* No descriptor, or no memory: not at once again. */
	front_count(l->f, FRONTS_NO_ROOM);
	ev_io_stop(loop, w);
	ev_timer_again(loop, &l->retry);
}

static void
retry_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct control *l = w->data;

	ev_timer_stop(loop, w);
	ev_io_start(loop, &l->rd);
}

void
client_listener(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct front *f = d->data;
	struct control *l = &f->control[f->ncontrol];

	if (f->ncontrol == FRONT_MAXLISTENERS)
		return; /* the message closes it */
	f->ncontrol++;
	l->f = f;
	if (strcmp(ipc_str(m, "kind"), "http-api") == 0)
		l->kind = CLIENT_SETTINGS;
	l->fd = ipc_take_fd(m, 0);
	ev_io_init(&l->rd, accept_cb, l->fd, EV_READ);
	ev_timer_init(&l->retry, retry_cb, 0., RETRY_SEC);
	l->rd.data = l->retry.data = l;
	ev_io_start(d->loop, &l->rd);
}

void
client_fini(struct front *f)
{
	size_t i;

	while (!TAILQ_EMPTY(&f->clients))
		client_free(TAILQ_FIRST(&f->clients));
	for (i = 0; i < f->ncontrol; i++) {
		ev_io_stop(f->d->loop, &f->control[i].rd);
		ev_timer_stop(f->d->loop, &f->control[i].retry);
		close(f->control[i].fd);
	}
}
