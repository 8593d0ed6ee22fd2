/*
 * Channels; see mux.h.
 */

#include <stdlib.h>
#include <string.h>

#include "portd/front/mux.h"

#define DATA_HEAD (MUX_HDRLEN + 4)

static struct mux_chan **
slot(struct mux *m, uint32_t id)
{
	struct mux_chan **pp = &m->bucket[id % MUX_BUCKETS];

	while (*pp != NULL && (*pp)->id != id)
		pp = &(*pp)->next;
	return pp;
}

static void
count(struct mux *m, enum mux_stat i)
{
	m->hooks->count(m->arg, i);
}

static void
chan_free(struct mux_chan *c)
{
	struct mux_chan **pp = slot(c->mux, c->id);

	*pp = c->next;
	LIST_REMOVE(c, entry);
	c->mux->nchan--;
	free(c);
}

/*
 * Frames out.  Without memory the stream would have a hole: it ends.
 */

static void
send(struct mux *m, const struct mux_frame *f)
{
	uint8_t head[MUX_MAXHEAD];
	struct wr w = wr_init(head, sizeof(head));

	if (mux_put(&w, f) == -1 || buf_put(&m->out, head, w.len) == -1)
		m->failed = true;
	m->hooks->trace(m->arg, true, f);
}

static void
send_cmd(struct mux *m, uint8_t cmd, uint32_t id)
{
	const struct mux_frame f = { .cmd = cmd, .id = id };

	send(m, &f);
}

static void
send_window(struct mux_chan *c)
{
	struct mux_frame f = { .cmd = MUX_WINDOW, .id = c->id };

	f.seq = c->offered = c->taken + MUX_WIN;
	send(c->mux, &f);
}

/* A number nobody uses, counting up and around. */
static uint32_t
new_id(struct mux *m)
{
	while (*slot(m, m->next_id) != NULL)
		m->next_id++;
	return m->next_id++;
}

struct mux_chan *
mux_open(struct mux *m, const struct mux_dest *dest, void *data)
{
	struct mux_frame f = {
		.cmd = MUX_OPEN, .connection = MUX_MULTIPLEXED, .dest = *dest
	};
	struct mux_chan *c, **pp;

	if (m->failed || m->nchan >= MUX_MAXCHANS ||
	    (c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->mux = m;
	c->id = f.id = new_id(m);
	c->data = data;
	pp = &m->bucket[c->id % MUX_BUCKETS];
	c->next = *pp;
	*pp = c;
	LIST_INSERT_HEAD(&m->chans, c, entry);
	m->nchan++;
	count(m, MUXS_OPENED);
	send(m, &f);
	send_window(c);
	return c;
}

size_t
mux_room(const struct mux_chan *c)
{
	uint64_t n;

	if (c->sent_shutdown || c->sent_close || c->allowed <= c->sent ||
	    c->mux->failed || c->mux->out.len >= MUX_OUTMAX)
		return 0;
	n = c->allowed - c->sent;
	return n < MUX_DATAMAX ? (size_t)n : MUX_DATAMAX;
}

uint8_t *
mux_begin(struct mux_chan *c, size_t max)
{
	uint8_t *p = buf_room(&c->mux->out, DATA_HEAD + max);

	return p != NULL ? p + DATA_HEAD : NULL;
}

void
mux_end(struct mux_chan *c, size_t n)
{
	struct mux_frame f = {
		.cmd = MUX_DATA, .id = c->id, .len = (uint32_t)n
	};
	struct mux *m = c->mux;
	struct wr w = wr_init(m->out.p + m->out.off + m->out.len, DATA_HEAD);

	mux_put(&w, &f);
	buf_add(&m->out, DATA_HEAD + n);
	c->sent += n;
	m->hooks->trace(m->arg, true, &f);
}

void
mux_shutdown(struct mux_chan *c)
{
	if (c->sent_shutdown || c->sent_close)
		return;
	c->sent_shutdown = true;
	send_cmd(c->mux, MUX_SHUTDOWN, c->id);
}

void
mux_close(struct mux_chan *c)
{
	c->data = NULL;
	if (c->sent_close)
		return;
	c->sent_close = true;
	send_cmd(c->mux, MUX_CLOSE, c->id);
}

/*
 * Credit is what was offered less what is used up of it.  Bytes that wait for
 * the rest of a datagram count as taken, else a large one would wait for ever.
 */
void
mux_taken(struct mux_chan *c, size_t n)
{
	c->taken += n;
	if (c->sent_close || c->got_shutdown ||
	    c->taken + MUX_RENEW <= c->offered)
		return;
	send_window(c);
}

/*
 * Frames in.
 */

/* Only what its owner still wants. */
static void
chan_data(struct mux_chan *c, const uint8_t *p, size_t n)
{
	c->got += n;
	if (c->data == NULL)
		return;
	if (c->got > c->offered + MUX_OVERRUN) {
		count(c->mux, MUXS_OVERRUN);
		c->mux->hooks->closed(c);
		mux_close(c);
		return;
	}
	c->mux->hooks->data(c, p, n);
}

/*
 * It has sent its last.  Our own Close is the answer, unless it was the
 * question; then the number is free.
 */
static void
chan_closed(struct mux_chan *c)
{
	if (c->got == 0 && !c->got_shutdown && !c->sent_close)
		count(c->mux, MUXS_REFUSED);
	if (c->data != NULL)
		c->mux->hooks->closed(c);
	mux_close(c);
	chan_free(c);
}

static void
chan_frame(struct mux_chan *c, const struct mux_frame *f)
{
	const struct mux_hooks *h = c->mux->hooks;

	switch (f->cmd) {
	case MUX_WINDOW:
		/* One that is late takes nothing back. */
		if (f->seq <= c->allowed)
			return;
		c->allowed = f->seq;
		if (c->data != NULL)
			h->window(c);
		break;
	case MUX_SHUTDOWN:
		if (c->got_shutdown)
			return;
		c->got_shutdown = true;
		if (c->data != NULL)
			h->shutdown(c);
		break;
	case MUX_CLOSE:
		chan_closed(c);
		break;
	default:
		break;
	}
}

/* Our end listens to nobody. */
static void
refuse_open(struct mux *m, const struct mux_frame *f)
{
	count(m, MUXS_OPENS);
	if (*slot(m, f->id) == NULL)
		send_cmd(m, MUX_CLOSE, f->id);
}

static void
frame(struct mux *m, const struct mux_frame *f)
{
	struct mux_chan *c = *slot(m, f->id);

	m->hooks->trace(m->arg, false, f);
	if (f->cmd == MUX_OPEN) {
		refuse_open(m, f);
		return;
	}
	if (f->cmd == MUX_DATA) {
		m->left = f->len;
		m->left_id = f->id;
	}
	if (c == NULL)
		count(m, MUXS_UNKNOWN);
	else
		chan_frame(c, f);
}

/* Takes what there is of a Data frame's bytes. */
static size_t
input_data(struct mux *m, const uint8_t *p, size_t n)
{
	struct mux_chan *c = *slot(m, m->left_id);

	if (n > m->left)
		n = m->left;
	m->left -= (uint32_t)n;
	if (c != NULL)
		chan_data(c, p, n);
	return n;
}

/*
 * Takes one head, which may have come in pieces; the bytes that were new in
 * it.  -1: it is none.
 */
static ssize_t
input_head(struct mux *m, const uint8_t *p, size_t n)
{
	size_t room = sizeof(m->head) - m->headlen, add = n < room ? n : room;
	struct mux_frame f;
	int len;

	memcpy(m->head + m->headlen, p, add);
	len = mux_get(m->head, m->headlen + add, &f);
	if (len == -2) {
		m->headlen += add;
		return (ssize_t)add;
	}
	if (len == -1) {
		count(m, MUXS_BAD);
		m->failed = true;
		return -1;
	}
	add = (size_t)len - m->headlen;
	m->headlen = 0;
	frame(m, &f);
	return (ssize_t)add;
}

int
mux_input(struct mux *m, const uint8_t *p, size_t n)
{
	ssize_t used;

	while (n > 0 && !m->failed) {
		used = m->left > 0 ? (ssize_t)input_data(m, p, n)
				   : input_head(m, p, n);
		if (used == -1)
			return -1;
		p += used;
		n -= (size_t)used;
	}
	return m->failed ? -1 : 0;
}

void
mux_init(struct mux *m, const struct mux_hooks *hooks, void *arg)
{
	memset(m, 0, sizeof(*m));
	m->hooks = hooks;
	m->arg = arg;
	m->next_id = MUX_FIRSTID;
	LIST_INIT(&m->chans);
}

void
mux_fini(struct mux *m)
{
	while (!LIST_EMPTY(&m->chans))
		chan_free(LIST_FIRST(&m->chans));
	buf_free(&m->out);
}
