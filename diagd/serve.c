/*
 * Clients.  None of them is waited for: who does not read in time gets no
 * more packets until he has, and sees a gap.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/view/merge.h"
#include "diagd/diagd.h"

#define ENOUGH	 (512u << 10)	 /* unread: no more packets */
#define MAXASKED 8192		 /* bytes of a request */
#define BURST	 16384		 /* packets at a time */
#define SILENT	 (15 * USEC_SEC) /* to ask for metrics, and to read them */

/* False: the client is gone. */
static bool
write_some(struct client *c)
{
	ssize_t n;

	while (c->off < c->len) {
		n = send(c->fd, c->buf + c->off, c->len - c->off, MSG_NOSIGNAL);
		if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
			ev_io_start(c->dd->d->loop, &c->wr);
			return true;
		}
		if (n == -1) {
			client_free(c);
			return false;
		}
		c->off += (size_t)n;
	}
	c->off = c->len = 0;
	ev_io_stop(c->dd->d->loop, &c->wr);
	if (!c->last)
		return true;
	client_free(c);
	return false;
}

/* Puts text behind what waits; takes it.  False: the client is gone. */
static bool
give(struct client *c, char *text, size_t len)
{
	char *p;

	if (c->off > 0)
		memmove(c->buf, c->buf + c->off, c->len - c->off);
	c->len -= c->off;
	c->off = 0;
	if ((p = realloc(c->buf, c->len + len + 1)) == NULL) {
		free(text);
		client_free(c);
		return false;
	}
	c->buf = p;
	memcpy(c->buf + c->len, text, len);
	c->len += len;
	free(text);
	return write_some(c);
}

/*
 * Packets.
 */

static struct follow *
follow_of(struct client *c, uint32_t serial)
{
	struct follow *v;
	size_t i;

	for (i = 0; i < c->nfollow; i++) {
		if (c->follow[i].serial == serial)
			return &c->follow[i];
	}
	if (c->nfollow == DIAGD_MAXVMS)
		return NULL;
	v = reallocarray(c->follow, c->nfollow + 1, sizeof(*v));
	if (v == NULL)
		return NULL;
	c->follow = v;
	v[c->nfollow] = (struct follow){ serial, 0 };
	return &v[c->nfollow++];
}

/* Where the client is in the tape of each process, m of s->n. */
static size_t
places(struct client *c, const struct snapshot *s, struct merge *m)
{
	const struct file *f;
	struct follow *w;
	size_t i, n = 0;

	for (i = 0; i < s->n; i++) {
		f = &s->v[i].capture;
		if (f->p == NULL || tape_check(f->p, f->len) == -1 ||
		    (w = follow_of(c, s->v[i].serial)) == NULL)
			continue;
		m[n++] = (struct merge){ f, TAPE_ALL,
			w->next != 0 ? w->next : 1, 0 };
	}
	return n;
}

/* The same order as places(). */
static void
remember(
    struct client *c, const struct snapshot *s, const struct merge *m, size_t n)
{
	struct follow *w;
	size_t i, k = 0;

	for (i = 0; i < s->n && k < n; i++) {
		if (&s->v[i].capture != m[k].file ||
		    (w = follow_of(c, s->v[i].serial)) == NULL)
			continue;
		/* What was gone before the client came is no loss. */
		if (w->next != 0)
			stats_add(&c->dd->d->stats, DIAGS_LOST, m[k].lost);
		w->next = m[k++].next;
	}
}

static void
follow(struct client *c, struct merge *m, struct tape_pkt *pkt)
{
	const struct snapshot *s = &c->dd->snap;
	char *text = NULL;
	size_t i, k, n, len;
	FILE *out;

	if (c->len - c->off > ENOUGH ||
	    (out = open_memstream(&text, &len)) == NULL)
		return;
	n = places(c, s, m);
	for (i = 0; i < BURST && (k = merge_oldest(m, n, false)) < n; i++) {
		if (merge_take(&m[k], pkt))
			pcap_packet(out, pkt);
	}
	remember(c, s, m, n);
	fclose(out);
	if (len > 0)
		give(c, text, len);
	else
		free(text);
}

void
clients_follow(struct diagd *dd)
{
	struct tape_pkt *pkt = malloc(sizeof(*pkt));
	struct merge *m = calloc(dd->snap.n + 1, sizeof(*m));
	struct client *c, *next;

	for (c = LIST_FIRST(&dd->clients); c != NULL; c = next) {
		next = LIST_NEXT(c, entry);
		if (c->kind == DIAG_PCAP && !c->waiting && pkt != NULL &&
		    m != NULL)
			follow(c, m, pkt);
	}
	free(m);
	free(pkt);
}

/*
 * One answer.
 */

static void
answer(struct client *c)
{
	struct snapshot *s = &c->dd->snap;
	char *body = NULL, *text = NULL;
	size_t len, n = 0;
	FILE *out, *b;

	if ((out = open_memstream(&text, &len)) == NULL) {
		client_free(c);
		return;
	}
	if (c->kind == DIAG_PCAP) {
		pcap_head(out, 65535);
	} else if (c->kind == DIAG_TAR) {
		tar_write(out, s, time(NULL));
	} else if ((b = open_memstream(&body, &n)) != NULL) {
		metrics_print(b, s);
		fclose(b);
		fprintf(out,
		    "HTTP/1.1 200 OK\r\nContent-Type: "
		    "application/openmetrics-text; version=1.0.0; "
		    "charset=utf-8\r\nContent-Length: %zu\r\n"
		    "Connection: close\r\n\r\n%s",
		    n, body);
		free(body);
	}
	fclose(out);
	c->last = c->kind != DIAG_PCAP;
	give(c, text, len);
}

/*
 * 9P: what was asked is answered from a snapshot no older than a moment.
 */

#define FRESH (USEC_SEC / 2)

/* False: the client is gone. */
static bool
tree_answer(struct client *c, const uint8_t *p, size_t len)
{
	uint8_t *out = malloc(NP_MAXMSIZE);
	struct wr w = wr_init(out, NP_MAXMSIZE);

	if (out == NULL ||
	    tree_input(c->tree, &c->dd->snap, p, len, &w) == -1) {
		free(out);
		client_free(c);
		return false;
	}
	/* What fits is written at once; the rest stops us, see tree_read(). */
	return give(c, (char *)out, w.len);
}

/* All whole messages; the client may be gone then. */
static void
tree_serve(struct client *c)
{
	int n;

	while (!c->waiting && c->len == c->off) {
		n = np_frame(c->in, c->inlen, tree_msize(c->tree));
		if (n == -1) {
			client_free(c);
			return;
		}
		if (n == 0)
			break;
		if (!tree_answer(c, c->in, (size_t)n))
			return;
		c->inlen -= (size_t)n;
		memmove(c->in, c->in + n, c->inlen);
	}
	if (c->inlen < sizeof(c->in))
		ev_io_start(c->dd->d->loop, &c->rd);
}

static void
tree_read(struct client *c)
{
	struct diagd *dd = c->dd;
	ssize_t n;

	n = recv(c->fd, c->in + c->inlen, sizeof(c->in) - c->inlen, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_free(c);
		return;
	}
	c->inlen += (size_t)n;
	/* Until this is answered nothing more is read. */
	ev_io_stop(dd->d->loop, &c->rd);
	if (usec_now(dd->d->loop) - dd->snap.now > FRESH) {
		c->waiting = true;
		diagd_collect(dd);
		return;
	}
	tree_serve(c);
}

void
clients_serve(struct diagd *dd)
{
	struct client *c, *next;

	for (c = LIST_FIRST(&dd->clients); c != NULL; c = next) {
		next = LIST_NEXT(c, entry);
		if (!c->waiting)
			continue;
		c->waiting = false;
		if (c->kind == DIAG_TREE)
			tree_serve(c);
		else
			answer(c);
	}
}

void
clients_expire(struct diagd *dd)
{
	usec_t now = usec_now(dd->d->loop);
	struct client *c, *next;

	for (c = LIST_FIRST(&dd->clients); c != NULL; c = next) {
		next = LIST_NEXT(c, entry);
		if (c->kind == DIAG_METRICS && now - c->since > SILENT)
			client_free(c);
	}
}

/* Whether these bytes end the head of a request; they may come one by one. */
static bool
head_ends(struct client *c, const char *p, size_t n)
{
	size_t i;

	c->asked += n;
	/* Only blank lines matter: what is asked for is always the same. */
	for (i = 0; i < n; i++) {
		if (p[i] == '\n' && c->line_began)
			return true;
		if (p[i] != '\r')
			c->line_began = p[i] == '\n';
	}
	return false;
}

static void
read_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct client *c = w->data;
	char buf[2048];
	ssize_t n;

	if (c->kind == DIAG_TREE) {
		tree_read(c);
		return;
	}
	n = recv(c->fd, buf, sizeof(buf), 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 && (c->last || c->waiting)) {
		ev_io_stop(loop, &c->rd); /* it may still read */
		return;
	}
	if (n <= 0 || c->asked > MAXASKED) {
		client_free(c);
		return;
	}
	if (c->kind != DIAG_METRICS || c->waiting || c->last)
		return; /* nobody asked it to say anything */
	if (head_ends(c, buf, (size_t)n)) {
		c->waiting = true;
		diagd_collect(c->dd);
	}
}

static void
write_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct client *c = w->data;

	if (write_some(c) && c->kind == DIAG_TREE && c->len == 0)
		tree_serve(c);
}

void
client_new(struct diagd *dd, enum diag_kind kind, int fd)
{
	struct client *c;

	stats_inc(&dd->d->stats, DIAGS_ACCEPTED);
	if (dd->nclient == DIAGD_MAXCLIENTS ||
	    (c = calloc(1, sizeof(*c))) == NULL) {
		stats_inc(&dd->d->stats, DIAGS_REFUSED);
		close(fd);
		return;
	}
	c->dd = dd;
	c->kind = kind;
	c->fd = fd;
	c->since = usec_now(dd->d->loop);
	ev_io_init(&c->rd, read_cb, fd, EV_READ);
	ev_io_init(&c->wr, write_cb, fd, EV_WRITE);
	c->rd.data = c->wr.data = c;
	ev_io_start(dd->d->loop, &c->rd);
	LIST_INSERT_HEAD(&dd->clients, c, entry);
	stats_set(&dd->d->stats, DIAGS_CLIENTS, ++dd->nclient);
	if (!ev_is_active(&dd->poll))
		ev_timer_start(dd->d->loop, &dd->poll);
	if (kind == DIAG_TREE && (c->tree = malloc(sizeof(*c->tree))) == NULL) {
		client_free(c);
		return;
	}
	if (kind == DIAG_TREE)
		tree_init(c->tree);
	if (kind == DIAG_METRICS || kind == DIAG_TREE)
		return; /* it speaks first */
	c->waiting = true;
	diagd_collect(dd);
}

void
client_free(struct client *c)
{
	struct diagd *dd = c->dd;

	ev_io_stop(dd->d->loop, &c->rd);
	ev_io_stop(dd->d->loop, &c->wr);
	close(c->fd);
	LIST_REMOVE(c, entry);
	stats_set(&dd->d->stats, DIAGS_CLIENTS, --dd->nclient);
	if (c->tree != NULL)
		tree_fini(c->tree);
	free(c->tree);
	free(c->follow);
	free(c->buf);
	free(c);
}
