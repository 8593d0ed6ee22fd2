/*
 * Everything around a front; see frontlab.h.
 */

#include "tests/integ/frontlab.h"

#include <dirent.h>
#include <ev.h>

#include "tests/integ/alone.h"

struct frontlab t;

/*
 * Our portd and supervisor.
 */

static const char *
str(const struct ipc_msg *m, const char *name)
{
	return ipc_str(m, name);
}

static struct made *
made_find(uint32_t id)
{
	size_t i;

	for (i = 0; i < t.nmade; i++) {
		if (t.made[i].there && t.made[i].id == id)
			return &t.made[i];
	}
	return NULL;
}

size_t
made_count(void)
{
	size_t i, n = 0;

	for (i = 0; i < t.nmade; i++)
		n += t.made[i].there;
	return n;
}

static void
on_add(struct ipc *ipc, const struct ipc_msg *m)
{
	struct made *w;
	size_t i;

	for (i = 0; i < t.nmade && t.made[i].there; i++)
		continue;
	ck_assert_uint_lt(i, MAXFWDS);
	if (i == t.nmade)
		t.nmade++;
	w = &t.made[i];
	memset(w, 0, sizeof(*w));
	t.last_id = w->id = (uint32_t)ipc_u64(m, "id");
	snprintf(w->proto, sizeof(w->proto), "%s", str(m, "proto"));
	snprintf(w->addr, sizeof(w->addr), "%s", str(m, "addr"));
	snprintf(w->dst, sizeof(w->dst), "%s", str(m, "dst"));
	snprintf(w->dpath, sizeof(w->dpath), "%s", str(m, "dpath"));
	snprintf(w->via, sizeof(w->via), "%s", str(m, "via"));
	w->port = (uint16_t)ipc_u64(m, "port");
	t.adds++;
	if (t.silent)
		return;
	if (t.refuse != NULL) {
		ipc_send(ipc, IPC_FORWARD_FAILED, NULL, 0, "{s:I,s:s,s:s}",
		    "id", (json_int_t)w->id, "error", t.refuse, "why", "");
		return;
	}
	if (w->port == 0)
		w->port = 40000;
	w->there = true;
	ipc_send(ipc, IPC_FORWARD_ADDED, NULL, 0, "{s:I,s:i}", "id",
	    (json_int_t)w->id, "port", (int)w->port);
}

static void
on_portd_msg(struct ipc *ipc, struct ipc_msg *m)
{
	uint32_t id = (uint32_t)ipc_u64(m, "id");
	struct made *w;

	switch (m->type) {
	case IPC_FORWARD_ADD:
		on_add(ipc, m);
		break;
	case IPC_FORWARD_REMOVE:
		t.removes++;
		if ((w = made_find(id)) != NULL)
			w->there = false;
		ipc_send(ipc, IPC_FORWARD_GONE, NULL, 0, "{s:I,s:s}", "id",
		    (json_int_t)id, "why", "");
		break;
	case IPC_TUNNEL_OPEN:
		t.opens++;
		t.last_open = id;
		break;
	case IPC_TUNNEL_CLOSE:
		t.closes++;
		break;
	case IPC_VIA_ANSWER:
		t.via = ipc_bool(m, "accepted");
		break;
	default:
		ck_abort_msg("unexpected message");
	}
}

static void
on_sup_msg(struct ipc *ipc, struct ipc_msg *m)
{
	ck_assert_int_ne(m->type, IPC_BAD_PEER);
	if (m->type == IPC_READY)
		t.ready = true;
	t.dropped += m->type == IPC_PORT_DROPPED;
	if (m->type == IPC_PORT_HELD) {
		t.held++;
		t.last_held.id = (uint32_t)ipc_u64(m, "id");
		t.last_held.want = (uint16_t)ipc_u64(m, "want");
		t.last_held.port = (uint16_t)ipc_u64(m, "port");
		snprintf(
		    t.last_held.by, sizeof(t.last_held.by), "%s", str(m, "by"));
		snprintf(t.last_held.addr, sizeof(t.last_held.addr), "%s",
		    str(m, "addr"));
		snprintf(t.last_held.note, sizeof(t.last_held.note), "%s",
		    str(m, "note"));
	}
	if (m->type != IPC_HTTP_SHOW && m->type != IPC_HTTP_SET)
		return;
	t.asks++;
	t.asked = m->type;
	t.ask_id = (uint32_t)ipc_u64(m, "id");
	snprintf(t.ask_text, sizeof(t.ask_text), "%s",
	    m->type == IPC_HTTP_SET ? str(m, "text") : "");
}

static void
on_gone(struct ipc *ipc, const char *why)
{
	ck_assert_msg(why == NULL, "broke the protocol: %s", why);
	t.gone = true;
	ipc_free(ipc);
	if (ipc == t.sup)
		t.sup = NULL;
	else
		t.portd = NULL;
}

static const struct ipc_events sup_events = { on_sup_msg, on_gone };
static const struct ipc_events portd_events = { on_portd_msg, on_gone };

/* Turns our loop when there is something for it, or for fd. */
void
turn(int fd, short wanted)
{
	struct pollfd p[3] = { { fd, wanted, 0 }, { -1, POLLIN, 0 },
		{ -1, POLLIN, 0 } };

	ev_run(t.loop, EVRUN_NOWAIT);
	if (t.portd != NULL)
		p[1].fd = ipc_fd(t.portd);
	if (t.sup != NULL)
		p[2].fd = ipc_fd(t.sup);
	(void)poll(p, 3, LOOK_MS);
	ev_run(t.loop, EVRUN_NOWAIT);
}

static usec_t deadline;

void
patience(void)
{
	deadline = plat_now() + DEADLINE_S * USEC_SEC;
}

void
still_patient(void)
{
	ck_assert_msg(plat_now() < deadline, "nothing happens any more");
	ck_assert(!t.gone);
}

void
new_portd(void)
{
	t.portd = ipc_new(t.loop, alone_peer(t.sup, ROLE_PORT, 0), ROLE_PORT,
	    ROLE_FRONT, 0, &portd_events, NULL);
}

void
lose_portd(void)
{
	ipc_free(t.portd);
	t.portd = NULL;
	ipc_send(t.sup, IPC_PEER_GONE, NULL, 0, "{s:s,s:i}", "role",
	    ipc_role_name[ROLE_PORT], "vm", 0);
	memset(t.made, 0, sizeof(t.made));
	t.nmade = 0;
}

void
conf(const char *tunnel, const char *protocol)
{
	ipc_send(t.sup, IPC_CONF_FRONT, NULL, 0, "{s:s,s:s}", "tunnel", tunnel,
	    "protocol", protocol);
}

static void
setup(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char front[] = "front";
	char *argv[] = { (char *)(uintptr_t)t.exe, front, NULL };
	int bus, fd;

	t.loop = ev_default_loop(0);
	t.via = -1;
	t.pid = alone_start(t.exe, argv, -1, &bus, &t.stats);
	t.sup =
	    ipc_new(t.loop, bus, ROLE_MAIN, ROLE_FRONT, 0, &sup_events, NULL);
	/* An abstract name: nothing to remove. */
	snprintf(t.path, sizeof(t.path), "vpnkit-test-front.%d", getpid());
	memcpy(sun.sun_path + 1, t.path, strlen(t.path));
	t.control =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(
	    bind(t.control, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ck_assert_int_eq(listen(t.control, 1024), 0);
	fd = fcntl(t.control, F_DUPFD_CLOEXEC, 0);
	conf("", "auto");
	new_portd();
	ipc_send(t.sup, IPC_LISTENER, &fd, 1, "{s:s}", "kind", "port");
	UNTIL(t.ready);
}

static void
teardown(void)
{
	ck_assert(!t.gone);
	ipc_free(t.portd);
	ipc_free(t.sup);
	alone_ended(t.pid);
}

uint64_t
counter(const char *name)
{
	return alone_counter(t.stats, name);
}

/* Descriptors of the process; -1 where we may not look. */
int
count_fds(void)
{
	char path[64];
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)t.pid);
	if ((d = opendir(path)) == NULL)
		return -1;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/*
 * Clients.
 */

int
client(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memcpy(sun.sun_path + 1, t.path, strlen(t.path));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

void
put(int fd, const void *p, size_t n)
{
	const char *c = p;
	ssize_t w;

	for (patience(); n > 0; still_patient()) {
		w = send(fd, c, n, MSG_NOSIGNAL);
		if (w == -1) {
			ck_assert_int_eq(errno, EAGAIN);
			turn(fd, POLLOUT);
			continue;
		}
		c += w;
		n -= (size_t)w;
	}
}

/* Reads n bytes, or fewer when the other end ends; how many. */
size_t
get(int fd, void *p, size_t n)
{
	size_t have = 0;
	ssize_t r;

	for (patience(); have < n; still_patient()) {
		r = recv(fd, (char *)p + have, n - have, 0);
		if (r == 0 || (r == -1 && errno != EAGAIN))
			break;
		if (r > 0)
			have += (size_t)r;
		else
			turn(fd, POLLIN);
	}
	return have;
}

/* One request over HTTP; the answer is in a static buffer. */
const char *
http(const char *method, const char *path, const char *body)
{
	static char buf[300000];
	int fd = client();
	size_t n;

	n = (size_t)snprintf(buf, sizeof(buf),
	    "%s %s HTTP/1.1\r\nHost: unix\r\nConnection: close\r\n"
	    "Content-Length: %zu\r\n\r\n%s",
	    method, path, strlen(body), body);
	put(fd, buf, n);
	n = get(fd, buf, sizeof(buf) - 1);
	buf[n] = '\0';
	close(fd);
	return buf;
}

bool
begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

const char *
body_of(const char *answer)
{
	const char *b = strstr(answer, "\r\n\r\n");

	return b != NULL ? b + 4 : "";
}

/* A 9P client on our pump. */
size_t
np_xfer(void *arg, const void *out, size_t n, void *in, size_t max)
{
	int fd = *(int *)arg;
	uint8_t *p = in;
	uint32_t size;

	put(fd, out, n);
	if (get(fd, p, 4) != 4)
		return 0;
	size = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
	ck_assert_uint_le(size, max);
	return get(fd, p + 4, size - 4) == size - 4 ? size : 0;
}

int
frontlab_main(int argc, char *argv[], const char *name,
    const TTest *const *tests, size_t n)
{
	TCase *tc = tcase_create(name);
	size_t i;

	if (argc < 2)
		return 2;
	t.exe = argv[1];
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	for (i = 0; i < n; i++)
		tcase_add_test(tc, tests[i]);
	return check_case(name, tc);
}
