/* One TCP segment; what was understood of it says the same when written. */

#include "netstackd/core/tcp_wire.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct tcp_seg a, b;
	uint8_t *p;
	size_t n;

	if (tcp_parse(rd_init(data, len), &a) == -1)
		return 0;
	CHECK(a.opt.nsack <= TCP_NSACK);
	CHECK(a.data.len <= len - TCP_HDRLEN);
	CHECK(a.data.p + a.data.len == data + len);
	n = tcp_hdrlen(&a);
	CHECK(n >= TCP_HDRLEN && n % 4 == 0);
	if (n > TCP_HDRLEN_MAX)
		return 0; /* the sender packed more tightly than we do */
	if ((p = malloc(n)) == NULL)
		abort();
	tcp_write(p, &a);
	CHECK(tcp_parse(rd_init(p, n), &b) == 0);
	CHECK(a.sport == b.sport && a.dport == b.dport && a.seq == b.seq);
	CHECK(a.ack == b.ack && a.wnd == b.wnd && a.opt.has == b.opt.has);
	CHECK(a.opt.nsack == b.opt.nsack && b.data.len == 0);
	CHECK(memcmp(a.opt.sack, b.opt.sack,
		  a.opt.nsack * sizeof(a.opt.sack[0])) == 0);
	free(p);
	return 0;
}
