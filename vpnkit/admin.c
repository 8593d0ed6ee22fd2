#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "common/log.h"
#include "common/plat/plat.h"
#include "common/tape.h"
#include "config.h"

#include "admin.h"
#include "sup.h"
#include "url.h"

#define REST_SECS   0.1 /* when there was nothing to accept with */
#define SERIAL_SELF 1	/* children have higher ones */

/*
 * What is asked, and its one answer.
 */

static void
done(struct ipc *to, const char *error)
{
	ipc_send(to, IPC_ADMIN_DONE, NULL, 0, "{s:s%}", "error", error,
	    strnlen(error, 255));
}

/* The lease of a stack's VM; NULL for other processes. */
static const struct lease *
lease_of(const struct sup *s, const struct child *c)
{
	if (c->role != ROLE_STACK || s->vms.v[c->vm] == NULL)
		return NULL;
	return &s->vms.v[c->vm]->lease;
}

static json_t *
layers_of(const struct child *c)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < c->nsandbox; i++)
		json_array_append_new(a, json_string(c->sandbox[i]));
	return a;
}

static void
send_self(struct sup *s, struct ipc *to)
{
	json_t *layers = json_array();
	size_t i;

	for (i = 0; i < s->sandbox.n; i++)
		json_array_append_new(layers, json_string(s->sandbox.layer[i]));
	ipc_send(to, IPC_STATUS_PROCESS, NULL, 0,
	    "{s:i, s:s, s:s, s:i, s:I, s:s, s:I, s:i, s:s, s:I, s:i, s:o, "
	    "s:s, s:s, s:s, s:[]}",
	    "serial", SERIAL_SELF, "name", "vpnkit", "role", "vpnkit", "vm", 0,
	    "pid", (json_int_t)getpid(), "state", "up", "uptime-ms",
	    (json_int_t)((plat_now() - s->started) / USEC_MS), "restarts", 0,
	    "why", "", "memory", (json_int_t)plat_memory(getpid()), "log-level",
	    (int)log_get_level(), "sandbox", layers, "uuid", "", "mac", "",
	    "ip", "", "files");
}

/* Read-only copies of the memory files of c, and their names. */
static size_t
files_of(const struct child *c, int *fd, json_t *names)
{
	static const char *const name[] = { "counters", "flows", "capture",
		"queries" };
	const int from[] = { c->stats_fd, c->flows_fd, c->tape_fd,
		c->queries_fd };
	size_t i, n = 0;

	for (i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		if (from[i] == -1 || (fd[n] = plat_memfd_ro(from[i])) == -1)
			continue;
		json_array_append_new(names, json_string(name[i]));
		n++;
	}
	return n;
}

static void
send_child(struct sup *s, struct ipc *to, struct child *c)
{
	const struct lease *l = lease_of(s, c);
	char mac[MACADDR_STRLEN] = "", ip[IPADDR_STRLEN] = "";
	json_t *files = json_array();
	usec_t up = c->pid > 0 ? plat_now() - c->spawned : 0;
	int fd[4];
	size_t n = files_of(c, fd, files);

	if (l != NULL) {
		macaddr_str(&l->mac, mac);
		ipaddr_str(&l->ip, ip);
	}
	ipc_send(to, IPC_STATUS_PROCESS, fd, n,
	    "{s:I, s:s, s:s, s:I, s:I, s:s, s:I, s:I, s:s, s:I, s:i, s:o, "
	    "s:s, s:s, s:s, s:o}",
	    "serial", (json_int_t)c->serial, "name", c->name, "role",
	    ipc_role_name[c->role], "vm", (json_int_t)c->vm, "pid",
	    (json_int_t)c->pid, "state", child_seems(c), "uptime-ms",
	    (json_int_t)(up / USEC_MS), "restarts",
	    (json_int_t)(c->starts > 0 ? c->starts - 1 : 0), "why", c->why,
	    "memory", (json_int_t)(c->pid > 0 ? plat_memory(c->pid) : 0),
	    "log-level", child_level(c), "sandbox", layers_of(c), "uuid",
	    l != NULL ? l->uuid : "", "mac", mac, "ip", ip, "files", files);
}

void
admin_status_next(struct sup *s, struct ipc *from, struct ipc_msg *m)
{
	uint64_t after = ipc_u64(m, "after");
	struct child *c;

	if (after < SERIAL_SELF) {
		send_self(s, from);
		return;
	}
	TAILQ_FOREACH (c, &s->kids.list, entry) {
		if (c->serial > after) {
			send_child(s, from, c);
			return;
		}
	}
	ipc_send(from, IPC_STATUS_END, NULL, 0, "{}");
}

static void
on_log(struct sup *s, struct ipc *from, struct ipc_msg *m)
{
	const char *name = ipc_str(m, "name");
	int level = (int)ipc_u64(m, "level");
	struct child *c;

	if (name[0] == '\0' || strcmp(name, "vpnkit") == 0)
		log_set_level((enum log_level)level);
	if (name[0] == '\0') {
		s->kids.log_level = level;
		TAILQ_FOREACH (c, &s->kids.list, entry) {
			child_log_level(c, -1);
		}
	} else if (strcmp(name, "vpnkit") != 0) {
		if ((c = child_named(&s->kids, name)) == NULL) {
			done(from, "no process has this name");
			return;
		}
		child_log_level(c, level);
	}
	log_info("administrator: log level %d for %s", level,
	    name[0] != '\0' ? name : "all");
	done(from, "");
}

static void
on_restart(struct sup *s, struct ipc *from, struct ipc_msg *m)
{
	struct child *c = child_named(&s->kids, ipc_str(m, "name"));

	if (c == NULL) {
		done(from, "no process has this name");
		return;
	}
	if (c->pid <= 0) {
		done(from, "it does not run now, and will be started by "
			   "itself");
		return;
	}
	child_kill(c, "was restarted by the administrator");
	done(from, "");
}

static void
on_reload(struct sup *s, struct ipc *from, struct ipc_msg *m)
{
	sup_reload(s);
	done(from, "");
}

/*
 * Live captures.
 */

static void
send_capture(const struct admin_capture *p, const struct child *stack)
{
	int fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 0);

	if (fd != -1)
		ipc_send(stack->ipc, IPC_CAPTURE, &fd, 1, "{s:I, s:I}", "id",
		    (json_int_t)p->id, "snaplen", (json_int_t)p->snaplen);
}

void
admin_stack_started(struct admin *a, const struct child *stack)
{
	const struct admin_capture *p;

	for (p = a->capture; p < a->capture + ADMIN_MAXCAPTURES; p++) {
		if (p->client != NULL && p->vm == stack->vm)
			send_capture(p, stack);
	}
}

static void
capture_end(struct admin *a, struct admin_capture *p)
{
	const struct child *stack = vm_stack(&a->sup->vms, p->vm);

	if (stack != NULL && stack->ipc != NULL)
		ipc_send(stack->ipc, IPC_CAPTURE_END, NULL, 0, "{s:I}", "id",
		    (json_int_t)p->id);
	close(p->fd);
	memset(p, 0, sizeof(*p));
}

static void
captures_end(struct admin *a, const struct ipc *client)
{
	struct admin_capture *p;

	for (p = a->capture; p < a->capture + ADMIN_MAXCAPTURES; p++) {
		if (p->client == client)
			capture_end(a, p);
	}
}

static void
on_capture(struct sup *s, struct ipc *from, struct ipc_msg *m)
{
	struct admin_capture *p = s->admin.capture;
	uint32_t vm = (uint32_t)ipc_u64(m, "vm");
	const struct child *stack = vm_stack(&s->vms, vm);
	int fd = -1;

	while (p < s->admin.capture + ADMIN_MAXCAPTURES && p->client != NULL)
		p++;
	if (stack == NULL || stack->ipc == NULL) {
		done(from, "there is no such VM");
		return;
	}
	if (p == s->admin.capture + ADMIN_MAXCAPTURES) {
		done(from, "too many captures");
		return;
	}
	p->snaplen = (uint32_t)ipc_u64(m, "snaplen");
	p->fd = plat_memfd("capture", tape_live_bytes(p->snaplen));
	if (p->fd == -1 || (fd = plat_memfd_ro(p->fd)) == -1) {
		if (p->fd != -1)
			close(p->fd);
		done(from, strerror(errno));
		return;
	}
	p->client = from;
	p->vm = vm;
	p->id = ++s->admin.last_id;
	send_capture(p, stack);
	log_info("administrator: capture of VM %u", (unsigned)vm);
	ipc_send(
	    from, IPC_ADMIN_CAPTURE_FD, &fd, 1, "{s:I}", "vm", (json_int_t)vm);
}

/*
 * TAPs.
 */

static void
unlist(struct admin *a, const struct ipc *client)
{
	size_t i;

	for (i = 0; i < a->nclient; i++) {
		if (a->client[i] != client)
			continue;
		a->client[i] = a->client[--a->nclient];
		return;
	}
}

/* Whose TAP is taken counts as a VM, and not among our clients any more. */
static void
on_tap(struct sup *s, struct ipc *from, struct ipc_msg *m)
{
	const char *why;

	why = vm_tap(&s->vms, ipc_str(m, "uuid"), ipc_take_fd(m, 0), from);
	if (why == NULL)
		unlist(&s->admin, from);
	done(from, why != NULL ? why : "");
}

/*
 * Ports.
 */

static void
on_ports_next(struct sup *s, struct ipc *from, struct ipc_msg *m)
{
	portlist_next(&s->ports.list, from, m);
}

static void
on_ports_add(struct sup *s, struct ipc *from, struct ipc_msg *m)
{
	portlist_add(&s->ports.list, from, m);
}

static void
on_ports_remove(struct sup *s, struct ipc *from, struct ipc_msg *m)
{
	portlist_remove(&s->ports.list, from, m);
}

static const struct {
	enum ipc_type type;
	void (*fn)(struct sup *, struct ipc *, struct ipc_msg *);
} handlers[] = {
	{ IPC_STATUS_NEXT, admin_status_next },
	{ IPC_ADMIN_LOG, on_log },
	{ IPC_ADMIN_RESTART, on_restart },
	{ IPC_ADMIN_RELOAD, on_reload },
	{ IPC_ADMIN_CAPTURE, on_capture },
	{ IPC_ADMIN_TAP, on_tap },
	{ IPC_PORTS_NEXT, on_ports_next },
	{ IPC_PORTS_ADD, on_ports_add },
	{ IPC_PORTS_REMOVE, on_ports_remove },
};

static void
client_msg(struct ipc *ipc, struct ipc_msg *m)
{
	struct admin *a = ipc_data(ipc);
	size_t i;

	for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		if (handlers[i].type != m->type)
			continue;
		handlers[i].fn(a->sup, ipc, m);
		return;
	}
	done(ipc, "not in this version");
}

/*
 * Clients.
 */

static void
client_gone(struct ipc *ipc, const char *why)
{
	struct admin *a = ipc_data(ipc);

	if (why != NULL)
		log_info("admin client: %s", why);
	captures_end(a, ipc);
	portlist_forget(&a->sup->ports.list, ipc);
	vm_tap_client_gone(&a->sup->vms, ipc);
	unlist(a, ipc);
	ipc_free(ipc);
}

static const struct ipc_events client_events = { client_msg, client_gone };

/* The user we are, or root: the mode says the same, but may be changed. */
static bool
is_allowed(int fd)
{
	uid_t uid;

	if (plat_peer_uid(fd, &uid) == -1)
		return false;
	if (uid == geteuid() || uid == 0)
		return true;
	log_warnx("admin socket: user %u is refused", (unsigned)uid);
	return false;
}

static void
accept_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct admin *a = w->data;
	struct ipc *ipc;
	int fd;

	fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd == -1 && errno != EAGAIN && errno != EINTR) {
		/* Of descriptors, say: it would be there at once again. */
		ev_io_stop(loop, &a->rd);
		ev_timer_start(loop, &a->rest);
	}
	if (fd == -1)
		return;
	if (a->nclient == ADMIN_MAXCLIENTS || !is_allowed(fd)) {
		close(fd);
		return;
	}
	ipc = ipc_new(loop, fd, ROLE_MAIN, ROLE_ADMIN, 0, &client_events, a);
	if (ipc == NULL)
		return;
	ipc_hold(ipc);
	a->client[a->nclient++] = ipc;
	ipc_send(
	    ipc, IPC_ADMIN_HELLO, NULL, 0, "{s:s}", "version", VPNKIT_VERSION);
}

static void
rest_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct admin *a = w->data;

	ev_io_start(loop, &a->rd);
}

/*
 * The socket.
 */

/* A path beside the one of a URL; "" when that is none. */
static void
beside(const char *url, char *buf, size_t size)
{
	const char *why;
	struct url u;

	buf[0] = '\0';
	if (url == NULL || url_parse(url, &u, &why) == -1 || u.kind != URL_PATH)
		return;
	if (strlcpy(buf, u.path, size) >= size ||
	    strlcat(buf, ".admin", size) >= size) {
		log_warnx("no admin socket: %s is too long", url);
		buf[0] = '\0';
	}
}

/* Where it goes; "" for nowhere. */
static void
choose_path(const struct options *op, char *buf, size_t size)
{
	const char *run = getenv("RUNTIME_DIRECTORY");

	buf[0] = '\0';
	if (op->admin != NULL) {
		if (strcmp(op->admin, "none") != 0)
			strlcpy(buf, op->admin, size);
		return;
	}
	beside(op->ethernet, buf, size);
	if (buf[0] == '\0' && run != NULL && *run == '/' &&
	    snprintf(buf, size, "%s/admin.sock", run) >= (int)size)
		buf[0] = '\0';
	if (buf[0] == '\0')
		beside(op->ethernet_qemu, buf, size);
	if (buf[0] == '\0' && op->ethernet_dgram.n > 0)
		beside(op->ethernet_dgram.v[0], buf, size);
}

/* Of an earlier run; what is no socket is somebody's, and stays. */
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

static int
bind_path(struct admin *a, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t mask;
	int r;

	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	if (remove_stale(path) == -1)
		return -1;
	a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd == -1)
		return -1;
	/* Never there with another mode, not even for a moment. */
	mask = umask(0177);
	r = bind(a->fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (r == -1 || lstat(path, &st) == -1)
		return -1;
	strlcpy(a->path, path, sizeof(a->path));
	a->dev = st.st_dev;
	a->ino = st.st_ino;
	return listen(a->fd, ADMIN_MAXCLIENTS);
}

int
admin_open(struct admin *a, struct sup *s, const struct options *op)
{
	char path[sizeof(a->path)];

	a->sup = s;
	a->fd = -1;
	ev_init(&a->rd, accept_cb);
	ev_init(&a->rest, rest_cb);
	choose_path(op, path, sizeof(path));
	if (path[0] == '\0')
		return 0;
	if (bind_path(a, path) == -1) {
		log_warn("admin socket %s", path);
		admin_close(a);
		return op->admin != NULL ? -1 : 0;
	}
	ev_timer_init(&a->rest, rest_cb, REST_SECS, 0.);
	a->rest.data = a;
	ev_io_init(&a->rd, accept_cb, a->fd, EV_READ);
	a->rd.data = a;
	ev_io_start(s->loop, &a->rd);
	return 0;
}

void
admin_close(struct admin *a)
{
	struct stat st;

	if (a->sup == NULL)
		return;
	while (a->nclient > 0) {
		captures_end(a, a->client[--a->nclient]);
		portlist_forget(&a->sup->ports.list, a->client[a->nclient]);
		ipc_free(a->client[a->nclient]);
	}
	if (a->fd != -1) {
		ev_io_stop(a->sup->loop, &a->rd);
		ev_timer_stop(a->sup->loop, &a->rest);
		close(a->fd);
		a->fd = -1;
	}
	/* Only if it is still ours. */
	if (a->path[0] != '\0' && lstat(a->path, &st) == 0 &&
	    st.st_dev == a->dev && st.st_ino == a->ino)
		unlink(a->path);
	a->path[0] = '\0';
}
