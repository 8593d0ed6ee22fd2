/*
 * The fake VM: its connection and its conversations.  fakepkt.c has the
 * packets.
 */

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "common/rd.h"
#include "common/wr.h"

#include "fakevm.h"

#define BUFLEN	 (1 << 20)
#define RETRY_MS 10

const uint8_t fv_server[6] = { 0xf6, 0x16, 0x36, 0xbc, 0xf9, 0xc6 };
const uint8_t fv_bcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static long
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* 1: ready (or at its end); 0: not before the time end. */
static int
wait_fd(int fd, short events, long end)
{
	struct pollfd p = { .fd = fd, .events = events };
	long left;
	int n;

	do {
		left = end - now_ms();
		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n == -1 && errno == EINTR);
	return n > 0;
}

/*
 * The connection.
 */

int
fv_connect(struct fakevm *vm, const char *path, enum fv_framing framing)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	long end = now_ms() + FV_WAIT;

	memset(vm, 0, sizeof(*vm));
	vm->framing = framing;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	vm->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (vm->fd == -1 || (vm->buf = malloc(BUFLEN)) == NULL)
		return -1;
	while (connect(vm->fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		if (now_ms() >= end)
			return -1;
		(void)poll(NULL, 0, RETRY_MS);
	}
	return 0;
}

static struct sockaddr_un
sun_of(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (path[0] == '@')
		sun.sun_path[0] = '\0';
	return sun;
}

int
fv_dgram(struct fakevm *vm, const char *own, const char *server, bool connected)
{
	struct sockaddr_un us = sun_of(own), them = sun_of(server);
	long end = now_ms() + FV_WAIT;

	memset(vm, 0, sizeof(*vm));
	vm->framing = FV_DGRAM;
	memcpy(vm->mac, "\x52\x54\0\x12\x34\x56", 6);
	vm->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (own[0] != '@')
		(void)unlink(own);
	if (vm->fd == -1 ||
	    bind(vm->fd, (struct sockaddr *)&us, sizeof(us)) == -1)
		return -1;
	if (!connected) {
		snprintf(vm->server, sizeof(vm->server), "%s", server);
		return 0;
	}
	while (connect(vm->fd, (struct sockaddr *)&them, sizeof(them)) == -1) {
		if (now_ms() >= end)
			return -1;
		(void)poll(NULL, 0, RETRY_MS);
	}
	return 0;
}

void
fv_close(struct fakevm *vm)
{
	if (vm->fd != -1)
		close(vm->fd);
	free(vm->buf);
	memset(vm, 0, sizeof(*vm));
	vm->fd = -1;
}

int
fv_send_all(struct fakevm *vm, const void *p, size_t len)
{
	long end = now_ms() + FV_WAIT;
	ssize_t n;

	while (len > 0) {
		n = send(vm->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			p = (const uint8_t *)p + n;
			len -= (size_t)n;
		} else if (errno != EAGAIN || !wait_fd(vm->fd, POLLOUT, end)) {
			return -1;
		}
	}
	return 0;
}

int
fv_sent(struct fakevm *vm)
{
	long end = now_ms() + FV_WAIT;
	int left;

	while (ioctl(vm->fd, SIOCOUTQ, &left) == 0) {
		if (left == 0)
			return 0;
		if (now_ms() >= end)
			break;
		(void)poll(NULL, 0, RETRY_MS);
	}
	return -1;
}

/* Reads once behind what is there.  1: bytes; 0: not in time; -1: the end. */
static int
fill(struct fakevm *vm, long end)
{
	ssize_t n;

	if (!wait_fd(vm->fd, POLLIN, end))
		return 0;
	n = recv(vm->fd, vm->buf + vm->len, BUFLEN - vm->len, MSG_DONTWAIT);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 1;
	if (n <= 0)
		return -1;
	vm->len += (size_t)n;
	return 1;
}

static void
take(struct fakevm *vm, size_t n)
{
	vm->len -= n;
	memmove(vm->buf, vm->buf + n, vm->len);
}

int
fv_recv_all(struct fakevm *vm, void *p, size_t len)
{
	long end = now_ms() + FV_WAIT;

	while (vm->len < len)
		if (fill(vm, end) != 1)
			return -1;
	memcpy(p, vm->buf, len);
	take(vm, len);
	return 0;
}

int
fv_eof(struct fakevm *vm, int timeout_ms)
{
	long end = now_ms() + timeout_ms;
	int n;

	if (vm->len > 0)
		return 0;
	if ((n = fill(vm, end)) == -1)
		return 1;
	return n == 0 ? -1 : 0;
}

/*
 * The handshake.
 */

void
fv_put_init(uint8_t out[FV_INIT], uint32_t version)
{
	struct wr w = wr_init(out, FV_INIT);

	wr_bytes(&w, "VMN3T", 5);
	wr_le32(&w, version);
	wr_zero(&w, 40);
}

void
fv_put_command(
    uint8_t out[FV_CMD], uint8_t command, const char *uuid, uint32_t ip)
{
	struct wr w = wr_init(out, FV_CMD);

	wr_u8(&w, command);
	if (uuid != NULL)
		wr_bytes(&w, uuid, 36);
	else
		wr_zero(&w, 36);
	wr_le32(&w, ip);
}

static int
read_reply(struct fakevm *vm)
{
	uint8_t reply[FV_REPLY] = { 0 }, type, len;
	struct rd r = rd_init(reply, sizeof(reply));

	if (fv_recv_all(vm, reply, sizeof(reply)) == -1 ||
	    rd_u8(&r, &type) == -1)
		return -1;
	if (type == 1) {
		if (rd_le16(&r, &vm->mtu) == -1 ||
		    rd_le16(&r, &vm->maxlen) == -1 ||
		    rd_bytes(&r, vm->mac, sizeof(vm->mac)) == -1)
			return -1;
		return 1;
	}
	if (type != 2 || rd_u8(&r, &len) == -1 ||
	    rd_bytes(&r, vm->text, len) == -1)
		return -1;
	vm->text[len] = '\0';
	return 2;
}

int
fv_greet(struct fakevm *vm, const char *uuid, uint32_t ip)
{
	uint8_t init[FV_INIT], cmd[FV_CMD];

	fv_put_init(init, 22);
	fv_put_command(cmd, ip != 0 ? 8 : 1, uuid, ip);
	if (fv_send_all(vm, init, sizeof(init)) == -1 ||
	    fv_recv_all(vm, init, sizeof(init)) == -1 ||
	    memcmp(init, "VMN3T\26\0\0\0", 9) != 0 ||
	    fv_send_all(vm, cmd, sizeof(cmd)) == -1)
		return -1;
	return read_reply(vm);
}

int
fv_open(struct fakevm *vm, const char *path, const char *uuid)
{
	if (fv_connect(vm, path, FV_VMNET) == -1)
		return -1;
	return fv_greet(vm, uuid, 0) == 1 ? 0 : -1;
}

/*
 * Frames.
 */

static int
send_dgram(struct fakevm *vm, const uint8_t *frame, size_t len)
{
	struct sockaddr_un to = sun_of(vm->server);
	struct iovec iov = { (void *)(uintptr_t)frame, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	long end = now_ms() + FV_WAIT;

	if (vm->server[0] != '\0') {
		mh.msg_name = &to;
		mh.msg_namelen = sizeof(to);
	}
	while (sendmsg(vm->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) == -1) {
		if ((errno != EAGAIN && errno != EPERM) || now_ms() >= end)
			return -1;
		(void)poll(NULL, 0, RETRY_MS);
	}
	return 0;
}

int
fv_send(struct fakevm *vm, const uint8_t *frame, size_t len)
{
	uint8_t buf[4 + FV_MAXFRAME];
	struct wr w = wr_init(buf, sizeof(buf));

	if (vm->framing == FV_DGRAM)
		return send_dgram(vm, frame, len);
	if (vm->framing == FV_VMNET)
		wr_le16(&w, (uint16_t)len);
	else
		wr_u32(&w, (uint32_t)len);
	if (wr_bytes(&w, frame, len) == -1)
		return -1;
	return fv_send_all(vm, buf, w.len);
}

/* The bytes the first frame takes, with its prefix; 0: it is not whole. */
static size_t
whole(const struct fakevm *vm, size_t *plen)
{
	struct rd r = rd_init(vm->buf, vm->len);
	uint32_t len32 = 0;
	uint16_t len16 = 0;

	*plen = vm->framing == FV_VMNET ? 2 : 4;
	if ((vm->framing == FV_VMNET ? rd_le16(&r, &len16)
				     : rd_u32(&r, &len32)) == -1)
		return 0;
	len32 += len16;
	return rd_skip(&r, len32) == -1 ? 0 : *plen + len32;
}

static int
recv_dgram(struct fakevm *vm, uint8_t *frame, size_t cap, long end)
{
	ssize_t n;

	do {
		if (!wait_fd(vm->fd, POLLIN, end))
			return 0;
		n = recv(vm->fd, frame, cap, MSG_DONTWAIT | MSG_TRUNC);
	} while (n == -1 && (errno == EAGAIN || errno == EINTR));
	return n > 0 && (size_t)n <= cap ? (int)n : -1;
}

int
fv_recv(struct fakevm *vm, uint8_t *frame, size_t cap, int timeout_ms)
{
	long end = now_ms() + timeout_ms;
	size_t plen, n;
	int r;

	if (vm->framing == FV_DGRAM)
		return recv_dgram(vm, frame, cap, end);
	while ((n = whole(vm, &plen)) == 0)
		if ((r = fill(vm, end)) != 1)
			return r;
	/* Nobody may send one that is empty. */
	if (n == plen || n - plen > cap)
		return -1;
	memcpy(frame, vm->buf + plen, n - plen);
	take(vm, n);
	return (int)(n - plen);
}

int
fv_expect(struct fakevm *vm, bool (*want)(const struct fv_pkt *, void *),
    void *arg, struct fv_pkt *p, int timeout_ms)
{
	static uint8_t frame[FV_MAXFRAME];
	long end = now_ms() + timeout_ms, left;
	int n;

	while ((left = end - now_ms()) > 0) {
		n = fv_recv(vm, frame, sizeof(frame), (int)left);
		if (n <= 0)
			return -1;
		if (fv_parse(frame, (size_t)n, p) == 0 && want(p, arg))
			return 0;
	}
	return -1;
}

/*
 * Conversations.
 */

struct fv_pkt
fv_from(const struct fakevm *vm, uint8_t proto, uint32_t dst)
{
	struct fv_pkt p = { .type = 0x0800,
		.proto = proto,
		.ttl = 64,
		.ip_src = vm->ip,
		.ip_dst = dst };

	memcpy(p.dst, fv_server, 6);
	memcpy(p.src, vm->mac, 6);
	return p;
}

static bool
is_arp_reply(const struct fv_pkt *p, void *arg)
{
	return p->type == 0x0806 && p->arp_op == 2 &&
	       p->ip_src == *(const uint32_t *)arg;
}

int
fv_whohas(struct fakevm *vm, uint32_t ip, uint8_t mac[6], int timeout_ms)
{
	struct fv_pkt p = {
		.type = 0x0806, .arp_op = 1, .ip_src = vm->ip, .ip_dst = ip
	};
	uint8_t frame[64];

	memcpy(p.dst, fv_bcast, 6);
	memcpy(p.src, vm->mac, 6);
	memcpy(p.arp_sha, vm->mac, 6);
	if (fv_send(vm, frame, fv_arp(frame, &p)) == -1 ||
	    fv_expect(vm, is_arp_reply, &ip, &p, timeout_ms) == -1)
		return -1;
	memcpy(mac, p.arp_sha, 6);
	return 0;
}

static bool
is_offer(const struct fv_pkt *p, void *arg)
{
	return p->proto == 17 && p->sport == 67 && p->dport == 68 &&
	       p->len >= 243 && p->data[0] == 2 &&
	       memcmp(p->data + 4, "\1\0\0\0", 4) == 0;
}

int
fv_dhcp(struct fakevm *vm, int timeout_ms)
{
	static const uint8_t tail[] = { 0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255 };
	struct fv_pkt p = fv_from(vm, 17, 0xffffffff);
	uint8_t bootp[244] = { 1, 1, 6, 0, 1, 0, 0, 0, 0, 0, 0x80, 0 };
	uint8_t frame[300];
	uint32_t ip;
	struct rd r;

	memcpy(p.dst, fv_bcast, 6);
	p.ip_src = 0;
	p.sport = 68;
	p.dport = 67;
	memcpy(bootp + 28, vm->mac, 6);
	memcpy(bootp + 236, tail, sizeof(tail));
	p.data = bootp;
	p.len = sizeof(bootp);
	if (fv_send(vm, frame, fv_udp(frame, &p)) == -1 ||
	    fv_expect(vm, is_offer, NULL, &p, timeout_ms) == -1)
		return -1;
	r = rd_init(p.data + 16, 4);
	if (rd_u32(&r, &ip) == -1)
		return -1;
	vm->ip = ip;
	return 0;
}

struct echo {
	uint32_t ip;
	uint16_t seq;
};

static bool
is_echo_reply(const struct fv_pkt *p, void *arg)
{
	const struct echo *e = arg;

	return p->proto == 1 && p->icmp_type == 0 && p->ip_src == e->ip &&
	       p->icmp_seq == e->seq;
}

int
fv_ping(struct fakevm *vm, uint32_t ip, uint16_t seq, int timeout_ms)
{
	struct fv_pkt p = fv_from(vm, 1, ip);
	struct echo e = { ip, seq };
	uint8_t frame[128];

	p.icmp_type = 8;
	p.icmp_id = 77;
	p.icmp_seq = seq;
	p.data = (const uint8_t *)"abcdefghijklmnopqrstuvwxyz";
	p.len = 26;
	if (fv_send(vm, frame, fv_icmp(frame, &p)) == -1 ||
	    fv_expect(vm, is_echo_reply, &e, &p, timeout_ms) == -1)
		return -1;
	return p.len == 26 && memcmp(p.data, "abcdef", 6) == 0 ? 0 : -1;
}

const char *
fv_uuid(unsigned n)
{
	static char buf[8][37];
	char *p = buf[n % 8];

	snprintf(p, sizeof(buf[0]), "00000000-0000-4000-8000-%012x", n);
	return p;
}

int
fv_send_pings(struct fakevm *vm, unsigned n)
{
	static uint8_t data[1400], frame[1514];
	struct fv_pkt p = fv_from(vm, 1, FV_GATEWAY);
	unsigned i;

	p.icmp_type = 8;
	p.data = data;
	p.len = sizeof(data);
	for (i = 0; i < n; i++) {
		p.icmp_seq = (uint16_t)i;
		if (fv_send(vm, frame, fv_icmp(frame, &p)) == -1)
			return -1;
	}
	return 0;
}

int
fv_drain(struct fakevm *vm, int timeout_ms)
{
	static uint8_t frame[FV_MAXFRAME];
	struct fv_pkt p;
	int n, count = 0;

	while ((n = fv_recv(vm, frame, sizeof(frame), timeout_ms)) > 0) {
		if (fv_parse(frame, (size_t)n, &p) == -1)
			return -1;
		count++;
	}
	return n == 0 ? count : -1;
}
