#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "hostsock.h"

static int
sock_fail(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}

static int
unix_new(const char *path, struct sockaddr_un *sun)
{
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	if (strlcpy(sun->sun_path, path, sizeof(sun->sun_path)) >=
	    sizeof(sun->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int
hostsock_connect(const char *path)
{
	struct sockaddr_un sun;
	int fd;

	if ((fd = unix_new(path, &sun)) == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		return sock_fail(fd);
	return fd;
}

/* Nobody answers at a socket that was left over. */
static int
remove_stale(const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	if ((fd = hostsock_connect(path)) != -1 || errno != ECONNREFUSED) {
		if (fd != -1)
			close(fd);
		errno = EADDRINUSE;
		return -1;
	}
	return unlink(path);
}

/* The folders above the path, as mkdir -p. */
static int
make_parents(const char *path)
{
	char buf[sizeof(((struct sockaddr_un *)0)->sun_path)], *s;

	strlcpy(buf, path, sizeof(buf));
	for (s = buf + 1; (s = strchr(s, '/')) != NULL; s++) {
		*s = '\0';
		if (mkdir(buf, 0755) == -1 && errno != EEXIST)
			return -1;
		*s = '/';
	}
	return 0;
}

int
hostsock_path(const char *path, dev_t *dev, ino_t *ino)
{
	struct sockaddr_un sun;
	struct stat st;
	int fd;

	if (*path != '/') {
		errno = EINVAL;
		return -1;
	}
	if ((fd = unix_new(path, &sun)) == -1)
		return -1;
	if (make_parents(path) == -1 || remove_stale(path) == -1 ||
	    bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    lstat(path, &st) == -1)
		return sock_fail(fd);
	*dev = st.st_dev;
	*ino = st.st_ino;
	return fd;
}

int
hostsock_bind(
    bool tcp, bool share, const struct ipaddr *a, uint16_t port, uint32_t scope)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(port),
		.sin6_scope_id = scope };
	bool v6 = a->family == 6;
	int reuse = tcp ? SO_REUSEADDR : SO_REUSEPORT, fd, on = 1;

	memcpy(&in.sin_addr, a->b, 4);
	memcpy(&in6.sin6_addr, a->b, 16);
	fd = socket(v6 ? AF_INET6 : AF_INET,
	    (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (v6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == -1)
		return sock_fail(fd);
	if ((tcp || share) &&
	    setsockopt(fd, SOL_SOCKET, reuse, &on, sizeof(on)) == -1)
		return sock_fail(fd);
	if (v6 ? bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == -1
	       : bind(fd, (struct sockaddr *)&in, sizeof(in)) == -1)
		return sock_fail(fd);
	return fd;
}
