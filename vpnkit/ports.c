/*
 * Static forwards, and sockets for portd; see ports.h.
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "common/log.h"
#include "common/plat/plat.h"

#include "conf.h"
#include "hostsock.h"
#include "ports.h"
#include "url.h"

/* clang-format off */
static const struct {
	int error;
	const char *name;
} errors[] = {
	{ EACCES, "EACCES" }, { EPERM, "EPERM" }, { ENOENT, "ENOENT" },
	{ ENOTDIR, "ENOTDIR" }, { EROFS, "EROFS" }, { EEXIST, "EEXIST" },
	{ EADDRINUSE, "EADDRINUSE" }, { EADDRNOTAVAIL, "EADDRNOTAVAIL" },
	{ EAFNOSUPPORT, "EAFNOSUPPORT" }, { ECONNREFUSED, "ECONNREFUSED" },
	{ ENAMETOOLONG, "ENAMETOOLONG" }, { EINVAL, "EINVAL" },
	{ EMFILE, "EMFILE" }, { ENFILE, "ENFILE" }, { ENOMEM, "ENOMEM" },
	{ ENOBUFS, "ENOBUFS" }, { EAGAIN, "EAGAIN" },
};
/* clang-format on */

static const char *
error_name(int error)
{
	size_t i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (errors[i].error == error)
			return errors[i].name;
	}
	return "EIO";
}

/*
 * Configuration.
 */

static int
add_static(struct ports *p, const struct strlist *l, bool udp)
{
	size_t i;

	for (i = 0; i < l->n && p->nstatic < FORWARDS_MAX; i++) {
		if (gwforward_parse(l->v[i], udp, &p->gw[p->nstatic]) == -1)
			return -1;
		p->ngw = ++p->nstatic;
	}
	return 0;
}

int
ports_init(struct ports *p, const struct options *op)
{
	struct publish u;
	const char *why;
	size_t i;

	memset(p, 0, sizeof(*p));
	p->op = op;
	portlist_init(&p->list);
	p->gw = calloc(FORWARDS_MAX, sizeof(*p->gw));
	p->via = calloc(FORWARDS_MAX, sizeof(*p->via));
	if (p->gw == NULL || p->via == NULL) {
		log_warn("forwards");
		return -1;
	}
	for (i = 0; i < op->publish.n; i++) {
		if (publish_parse(op->publish.v[i], &u, &why) == -1)
			return -1; /* the options were checked */
		if (portlist_publish(&p->list, &u, op->publish.v[i]) == -1)
			break;
	}
	return add_static(p, &op->tcpv4_forwards, false) == -1 ||
		       add_static(p, &op->udpv4_forwards, true) == -1
		   ? -1
		   : 0;
}

static void
path_free(struct ports *p, struct port_path **pp)
{
	struct port_path *e = *pp;
	struct stat st;

	if (lstat(e->path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    st.st_dev == e->dev && st.st_ino == e->ino)
		unlink(e->path);
	*pp = e->next;
	p->npath--;
	free(e);
}

void
ports_portd_gone(struct ports *p)
{
	portlist_portd(&p->list, NULL);
	while (p->path != NULL)
		path_free(p, &p->path);
}

void
ports_fini(struct ports *p)
{
	ports_portd_gone(p);
	portlist_fini(&p->list);
	free(p->gw);
	free(p->via);
}

/* The array in a file; NULL when it is wrong, logged.  Missing is empty. */
static json_t *
read_array(const char *path)
{
	char err[OPTIONS_ERRLEN];
	json_t *root;

	if ((root = conf_read_json(path, err)) != NULL)
		return root;
	if (errno == ENOENT)
		return json_array();
	log_warnx("%s; the forwards stay as they are", err);
	return NULL;
}

int
ports_read_gateway(struct ports *p)
{
	const char *path = p->op->gateway_forwards, *why;
	struct gwforward *v;
	size_t room = FORWARDS_MAX - p->nstatic, was = p->ngw - p->nstatic;
	json_t *root;
	int n = -1;
	bool same;

	if (path == NULL || (root = read_array(path)) == NULL)
		return path == NULL ? 0 : -1;
	if ((v = calloc(FORWARDS_MAX, sizeof(*v))) != NULL) {
		why = "out of memory";
		n = gwforward_json(root, v, room, &why);
		if (n == -1)
			log_warnx(
			    "%s: %s; the forwards stay as they are", path, why);
	}
	json_decref(root);
	same = n != -1 && (size_t)n == was &&
	       memcmp(v, p->gw + p->nstatic, was * sizeof(*v)) == 0;
	if (n != -1 && !same) {
		memcpy(p->gw + p->nstatic, v, (size_t)n * sizeof(*v));
		p->ngw = p->nstatic + (size_t)n;
	}
	free(v);
	return n == -1 ? -1 : !same;
}

int
ports_read_via(struct ports *p)
{
	const char *path = p->op->forwards, *why;
	struct viaforward *v;
	json_t *root;
	int n = -1;
	bool same;

	if (path == NULL || (root = read_array(path)) == NULL)
		return path == NULL ? 0 : -1;
	if ((v = calloc(FORWARDS_MAX, sizeof(*v))) != NULL) {
		n = viaforward_json(root, v, FORWARDS_MAX, &why);
		if (n == -1)
			log_warnx(
			    "%s: %s; the forwards stay as they are", path, why);
	}
	json_decref(root);
	same = n != -1 && (size_t)n == p->nvia &&
	       memcmp(v, p->via, p->nvia * sizeof(*v)) == 0;
	if (n != -1 && !same) {
		memcpy(p->via, v, (size_t)n * sizeof(*v));
		p->nvia = (size_t)n;
	}
	free(v);
	return n == -1 ? -1 : !same;
}

/*
 * Messages to portd and the stacks.
 */

void
ports_send_gateway(const struct ports *p, struct ipc *ipc)
{
	const struct gwforward *g;
	char ip[IPADDR_STRLEN];

	ipc_send(ipc, IPC_GATEWAY_FORWARDS, NULL, 0, "{s:I}", "count",
	    (json_int_t)p->ngw);
	for (g = p->gw; g < p->gw + p->ngw; g++)
		ipc_send(ipc, IPC_GATEWAY_FORWARD, NULL, 0,
		    "{s:s, s:i, s:s, s:i}", "proto", g->udp ? "udp" : "tcp",
		    "port", (int)g->port, "dst", ipaddr_str(&g->dst, ip),
		    "dport", (int)g->dport);
}

void
ports_send_via(const struct ports *p, struct ipc *ipc)
{
	const struct viaforward *v;

	ipc_send(ipc, IPC_VIA_FORWARDS, NULL, 0, "{s:I}", "count",
	    (json_int_t)p->nvia);
	for (v = p->via; v < p->via + p->nvia; v++)
		ipc_send(ipc, IPC_VIA_FORWARD, NULL, 0, "{s:s, s:i, s:s}",
		    "prefix", v->prefix, "dport", (int)v->dport, "path",
		    v->path);
}

void
ports_portd_started(struct ports *p, struct ipc *ipc)
{
	ports_send_gateway(p, ipc);
	ports_send_via(p, ipc);
	portlist_portd(&p->list, ipc);
}

/*
 * Sockets for portd.
 */

static void
answer(struct ipc *ipc, const struct ipc_msg *m, int fd, int error)
{
	json_int_t id = (json_int_t)ipc_u64(m, "id");

	if (fd != -1)
		ipc_send(ipc, IPC_HOST_FD, &fd, 1, "{s:I}", "id", id);
	else
		ipc_send(ipc, IPC_HOST_FAILED, NULL, 0, "{s:I, s:s}", "id", id,
		    "error", error_name(error));
}

static int
bind_path(struct ports *p, uint32_t id, const char *path)
{
	struct port_path *e;
	int fd;

	errno = ENOBUFS;
	if (p->npath == PORTS_MAXPATHS || (e = calloc(1, sizeof(*e))) == NULL)
		return -1;
	if ((fd = hostsock_path(path, &e->dev, &e->ino)) == -1) {
		free(e);
		return -1;
	}
	e->id = id;
	strlcpy(e->path, path, sizeof(e->path));
	e->next = p->path;
	p->path = e;
	p->npath++;
	return fd;
}

void
ports_bind(struct ports *p, struct ipc *ipc, const struct ipc_msg *m)
{
	const char *proto = ipc_str(m, "proto"), *addr = ipc_str(m, "addr");
	uint16_t port = (uint16_t)ipc_u64(m, "port");
	struct ipaddr a;
	int fd = -1;

	errno = EINVAL;
	if (strcmp(proto, "unix") == 0)
		fd = bind_path(p, (uint32_t)ipc_u64(m, "id"), addr);
	else if (ipaddr_parse(addr, &a) == 0)
		fd = hostsock_bind(strcmp(proto, "tcp") == 0,
		    strcmp(proto, "udp+") == 0, &a, port,
		    (uint32_t)ipc_u64(m, "scope"));
	answer(ipc, m, fd, errno);
}

/* Only paths of the configuration. */
static bool
is_via(const struct ports *p, const char *path)
{
	size_t i;

	for (i = 0; i < p->nvia; i++) {
		if (strcmp(p->via[i].path, path) == 0)
			return true;
	}
	return false;
}

static int
connect_tunnel(const char *url)
{
	struct url u;
	const char *why;

	errno = ECONNREFUSED;
	if (url == NULL)
		return -1;
	if (strncmp(url, "unix:", 5) == 0)
		return hostsock_connect(url + 5);
	errno = EINVAL;
	if (url_parse(url, &u, &why) == -1)
		return -1;
	if (u.kind == URL_PATH)
		return hostsock_connect(u.path);
	if (u.kind == URL_VSOCK)
		return plat_vsock_connect(u.cid, u.port);
	errno = EAFNOSUPPORT;
	return -1;
}

void
ports_connect(struct ports *p, struct ipc *ipc, const struct ipc_msg *m)
{
	const char *path = ipc_str(m, "path");
	int fd = -1;

	errno = EACCES;
	if (*path == '\0')
		fd = connect_tunnel(options_tunnel(p->op));
	else if (is_via(p, path))
		fd = hostsock_connect(path);
	answer(ipc, m, fd, errno);
}

void
ports_release(struct ports *p, const struct ipc_msg *m)
{
	uint32_t id = (uint32_t)ipc_u64(m, "id");
	struct port_path **pp;

	for (pp = &p->path; *pp != NULL; pp = &(*pp)->next) {
		if ((*pp)->id == id) {
			path_free(p, pp);
			return;
		}
	}
}
