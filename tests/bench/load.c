/*
 * nb: small network load tool.
 *  nb serve ADDR                       servers: TCP echo ports 7100..7115, UDP
 * echo 7200, UDP sink 7300 (SIGUSR1 free; query via UDP 7301), UDP source via
 * 7302 nb pingpong HOST SECS               1-byte TCP round trips      -> p50
 * p99 (us) nb connrate HOST SECS PAR           connect+1B+1B+close per second
 *  nb idle HOST N PAR                  open N connections (1B echo each), print
 * time, wait stdin nb udpecho HOST SIZE WINDOW SECS    closed loop echo, WINDOW
 * outstanding nb udpflood HOST SIZE SECS          open loop guest->host; prints
 * sent & received pps nb udpblast HOST SIZE SECS          send only (for
 * framesink) nb udppull HOST SIZE SECS [PPS]     host->guest flood requested by
 * the guest
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NPORT 16
static double
now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}
static struct sockaddr_in
addr(const char *h, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	if (inet_pton(AF_INET, h, &a.sin_addr) != 1) {
		fprintf(stderr, "bad addr %s\n", h);
		exit(1);
	}
	return a;
}
static int one = 1;
static const char *srv;

static int
udpsock(int port, int big)
{
	struct sockaddr_in a = addr(srv, port);
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	if (big) {
		setsockopt(s, SOL_SOCKET, SO_RCVBUF, &(int){ 2 << 20 }, 4);
		setsockopt(s, SOL_SOCKET, SO_SNDBUF, &(int){ 2 << 20 }, 4);
	}
	if (bind(s, (void *)&a, sizeof a)) {
		perror("bind udp");
		exit(1);
	}
	return s;
}
#define B 64
static void *
udp_echo_thr(void *x)
{
	(void)x;
	int s = udpsock(7200, 1);
	static struct mmsghdr m[B];
	static struct iovec v[B];
	static char buf[B][2048];
	static struct sockaddr_in from[B];
	for (;;) {
		for (int i = 0; i < B; i++) {
			v[i].iov_base = buf[i];
			v[i].iov_len = 2048;
			m[i].msg_hdr = (struct msghdr){ .msg_iov = &v[i],
				.msg_iovlen = 1,
				.msg_name = &from[i],
				.msg_namelen = sizeof from[i] };
		}
		int n = recvmmsg(s, m, B, MSG_WAITFORONE, NULL);
		if (n <= 0)
			continue;
		for (int i = 0; i < n; i++)
			v[i].iov_len = m[i].msg_len;
		for (int o = 0; o < n;) {
			int r = sendmmsg(s, m + o, n - o, 0);
			if (r <= 0) {
				o++;
				continue;
			}
			o += r;
		}
	}
	return NULL;
}
static volatile uint64_t sink_pkts, sink_bytes;
static void *
udp_sink_thr(void *x)
{
	(void)x;
	int s = udpsock(7300, 1);
	static struct mmsghdr m[B];
	static struct iovec v[B];
	static char buf[B][2048];
	for (int i = 0; i < B; i++) {
		v[i].iov_base = buf[i];
		v[i].iov_len = 2048;
		m[i].msg_hdr =
		    (struct msghdr){ .msg_iov = &v[i], .msg_iovlen = 1 };
	}
	for (;;) {
		int n = recvmmsg(s, m, B, MSG_WAITFORONE, NULL);
		for (int i = 0; i < n; i++) {
			sink_pkts++;
			sink_bytes += m[i].msg_len;
		}
	}
	return NULL;
}
static void *
udp_query_thr(void *x)
{
	(void)x;
	int s = udpsock(7301, 0);
	char b[64];
	struct sockaddr_in f;
	for (;;) {
		socklen_t l = sizeof f;
		if (recvfrom(s, b, sizeof b, 0, (void *)&f, &l) < 0)
			continue;
		uint64_t r[2] = { sink_pkts, sink_bytes };
		sendto(s, r, sizeof r, 0, (void *)&f, l);
	}
	return NULL;
}
static void *
udp_source_thr(void *x)
{
	(void)x;
	int s = udpsock(7302, 1);
	struct {
		uint32_t size, ms, pps;
	} q;
	static char buf[2048];
	for (;;) {
		struct sockaddr_in f;
		socklen_t l = sizeof f;
		if (recvfrom(s, &q, sizeof q, 0, (void *)&f, &l) != sizeof q)
			continue;
		static struct mmsghdr m[B];
		static struct iovec v;
		v.iov_base = buf;
		v.iov_len = q.size;
		for (int i = 0; i < B; i++)
			m[i].msg_hdr = (struct msghdr){ .msg_iov = &v,
				.msg_iovlen = 1,
				.msg_name = &f,
				.msg_namelen = l };
		double t0 = now(), end = t0 + q.ms / 1e3;
		uint64_t sent = 0;
		while (now() < end) {
			if (q.pps) {
				double due = (now() - t0) * q.pps;
				if (sent + B > due) {
					usleep((sent + B - due) * 1e6 / q.pps);
					continue;
				}
			}
			int r = sendmmsg(s, m, B, 0);
			if (r > 0)
				sent += r;
		}
		for (int i = 0; i < 20; i++) {
			uint64_t e[2] = { 0xfeedfeedfeedfeedULL, sent };
			usleep(10000);
			sendto(s, e, sizeof e, 0, (void *)&f, l);
		}
	}
	return NULL;
}
static void
serve(void)
{
	int ep = epoll_create1(0);
	struct epoll_event e, ev[256];
	char b[65536];
	pthread_t t;
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < NPORT; i++) {
		struct sockaddr_in a = addr(srv, 7100 + i);
		int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, 4);
		if (bind(s, (void *)&a, sizeof a) || listen(s, 4096)) {
			perror("bind tcp");
			exit(1);
		}
		e.events = EPOLLIN;
		e.data.u64 = (1ull << 32) | (unsigned)s;
		epoll_ctl(ep, EPOLL_CTL_ADD, s, &e);
	}
	pthread_create(&t, 0, udp_echo_thr, 0);
	pthread_create(&t, 0, udp_sink_thr, 0);
	pthread_create(&t, 0, udp_query_thr, 0);
	pthread_create(&t, 0, udp_source_thr, 0);
	for (;;) {
		int n = epoll_wait(ep, ev, 256, -1);
		for (int i = 0; i < n; i++) {
			int fd = (int)(uint32_t)ev[i].data.u64;
			if (ev[i].data.u64 >> 32) {
				for (int k = 0; k < 64; k++) {
					int c = accept4(
					    fd, NULL, NULL, SOCK_NONBLOCK);
					if (c < 0)
						break;
					setsockopt(c, IPPROTO_TCP, TCP_NODELAY,
					    &one, 4);
					e.events = EPOLLIN;
					e.data.u64 = (unsigned)c;
					epoll_ctl(ep, EPOLL_CTL_ADD, c, &e);
				}
			} else {
				ssize_t r = recv(fd, b, sizeof b, 0);
				if (r > 0) {
					if (send(fd, b, r, 0) < 0)
						close(fd);
				} else if (r == 0 || errno != EAGAIN)
					close(fd);
			}
		}
	}
}
static int
cmpd(const void *a, const void *b)
{
	double x = *(double *)a, y = *(double *)b;
	return x < y ? -1 : x > y;
}
static void
pingpong(double secs)
{
	struct sockaddr_in a = addr(srv, 7100);
	int s = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(s, (void *)&a, sizeof a)) {
		perror("connect");
		exit(1);
	}
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, 4);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ 3, 0 },
	    sizeof(struct timeval));
	size_t cap = 4000000, n = 0;
	double *l = malloc(cap * sizeof *l);
	char c = 'x';
	for (int i = 0; i < 100; i++) {
		if (write(s, &c, 1) != 1 || read(s, &c, 1) != 1) {
			perror("warm");
			exit(1);
		}
	}
	double t0 = now(), t = t0;
	while (t - t0 < secs && n < cap) {
		if (write(s, &c, 1) != 1 || read(s, &c, 1) != 1) {
			perror("rt");
			exit(1);
		}
		double u = now();
		l[n++] = (u - t) * 1e6;
		t = u;
	}
	qsort(l, n, sizeof *l, cmpd);
	printf("pingpong n=%zu p50=%.1f p90=%.1f p99=%.1f max=%.1f mean=%.1f "
	       "us rate=%.0f\n",
	    n, l[n / 2], l[n * 9 / 10], l[n * 99 / 100], l[n - 1],
	    (t - t0) * 1e6 / n, n / (t - t0));
}
/* a table of in-flight connections driven by epoll */
enum { S_CONN = 1, S_RD };
static unsigned nextport;
static int
start_conn(int ep, uint32_t tag)
{
	struct sockaddr_in a = addr(srv, 7100 + (nextport++ % NPORT));
	int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (s < 0) {
		perror("socket");
		exit(1);
	}
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, 4);
	if (connect(s, (void *)&a, sizeof a) && errno != EINPROGRESS) {
		close(s);
		return -1;
	}
	struct epoll_event e = { .events = EPOLLOUT,
		.data.u64 = (uint64_t)tag << 32 | (unsigned)s };
	epoll_ctl(ep, EPOLL_CTL_ADD, s, &e);
	return s;
}
static void
connrate(double secs, int par)
{
	int ep = epoll_create1(0);
	struct epoll_event ev[256];
	long done = 0, fail = 0;
	uint8_t *state = calloc(1 << 20, 1);
	double *tb = calloc(1 << 20, sizeof *tb);
	size_t cap = 2000000, nl = 0;
	double *l = malloc(cap * sizeof *l);
	int live = 0;
	double t0 = now(), dead = t0 + secs;
	while (now() < dead) {
		while (live < par) {
			int s = start_conn(ep, 0);
			if (s < 0) {
				fail++;
				usleep(1000);
				break;
			}
			state[s] = S_CONN;
			tb[s] = now();
			live++;
		}
		int n = epoll_wait(ep, ev, 256, 100);
		for (int i = 0; i < n; i++) {
			int s = (int)(uint32_t)ev[i].data.u64;
			char c = 'x';
			if (state[s] == S_CONN) {
				int err = 0;
				socklen_t el = sizeof err;
				getsockopt(s, SOL_SOCKET, SO_ERROR, &err, &el);
				if (err || send(s, &c, 1, MSG_NOSIGNAL) != 1) {
					fail++;
					live--;
					close(s);
					continue;
				}
				state[s] = S_RD;
				struct epoll_event e = { .events = EPOLLIN,
					.data.u64 = (unsigned)s };
				epoll_ctl(ep, EPOLL_CTL_MOD, s, &e);
			} else {
				ssize_t r = recv(s, &c, 1, 0);
				if (r == 1) {
					done++;
					if (nl < cap)
						l[nl++] = (now() - tb[s]) * 1e6;
				} else
					fail++;
				close(s);
				live--;
			}
		}
	}
	double el = now() - t0;
	qsort(l, nl, sizeof *l, cmpd);
	printf("connrate par=%d done=%ld fail=%ld rate=%.0f /s p50=%.0f "
	       "p99=%.0f us\n",
	    par, done, fail, done / el, nl ? l[nl / 2] : -1,
	    nl ? l[nl * 99 / 100] : -1);
}
static void
idle(int want, int par)
{
	int ep = epoll_create1(0);
	struct epoll_event ev[256];
	int live = 0, ok = 0, fail = 0;
	uint8_t *state = calloc(1 << 20, 1);
	double t0 = now(), last = t0;
	while (ok + fail < want) {
		while (live < par && ok + fail + live < want) {
			int s = start_conn(ep, 0);
			if (s < 0) {
				fail++;
				continue;
			}
			state[s] = S_CONN;
			live++;
		}
		int n = epoll_wait(ep, ev, 256, 500);
		if (n > 0)
			last = now();
		else if (now() - last > 15)
			break;
		for (int i = 0; i < n; i++) {
			int s = (int)(uint32_t)ev[i].data.u64;
			char c = 'x';
			if (state[s] == S_CONN) {
				int err = 0;
				socklen_t el = sizeof err;
				getsockopt(s, SOL_SOCKET, SO_ERROR, &err, &el);
				if (err || send(s, &c, 1, MSG_NOSIGNAL) != 1) {
					fail++;
					live--;
					close(s);
					continue;
				}
				state[s] = S_RD;
				struct epoll_event e = { .events = EPOLLIN,
					.data.u64 = (unsigned)s };
				epoll_ctl(ep, EPOLL_CTL_MOD, s, &e);
			} else {
				ssize_t r = recv(s, &c, 1, 0);
				if (r == 1) {
					ok++;
					epoll_ctl(ep, EPOLL_CTL_DEL, s, NULL);
				} else {
					fail++;
					close(s);
				}
				live--;
			}
		}
	}
	double el = last - t0;
	printf("idle want=%d ok=%d fail=%d stuck=%d time=%.3f s rate=%.0f /s\n",
	    want, ok, fail, live, el, ok / el);
	fflush(stdout);
	char b[16];
	while (read(0, b, sizeof b) > 0)
		;
}
static void
udpecho(int size, int win, double secs)
{
	struct sockaddr_in a = addr(srv, 7200);
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	setsockopt(s, SOL_SOCKET, SO_RCVBUF, &(int){ 2 << 20 }, 4);
	setsockopt(s, SOL_SOCKET, SO_SNDBUF, &(int){ 2 << 20 }, 4);
	connect(s, (void *)&a, sizeof a);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ 0, 20000 },
	    sizeof(struct timeval));
	static char tx[2048];
	static char buf[B][2048];
	struct mmsghdr m[B], r[B];
	struct iovec v = { tx, size }, rv[B];
	for (int i = 0; i < B; i++) {
		memset(&m[i], 0, sizeof m[i]);
		m[i].msg_hdr.msg_iov = &v;
		m[i].msg_hdr.msg_iovlen = 1;
		rv[i] = (struct iovec){ buf[i], 2048 };
		memset(&r[i], 0, sizeof r[i]);
		r[i].msg_hdr.msg_iov = &rv[i];
		r[i].msg_hdr.msg_iovlen = 1;
	}
	uint64_t sent = 0, rcvd = 0, lost = 0;
	long out = 0;
	double t0 = now();
	while (now() - t0 < secs) {
		while (out < win) {
			int k = win - out > B ? B : win - out;
			int n = sendmmsg(s, m, k, 0);
			if (n <= 0)
				break;
			out += n;
			sent += n;
		}
		int n = recvmmsg(s, r, B, MSG_WAITFORONE, NULL);
		if (n > 0) {
			rcvd += n;
			out -= n;
			if (out < 0)
				out = 0;
		} else {
			lost += out;
			out = 0;
		}
	}
	double el = now() - t0;
	printf("udpecho size=%d win=%d echo_pps=%.0f Mbit/s=%.1f lost=%lu of "
	       "%lu\n",
	    size, win, rcvd / el, rcvd * size * 8 / el / 1e6, lost, sent);
}
static int
query(int s, uint64_t r[2])
{
	for (int i = 0; i < 50; i++) {
		if (send(s, "q", 1, 0) < 0) {
		}
		struct pollfd p = { s, POLLIN, 0 };
		if (poll(&p, 1, 200) > 0 && recv(s, r, 16, 0) == 16) {
			while (poll(&p, 1, 100) > 0) {
				uint64_t z[2];
				if (recv(s, z, 16, MSG_DONTWAIT) == 16) {
					r[0] = z[0];
					r[1] = z[1];
				}
			}
			return 0;
		}
	}
	return -1;
}
static void
udpflood(int size, double secs)
{
	struct sockaddr_in a = addr(srv, 7300), qa = addr(srv, 7301);
	int s = socket(AF_INET, SOCK_DGRAM, 0),
	    q = socket(AF_INET, SOCK_DGRAM, 0);
	connect(s, (void *)&a, sizeof a);
	connect(q, (void *)&qa, sizeof qa);
	static char tx[2048];
	struct mmsghdr m[B];
	struct iovec v = { tx, size };
	uint64_t r0[2], r1[2], sent = 0;
	for (int i = 0; i < B; i++) {
		memset(&m[i], 0, sizeof m[i]);
		m[i].msg_hdr.msg_iov = &v;
		m[i].msg_hdr.msg_iovlen = 1;
	}
	if (query(q, r0)) {
		printf("udpflood query failed\n");
		exit(1);
	}
	double t0 = now();
	while (now() - t0 < secs) {
		int n = sendmmsg(s, m, B, 0);
		if (n > 0)
			sent += n;
	}
	double el = now() - t0;
	usleep(500000);
	if (query(q, r1)) {
		printf("udpflood query failed\n");
		exit(1);
	}
	printf("udpflood size=%d sent_pps=%.0f recv_pps=%.0f recv_Mbit/s=%.1f "
	       "loss=%.1f%%\n",
	    size, sent / el, (r1[0] - r0[0]) / el,
	    (r1[1] - r0[1]) * 8 / el / 1e6,
	    sent ? 100.0 * (1 - (double)(r1[0] - r0[0]) / sent) : 0);
}
static void
udpblast(int size, double secs) /* no server needed: just send */
{
	struct sockaddr_in a = addr(srv, 9);
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	connect(s, (void *)&a, sizeof a);
	static char tx[2048];
	struct mmsghdr m[B];
	struct iovec v = { tx, size };
	uint64_t sent = 0;
	for (int i = 0; i < B; i++) {
		memset(&m[i], 0, sizeof m[i]);
		m[i].msg_hdr.msg_iov = &v;
		m[i].msg_hdr.msg_iovlen = 1;
	}
	double t0 = now();
	while (now() - t0 < secs) {
		int n = sendmmsg(s, m, B, 0);
		if (n > 0)
			sent += n;
	}
	printf("udpblast size=%d sent_pps=%.0f\n", size, sent / secs);
}
static void
udppull(int size, double secs, int pps)
{
	struct sockaddr_in a = addr(srv, 7302);
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	setsockopt(s, SOL_SOCKET, SO_RCVBUF, &(int){ 2 << 20 }, 4);
	connect(s, (void *)&a, sizeof a);
	struct {
		uint32_t size, ms, pps;
	} q = { size, secs * 1000, pps };
	if (send(s, &q, sizeof q, 0) < 0)
		perror("send");
	static char buf[B][2048];
	struct mmsghdr r[B];
	struct iovec rv[B];
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ 2, 0 },
	    sizeof(struct timeval));
	for (int i = 0; i < B; i++) {
		rv[i] = (struct iovec){ buf[i], 2048 };
		memset(&r[i], 0, sizeof r[i]);
		r[i].msg_hdr.msg_iov = &rv[i];
		r[i].msg_hdr.msg_iovlen = 1;
	}
	uint64_t got = 0, bytes = 0, sent = 0;
	double t0 = 0, t = 0;
	for (;;) {
		int n = recvmmsg(s, r, B, MSG_WAITFORONE, NULL);
		if (n <= 0)
			break;
		for (int i = 0; i < n; i++) {
			uint64_t *e = (void *)buf[i];
			if (r[i].msg_len == 16 &&
			    e[0] == 0xfeedfeedfeedfeedULL) {
				sent = e[1];
				goto out;
			}
			if (!t0)
				t0 = now();
			t = now();
			got++;
			bytes += r[i].msg_len;
		}
	}
out:
	printf("udppull size=%d sent=%lu recv=%lu recv_pps=%.0f "
	       "recv_Mbit/s=%.1f loss=%.1f%% span=%.2f\n",
	    size, sent, got, got / secs, bytes * 8 / secs / 1e6,
	    sent ? 100.0 * (1 - (double)got / sent) : 0, t - t0);
}
int
main(int c, char **v)
{
	struct rlimit rl;
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl))
		perror("rlimit");
	if (c < 3)
		return 2;
	srv = v[2];
	if (!strcmp(v[1], "serve"))
		serve();
	else if (!strcmp(v[1], "pingpong"))
		pingpong(atof(v[3]));
	else if (!strcmp(v[1], "connrate"))
		connrate(atof(v[3]), atoi(v[4]));
	else if (!strcmp(v[1], "idle"))
		idle(atoi(v[3]), atoi(v[4]));
	else if (!strcmp(v[1], "udpecho"))
		udpecho(atoi(v[3]), atoi(v[4]), atof(v[5]));
	else if (!strcmp(v[1], "udpflood"))
		udpflood(atoi(v[3]), atof(v[4]));
	else if (!strcmp(v[1], "udpblast"))
		udpblast(atoi(v[3]), atof(v[4]));
	else if (!strcmp(v[1], "udppull"))
		udppull(atoi(v[3]), atof(v[4]), c > 5 ? atoi(v[5]) : 0);
	else
		return 2;
	return 0;
}
