/*
 * Records on a packet channel, as a peer that is not ours sends them: what
 * comes out lies in the arena, and the ring's accounts stay right.
 */

#include <sys/socket.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/plat/plat.h"

#include "fuzz.h"

static void
chan_make(struct chan *c, int fd)
{
	int tx = plat_memfd("tx", CHAN_ARENA),
	    rx = plat_memfd("rx", CHAN_ARENA);

	CHECK(tx != -1 && rx != -1);
	CHECK(chan_init(c, fd, tx, plat_memfd_ro(rx)) == 0);
	close(rx);
}

static void
take(struct chan *c, unsigned want)
{
	static volatile uint8_t sink;
	struct chan_frame f;

	for (; want > 0 && chan_next(c, &f); want--) {
		CHECK(f.len >= 1 && f.len <= CHAN_MAXFRAME);
		CHECK(f.p >= c->rx && f.p + f.len <= c->rx + 2 * CHAN_ARENA);
		sink = f.p[0] ^ f.p[f.len - 1];
		(void)sink;
		chan_release(c, f.end);
	}
}

static void
give(struct chan *c, size_t len)
{
	size_t room;
	uint8_t *p = chan_space(c, &room);

	CHECK(room <= CHAN_ARENA);
	if (len == 0 || len > room)
		return;
	CHECK(p >= c->tx && p + len <= c->tx + 2 * CHAN_ARENA);
	p[0] = p[len - 1] = 1;
	chan_push(c, 0, len);
}

static void
drain(int fd)
{
	uint8_t buf[8192];

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct chan chan, c;
	struct rd r = rd_init(data, len);
	int sv[2], dead = 0;
	uint8_t op, *p;
	size_t n;

	/* Mapping takes long: once, and copied. */
	if (chan.tx == NULL)
		chan_make(&chan, -1);
	CHECK(plat_socketpair(SOCK_STREAM, sv) == 0);
	c = chan;
	c.fd = sv[0];
	while (!dead && rd_u8(&r, &op) == 0) {
		switch (op & 3) {
		case 0:
			p = fuzz_bytes(&r, op >> 2, &n);
			CHECK(send(sv[1], p, n, MSG_NOSIGNAL) == (ssize_t)n);
			free(p);
			dead = chan_read(&c) == -1;
			break;
		case 1:
			take(&c, op >> 2);
			break;
		case 2:
			give(&c, fuzz_u16(&r));
			break;
		default:
			dead = chan_flush(&c) == -1;
			drain(sv[1]);
		}
		CHECK(c.head - c.tail <= CHAN_ARENA);
		CHECK(c.ntxq <= CHAN_BATCH && c.rxq_next <= c.nrxq);
		CHECK(c.nrxq <= CHAN_BATCH && c.rx_part < 8);
	}
	close(sv[0]);
	close(sv[1]);
	return 0;
}
