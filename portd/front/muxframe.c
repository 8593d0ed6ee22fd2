/*
 * Frames of the tunnel; see muxframe.h.
 */

#include <string.h>

#include "portd/front/muxframe.h"

const char *const mux_cmd_name[] = {
	[0] = "?",
	[MUX_OPEN] = "Open",
	[MUX_CLOSE] = "Close",
	[MUX_SHUTDOWN] = "Shutdown",
	[MUX_DATA] = "Data",
	[MUX_WINDOW] = "Window",
};

_Static_assert(sizeof(MUX_MAGIC) - 1 == MUX_MAGICLEN, "the magic's length");

/* Four or sixteen bytes; Go writes IPv4 as sixteen. */
static int
get_ip(struct rd *r, struct ipaddr *a)
{
	uint16_t len;

	memset(a, 0, sizeof(*a));
	if (rd_le16(r, &len) == -1 || (len != 4 && len != 16) ||
	    rd_bytes(r, a->b, len) == -1)
		return -1;
	a->family = len == 4 ? 4 : 6;
	*a = ipaddr_unmap(a);
	return 0;
}

static int
get_path(struct rd *r, char *path)
{
	uint16_t len;

	if (rd_le16(r, &len) == -1 || len == 0 || len > MUX_PATHMAX ||
	    rd_bytes(r, path, len) == -1)
		return -1;
	path[len] = '\0';
	return memchr(path, '\0', len) == NULL ? 0 : -1;
}

static int
get_dest(struct rd *r, struct mux_dest *d)
{
	if (rd_u8(r, &d->proto) == -1)
		return -1;
	if (d->proto == MUX_UNIX)
		return get_path(r, d->path);
	if ((d->proto != MUX_TCP && d->proto != MUX_UDP) ||
	    get_ip(r, &d->ip) == -1)
		return -1;
	return rd_le16(r, &d->port);
}

static int
get_seq(struct rd *r, uint64_t *seq)
{
	uint32_t lo, hi;

	if (rd_le32(r, &lo) == -1 || rd_le32(r, &hi) == -1)
		return -1;
	*seq = (uint64_t)hi << 32 | lo;
	return 0;
}

/* What the command adds to the head. */
static int
get_extra(struct rd *r, struct mux_frame *f)
{
	switch (f->cmd) {
	case MUX_OPEN:
		if (rd_u8(r, &f->connection) == -1 ||
		    (f->connection != MUX_DEDICATED &&
			f->connection != MUX_MULTIPLEXED))
			return -1;
		return get_dest(r, &f->dest);
	case MUX_CLOSE:
	case MUX_SHUTDOWN:
		return 0;
	case MUX_DATA:
		return rd_le32(r, &f->len);
	case MUX_WINDOW:
		return get_seq(r, &f->seq);
	default:
		return -1;
	}
}

int
mux_get(const uint8_t *p, size_t len, struct mux_frame *f)
{
	struct rd r = rd_init(p, len), head;
	uint16_t hlen;

	memset(f, 0, sizeof(*f));
	if (rd_le16(&r, &hlen) == -1)
		return -2;
	if (hlen < MUX_HDRLEN || hlen > MUX_MAXHEAD)
		return -1;
	if (rd_sub(&r, hlen - 2u, &head) == -1)
		return -2;
	if (rd_u8(&head, &f->cmd) == -1 || rd_le32(&head, &f->id) == -1 ||
	    get_extra(&head, f) == -1 || head.len != 0)
		return -1;
	return hlen;
}

int
mux_put_dest(struct wr *w, const struct mux_dest *d)
{
	size_t len = d->ip.family == 6 ? 16 : 4;

	if (wr_u8(w, d->proto) == -1)
		return -1;
	if (d->proto == MUX_UNIX) {
		len = strlen(d->path);
		if (wr_le16(w, (uint16_t)len) == -1)
			return -1;
		return wr_bytes(w, d->path, len);
	}
	if (wr_le16(w, (uint16_t)len) == -1 || wr_bytes(w, d->ip.b, len) == -1)
		return -1;
	return wr_le16(w, d->port);
}

static int
put_extra(struct wr *w, const struct mux_frame *f)
{
	switch (f->cmd) {
	case MUX_OPEN:
		if (wr_u8(w, f->connection) == -1)
			return -1;
		return mux_put_dest(w, &f->dest);
	case MUX_DATA:
		return wr_le32(w, f->len);
	case MUX_WINDOW:
		if (wr_le32(w, (uint32_t)f->seq) == -1)
			return -1;
		return wr_le32(w, (uint32_t)(f->seq >> 32));
	default:
		return 0;
	}
}

int
mux_put(struct wr *w, const struct mux_frame *f)
{
	size_t start = w->len;
	struct wr len;

	if (wr_le16(w, 0) == -1 || wr_u8(w, f->cmd) == -1 ||
	    wr_le32(w, f->id) == -1 || put_extra(w, f) == -1) {
		w->len = start;
		return -1;
	}
	len = wr_init(w->p + start, 2);
	return wr_le16(&len, (uint16_t)(w->len - start));
}

/*
 * Datagrams.
 */

int
udpenc_put(struct wr *w, const struct ipaddr *ip, uint16_t port, size_t len)
{
	size_t iplen = ip->family == 6 ? 16 : 4;
	size_t all = 2 + 2 + iplen + 2 + 2 + 2 + len;

	if (len > UDPENC_MAXPAYLOAD || wr_le16(w, (uint16_t)all) == -1 ||
	    wr_le16(w, (uint16_t)iplen) == -1 ||
	    wr_bytes(w, ip->b, iplen) == -1 || wr_le16(w, port) == -1 ||
	    wr_le16(w, 0) == -1)
		return -1;
	return wr_le16(w, (uint16_t)len);
}

/* Address and zone are not looked at: Go leaves them empty. */
int
udpenc_get(const uint8_t *p, size_t len, struct rd *payload)
{
	struct rd r = rd_init(p, len), all;
	uint16_t total, iplen, port, zone, n;

	if (rd_le16(&r, &total) == -1)
		return -2;
	if (total < 2)
		return -1;
	if (rd_sub(&r, total - 2u, &all) == -1)
		return -2;
	if (rd_le16(&all, &iplen) == -1 || rd_skip(&all, iplen) == -1 ||
	    rd_le16(&all, &port) == -1 || rd_le16(&all, &zone) == -1 ||
	    rd_skip(&all, zone) == -1 || rd_le16(&all, &n) == -1 ||
	    n != all.len)
		return -1;
	*payload = all;
	return total;
}

/*
 * The handshake.
 */

int
mux_handshake_get(const uint8_t *p, size_t len)
{
	size_t n = len < MUX_MAGICLEN ? len : MUX_MAGICLEN;
	struct rd r = rd_init(p, len);
	uint16_t more;

	if (memcmp(p, MUX_MAGIC, n) != 0)
		return -1;
	if (rd_skip(&r, MUX_MAGICLEN) == -1 || rd_le16(&r, &more) == -1 ||
	    rd_skip(&r, more) == -1)
		return -2;
	return (int)(len - r.len);
}
