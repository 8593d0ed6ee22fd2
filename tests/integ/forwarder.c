/*
 * What vpnkit-forwarder does in a VM, of each generation, for the scripts:
 * connections come over a Unix socket, begin with HyperKit's line, and lead to
 * destinations that the other end names.
 *
 *	forwarder PATH mux|mux-handshake|2017
 *
 * Says "ready" when it listens.  Each connection is a process of its own.
 */

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "portd/front/buf.h"
#include "portd/front/muxframe.h"

#define MAXCHANS 512
#define WINDOW	 65536
#define CHUNK	 16384
#define OUTMAX	 262144

struct chan {
	bool used, udp;
	uint32_t id;
	int fd;
	struct buf in, out; /* for the destination, for the tunnel */
	uint64_t sent, allowed, taken, offered;
	bool sent_eof, got_eof, closed;
};

static struct chan chans[MAXCHANS];
static struct buf tunnel; /* on its way out */

static void
say(uint8_t cmd, uint32_t id, uint64_t v, const void *p)
{
	const struct mux_frame f = {
		.cmd = cmd, .id = id, .len = (uint32_t)v, .seq = v
	};
	uint8_t head[MUX_MAXHEAD];
	struct wr w = wr_init(head, sizeof(head));

	mux_put(&w, &f);
	buf_put(&tunnel, head, w.len);
	if (cmd == MUX_DATA)
		buf_put(&tunnel, p, v);
}

/* -1: nobody there. */
static int
dial(const struct mux_dest *d)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons(d->port) };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	bool path = d->proto == MUX_UNIX;
	int fd, r;

	memcpy(&in.sin_addr, d->ip.b, 4);
	memcpy(sun.sun_path, d->path, sizeof(d->path));
	fd = socket(path ? AF_UNIX : AF_INET,
	    d->proto == MUX_UDP ? SOCK_DGRAM : SOCK_STREAM, 0);
	r = path ? connect(fd, (struct sockaddr *)&sun, sizeof(sun))
		 : connect(fd, (struct sockaddr *)&in, sizeof(in));
	if (r == -1) {
		close(fd);
		return -1;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void
chan_open(uint32_t id, const struct mux_dest *d)
{
	struct chan *c = chans;
	int fd = dial(d);

	while (c->used && c < chans + MAXCHANS - 1)
		c++;
	if (fd == -1 || c->used) {
		say(MUX_CLOSE, id, 0, NULL);
		return;
	}
	*c = (struct chan){ .used = true,
		.udp = d->proto == MUX_UDP,
		.id = id,
		.fd = fd,
		.offered = WINDOW };
	say(MUX_WINDOW, id, WINDOW, NULL);
}

static void
chan_free(struct chan *c)
{
	if (!c->closed)
		say(MUX_CLOSE, c->id, 0, NULL);
	close(c->fd);
	buf_free(&c->in);
	buf_free(&c->out);
	memset(c, 0, sizeof(*c));
}

/* What the destination takes now; credit for it. */
static void
chan_write(struct chan *c)
{
	struct rd payload;
	size_t before = c->in.len;
	ssize_t n;
	int len;

	while (c->udp && c->in.len > 0 &&
	       (len = udpenc_get(buf_data(&c->in), c->in.len, &payload)) > 0) {
		(void)send(c->fd, payload.p, payload.len, 0);
		buf_take(&c->in, (size_t)len);
	}
	while (!c->udp && c->in.len > 0 &&
	       (n = write(c->fd, buf_data(&c->in), c->in.len)) > 0)
		buf_take(&c->in, (size_t)n);
	/* Of a datagram that is not whole its part is taken, too. */
	c->taken += c->udp ? 0 : before - c->in.len;
	if (c->taken + WINDOW / 2 > c->offered && !c->got_eof) {
		c->offered = c->taken + WINDOW;
		say(MUX_WINDOW, c->id, c->offered, NULL);
	}
	if (c->got_eof && c->in.len == 0)
		(void)shutdown(c->fd, SHUT_WR);
}

static void
chan_send(struct chan *c)
{
	size_t n;

	while (c->out.len > 0 && c->allowed > c->sent) {
		n = c->out.len < CHUNK ? c->out.len : CHUNK;
		if (n > c->allowed - c->sent)
			n = (size_t)(c->allowed - c->sent);
		say(MUX_DATA, c->id, n, buf_data(&c->out));
		buf_take(&c->out, n);
		c->sent += n;
	}
}

/* Answers have no address, as Go's. */
static void
chan_read(struct chan *c)
{
	static uint8_t p[65536];
	uint8_t head[UDPENC_MAXHEAD];
	struct wr w = wr_init(head, sizeof(head));
	ssize_t n = read(c->fd, p, c->udp ? UDPENC_MAXPAYLOAD : CHUNK);

	if (n == -1 && c->udp)
		return;
	if (n > 0 || c->udp) {
		if (c->udp) {
			wr_le16(&w, (uint16_t)(10 + n));
			wr_zero(&w, 6);
			wr_le16(&w, (uint16_t)n);
			buf_put(&c->out, head, w.len);
		}
		buf_put(&c->out, p, (size_t)n);
		chan_send(c);
		return;
	}
	c->sent_eof = true;
	say(n == 0 ? MUX_SHUTDOWN : MUX_CLOSE, c->id, 0, NULL);
	c->closed = n == -1;
}

static void
frame(const struct mux_frame *f, const uint8_t *data)
{
	struct chan *c = chans;

	if (f->cmd == MUX_OPEN) {
		chan_open(f->id, &f->dest);
		return;
	}
	while (c < chans + MAXCHANS && !(c->used && c->id == f->id))
		c++;
	if (c == chans + MAXCHANS)
		return;
	if (f->cmd == MUX_CLOSE) {
		chan_free(c);
		return;
	}
	if (f->cmd == MUX_WINDOW)
		c->allowed = f->seq;
	if (f->cmd == MUX_SHUTDOWN)
		c->got_eof = true;
	if (f->cmd == MUX_DATA) {
		buf_put(&c->in, data, f->len);
		c->taken += c->udp ? f->len : 0;
	}
	chan_send(c);
	chan_write(c);
	if (c->got_eof && c->sent_eof && c->in.len == 0 && !c->closed) {
		c->closed = true;
		say(MUX_CLOSE, c->id, 0, NULL);
	}
}

static void
tunnel_read(int fd)
{
	static struct buf in;
	struct mux_frame f;
	ssize_t n = read(fd, buf_room(&in, CHUNK), CHUNK);
	int len;

	if (n <= 0)
		exit(0);
	buf_add(&in, (size_t)n);
	while ((len = mux_get(buf_data(&in), in.len, &f)) > 0) {
		if (f.cmd == MUX_DATA && in.len < (size_t)len + f.len)
			break;
		frame(&f, buf_data(&in) + len);
		buf_drop(&in, (size_t)len + (f.cmd == MUX_DATA ? f.len : 0));
	}
	if (len == -1)
		errx(1, "not a frame");
}

static void
tunnel_write(int fd)
{
	ssize_t n;

	while (tunnel.len > 0 &&
	       (n = write(fd, buf_data(&tunnel), tunnel.len)) > 0)
		buf_drop(&tunnel, (size_t)n);
}

/* For ever; the tunnel's end is ours. */
static void
mux(int fd)
{
	static struct pollfd p[MAXCHANS + 1];
	struct chan *c;
	int i;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (;;) {
		p[0] = (struct pollfd){ fd, POLLIN, 0 };
		if (tunnel.len > 0)
			p[0].events |= POLLOUT;
		for (i = 0; i < MAXCHANS; i++) {
			c = &chans[i];
			p[i + 1] = (struct pollfd){ -1, 0, 0 };
			if (!c->used)
				continue;
			if (c->out.len == 0 && c->allowed > c->sent &&
			    !c->sent_eof && tunnel.len < OUTMAX)
				p[i + 1].events |= POLLIN;
			if (c->in.len > 0 && !c->udp)
				p[i + 1].events |= POLLOUT;
			if (p[i + 1].events != 0)
				p[i + 1].fd = c->fd;
		}
		poll(p, MAXCHANS + 1, -1);
		for (i = 0; i < MAXCHANS; i++) {
			if ((p[i + 1].revents & ~POLLOUT) != 0)
				chan_read(&chans[i]);
			if ((p[i + 1].revents & POLLOUT) != 0)
				chan_write(&chans[i]);
		}
		if ((p[0].revents & ~POLLOUT) != 0)
			tunnel_read(fd);
		tunnel_write(fd);
	}
}

static void
get(int fd, void *p, size_t n)
{
	if (recv(fd, p, n, MSG_WAITALL) != (ssize_t)n)
		exit(0);
}

/* 2017: one stream, which is played as a channel with all the windows. */
static void
dedicated(int fd)
{
	struct mux_dest d = { 0 };
	struct pollfd p[2];
	uint8_t head[9], buf[CHUNK];
	int to;
	ssize_t n;

	get(fd, head, sizeof(head));
	d.proto = head[0];
	d.ip.family = 4;
	memcpy(d.ip.b, head + 3, 4);
	d.port = (uint16_t)(head[7] | head[8] << 8);
	if ((to = dial(&d)) == -1)
		exit(0);
	fcntl(to, F_SETFL, 0);
	p[0] = (struct pollfd){ fd, POLLIN, 0 };
	p[1] = (struct pollfd){ to, POLLIN, 0 };
	while (p[0].fd != -1 || p[1].fd != -1) {
		poll(p, 2, -1);
		if (p[0].revents != 0) {
			if ((n = read(fd, buf, sizeof(buf))) <= 0) {
				shutdown(to, SHUT_WR);
				p[0].fd = -1;
			} else if (write(to, buf, (size_t)n) != n) {
				exit(0);
			}
		}
		if (p[1].revents != 0) {
			if ((n = read(to, buf, sizeof(buf))) <= 0) {
				shutdown(fd, SHUT_WR);
				p[1].fd = -1;
			} else if (write(fd, buf, (size_t)n) != n) {
				exit(0);
			}
		}
	}
	exit(0);
}

static void
serve(int fd, const char *form)
{
	char line[18], magic[MUX_MAGICLEN + 2];

	get(fd, line, sizeof(line));
	if (memcmp(line, "00000003.0000f3a5\n", sizeof(line)) != 0)
		errx(1, "not HyperKit's line");
	if (strcmp(form, "2017") == 0)
		dedicated(fd);
	if (strcmp(form, "mux-handshake") == 0) {
		if (write(fd, MUX_MAGIC "\0", sizeof(magic)) != sizeof(magic))
			exit(1);
		get(fd, magic, sizeof(magic));
		if (memcmp(magic, MUX_MAGIC "\0", sizeof(magic)) != 0)
			errx(1, "not the handshake");
	}
	mux(fd);
}

int
main(int argc, char *argv[])
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int l, fd;

	if (argc != 3)
		errx(2, "PATH mux|mux-handshake|2017");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", argv[1]);
	unlink(argv[1]);
	l = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(l, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(l, 128) == -1)
		err(1, "%s", argv[1]);
	printf("ready\n");
	fflush(stdout);
	while ((fd = accept(l, NULL, NULL)) != -1) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(l);
			serve(fd, argv[2]);
		}
		close(fd);
	}
	return 1;
}
