/*
 * The tunnel: any bytes of the forwarder, in any pieces, while channels are
 * opened, used and closed here.  What we say must always be frames, within the
 * windows we were given; what we were given for a channel is counted.
 */

#include "portd/front/mux.h"

#include "fuzz.h"

#define MAXOPEN 8

static struct mux_chan *chan[MAXOPEN];

static void
hook_data(struct mux_chan *c, const uint8_t *p, size_t n)
{
	CHECK(c->data != NULL && n > 0);
	mux_taken(c, n - (p[0] & 1 ? 0 : n / 2));
}

static void
hook_window(struct mux_chan *c)
{
	CHECK(c->data != NULL);
}

static void
hook_shutdown(struct mux_chan *c)
{
	if (c->id & 1)
		mux_shutdown(c);
}

static void
hook_closed(struct mux_chan *c)
{
	struct mux_chan **slot = c->data;

	CHECK(*slot == c);
	*slot = NULL;
}

static void
hook_count(void *arg, enum mux_stat i)
{
}

static void
hook_trace(void *arg, bool sent, const struct mux_frame *f)
{
}

static const struct mux_hooks hooks = { hook_data, hook_window, hook_shutdown,
	hook_closed, hook_count, hook_trace };

/* Everything that leaves is whole frames. */
static void
drain(struct mux *m)
{
	struct mux_frame f;
	int n;

	while (m->out.len > 0) {
		n = mux_get(buf_data(&m->out), m->out.len, &f);
		CHECK(n > 0);
		if (f.cmd == MUX_DATA)
			n += (int)f.len;
		CHECK((size_t)n <= m->out.len);
		buf_drop(&m->out, (size_t)n);
	}
}

static void
use(struct mux *m, uint8_t op)
{
	static const struct mux_dest dest = {
		.proto = MUX_TCP, .ip = { 4, { 10, 0, 0, 1 } }, .port = 80
	};
	struct mux_chan **c = &chan[op % MAXOPEN];
	size_t room;
	uint8_t *p;

	if (*c == NULL) {
		*c = mux_open(m, &dest, c);
	} else if (op & 0x40) {
		mux_close(*c);
		*c = NULL;
	} else if (op & 0x20) {
		mux_shutdown(*c);
	} else if ((room = mux_room(*c)) > 0 &&
		   (p = mux_begin(*c, room)) != NULL) {
		memset(p, 0, room);
		mux_end(*c, room);
		CHECK((*c)->sent <= (*c)->allowed);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len), body;
	struct mux m;
	uint8_t op;
	size_t n;

	mux_handshake_get(data, len);
	udpenc_get(data, len, &body);
	memset(chan, 0, sizeof(chan));
	mux_init(&m, &hooks, NULL);
	while (r.len > 0) {
		op = fuzz_u8(&r);
		if (op & 0x80) {
			use(&m, op);
		} else {
			n = op < r.len ? op : r.len;
			if (mux_input(&m, r.p, n) == -1)
				break;
			rd_skip(&r, n);
		}
		drain(&m);
	}
	mux_fini(&m);
	return 0;
}
