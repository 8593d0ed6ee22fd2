#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "common/log.h"
#include "common/plat/plat.h"

#include "listen.h"
#include "url.h"

#define BACKLOG 128

static int
fd_flags(int fd)
{
	int fl;

	if ((fl = fcntl(fd, F_GETFL)) == -1 ||
	    fcntl(fd, F_SETFL, fl | O_NONBLOCK) == -1)
		return -1;
	return fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/*
 * A socket left over by an earlier run is removed, as launchers expect.
 * Anything else at the path is somebody's, and stays.
 */
static int
remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	return unlink(path);
}

/* A Unix socket at the path, with the permissions that the umask leaves. */
static int
open_path(struct listener *l, const char *path, int type)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct stat st;

	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	if (remove_stale(path) == -1)
		return -1;
	if ((l->fd = socket(AF_UNIX, type, 0)) == -1 || fd_flags(l->fd) == -1)
		return -1;
	if (bind(l->fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		return -1;
	strlcpy(l->path, path, sizeof(l->path));
	if (lstat(path, &st) == -1)
		return -1;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return type == SOCK_STREAM ? listen(l->fd, BACKLOG) : 0;
}

static int
sock_opt(int fd, int opt)
{
	socklen_t len = sizeof(int);
	int v;

	return getsockopt(fd, SOL_SOCKET, opt, &v, &len) == -1 ? -1 : v;
}

/* A listening socket from whoever started us; NULL or what is wrong. */
static const char *
open_inherited(struct listener *l, int fd)
{
	if (sock_opt(fd, SO_TYPE) == -1)
		return errno == EBADF ? "no such descriptor was inherited"
				      : "not a socket";
	if (sock_opt(fd, SO_TYPE) != SOCK_STREAM)
		return "not a stream socket";
	if (sock_opt(fd, SO_ACCEPTCONN) != 1)
		return "the socket does not listen";
	if (fd_flags(fd) == -1)
		return strerror(errno);
	l->fd = fd;
	return NULL;
}

/* NULL or what is wrong. */
static const char *
open_url(struct listener *l, const struct url *u, int type)
{
	if (u->kind == URL_PATH)
		return open_path(l, u->path, type) == -1 ? strerror(errno)
							 : NULL;
	if (u->kind == URL_HYPERV)
		return "Hyper-V sockets do not exist on this system";
	if (type == SOCK_DGRAM)
		return "datagrams need a path";
	if (u->kind == URL_FD)
		return open_inherited(l, u->fd);
	l->fd = plat_vsock_listen(u->cid, u->port);
	return l->fd == -1 ? strerror(errno) : NULL;
}

/* clang-format off */
static const struct {
	const char *kind, *option;
	size_t off;
	int type;
} kinds[LISTEN_MAX] = {
	{ "vmnet", "ethernet", offsetof(struct options, ethernet),
	    SOCK_STREAM },
	{ "qemu", "ethernet-qemu", offsetof(struct options, ethernet_qemu),
	    SOCK_STREAM },
	{ "dgram", "ethernet-dgram", offsetof(struct options, ethernet_dgram),
	    SOCK_DGRAM },
};
/* clang-format on */

int
listen_open(struct listeners *ls, const struct options *op)
{
	const char *text, *why;
	struct listener *l;
	struct url u;
	size_t i;

	memset(ls, 0, sizeof(*ls));
	for (i = 0; i < LISTEN_MAX; i++) {
		text = *(char *const *)((const char *)op + kinds[i].off);
		if (text == NULL)
			continue;
		l = &ls->v[ls->n++];
		l->kind = kinds[i].kind;
		l->fd = -1;
		if (url_parse(text, &u, &why) == 0 &&
		    (why = open_url(l, &u, kinds[i].type)) == NULL) {
			log_info("%s clients: %s", l->kind, text);
			continue;
		}
		log_warnx("--%s %s: %s", kinds[i].option, text, why);
		listen_close(ls);
		return -1;
	}
	return 0;
}

void
listen_send(const struct listeners *ls, struct ipc *ipc)
{
	size_t i;
	int fd;

	for (i = 0; i < ls->n; i++) {
		fd = fcntl(ls->v[i].fd, F_DUPFD_CLOEXEC, 0);
		if (fd == -1) {
			log_warn("%s listener", ls->v[i].kind);
			continue;
		}
		ipc_send(
		    ipc, IPC_LISTENER, &fd, 1, "{s:s}", "kind", ls->v[i].kind);
	}
}

void
listen_close(struct listeners *ls)
{
	const struct listener *l;
	struct stat st;

	while (ls->n > 0) {
		l = &ls->v[--ls->n];
		if (l->path[0] != '\0' && lstat(l->path, &st) == 0 &&
		    S_ISSOCK(st.st_mode) && st.st_dev == l->dev &&
		    st.st_ino == l->ino)
			unlink(l->path);
		if (l->fd != -1)
			close(l->fd);
	}
}
