/*
 * The part of plat.h about what the kernel holds of a stream: looking at it
 * without taking it, dropping it, and how much more may be written.
 */

#include <sys/socket.h>
#include <sys/syscall.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <linux/sock_diag.h>

#include "common/plat/plat.h"

/* Newer than the headers of Debian 12. */
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

/* *cur of a socket without a peek offset; -1 is one not yet asked. */
#define PEEK_UNSUPPORTED (-2)

/*
 * Peeking.
 *
 * A socket with SO_PEEK_OFF peeks from an offset that moves forward with
 * every peek and back with every byte consumed.  *cur mirrors it, so in the
 * common case, peeking behind what was peeked last, no call sets it.  The
 * first peek always does: a socket that was kept over a restart may have the
 * offset of its former user.  Streams have it since Linux 3.4 (Unix) and 6.9
 * (TCP); elsewhere the bytes before the offset are read into scratch memory.
 */

#define SCRATCH_LEN    16384
#define SCRATCH_MAXIOV 1024 /* UIO_MAXIOV */

/* Brings the socket's offset to off.  -1: it cannot. */
static int
set_peek_off(int fd, size_t off, ssize_t *cur)
{
	int v = (int)off;

	if (*cur == (ssize_t)off)
		return 0;
	if (*cur == PEEK_UNSUPPORTED)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &v, sizeof(v)) == -1) {
		*cur = PEEK_UNSUPPORTED;
		return -1;
	}
	*cur = (ssize_t)off;
	return 0;
}

void
plat_peek_prepare(int fd, ssize_t *cur)
{
	if (*cur == -1)
		(void)set_peek_off(fd, 0, cur);
}

/* Peeks from the front through scratch memory; how much lay behind off. */
static ssize_t
peek_scratch(int fd, size_t off, const struct iovec *iov, int niov)
{
	uint8_t scratch[SCRATCH_LEN]; /* written over and over, never read */
	struct iovec v[SCRATCH_MAXIOV];
	struct msghdr mh = { .msg_iov = v };
	size_t left = off;
	ssize_t n;
	int i, k = 0;

	for (; left > 0 && k < SCRATCH_MAXIOV; k++) {
		v[k].iov_base = scratch;
		v[k].iov_len = left < SCRATCH_LEN ? left : SCRATCH_LEN;
		left -= v[k].iov_len;
	}
	if (left > 0 || niov > SCRATCH_MAXIOV - k) {
		errno = EINVAL;
		return -1;
	}
	for (i = 0; i < niov; i++)
		v[k++] = iov[i];
	mh.msg_iovlen = (size_t)k;
	if ((n = recvmsg(fd, &mh, MSG_PEEK | MSG_DONTWAIT)) == -1)
		return -1;
	return n > (ssize_t)off ? n - (ssize_t)off : 0;
}

/*
 * Nothing behind off may mean the end of the stream or nothing yet.  The end
 * is only believed when it was known before a peek that still found nothing.
 */
static ssize_t
peek_fallback(int fd, size_t off, const struct iovec *iov, int niov)
{
	struct pollfd pfd = { .fd = fd, .events = POLLRDHUP };
	ssize_t n;

	n = peek_scratch(fd, off, iov, niov);
	if (n != 0 || off == 0)
		return n;
	if (poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLRDHUP))
		return peek_scratch(fd, off, iov, niov);
	errno = EAGAIN;
	return -1;
}

ssize_t
plat_peek(int fd, size_t off, ssize_t *cur, const struct iovec *iov, int niov)
{
	struct msghdr mh = { .msg_iov = (void *)(uintptr_t)iov,
		.msg_iovlen = (size_t)niov };
	ssize_t n;

	if (set_peek_off(fd, off, cur) == -1)
		return peek_fallback(fd, off, iov, niov);
	n = recvmsg(fd, &mh, MSG_PEEK | MSG_DONTWAIT);
	if (n > 0 && *cur >= 0)
		*cur += n;
	return n;
}

/* Reads n bytes away, for sockets that cannot drop them unread. */
static ssize_t
read_away(int fd, size_t n)
{
	uint8_t buf[16384];

	return recv(fd, buf, n < sizeof(buf) ? n : sizeof(buf), MSG_DONTWAIT);
}

/*
 * SO_RCVBUF would fix the buffer, and not above what an administrator thought
 * right for all.  A low-water mark makes TCP's own sizing go on from there, up
 * to its own limit; it stays when the mark is taken back.
 */
void
plat_hold(int fd, size_t n)
{
	int v = (int)n, one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &v, sizeof(v)) == 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
}

int
plat_discard(int fd, size_t n, ssize_t *cur, bool *reads)
{
	ssize_t k;

	while (n > 0) {
		/*
		 * TCP drops bytes without copying them.  Other sockets fail
		 * with EFAULT before they have consumed any.  Not recv():
		 * AddressSanitizer would check what is not there.
		 */
		k = *reads ? read_away(fd, n)
			   : syscall(SYS_recvfrom, fd, NULL, n,
				 MSG_TRUNC | MSG_DONTWAIT, NULL, NULL);
		if (k > 0) {
			n -= (size_t)k;
			if (*cur >= 0)
				*cur = *cur > k ? *cur - k : 0;
		} else if (k == -1 && errno == EFAULT && !*reads) {
			*reads = true;
		} else if (k == 0) {
			errno = EPIPE; /* the caller had peeked more */
			return -1;
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

/*
 * The memory the kernel counts against the limit includes its own headers,
 * for small writes about as much again; a quarter is kept for them.  That is
 * too little for many small segments and too much for large ones; but the
 * kernel lets its buffer grow only for sockets that come near to full, so
 * more must not be kept.
 */
static int
socket_free(int fd, uint32_t *size)
{
	uint32_t m[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(m);
	uint32_t used;

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, m, &len) == -1)
		return -1;
	/* Streams of the network count in the one, Unix in the other. */
	used = m[SK_MEMINFO_WMEM_QUEUED];
	if (used < m[SK_MEMINFO_WMEM_ALLOC])
		used = m[SK_MEMINFO_WMEM_ALLOC];
	*size = m[SK_MEMINFO_SNDBUF];
	return used < *size ? (int)(*size - used) : 0;
}

size_t
plat_room(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	uint32_t size;
	int n;

	if ((n = socket_free(fd, &size)) == -1)
		return 0;
	/*
	 * TCP tells of room again only those who have seen it short of room,
	 * by a failed write or by asking like this.
	 */
	if ((uint32_t)n <= size / 3 && poll(&pfd, 1, 0) == 1 &&
	    (n = socket_free(fd, &size)) == -1)
		return 0;
	return (size_t)(n - n / 4);
}
