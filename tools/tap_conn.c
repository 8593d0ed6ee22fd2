#include "tools/tap_conn.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/plat/plat.h"

#define VMNET_VERSION 22
#define VMNET_INIT    49  /* bytes: "VMN3T", u32 version, 40 of commit */
#define VMNET_COMMAND 41  /* type, 36 of UUID, 4 of address or padding */
#define VMNET_REPLY   258 /* type and what it says, padded */
#define CMD_ETHERNET  1
#define CMD_PREFERRED 8
#define REPLY_VIF     1
#define REPLY_NO      2

#define SOCKBUF (1 << 20)

/* Retries of DHCP: quick at first, for the stack may just be starting. */
#define DHCP_TRIES	34
#define DHCP_QUICK	5
#define DHCP_WAIT_QUICK (200 * USEC_MS)
#define DHCP_WAIT	USEC_SEC

static int conn_fail(struct conn *, const char *, ...)
    __attribute__((__format__(printf, 2, 3)));

static int
conn_fail(struct conn *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->err, sizeof(c->err), fmt, ap);
	va_end(ap);
	return -1;
}

bool
conn_uuid_ok(const char *s)
{
	size_t i;

	if (strlen(s) != CONN_UUIDLEN)
		return false;
	for (i = 0; i < CONN_UUIDLEN; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (s[i] != '-')
				return false;
		} else if (!isxdigit((unsigned char)s[i]))
			return false;
	}
	return true;
}

/* RFC 9562 5.4: version 4, all random but the version and the variant. */
static void
uuid_random(char *out, size_t outlen)
{
	uint32_t r[4];

	arc4random_buf(r, sizeof(r));
	snprintf(out, outlen, "%08x-%04x-4%03x-%04x-%04x%08x", r[0], r[1] >> 16,
	    r[1] & 0xfff, 0x8000 | (r[2] >> 16 & 0x3fff), r[2] & 0xffff, r[3]);
}

struct conn *
conn_new(const char *path, const char *uuid)
{
	struct conn *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->path = path;
	c->fd = -1;
	if (uuid != NULL)
		strlcpy(c->uuid, uuid, sizeof(c->uuid));
	else
		uuid_random(c->uuid, sizeof(c->uuid));
	return c;
}

void
conn_free(struct conn *c)
{
	if (c == NULL)
		return;
	conn_close(c);
	free(c);
}

void
conn_close(struct conn *c)
{
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	c->off = c->len = 0;
}

/* Waits for events on the socket; -1 when the time is over. */
static int
conn_wait(struct conn *c, short events, usec_t until)
{
	struct pollfd pfd = { .fd = c->fd, .events = events };
	usec_t left = until - plat_now();
	int n;

	if (left <= 0)
		return -1;
	n = poll(&pfd, 1, (int)((left + USEC_MS - 1) / USEC_MS));
	return n == 0 || (n == -1 && errno != EINTR) ? -1 : 0;
}

static int
conn_write(struct conn *c, const uint8_t *p, size_t len, usec_t until)
{
	ssize_t n;

	while (len > 0) {
		n = send(c->fd, p, len, MSG_NOSIGNAL);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			if (conn_wait(c, POLLOUT, until) == -1)
				return conn_fail(c, "%s: no answer", c->path);
		} else if (errno != EINTR)
			return conn_fail(c, "%s: %s", c->path, strerror(errno));
	}
	return 0;
}

static int
conn_read(struct conn *c, uint8_t *p, size_t len, usec_t until)
{
	ssize_t n;

	while (len > 0) {
		n = read(c->fd, p, len);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (n == 0)
			return conn_fail(
			    c, "%s: closed by the other side", c->path);
		else if (errno == EAGAIN) {
			if (conn_wait(c, POLLIN, until) == -1)
				return conn_fail(c, "%s: no answer", c->path);
		} else if (errno != EINTR)
			return conn_fail(c, "%s: %s", c->path, strerror(errno));
	}
	return 0;
}

static int
conn_connect(struct conn *c)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int size = SOCKBUF;

	if (strlcpy(sun.sun_path, c->path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path))
		return conn_fail(c, "%s: path too long", c->path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd == -1)
		return conn_fail(c, "socket: %s", strerror(errno));
	/* More than the system's limit only helps and only root may. */
	if (setsockopt(
		c->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) == -1)
		(void)setsockopt(
		    c->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (connect(c->fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		c->absent = errno == ENOENT || errno == ECONNREFUSED;
		return conn_fail(
		    c, "cannot connect to %s: %s", c->path, strerror(errno));
	}
	return 0;
}

static int
exchange_init(struct conn *c, usec_t until)
{
	uint8_t b[VMNET_INIT] = "VMN3T";
	struct rd r;
	uint32_t version;

	b[5] = VMNET_VERSION;
	memset(b + 9, '0', VMNET_INIT - 9);
	if (conn_write(c, b, sizeof(b), until) == -1 ||
	    conn_read(c, b, sizeof(b), until) == -1)
		return -1;
	r = rd_init(b, sizeof(b));
	if (memcmp(b, "VMN3T", 5) != 0 || rd_skip(&r, 5) == -1 ||
	    rd_le32(&r, &version) == -1)
		return conn_fail(c, "%s: not a vpnkit socket", c->path);
	if (version != VMNET_VERSION)
		return conn_fail(c, "%s: protocol version %u, need %u", c->path,
		    version, VMNET_VERSION);
	return 0;
}

static int
exchange_command(struct conn *c, usec_t until)
{
	uint8_t b[VMNET_COMMAND], reply[VMNET_REPLY], type = 0, n;
	struct rd r = rd_init(reply, sizeof(reply));
	struct wr w = wr_init(b, sizeof(b));

	(void)wr_u8(&w, c->ip != 0 ? CMD_PREFERRED : CMD_ETHERNET);
	(void)wr_bytes(&w, c->uuid, CONN_UUIDLEN);
	(void)wr_le32(&w, c->ip);
	if (conn_write(c, b, sizeof(b), until) == -1 ||
	    conn_read(c, reply, sizeof(reply), until) == -1)
		return -1;
	if (rd_u8(&r, &type) == 0 && type == REPLY_NO && rd_u8(&r, &n) == 0)
		return conn_fail(
		    c, "%s: refused: %.*s", c->path, n, (const char *)r.p);
	if (type != REPLY_VIF || rd_le16(&r, &c->mtu) == -1 ||
	    rd_skip(&r, 2) == -1 || rd_bytes(&r, c->mac.b, 6) == -1)
		return conn_fail(
		    c, "%s: answer of unknown kind %u", c->path, type);
	if (c->mtu < 68) /* RFC 791 3.2 */
		return conn_fail(c, "%s: MTU of %u", c->path, c->mtu);
	return 0;
}

int
conn_open(struct conn *c, usec_t limit)
{
	usec_t until = plat_now() + limit;

	c->absent = false;
	conn_close(c);
	if (conn_connect(c) == -1 || exchange_init(c, until) == -1 ||
	    exchange_command(c, until) == -1) {
		conn_close(c);
		return -1;
	}
	return 0;
}

int
conn_fill(struct conn *c)
{
	ssize_t n;

	if (c->off == c->len)
		c->off = c->len = 0;
	/* Whatever frame has begun must fit behind what is there. */
	if (sizeof(c->buf) - c->len < CONN_MAXFRAME + 2) {
		memmove(c->buf, c->buf + c->off, c->len - c->off);
		c->len -= c->off;
		c->off = 0;
	}
	n = read(c->fd, c->buf + c->len, sizeof(c->buf) - c->len);
	if (n > 0) {
		c->len += (size_t)n;
		return 1;
	}
	return n == -1 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

bool
conn_next(struct conn *c, struct rd *frame)
{
	struct rd r = rd_init(c->buf + c->off, c->len - c->off);
	uint16_t len;

	if (rd_le16(&r, &len) == -1 || rd_sub(&r, len, frame) == -1)
		return false;
	c->off = c->len - r.len;
	return true;
}

/* Waits for an answer of that type; 1 got it, 0 the time is over. */
static int
lease_answer(struct conn *c, const struct dhcp_client *dc, enum dhcp_type want,
    struct dhcp_lease *l, usec_t until)
{
	enum dhcp_type type;
	struct rd frame;

	for (;;) {
		while (conn_next(c, &frame)) {
			if (dhcp_parse(frame, dc, &type, l) == -1)
				continue;
			if (type == DHCP_NAK)
				return conn_fail(c, "DHCP: address refused");
			if (type == want)
				return 1;
		}
		if (conn_wait(c, POLLIN, until) == -1)
			return 0;
		if (conn_fill(c) == -1)
			return conn_fail(
			    c, "%s: closed by the other side", c->path);
	}
}

/* Sends a DISCOVER, or the REQUEST for an offer, until it is answered. */
static int
lease_ask(struct conn *c, const struct dhcp_client *dc,
    const struct dhcp_lease *offer, struct dhcp_lease *l)
{
	uint8_t buf[2 + DHCP_FRAMELEN];
	struct wr w = wr_init(buf + 2, DHCP_FRAMELEN), pre = wr_init(buf, 2);
	usec_t until;
	int i, n;

	if (dhcp_build(&w, dc, offer) == -1)
		return conn_fail(c, "DHCP: message too long");
	(void)wr_le16(&pre, (uint16_t)w.len);
	for (i = 0; i < DHCP_TRIES; i++) {
		until =
		    plat_now() + (i < DHCP_QUICK ? DHCP_WAIT_QUICK : DHCP_WAIT);
		if (conn_write(c, buf, 2 + w.len, until) == -1)
			return -1;
		n = lease_answer(
		    c, dc, offer == NULL ? DHCP_OFFER : DHCP_ACK, l, until);
		if (n != 0)
			return n == 1 ? 0 : -1;
	}
	return conn_fail(c, "DHCP: no answer in 30 seconds");
}

int
conn_lease(struct conn *c, struct dhcp_lease *l)
{
	struct dhcp_client dc = { .mac = c->mac, .xid = arc4random() };
	struct dhcp_lease offer;

	if (lease_ask(c, &dc, NULL, &offer) == -1 ||
	    lease_ask(c, &dc, &offer, l) == -1)
		return -1;
	c->ip = l->ip;
	return 0;
}
