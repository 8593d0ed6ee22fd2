/*
 * The guest's side.  A datagram, both ways, is one or many messages, each
 * behind {address, port} of the guest's end, which only netstackd understands,
 * and its length.  A stream is messages behind their lengths, RFC 1035 4.2.2;
 * answers leave as they come, RFC 7766 6.2.1.1.
 *
 * The descriptors are made by portd, which gives netstackd the other ends.
 *
 * A stream is not read while enough of its queries are in flight or while it
 * does not take its answers.
 */

#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/wr.h"
#include "dnsd/dnsd.h"

#define PREFIX_LEN (ORIGIN_LEN + 2) /* and the length */
#define UDP_MAXLEN 65507	    /* of a payload, IPv4 */

static struct guest *
guest_find(struct dnsd *d, const struct ipc *link)
{
	struct guest *g;

	LIST_FOREACH (g, &d->guests, entry) {
		if (g->link == link)
			return g;
	}
	return NULL;
}

static struct guest *
guest_get(struct dnsd *d, struct ipc *link)
{
	struct guest *g = guest_find(d, link);

	if (g != NULL || (g = calloc(1, sizeof(*g))) == NULL)
		return g;
	g->link = link;
	g->tokens = DNSD_VMBURST;
	g->refilled = usec_now(d->d->loop);
	LIST_INIT(&g->clients);
	LIST_INSERT_HEAD(&d->guests, g, entry);
	return g;
}

static struct client *
client_find(struct guest *g, uint32_t id)
{
	struct client *c;

	LIST_FOREACH (c, &g->clients, entry) {
		if (c->id == id)
			return c;
	}
	return NULL;
}

/* What its socket does not take now is dropped, as any network may. */
static void
batch_flush(struct dnsd *d)
{
	struct batch *b = &d->batch;

	if (b->client == NULL)
		return;
	if (send(b->client->fd, b->tx, b->len, 0) == -1)
		stats_add(&d->d->stats, DNSS_CLIENT_FULL, b->n);
	b->client = NULL;
	b->n = 0;
	b->len = 0;
}

static void
out_drop(struct client *c)
{
	struct out *o = STAILQ_FIRST(&c->out);

	STAILQ_REMOVE_HEAD(&c->out, entry);
	c->guest->outlen -= o->len;
	free(o);
}

static void
client_free(struct client *c)
{
	struct ev_loop *loop = c->d->d->loop;

	if (c->d->batch.client == c)
		batch_flush(c->d);
	while (!LIST_EMPTY(&c->askers))
		asker_gone(LIST_FIRST(&c->askers));
	while (!STAILQ_EMPTY(&c->out))
		out_drop(c);
	ev_io_stop(loop, &c->rd);
	ev_io_stop(loop, &c->wr);
	ev_timer_stop(loop, &c->idle);
	if (c->fd != -1)
		close(c->fd);
	if (c->tcp)
		c->guest->nconn--;
	else
		c->guest->ndgram--;
	LIST_REMOVE(c, entry);
	free(c);
}

/* The messages of one datagram. */
static void
client_messages(struct client *c, struct rd r)
{
	struct stats *stats = &c->d->d->stats;
	uint8_t origin[ORIGIN_LEN];
	struct rd msg;
	uint16_t len;

	while (r.len > 0) {
		if (rd_bytes(&r, origin, sizeof(origin)) == -1 ||
		    rd_u16(&r, &len) == -1 || rd_sub(&r, len, &msg) == -1) {
			stats_inc(stats, DNSS_MALFORMED);
			return;
		}
		stats_inc(stats, DNSS_UDP);
		daemon_many(c->d->d, 1);
		lookup_start(c, origin, msg.p, msg.len);
	}
}

static void
client_datagrams(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct client *c = w->data;
	struct batch *b = &c->d->batch;
	ssize_t n;
	int i;

	for (i = 0; i < DNSD_READS; i++) {
		if ((n = recv(c->fd, b->rx, sizeof(b->rx), 0)) == -1)
			return;
		if (n == 0)
			stats_inc(&c->d->d->stats, DNSS_MALFORMED);
		client_messages(c, rd_init(b->rx, (size_t)n));
	}
}

/* First the answers: others can go on with them meanwhile. */
static void
batch_end(struct dnsd *d)
{
	d->batch.turns = 0;
	ev_idle_stop(d->d->loop, &d->batch.rest);
	batch_flush(d);
	upstream_turn(d);
}

/* Nothing more is ready. */
static void
rest_cb(struct ev_loop *loop, struct ev_idle *w, int revents)
{
	batch_end(w->data);
}

/* A turn ends. */
static void
turn_cb(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
	struct dnsd *d = w->data;
	struct batch *b = &d->batch;

	records_turn(d);
	if (b->n == 0 && !d->socks_owe)
		return;
	if (d->nlookup == 0 || ++b->turns > DNSD_TURNS) {
		batch_end(d);
		return;
	}
	if (b->n >= DNSD_HOLD)
		batch_flush(d);
	ev_idle_start(loop, &b->rest);
}

static void
batch_add(
    struct client *c, const uint8_t *origin, const uint8_t *msg, size_t len)
{
	struct batch *b = &c->d->batch;
	struct wr w;

	if (b->client != c || b->len + PREFIX_LEN + len > DNSD_BATCH)
		batch_flush(c->d);
	w = wr_init(b->tx + b->len, sizeof(b->tx) - b->len);
	if (len > UDP_MAXLEN || wr_bytes(&w, origin, ORIGIN_LEN) == -1 ||
	    wr_u16(&w, (uint16_t)len) == -1 || wr_bytes(&w, msg, len) == -1) {
		stats_inc(&c->d->d->stats, DNSS_CLIENT_FULL);
		return;
	}
	b->client = c;
	b->len += w.len;
	b->n++;
}

void
client_init(struct dnsd *d)
{
	struct batch *b = &d->batch;

	ev_idle_init(&b->rest, rest_cb);
	ev_prepare_init(&b->turn, turn_cb);
	b->rest.data = b->turn.data = d;
	ev_prepare_start(d->d->loop, &b->turn);
}

void
client_fini(struct dnsd *d)
{
	while (!LIST_EMPTY(&d->guests))
		client_peer_gone(d, LIST_FIRST(&d->guests)->link);
	ev_idle_stop(d->d->loop, &d->batch.rest);
	ev_prepare_stop(d->d->loop, &d->batch.turn);
}

static bool
stream_paused(const struct client *c)
{
	return c->nlookup >= DNSD_CONNLOOKUPS || !STAILQ_EMPTY(&c->out);
}

/* Starts what is whole in the buffer.  -1: nothing good can follow. */
static int
stream_parse(struct client *c)
{
	struct rd r = rd_init(c->in, c->inlen), next, msg;
	uint16_t len;

	while (!stream_paused(c)) {
		next = r;
		if (rd_u16(&next, &len) == -1)
			break;
		if (len == 0 || len > DNSD_MAXQUERY) {
			stats_inc(&c->d->d->stats, DNSS_MALFORMED);
			return -1;
		}
		if (rd_sub(&next, len, &msg) == -1)
			break;
		r = next;
		stats_inc(&c->d->d->stats, DNSS_TCP);
		lookup_start(c, NULL, msg.p, msg.len);
	}
	memmove(c->in, r.p, r.len);
	c->inlen = r.len;
	return 0;
}

/* Reads once.  -1: the stream is broken. */
static int
stream_fill(struct client *c)
{
	ssize_t n;

	if (c->eof || c->inlen == sizeof(c->in))
		return 0;
	n = read(c->fd, c->in + c->inlen, sizeof(c->in) - c->inlen);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0)
		c->eof = true;
	c->inlen += (size_t)n;
	return 0;
}

/* Also run when a lookup has ended or the answers have left. */
static void
stream_read(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct client *c = w->data;

	if (!stream_paused(c) &&
	    (stream_parse(c) == -1 || stream_fill(c) == -1 ||
		stream_parse(c) == -1)) {
		client_free(c);
		return;
	}
	if (c->eof && c->nlookup == 0 && STAILQ_EMPTY(&c->out)) {
		client_free(c);
		return;
	}
	if (c->eof || stream_paused(c))
		ev_io_stop(loop, w);
	else
		ev_io_start(loop, w);
	ev_timer_again(loop, &c->idle);
}

static void
stream_wake(struct client *c)
{
	ev_feed_event(c->d->d->loop, &c->rd, EV_READ);
}

static void
stream_idle(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct client *c = w->data;

	if (c->nlookup == 0)
		client_free(c);
}

static void
stream_write(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct client *c = w->data;
	struct out *o;
	ssize_t n;

	while ((o = STAILQ_FIRST(&c->out)) != NULL) {
		n = write(c->fd, o->data + o->off, o->len - o->off);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n == -1) {
			client_free(c);
			return;
		}
		o->off += (size_t)n;
		if (o->off < o->len)
			return;
		out_drop(c);
	}
	ev_io_stop(loop, w);
	stream_wake(c);
}

/*
 * Keeps what the socket did not take; a broken socket is its reader's.  Who
 * asks over many streams and reads none of them is cut off at some point.
 */
static void
stream_keep(struct client *c, const struct iovec iov[2], size_t sent)
{
	size_t len = iov[0].iov_len + iov[1].iov_len;
	struct out *o = NULL;

	if (sent == len)
		return;
	if (c->guest->outlen + len <= DNSD_VMOUT)
		o = malloc(sizeof(*o) + len);
	if (o == NULL) {
		/* Half a message must not be followed by another. */
		stats_inc(&c->d->d->stats, DNSS_CLIENT_FULL);
		(void)shutdown(c->fd, SHUT_RDWR);
		return;
	}
	o->len = len;
	o->off = sent;
	memcpy(o->data, iov[0].iov_base, iov[0].iov_len);
	memcpy(o->data + iov[0].iov_len, iov[1].iov_base, iov[1].iov_len);
	STAILQ_INSERT_TAIL(&c->out, o, entry);
	c->guest->outlen += len;
	ev_io_start(c->d->d->loop, &c->wr);
}

void
client_answer(
    struct client *c, const uint8_t *origin, const uint8_t *msg, size_t len)
{
	uint8_t pre[2] = { (uint8_t)(len >> 8), (uint8_t)len };
	struct iovec iov[2] = { { pre, sizeof(pre) },
		{ (void *)(uintptr_t)msg, len } };
	ssize_t n = 0;

	if (c->answer != NULL) {
		c->answer(c->arg, rd_init(msg, len));
		return;
	}
	if (!c->tcp) {
		batch_add(c, origin, msg, len);
		return;
	}
	if (STAILQ_EMPTY(&c->out)) {
		n = writev(c->fd, iov, 2);
		if (n == -1 && errno != EAGAIN && errno != EINTR)
			return;
	}
	stream_keep(c, iov, n > 0 ? (size_t)n : 0);
}

void
client_lookup_done(struct client *c)
{
	c->guest->nlookup--;
	if (!c->tcp)
		return;
	c->nlookup--;
	if (c->answer == NULL)
		stream_wake(c);
}

static struct client *
client_new(struct dnsd *d, struct guest *g, uint32_t id, bool tcp)
{
	struct client *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->d = d;
	c->guest = g;
	c->id = id;
	c->tcp = tcp;
	c->fd = -1;
	LIST_INIT(&c->askers);
	STAILQ_INIT(&c->out);
	ev_init(&c->rd, tcp ? stream_read : client_datagrams);
	ev_init(&c->wr, stream_write);
	ev_init(&c->idle, stream_idle);
	c->rd.data = c->wr.data = c->idle.data = c;
	if (tcp)
		g->nconn++;
	else
		g->ndgram++;
	LIST_INSERT_HEAD(&g->clients, c, entry);
	return c;
}

/* While there is no portd it waits; client_portd() asks then. */
static void
client_ask(struct client *c)
{
	struct ipc *portd = daemon_peer(c->d->d, ROLE_PORT, 0);

	if (portd != NULL)
		ipc_send(portd, IPC_PAIR_OPEN, NULL, 0, "{s:I,s:I,s:s}", "id",
		    (json_int_t)c->id, "vm", (json_int_t)ipc_vm(c->guest->link),
		    "proto", c->tcp ? "tcp" : "dns");
}

static void
flow_refuse(struct ipc *stack, uint32_t id, const char *error)
{
	ipc_send(stack, IPC_FLOW_REFUSED, NULL, 0, "{s:I,s:s}", "id",
	    (json_int_t)id, "error", error);
}

void
client_flow_open(struct daemon *dm, struct ipc *from, struct ipc_msg *m)
{
	const char *proto = ipc_str(m, "proto");
	uint32_t id = (uint32_t)ipc_u64(m, "id");
	bool tcp = strcmp(proto, "tcp") == 0;
	struct dnsd *d = dm->data;
	struct guest *g = guest_get(d, from);
	struct client *c = NULL;

	if (!tcp && strcmp(proto, "dns") != 0) {
		daemon_bad_peer(dm, from, "flow-open of an unknown kind");
		return;
	}
	if (g != NULL && client_find(g, id) != NULL) {
		daemon_bad_peer(dm, from, "flow-open of a flow that is open");
		return;
	}
	if (g != NULL &&
	    (tcp ? g->nconn < DNSD_VMCONNS : g->ndgram < DNSD_VMDGRAMS))
		c = client_new(d, g, id, tcp);
	if (c == NULL) {
		stats_inc(&dm->stats, DNSS_CONN_LIMIT);
		flow_refuse(from, id, "EMFILE");
		return;
	}
	client_ask(c);
}

/* The client portd speaks of, if it still waits. */
static struct client *
client_asked(struct daemon *dm, const struct ipc_msg *m)
{
	struct ipc *link =
	    daemon_peer(dm, ROLE_STACK, (uint32_t)ipc_u64(m, "vm"));
	struct guest *g = link == NULL ? NULL : guest_find(dm->data, link);
	struct client *c;

	c = g == NULL ? NULL : client_find(g, (uint32_t)ipc_u64(m, "id"));
	return c != NULL && c->fd == -1 && c->answer == NULL ? c : NULL;
}

/* fd becomes owned. */
static void
client_attach(struct client *c, int fd)
{
	struct ev_loop *loop = c->d->d->loop;

	c->fd = fd;
	ev_io_set(&c->rd, fd, EV_READ);
	ev_io_set(&c->wr, fd, EV_WRITE);
	ev_io_start(loop, &c->rd);
	if (c->tcp) {
		c->idle.repeat = DNSD_CONNIDLE_SEC;
		ev_timer_again(loop, &c->idle);
	}
}

void
client_pair_fd(struct daemon *dm, struct ipc *from, struct ipc_msg *m)
{
	struct client *c = client_asked(dm, m);

	if (c == NULL)
		return; /* the stack has given up */
	client_attach(c, ipc_take_fd(m, 0));
}

struct client *
client_inside(struct dnsd *d, struct ipc *link,
    void (*answer)(void *, struct rd), void *arg)
{
	struct guest *g = guest_get(d, link);
	struct client *c;

	if (g == NULL || (c = client_new(d, g, UINT32_MAX, false)) == NULL)
		return NULL;
	c->answer = answer;
	c->arg = arg;
	return c;
}

void
client_pair_refused(struct daemon *dm, struct ipc *from, struct ipc_msg *m)
{
	struct client *c = client_asked(dm, m);

	if (c == NULL)
		return;
	stats_inc(&dm->stats, DNSS_SOCK_REFUSED);
	flow_refuse(c->guest->link, c->id, ipc_str(m, "error"));
	client_free(c);
}

/*
 * The old one may have given the stack its end and not lived to give us ours:
 * then the stack finds that nobody has the other, and opens another flow.
 */
void
client_portd(struct dnsd *d)
{
	struct guest *g;
	struct client *c;

	LIST_FOREACH (g, &d->guests, entry) {
		LIST_FOREACH (c, &g->clients, entry) {
			if (c->fd == -1 && c->answer == NULL)
				client_ask(c);
		}
	}
}

void
client_flow_close(struct daemon *dm, struct ipc *from, struct ipc_msg *m)
{
	struct guest *g = guest_find(dm->data, from);
	struct client *c;

	if (g == NULL)
		return;
	c = client_find(g, (uint32_t)ipc_u64(m, "id"));
	if (c != NULL)
		client_free(c);
}

void
client_peer_gone(struct dnsd *d, struct ipc *link)
{
	struct guest *g = guest_find(d, link);

	if (g == NULL)
		return;
	while (!LIST_EMPTY(&g->clients))
		client_free(LIST_FIRST(&g->clients));
	LIST_REMOVE(g, entry);
	free(g);
}
