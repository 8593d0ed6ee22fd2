/*
 * Sockets for datagrams and for ICMP echo: how their packets leave, and what
 * routers say of them (IP_RECVERR).
 */

#include <sys/socket.h>
#include <netinet/in.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/errqueue.h>
#include <linux/filter.h>

#include "common/plat/plat.h"
#include "common/plat/sockerr.h"

#define CONTROL_SIZE 512

static int
opt_int(int fd, int level, int name, int v)
{
	return setsockopt(fd, level, name, &v, sizeof(v));
}

int
plat_sockerr_keep(int fd, bool on)
{
	return opt_int(fd, IPPROTO_IP, IP_RECVERR, on);
}

/* The sender's address stands behind the structure. */
static uint32_t
offender(const uint8_t *p, size_t len)
{
	struct sockaddr_in in;

	if (len < sizeof(in))
		return 0;
	memcpy(&in, p, sizeof(in));
	return in.sin_family == AF_INET ? ntohl(in.sin_addr.s_addr) : 0;
}

int
sockerr_parse(struct msghdr *mh, struct plat_sockerr *e)
{
	struct sock_extended_err ee;
	const uint8_t *end =
	    (const uint8_t *)mh->msg_control + mh->msg_controllen;
	struct cmsghdr *c;
	size_t len;

	for (c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_len < CMSG_LEN(0) ||
		    c->cmsg_len > (size_t)(end - (const uint8_t *)c))
			return -1;
		len = c->cmsg_len - CMSG_LEN(0);
		if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_RECVERR ||
		    c->cmsg_len < CMSG_LEN(sizeof(ee)))
			continue;
		memcpy(&ee, CMSG_DATA(c), sizeof(ee));
		if (ee.ee_origin != SO_EE_ORIGIN_ICMP)
			return -1;
		*e = (struct plat_sockerr){ .error = (int)ee.ee_errno,
			.type = ee.ee_type,
			.code = ee.ee_code,
			.info = ee.ee_info,
			.from = offender(
			    CMSG_DATA(c) + sizeof(ee), len - sizeof(ee)) };
		return 0;
	}
	return -1;
}

/* The process's own errors are told by the calls that failed, too. */
int
plat_sockerr(int fd, struct plat_sockerr *e, uint8_t *data, size_t *len)
{
	_Alignas(struct cmsghdr) uint8_t control[CONTROL_SIZE];
	struct iovec iov = { data, *len };
	struct msghdr mh;
	ssize_t n;

	for (;;) {
		mh = (struct msghdr){ .msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control) };
		n = recvmsg(fd, &mh, MSG_ERRQUEUE | MSG_DONTWAIT);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (sockerr_parse(&mh, e) == 0)
			break;
	}
	*len = (size_t)n;
	return 0;
}

int
plat_ttl(int fd, int ttl)
{
	return opt_int(fd, IPPROTO_IP, IP_TTL, ttl);
}

int
plat_tos(int fd, int tos)
{
	return opt_int(fd, IPPROTO_IP, IP_TOS, tos);
}

int
plat_df(int fd, bool df)
{
	return opt_int(fd, IPPROTO_IP, IP_MTU_DISCOVER,
	    df ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
}

size_t
plat_path_mtu(int fd)
{
	socklen_t len = sizeof(int);
	int mtu;

	if (getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu, &len) == -1 || mtu < 0)
		return 0;
	return (size_t)mtu;
}

static int
close_failed(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}

int
plat_ping(uint16_t *id)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	int fd;

	fd = socket(
	    AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
	if (fd == -1)
		return -1;
	/* Only bound has it an identifier; this is the kernel's choice. */
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) == -1 ||
	    getsockname(fd, (struct sockaddr *)&in, &len) == -1 ||
	    opt_int(fd, IPPROTO_IP, IP_RECVTTL, 1) == -1)
		return close_failed(fd);
	*id = ntohs(in.sin_port);
	return fd;
}

int
plat_raw_icmp(void)
{
	return socket(
	    AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
}

/* What is filtered begins with the IP header. */
int
plat_raw_limit(int fd, uint16_t id)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), /* its length */
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3), /* echo reply */
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, id, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = {
		.len = sizeof(code) / sizeof(code[0]),
		.filter = code,
	};

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ==
	    -1)
		return -1;
	return opt_int(fd, SOL_SOCKET, SO_LOCK_FILTER, 1);
}

ssize_t
plat_recv_ttl(
    int fd, const struct iovec *iov, int niov, uint32_t *from, uint8_t *ttl)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))];
	struct sockaddr_in in = { 0 };
	struct msghdr mh = { .msg_name = &in,
		.msg_namelen = sizeof(in),
		.msg_iov = (struct iovec *)(uintptr_t)iov,
		.msg_iovlen = (size_t)niov,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	const struct cmsghdr *c;
	ssize_t n;
	int v;

	*ttl = 0;
	if ((n = recvmsg(fd, &mh, MSG_DONTWAIT)) == -1)
		return -1;
	*from = ntohl(in.sin_addr.s_addr);
	c = CMSG_FIRSTHDR(&mh);
	if (c != NULL && c->cmsg_level == IPPROTO_IP &&
	    c->cmsg_type == IP_TTL && c->cmsg_len == CMSG_LEN(sizeof(v))) {
		memcpy(&v, CMSG_DATA(c), sizeof(v));
		*ttl = v > 0 && v < 256 ? (uint8_t)v : 0;
	}
	return n;
}

/* Linux gives back what it has chosen itself: a port, and an address. */
int
plat_udp_again(int fd, const struct sockaddr *none, const struct sockaddr *to,
    unsigned len)
{
	return connect(fd, none, len) == -1 ? -1 : connect(fd, to, len);
}

int
plat_udp_source(int fd, struct sockaddr_storage *from)
{
	socklen_t n = sizeof(*from);

	memset(from, 0, sizeof(*from));
	if (getsockname(fd, (struct sockaddr *)from, &n) == -1)
		return -1;
	if (from->ss_family == AF_INET6)
		((struct sockaddr_in6 *)from)->sin6_port = 0;
	else
		((struct sockaddr_in *)from)->sin_port = 0;
	return 0;
}

int
plat_udp_from(int fd, const struct sockaddr_storage *from, unsigned len)
{
	if (opt_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1) == -1)
		return -1;
	return bind(fd, (const struct sockaddr *)from, len);
}
