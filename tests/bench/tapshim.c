/*
 * tapshim: moves ethernet frames between a TAP device and a Unix socket.
 *
 *   tapshim -i tap0 -s /path/sock -f vmnet|qemu|seq [-l] [-o] [-m MTU] [-u
 * UUID]
 *
 *   -f vmnet  hyperkit/vpnkit: VMN3T handshake, then 16-bit LE length prefix
 *   -f qemu   32-bit BE length prefix over SOCK_STREAM (passt, gvproxy, qemu)
 *   -f seq    SOCK_SEQPACKET, one frame per message (bess: slirp4netns,
 * gvproxy) -l        be the server side (listen, accept one peer) -o TSO/GRO in
 * the shim: the TAP carries vnet_hdr superframes; the shim segments towards the
 * socket and coalesces towards the TAP.  The wire on the Unix socket is
 * unchanged: ordinary frames <= MTU, full checksums. -1        imitate
 * hyperkit: two writes (prefix, frame) per frame, no batching -p IP     vmnet:
 * send Preferred_ipv4 (command 8) instead of Ethernet (1) -r FILE   on
 * SIGTERM/SIGINT/EOF append statistics to FILE (default stderr)
 *
 * One thread, epoll, non-blocking; socket writes and reads are batched.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { F_VMNET, F_QEMU, F_SEQ };
static int fmt = F_VMNET, offload, mtu = 1500, hdrsz, unbatched;
static int tapfd, sk;
static volatile sig_atomic_t stop;
static struct {
	uint64_t t2s_frames, t2s_bytes, t2s_writes, t2s_reads, t2s_super,
	    s2t_frames, s2t_bytes, s2t_reads, s2t_writes, s2t_merged, s2t_drop,
	    stalls;
} st;
static const char *statfile;

#define TXBUF  (1u << 20)   /* tap -> socket staging */
#define TXHIGH (256u << 10) /* flush level */
#define RXBUF  (1u << 20)
static uint8_t *txb, *rxb, *sup;
static size_t tx_off, tx_len, rx_len; /* rx_len: valid bytes in rxb */

static void
die(const char *m)
{
	perror(m);
	exit(1);
}

static void
report(void)
{
	struct rusage ru;
	FILE *f = statfile ? fopen(statfile, "a") : stderr;
	if (!f)
		f = stderr;
	getrusage(RUSAGE_SELF, &ru);
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	fprintf(f,
	    "tapshim cpu=%.3f user=%.3f sys=%.3f nvcsw=%ld nivcsw=%ld "
	    "t2s_frames=%lu t2s_bytes=%lu t2s_tapreads=%lu t2s_super=%lu "
	    "t2s_writes=%lu "
	    "s2t_frames=%lu s2t_bytes=%lu s2t_reads=%lu s2t_tapwrites=%lu "
	    "s2t_merged=%lu s2t_drop=%lu stalls=%lu\n",
	    ts.tv_sec + ts.tv_nsec / 1e9,
	    ru.ru_utime.tv_sec + ru.ru_utime.tv_usec / 1e6,
	    ru.ru_stime.tv_sec + ru.ru_stime.tv_usec / 1e6, ru.ru_nvcsw,
	    ru.ru_nivcsw, st.t2s_frames, st.t2s_bytes, st.t2s_reads,
	    st.t2s_super, st.t2s_writes, st.s2t_frames, st.s2t_bytes,
	    st.s2t_reads, st.s2t_writes, st.s2t_merged, st.s2t_drop, st.stalls);
	fflush(f);
}
static void
onsig(int s)
{
	(void)s;
	stop = 1;
}

/* ---- checksums ---- */
static inline uint64_t
sum_bytes(const uint8_t *p, size_t n)
{
	uint64_t s = 0;
	size_t w = n / 4;
	for (size_t i = 0; i < w; i++) {
		uint32_t v;
		memcpy(&v, p + 4 * i, 4);
		s += v;
	}
	p += 4 * w;
	n &= 3;
	if (n >= 2) {
		uint16_t v;
		memcpy(&v, p, 2);
		s += v;
		p += 2;
		n -= 2;
	}
	if (n)
		s += *p;
	return s;
}
static inline uint16_t
fold(uint64_t s)
{
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}
static inline uint16_t
rd16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t
rd32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}
static inline void
wr16(uint8_t *p, unsigned v)
{
	p[0] = v >> 8;
	p[1] = v;
}
static inline void
wr32(uint8_t *p, uint32_t v)
{
	p[0] = v >> 24;
	p[1] = v >> 16;
	p[2] = v >> 8;
	p[3] = v;
}
static inline void
put_raw16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, 2);
}

/* ---- tap -> socket ---- */
static struct {
	uint32_t off, len;
} txq[4096]; /* F_SEQ only */
static unsigned txq_n, txq_done;

static inline uint8_t *
tx_begin(void)
{
	return txb + tx_len + hdrsz;
}
static inline void
tx_commit(size_t n)
{
	uint8_t *p = txb + tx_len;
	if (fmt == F_VMNET) {
		p[0] = n;
		p[1] = n >> 8;
	} else if (fmt == F_QEMU)
		wr32(p, n);
	else {
		txq[txq_n].off = tx_len;
		txq[txq_n].len = n;
		txq_n++;
	}
	tx_len += hdrsz + n;
	st.t2s_frames++;
	st.t2s_bytes += n;
	if (unbatched && fmt != F_SEQ) {
		int part[2] = { hdrsz, (int)n };
		for (int i = 0; i < 2; i++)
			for (int o = 0; o < part[i];) {
				ssize_t r = send(sk, txb + tx_off, part[i] - o,
				    MSG_NOSIGNAL);
				if (r <= 0) {
					stop = 1;
					tx_off = tx_len = 0;
					return;
				}
				st.t2s_writes++;
				o += r;
				tx_off += r;
			}
		tx_off = tx_len = 0;
	}
}
static inline int
tx_pending(void)
{
	return fmt == F_SEQ ? txq_done < txq_n : tx_off < tx_len;
}

static void
tx_flush(void)
{
	if (fmt == F_SEQ) {
		while (txq_done < txq_n) {
			struct mmsghdr m[64];
			struct iovec v[64];
			unsigned n = 0;
			for (; n < 64 && txq_done + n < txq_n; n++) {
				v[n].iov_base = txb + txq[txq_done + n].off;
				v[n].iov_len = txq[txq_done + n].len;
				memset(&m[n], 0, sizeof m[n]);
				m[n].msg_hdr.msg_iov = &v[n];
				m[n].msg_hdr.msg_iovlen = 1;
			}
			int r = sendmmsg(sk, m, n, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (r <= 0) {
				if (errno == EAGAIN) {
					st.stalls++;
					return;
				}
				if (errno == EMSGSIZE) {
					txq_done++;
					continue;
				}
				stop = 1;
				return;
			}
			st.t2s_writes++;
			txq_done += r;
		}
		txq_n = txq_done = 0;
		tx_len = 0;
		return;
	}
	while (tx_off < tx_len) {
		ssize_t r = send(sk, txb + tx_off, tx_len - tx_off,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r < 0) {
			if (errno == EAGAIN) {
				st.stalls++;
				return;
			}
			stop = 1;
			return;
		}
		st.t2s_writes++;
		tx_off += r;
	}
	tx_off = tx_len = 0;
}

/* segment one TCPv4 superframe */
static void
tx_tso(const struct virtio_net_hdr *h, const uint8_t *f, size_t n)
{
	unsigned ihl = (f[14] & 15) * 4, toff = 14 + ihl,
		 thl = (f[toff + 12] >> 4) * 4, hl = toff + thl;
	unsigned mss = h->gso_size;
	if (n < hl || mss == 0)
		return;
	size_t left = n - hl;
	const uint8_t *pl = f + hl;
	uint32_t seq = rd32(f + toff + 4);
	uint16_t id = rd16(f + 18);
	uint8_t flags = f[toff + 13];
	uint64_t ipsum = sum_bytes(f + 14, 2) + sum_bytes(f + 20, 4) +
			 sum_bytes(f + 26, ihl - 12); /* w/o len, id, csum */
	uint64_t psum = sum_bytes(f + 26, 8) + htons(6);
	st.t2s_super++;
	for (int first = 1; left; first = 0) {
		size_t c = left < mss ? left : mss;
		uint8_t *o = tx_begin();
		memcpy(o, f, hl);
		memcpy(o + hl, pl, c);
		wr16(o + 16, ihl + thl + c);
		wr16(o + 18, id);
		put_raw16(
		    o + 24, ~fold(ipsum + htons(ihl + thl + c) + htons(id)));
		wr32(o + toff + 4, seq);
		uint8_t fl = flags;
		if (left > c)
			fl &= ~0x09; /* FIN, PSH on last only */
		if (!first)
			fl &= ~0x80; /* CWR on first only */
		o[toff + 13] = fl;
		o[toff + 16] = o[toff + 17] = 0;
		put_raw16(o + toff + 16, ~fold(psum + htons(thl + c) +
					       sum_bytes(o + toff, thl + c)));
		tx_commit(hl + c);
		id++;
		seq += c;
		pl += c;
		left -= c;
	}
}

static int
tap_to_sock(void) /* returns frames moved */
{
	int n = 0;
	while (!tx_pending() || 1) {
		if (tx_len > TXHIGH || (fmt == F_SEQ && txq_n >= 1024))
			break;
		if (!offload) {
			uint8_t *o = tx_begin();
			ssize_t r = read(tapfd, o, 65536);
			if (r <= 0)
				break;
			st.t2s_reads++;
			tx_commit(r);
			n++;
		} else {
			ssize_t r = read(tapfd, sup, 70000);
			if (r <= (ssize_t)sizeof(struct virtio_net_hdr))
				break;
			st.t2s_reads++;
			struct virtio_net_hdr *h = (void *)sup;
			uint8_t *f = sup + sizeof *h;
			size_t len = r - sizeof *h;
			if ((h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) ==
			    VIRTIO_NET_HDR_GSO_TCPV4)
				tx_tso(h, f, len);
			else {
				if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
					uint16_t c =
					    ~fold(sum_bytes(f + h->csum_start,
						len - h->csum_start));
					put_raw16(
					    f + h->csum_start + h->csum_offset,
					    c ? c : 0xffff);
				}
				memcpy(tx_begin(), f, len);
				tx_commit(len);
			}
			n++;
		}
	}
	if (tx_pending())
		tx_flush();
	return n;
}

/* ---- socket -> tap ---- */
#define NSLOT 16
static struct slot {
	int used;
	uint32_t next;
	unsigned mss, hl, segs;
	size_t pay;
	const uint8_t *first;
	struct iovec v[68];
	uint8_t hdr[10 + 128];
	uint8_t flags;
	int closed;
} slots[NSLOT];

static const struct virtio_net_hdr zh;
static void
tap_write(const uint8_t *f, size_t n)
{
	ssize_t r;
	for (int tries = 0;; tries++) {
		if (offload) {
			struct iovec v[2] = { { (void *)&zh, sizeof zh },
				{ (void *)f, n } };
			r = writev(tapfd, v, 2);
		} else
			r = write(tapfd, f, n);
		if (r < 0 && errno == EAGAIN && tries < 100) {
			usleep(50);
			continue;
		}
		break;
	}
	st.s2t_writes++;
	if (r < 0)
		st.s2t_drop++;
}
static void
slot_flush(struct slot *s)
{
	if (!s->used)
		return;
	s->used = 0;
	if (s->segs == 1) {
		tap_write(s->first, s->hl + s->pay);
		return;
	}
	struct virtio_net_hdr *h = (void *)s->hdr;
	uint8_t *f = s->hdr + sizeof *h;
	memcpy(f, s->first, s->hl);
	memset(h, 0, sizeof *h);
	h->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	h->gso_size = s->mss;
	h->hdr_len = s->hl;
	h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->csum_start = 34;
	h->csum_offset = 16;
	wr16(f + 16, s->hl - 14 + s->pay);
	f[24] = f[25] = 0;
	put_raw16(f + 24, ~fold(sum_bytes(f + 14, 20)));
	f[47] |= s->flags & 0x08;
	put_raw16(f + 50,
	    fold(sum_bytes(f + 26, 8) + htons(6) + htons(s->hl - 34 + s->pay)));
	s->v[0].iov_base = s->hdr;
	s->v[0].iov_len = sizeof *h + s->hl;
	ssize_t r;
	for (int tries = 0;; tries++) {
		r = writev(tapfd, s->v, 1 + s->segs);
		if (r < 0 && errno == EAGAIN && tries < 100) {
			usleep(50);
			continue;
		}
		break;
	}
	st.s2t_writes++;
	st.s2t_merged += s->segs;
	if (r < 0)
		st.s2t_drop++;
}
static void
flush_all(void)
{
	for (int i = 0; i < NSLOT; i++)
		slot_flush(&slots[i]);
}

static void
rx_frame(const uint8_t *f, size_t n)
{
	st.s2t_frames++;
	st.s2t_bytes += n;
	if (!offload) {
		tap_write(f, n);
		return;
	}
	if (n < 54 || f[12] != 8 || f[13] != 0 || f[14] != 0x45 || f[23] != 6 ||
	    (rd16(f + 20) & 0x3fff)) {
		tap_write(f, n);
		return;
	}
	unsigned thl = (f[46] >> 4) * 4, hl = 34 + thl, tot = 14 + rd16(f + 16);
	uint32_t key;
	memcpy(&key, f + 34, 4);
	struct slot *s = &slots[(key * 2654435761u) >> 28];
	if (tot > n || hl > tot) {
		slot_flush(s);
		tap_write(f, n);
		return;
	}
	size_t pay = tot - hl;
	uint8_t fl = f[47];
	if (pay == 0 || (fl & ~0x18) || pay > 16000) {
		slot_flush(s);
		tap_write(f, tot);
		return;
	}
	if (s->used) {
		if (!memcmp(s->first + 26, f + 26, 12) &&
		    s->next == rd32(f + 38) &&
		    !memcmp(s->first + 42, f + 42, 5) &&
		    !memcmp(s->first + 48, f + 48, 2) &&
		    (thl == 20 || !memcmp(s->first + 54, f + 54, thl - 20)) &&
		    pay <= s->mss && s->segs < 64 &&
		    s->pay + pay + hl < 65500 && !s->closed) {
			s->v[1 + s->segs].iov_base = (void *)(f + hl);
			s->v[1 + s->segs].iov_len = pay;
			s->segs++;
			s->pay += pay;
			s->next += pay;
			s->flags |= fl;
			if (pay < s->mss)
				s->closed = 1;
			return;
		}
		slot_flush(s);
	}
	s->used = 1;
	s->first = f;
	s->hl = hl;
	s->mss = pay;
	s->pay = pay;
	s->segs = 1;
	s->closed = 0;
	s->flags = fl;
	s->next = rd32(f + 38) + pay;
	s->v[1].iov_base = (void *)(f + hl);
	s->v[1].iov_len = pay;
}

static int
sock_to_tap(void)
{
	if (fmt == F_SEQ) {
		static struct mmsghdr m[64];
		static struct iovec v[64];
		size_t each = (size_t)mtu + 14 + 64;
		unsigned nm = RXBUF / each;
		if (nm > 64)
			nm = 64;
		for (unsigned i = 0; i < nm; i++) {
			v[i].iov_base = rxb + i * each;
			v[i].iov_len = each;
			memset(&m[i], 0, sizeof m[i]);
			m[i].msg_hdr.msg_iov = &v[i];
			m[i].msg_hdr.msg_iovlen = 1;
		}
		int r = recvmmsg(sk, m, nm, MSG_DONTWAIT, NULL);
		if (r < 0) {
			if (errno != EAGAIN)
				stop = 1;
			return 0;
		}
		st.s2t_reads++;
		for (int i = 0; i < r; i++) {
			if (m[i].msg_len == 0) {
				stop = 1;
				break;
			}
			rx_frame(rxb + i * each, m[i].msg_len);
		}
		flush_all();
		return r;
	}
	ssize_t r = recv(sk, rxb + rx_len, RXBUF - rx_len, MSG_DONTWAIT);
	if (r < 0) {
		if (errno != EAGAIN)
			stop = 1;
		return 0;
	}
	if (r == 0) {
		stop = 1;
		return 0;
	}
	st.s2t_reads++;
	rx_len += r;
	size_t o = 0;
	int n = 0;
	while (rx_len - o >= (size_t)hdrsz) {
		size_t len = fmt == F_VMNET ? (size_t)(rxb[o] | rxb[o + 1] << 8)
					    : rd32(rxb + o);
		if (len > 66000) {
			fprintf(stderr, "tapshim: bad frame length %zu\n", len);
			stop = 1;
			break;
		}
		if (rx_len - o < hdrsz + len)
			break;
		if (len >= 14)
			rx_frame(rxb + o + hdrsz, len);
		o += hdrsz + len;
		n++;
	}
	flush_all();
	memmove(rxb, rxb + o, rx_len - o);
	rx_len -= o;
	return n;
}

static void
xread(void *p, size_t n)
{
	for (size_t o = 0; o < n;) {
		ssize_t r = read(sk, (char *)p + o, n - o);
		if (r <= 0) {
			fprintf(stderr, "tapshim: handshake: EOF/err\n");
			exit(1);
		}
		o += r;
	}
}
static void
xwrite(const void *p, size_t n)
{
	if (write(sk, p, n) != (ssize_t)n)
		die("handshake write");
}
static const char *prefip;
static void
handshake_client(const char *uuid)
{
	uint8_t b[512];
	memcpy(b, "VMN3T", 5);
	b[5] = 22;
	b[6] = b[7] = b[8] = 0;
	memcpy(b + 9, "0123456789012345678901234567890123456789", 40);
	xwrite(b, 49);
	xread(b, 49);
	if (memcmp(b, "VMN3T", 5) || b[5] != 22) {
		fprintf(stderr, "tapshim: bad init reply\n");
		exit(1);
	}
	memset(b, 0, 41);
	b[0] = 1;
	memcpy(b + 1, uuid, 36);
	if (prefip) {
		struct in_addr ia;
		inet_aton(prefip, &ia);
		b[0] = 8;
		wr32(b + 37, 0);
		uint32_t h = ntohl(ia.s_addr);
		b[37] = h;
		b[38] = h >> 8;
		b[39] = h >> 16;
		b[40] = h >> 24;
	}
	xwrite(b, 41);
	xread(b, 258);
	if (b[0] != 1) {
		fprintf(stderr, "tapshim: refused: %.*s\n", b[1], b + 2);
		exit(1);
	}
	fprintf(stderr,
	    "tapshim: vif mtu=%u max=%u mac=%02x:%02x:%02x:%02x:%02x:%02x\n",
	    b[1] | b[2] << 8, b[3] | b[4] << 8, b[5], b[6], b[7], b[8], b[9],
	    b[10]);
	const char *mf = getenv("TAPSHIM_VIF");
	if (mf) {
		FILE *f = fopen(mf, "w");
		if (f) {
			fprintf(f, "%02x:%02x:%02x:%02x:%02x:%02x %u\n", b[5],
			    b[6], b[7], b[8], b[9], b[10], b[1] | b[2] << 8);
			fclose(f);
		}
	}
}
static void
handshake_server(void)
{
	uint8_t b[512];
	xread(b, 49);
	xwrite(b, 49);
	xread(b, 41);
	memset(b, 0, 258);
	b[0] = 1;
	b[1] = mtu;
	b[2] = mtu >> 8;
	unsigned mx = mtu + 50 > 65535 ? 65535 : mtu + 50;
	b[3] = mx;
	b[4] = mx >> 8;
	memcpy(b + 5, "\x02\x50\x00\x00\x00\x01", 6);
	xwrite(b, 258);
}

int
main(int argc, char **argv)
{
	const char *ifn = "tap0", *path = NULL,
		   *uuid = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
	int c, lst = 0;
	while ((c = getopt(argc, argv, "i:s:f:lo1m:u:r:p:")) != -1)
		switch (c) {
		case 'i':
			ifn = optarg;
			break;
		case 's':
			path = optarg;
			break;
		case 'f':
			fmt = !strcmp(optarg, "vmnet")	? F_VMNET
			      : !strcmp(optarg, "qemu") ? F_QEMU
							: F_SEQ;
			break;
		case 'l':
			lst = 1;
			break;
		case 'o':
			offload = 1;
			break;
		case '1':
			unbatched = 1;
			break;
		case 'p':
			prefip = optarg;
			break;
		case 'm':
			mtu = atoi(optarg);
			break;
		case 'u':
			uuid = optarg;
			break;
		case 'r':
			statfile = optarg;
			break;
		default:
			return 2;
		}
	hdrsz = fmt == F_VMNET ? 2 : fmt == F_QEMU ? 4 : 0;
	txb = aligned_alloc(4096, TXBUF + TXHIGH + (1 << 17));
	rxb = aligned_alloc(4096, RXBUF);
	sup = aligned_alloc(4096, 1 << 17);
	if ((tapfd = open("/dev/net/tun", O_RDWR | O_NONBLOCK)) < 0)
		die("/dev/net/tun");
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI |
					  (offload ? IFF_VNET_HDR : 0) };
	strncpy(ifr.ifr_name, ifn, IFNAMSIZ - 1);
	if (ioctl(tapfd, TUNSETIFF, &ifr))
		die("TUNSETIFF");
	if (offload && ioctl(tapfd, TUNSETOFFLOAD,
			   TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN))
		die("TUNSETOFFLOAD");
	int sndbuf = 0;
	ioctl(tapfd, TUNSETSNDBUF, &(int){ 0x7fffffff });
	(void)sndbuf;

	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	strncpy(sa.sun_path, path, sizeof sa.sun_path - 1);
	int ty = fmt == F_SEQ ? SOCK_SEQPACKET : SOCK_STREAM;
	sk = socket(AF_UNIX, ty, 0);
	if (lst) {
		unlink(path);
		if (bind(sk, (void *)&sa, sizeof sa) || listen(sk, 1))
			die("bind");
		int a = accept(sk, NULL, NULL);
		if (a < 0)
			die("accept");
		close(sk);
		sk = a;
	} else {
		int i;
		for (i = 0; i < 200 && connect(sk, (void *)&sa, sizeof sa); i++)
			usleep(50000);
		if (i == 200)
			die("connect");
	}
	setsockopt(sk, SOL_SOCKET, SO_SNDBUF, &(int){ 1 << 20 }, 4);
	setsockopt(sk, SOL_SOCKET, SO_RCVBUF, &(int){ 1 << 20 }, 4);
	if (!lst) {
		struct ucred uc;
		socklen_t ul = sizeof uc;
		const char *pf = getenv("TAPSHIM_PEERPID");
		if (pf && !getsockopt(sk, SOL_SOCKET, SO_PEERCRED, &uc, &ul)) {
			FILE *f = fopen(pf, "w");
			if (f) {
				fprintf(f, "%d\n", uc.pid);
				fclose(f);
			}
		}
	}
	if (fmt == F_VMNET) {
		if (lst)
			handshake_server();
		else
			handshake_client(uuid);
	}
	signal(SIGPIPE, SIG_IGN);
	struct sigaction act = { .sa_handler = onsig };
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	struct sigaction act2 = { .sa_handler = (void (*)(int))report };
	act2.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &act2, NULL);

	struct pollfd p[2] = { { .fd = tapfd }, { .fd = sk } };
	while (!stop) {
		p[0].events = tx_pending() ? 0 : POLLIN;
		p[1].events = POLLIN | (tx_pending() ? POLLOUT : 0);
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents & POLLOUT)
			tx_flush();
		if (p[1].revents & (POLLIN | POLLHUP | POLLERR))
			sock_to_tap();
		if (p[0].revents & (POLLIN | POLLERR) && !tx_pending())
			tap_to_sock();
	}
	report();
	return 0;
}
