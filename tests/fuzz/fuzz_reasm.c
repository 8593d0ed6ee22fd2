/*
 * The queue of guest data beside a plain model of it: an array of bytes, of
 * which the first version counts.
 */

#include "netstackd/core/tcp.h"

#include "fuzz.h"

#define SPAN 4096
#define BASE 0xfffff800u /* the numbers wrap in the middle */

struct model {
	struct net net;
	struct tcp_queue *q;
	uint32_t next;		/* rcv_nxt, less BASE */
	uint8_t byte[SPAN + 1]; /* 0: not there; the last one never is */
};

static void
add(struct model *m, uint32_t at, uint32_t len, uint8_t value)
{
	uint8_t buf[UINT8_MAX * 3];
	uint32_t i;

	if (at < m->next || at + len > SPAN || len == 0)
		return;
	memset(buf, value, len);
	if (tcp_queue_add(&m->net, &m->q, BASE + at, buf, len) == -1) {
		/* Any part of it may be there: begin anew. */
		tcp_queue_free(&m->net, &m->q);
		memset(m->byte, 0, sizeof(m->byte));
		return;
	}
	for (i = at; i < at + len; i++)
		m->byte[i] = m->byte[i] != 0 ? m->byte[i] : value;
}

static uint32_t
run_end(const struct model *m, uint32_t at)
{
	const uint8_t *end = memchr(m->byte + at, 0, sizeof(m->byte) - at);

	return (uint32_t)(end - m->byte);
}

static void
check_run(const struct model *m)
{
	struct iovec iov[8];
	uint32_t at = m->next;
	int i, n = tcp_queue_iov(m->q, BASE + at, iov, 8);

	for (i = 0; i < n; i++) {
		CHECK(iov[i].iov_len <= SPAN - at);
		CHECK(
		    memcmp(iov[i].iov_base, m->byte + at, iov[i].iov_len) == 0);
		at += (uint32_t)iov[i].iov_len;
	}
	CHECK(
	    tcp_queue_end(m->q, BASE + m->next) == BASE + run_end(m, m->next));
	CHECK((n == 0) == (m->byte[m->next] == 0));
}

static void
check_sack(const struct model *m)
{
	struct tcp_range r[TCP_NSACK];
	int i, n = tcp_queue_sack(m->q, BASE + m->next, r, TCP_NSACK);
	uint32_t at;

	for (i = 0; i < n; i++) {
		at = r[i].start - BASE;
		CHECK(at > m->next && at < SPAN && m->byte[at - 1] == 0);
		CHECK(run_end(m, at) == r[i].end - BASE);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct model m;
	struct rd r = rd_init(data, len);
	uint32_t at;
	uint8_t op;

	memset(&m, 0, sizeof(m));
	m.net.conf.max_queue = 2000 + fuzz_u8(&r) * 64u;
	while (rd_u8(&r, &op) == 0) {
		at = fuzz_u16(&r) % SPAN;
		if (op & 7) {
			add(&m, at, op * 3u, fuzz_u8(&r) | 1);
		} else if (at >= m.next) {
			tcp_queue_drop(&m.net, &m.q, BASE + at);
			m.next = at;
			memset(m.byte, 0, at);
		}
		check_run(&m);
		check_sack(&m);
		CHECK(m.net.queued <= m.net.conf.max_queue);
		CHECK(m.net.queued == (m.q != NULL ? m.q->cost : 0));
	}
	tcp_queue_free(&m.net, &m.q);
	CHECK(m.net.queued == 0);
	return 0;
}
