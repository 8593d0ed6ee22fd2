/*
 * tapshim: moves Ethernet frames between a TAP device and a Unix socket.
 *
 *	tapshim -s PATH -f vmnet|qemu|seq [-i IFNAME] [-m MTU] [-o] [-r FILE]
 *
 *	-f vmnet  the vmnet handshake, then 16-bit little-endian lengths
 *	-f qemu	  32-bit big-endian lengths
 *	-f seq	  a SOCK_SEQPACKET, one frame in each message
 *	-o	  large segments on the TAP, as a virtio card has; on the
 *		  socket are ordinary frames with whole checksums
 *	-r FILE	  at the end appends statistics to FILE, not to stderr
 *
 * TAPSHIM_VIF in the environment names a file for the address and the MTU
 * that the handshake has brought.
 *
 * One thread; reads and writes of the socket are in batches.  While frames
 * wait for the socket nothing is read from the TAP.
 */

#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tapshim.h"

#define STAGE_FULL  (256u << 10) /* bytes; then they leave first */
#define STAGE_MANY  1024	 /* frames, with FRAMING_SEQ */
#define STAGE_SIZE  (1u << 20)	 /* STAGE_FULL and one segment in pieces */
#define IN_SIZE	    (1u << 20)
#define FRAME_MAX   66000
#define SEQ_BATCH   64
#define SEQ_SLACK   64 /* bytes a frame may have beyond the MTU */
#define TAP_WAIT_MS 5  /* for room in the TAP, then the frame is dropped */

/*
 * To the socket.
 */

uint8_t *
stage_next(struct shim *s)
{
	return s->out.buf + s->out.len + s->prefix;
}

static void
put_prefix(const struct shim *s, uint8_t *p, size_t len)
{
	uint32_t be = htonl((uint32_t)len);

	if (s->framing == FRAMING_VMNET) {
		p[0] = (uint8_t)len;
		p[1] = (uint8_t)(len >> 8);
	} else if (s->framing == FRAMING_QEMU) {
		memcpy(p, &be, sizeof(be));
	}
}

void
stage_commit(struct shim *s, size_t len)
{
	struct stage *o = &s->out;

	put_prefix(s, o->buf + o->len, len);
	if (s->framing == FRAMING_SEQ) {
		if (o->nframe == STAGE_FRAMES)
			return;
		o->frame[o->nframe].off = (uint32_t)o->len;
		o->frame[o->nframe++].len = (uint32_t)len;
	}
	o->len += s->prefix + len;
	s->stat.out_frames++;
	s->stat.out_bytes += len;
}

static bool
stage_pending(const struct shim *s)
{
	return s->out.off < s->out.len;
}

static bool
stage_full(const struct shim *s)
{
	return s->out.len > STAGE_FULL || s->out.nframe >= STAGE_MANY;
}

/* A socket that is full is waited for; any other error is the end. */
static void
stage_stalled(struct shim *s)
{
	if (errno == EAGAIN)
		s->stat.out_stalls++;
	else
		s->stop = true;
}

static void
stage_empty(struct stage *o)
{
	o->off = o->len = 0;
	o->nframe = o->sent = 0;
}

static void
stage_flush_stream(struct shim *s)
{
	struct stage *o = &s->out;
	ssize_t n;

	while (o->off < o->len) {
		n = send(s->sock, o->buf + o->off, o->len - o->off,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == -1) {
			stage_stalled(s);
			return;
		}
		s->stat.out_writes++;
		o->off += (size_t)n;
	}
	stage_empty(o);
}

static int
seq_batch(const struct stage *o, struct mmsghdr *msg, struct iovec *iov)
{
	unsigned i, n = o->nframe - o->sent;

	if (n > SEQ_BATCH)
		n = SEQ_BATCH;
	for (i = 0; i < n; i++) {
		iov[i].iov_base = o->buf + o->frame[o->sent + i].off;
		iov[i].iov_len = o->frame[o->sent + i].len;
		msg[i].msg_hdr =
		    (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	return (int)n;
}

static void
stage_flush_seq(struct shim *s)
{
	struct mmsghdr msg[SEQ_BATCH];
	struct iovec iov[SEQ_BATCH];
	struct stage *o = &s->out;
	int n;

	while (o->sent < o->nframe) {
		n = seq_batch(o, msg, iov);
		n = sendmmsg(
		    s->sock, msg, (unsigned)n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == -1 && errno == EMSGSIZE) {
			o->sent++; /* too long for this peer */
			continue;
		}
		if (n == -1) {
			stage_stalled(s);
			return;
		}
		s->stat.out_writes++;
		o->sent += (unsigned)n;
	}
	stage_empty(o);
}

static void
stage_flush(struct shim *s)
{
	if (s->framing == FRAMING_SEQ)
		stage_flush_seq(s);
	else
		stage_flush_stream(s);
}

static void
tap_readable(struct shim *s)
{
	ssize_t n;

	while (!stage_full(s)) {
		n = s->offload ? read(s->tap, s->super, SUPER_MAX)
			       : read(s->tap, stage_next(s), FRAME_MAX);
		if (n <= 0)
			break;
		s->stat.out_reads++;
		if (s->offload)
			offload_out(s, s->super, (size_t)n);
		else
			stage_commit(s, (size_t)n);
	}
	if (stage_pending(s))
		stage_flush(s);
}

/*
 * To the TAP.
 */

void
tap_write(struct shim *s, const struct iovec *iov, int n)
{
	struct pollfd p = { .fd = s->tap, .events = POLLOUT };
	ssize_t done = writev(s->tap, iov, n);

	while (done == -1 && errno == EAGAIN && poll(&p, 1, TAP_WAIT_MS) == 1)
		done = writev(s->tap, iov, n);
	s->stat.in_writes++;
	if (done == -1)
		s->stat.in_drops++;
}

void
tap_write_frame(struct shim *s, const uint8_t *frame, size_t len)
{
	static const struct virtio_net_hdr nothing;
	struct iovec iov[2] = {
		{ (void *)(uintptr_t)&nothing, sizeof(nothing) },
		{ (void *)(uintptr_t)frame, len },
	};

	if (s->offload)
		tap_write(s, iov, 2);
	else
		tap_write(s, iov + 1, 1);
}

static void
frame_in(struct shim *s, const uint8_t *frame, size_t len)
{
	s->stat.in_frames++;
	s->stat.in_bytes += len;
	if (s->offload)
		offload_in(s, frame, len);
	else
		tap_write_frame(s, frame, len);
}

static size_t
get_prefix(const struct shim *s, const uint8_t *p)
{
	uint32_t be;

	if (s->framing == FRAMING_VMNET)
		return (size_t)(p[0] | p[1] << 8);
	memcpy(&be, p, sizeof(be));
	return ntohl(be);
}

static void
stream_readable(struct shim *s)
{
	size_t len, off = 0;
	ssize_t n;

	n = recv(s->sock, s->in + s->in_len, IN_SIZE - s->in_len, MSG_DONTWAIT);
	if (n <= 0) {
		s->stop = n == 0 || errno != EAGAIN;
		return;
	}
	s->stat.in_reads++;
	s->in_len += (size_t)n;
	while (s->in_len - off >= s->prefix) {
		len = get_prefix(s, s->in + off);
		if (len > FRAME_MAX)
			errx(1, "impossible length of a frame: %zu", len);
		if (s->in_len - off < s->prefix + len)
			break;
		if (len >= ETH_HDRLEN)
			frame_in(s, s->in + off + s->prefix, len);
		off += s->prefix + len;
	}
	offload_flush(s);
	memmove(s->in, s->in + off, s->in_len - off);
	s->in_len -= off;
}

static void
seq_readable(struct shim *s)
{
	size_t each = s->mtu + ETH_HDRLEN + SEQ_SLACK;
	struct mmsghdr msg[SEQ_BATCH];
	struct iovec iov[SEQ_BATCH];
	int i, n, max;

	max = IN_SIZE / each < SEQ_BATCH ? (int)(IN_SIZE / each) : SEQ_BATCH;
	for (i = 0; i < max; i++) {
		iov[i] = (struct iovec){ s->in + (size_t)i * each, each };
		msg[i].msg_hdr =
		    (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	n = recvmmsg(s->sock, msg, (unsigned)max, MSG_DONTWAIT, NULL);
	if (n == -1) {
		s->stop = errno != EAGAIN;
		return;
	}
	s->stat.in_reads++;
	for (i = 0; i < n && !s->stop; i++) {
		if (msg[i].msg_len == 0)
			s->stop = true; /* the peer is gone */
		else
			frame_in(s, iov[i].iov_base, msg[i].msg_len);
	}
	offload_flush(s);
}

/*
 * Beginning, loop and end.
 */

static void
report(const struct shim *s, const char *path)
{
	FILE *f = path != NULL ? fopen(path, "a") : stderr;
	const struct shim_stats *t = &s->stat;
	struct rusage ru;

	if (f == NULL)
		err(1, "%s", path);
	getrusage(RUSAGE_SELF, &ru);
	fprintf(f, "tapshim user=%.3f sys=%.3f",
	    (double)ru.ru_utime.tv_sec + (double)ru.ru_utime.tv_usec / 1e6,
	    (double)ru.ru_stime.tv_sec + (double)ru.ru_stime.tv_usec / 1e6);
	fprintf(f,
	    " out_frames=%lu out_bytes=%lu out_reads=%lu out_super=%lu"
	    " out_writes=%lu out_stalls=%lu",
	    t->out_frames, t->out_bytes, t->out_reads, t->out_super,
	    t->out_writes, t->out_stalls);
	fprintf(f,
	    " in_frames=%lu in_bytes=%lu in_reads=%lu in_writes=%lu"
	    " in_merged=%lu in_drops=%lu\n",
	    t->in_frames, t->in_bytes, t->in_reads, t->in_writes, t->in_merged,
	    t->in_drops);
	if (f != stderr)
		fclose(f);
}

static void
run(struct shim *s)
{
	struct pollfd p[] = { { .fd = s->tap }, { .fd = s->sock },
		{ .fd = s->signals, .events = POLLIN } };

	while (!s->stop) {
		p[0].events = stage_pending(s) ? 0 : POLLIN;
		p[1].events = stage_pending(s) ? POLLIN | POLLOUT : POLLIN;
		if (poll(p, 3, -1) == -1)
			continue;
		if ((p[1].revents & POLLOUT) != 0)
			stage_flush(s);
		if ((p[1].revents & ~POLLOUT) != 0) {
			if (s->framing == FRAMING_SEQ)
				seq_readable(s);
			else
				stream_readable(s);
		}
		if (p[0].revents != 0 && !stage_pending(s))
			tap_readable(s);
		if (p[2].revents != 0)
			s->stop = true;
	}
}

static void
set_framing(struct shim *s, const char *name)
{
	static const struct {
		const char *name;
		size_t prefix;
	} framing[] = {
		[FRAMING_VMNET] = { "vmnet", 2 },
		[FRAMING_QEMU] = { "qemu", 4 },
		[FRAMING_SEQ] = { "seq", 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(framing) / sizeof(framing[0]); i++) {
		if (strcmp(framing[i].name, name) != 0)
			continue;
		s->framing = (enum framing)i;
		s->prefix = framing[i].prefix;
		return;
	}
	errx(2, "no such framing: %s", name);
}

static struct shim *
shim_new(void)
{
	struct shim *s = calloc(1, sizeof(*s));
	sigset_t set;

	if (s == NULL ||
	    (s->out.buf = malloc(STAGE_SIZE + FRAME_MAX)) == NULL ||
	    (s->in = malloc(IN_SIZE)) == NULL ||
	    (s->super = malloc(SUPER_MAX)) == NULL)
		err(1, "memory");
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if ((s->signals = signalfd(-1, &set, SFD_CLOEXEC)) == -1)
		err(1, "signalfd");
	s->mtu = 1500;
	return s;
}

int
main(int argc, char *argv[])
{
	const char *ifname = "tap0", *path = NULL, *stat_path = NULL;
	struct shim *s = shim_new();
	int c;

	set_framing(s, "vmnet");
	while ((c = getopt(argc, argv, "i:s:f:om:r:")) != -1) {
		if (c == 'i')
			ifname = optarg;
		else if (c == 's')
			path = optarg;
		else if (c == 'f')
			set_framing(s, optarg);
		else if (c == 'o')
			s->offload = true;
		else if (c == 'm')
			s->mtu = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'r')
			stat_path = optarg;
		else
			path = NULL;
	}
	if (path == NULL)
		errx(2, "usage: see the head of tapshim.c");
	shim_open_tap(s, ifname);
	shim_connect(s, path);
	if (s->framing == FRAMING_VMNET)
		shim_greet(s, getenv("TAPSHIM_VIF"));
	run(s);
	report(s, stat_path);
	return 0;
}
