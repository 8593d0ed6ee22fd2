/*
 * Frames of a guest, of any bytes; the first byte says how much they are
 * helped.  Every socket that is asked for is there at once.
 */

#include "frames.h"
#include "fuzz.h"

static void
on_tcp(void *arg, uint32_t src, const struct tcp_seg *s)
{
}

static void
open_all(struct world *w)
{
	uint32_t id;

	for (id = 0; id < WORLD_NSOCK; id++) {
		if (!w->host[id].asked || w->host[id].open ||
		    w->host[id].closed)
			continue;
		w->host[id].open = true;
		net_opened(w->net, w->now, id, true);
	}
}

static void
one_frame(struct world *w, struct rd *r, bool repair)
{
	uint16_t head = fuzz_u16(r);
	uint8_t *p;
	size_t n;

	p = fuzz_bytes(r, head & 0x0fff, &n);
	if (repair)
		frames_repair(w, p, n);
	world_frame(w, p, n);
	free(p);
	frames_check(w, on_tcp, NULL);
	if (head & 0x8000)
		world_flush(w);
	if (head & 0x4000)
		open_all(w);
	if (head & 0x2000)
		world_advance(w, w->now + (head & 0x1000 ? 40 : 1) * USEC_SEC);
	frames_check(w, on_tcp, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct world w;
	struct rd r = rd_init(data, len);
	uint8_t how = fuzz_u8(&r);

	world_init(&w);
	w.blind = true;
	if (how & 2)
		w.conf.mtu = 576;
	if (how & 4)
		w.conf.host_ip = 0;
	strcpy(w.conf.domain, "example.org");
	strcpy(w.conf.search[0], "example.org");
	strcpy(w.conf.search[1], "sub.example.org");
	w.conf.nsearch = how & 8 ? 2 : 0;
	CHECK(world_start(&w) == 0);
	while (r.len > 0)
		one_frame(&w, &r, (how & 1) != 0);
	world_flush(&w);
	CHECK(w.net->queued <= w.conf.max_queue);
	frames_check(&w, on_tcp, NULL);
	world_fini(&w);
	return 0;
}
