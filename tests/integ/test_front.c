/*
 * A real front, with this program as its supervisor, its portd, the clients of
 * its control sockets, and the forwarder in the VM.
 *
 * The first argument is the executable, portd's.
 */

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/plat/plat.h"
#include "portd/front/mux.h"
#include "portd/front/ninep.h"

#include "tests/integ/ninep_client.h"

#define nitems(a)  (sizeof(a) / sizeof((a)[0]))
#define LOOK_MS	   20 /* between two turns of our own loop */
#define DEADLINE_S 60
#define MAXFWDS	   4096

/* A forward as our portd has it. */
struct made {
	bool there;
	uint32_t id;
	char proto[8], addr[128], dst[64], dpath[128], via[8];
	uint16_t port;
};

static struct {
	const char *exe;
	struct ev_loop *loop;
	pid_t pid;
	struct stats_file *stats;
	struct ipc *sup, *portd; /* owned */
	bool ready, gone;
	/* Our portd. */
	const char *refuse; /* with this error */
	bool silent;	    /* answers nothing */
	struct made made[MAXFWDS];
	size_t nmade;
	unsigned adds, removes, opens, closes;
	uint32_t last_open; /* id of the last tunnel-open */
	uint32_t last_id;   /* of the last forward */
	int via;	    /* the last answer; -1: none */
	int control;	    /* listening; the path is in dir */
	char path[64];
} t;

/*
 * Our portd and supervisor.
 */

static const char *
str(const struct ipc_msg *m, const char *name)
{
	return json_string_value(json_object_get(m->body, name));
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

static size_t
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
		t.via = json_is_true(json_object_get(m->body, "accepted"));
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
static void
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

static void
patience(void)
{
	deadline = plat_now() + DEADLINE_S * USEC_SEC;
}

static void
still_patient(void)
{
	ck_assert_msg(plat_now() < deadline, "nothing happens any more");
	ck_assert(!t.gone);
}

#define UNTIL(cond)                                                            \
	for (patience(); !(cond); still_patient())                             \
	turn(-1, 0)

static void
new_portd(void)
{
	int sv[2];

	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	t.portd = ipc_new(
	    t.loop, sv[0], ROLE_PORT, ROLE_FRONT, 0, &portd_events, NULL);
	ipc_send(t.sup, IPC_PEER, &sv[1], 1, "{s:s,s:i}", "role",
	    ipc_role_name[ROLE_PORT], "vm", 0);
}

static void
lose_portd(void)
{
	ipc_free(t.portd);
	t.portd = NULL;
	ipc_send(t.sup, IPC_PEER_GONE, NULL, 0, "{s:s,s:i}", "role",
	    ipc_role_name[ROLE_PORT], "vm", 0);
	memset(t.made, 0, sizeof(t.made));
	t.nmade = 0;
}

static void
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
	int sv[2], mem, map[2][2], fd;
	struct plat_spawn spawn = {
		.path = t.exe, .argv = argv, .fdmap = map, .nfdmap = 2
	};

	signal(SIGPIPE, SIG_IGN);
	t.loop = ev_default_loop(0);
	t.via = -1;
	mem = plat_memfd("stats", STATS_BYTES);
	t.stats = mmap(NULL, STATS_BYTES, PROT_READ, MAP_SHARED, mem, 0);
	ck_assert(t.stats != MAP_FAILED);
	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	map[0][0] = sv[1];
	map[0][1] = DAEMON_BUS_FD;
	map[1][0] = mem;
	map[1][1] = DAEMON_STATS_FD;
	t.pid = plat_spawn(&spawn);
	ck_assert_int_ne(t.pid, -1);
	close(sv[1]);
	close(mem);
	t.sup =
	    ipc_new(t.loop, sv[0], ROLE_MAIN, ROLE_FRONT, 0, &sup_events, NULL);
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
	int status;

	ck_assert(!t.gone);
	ipc_free(t.portd);
	ipc_free(t.sup);
	ck_assert_int_eq(waitpid(t.pid, &status, 0), t.pid);
	ck_assert_msg(WIFEXITED(status), "killed by %d", WTERMSIG(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}

static uint64_t
counter(const char *name)
{
	size_t i;

	for (i = 0; i < t.stats->n; i++) {
		if (strcmp(t.stats->name[i], name) == 0)
			return t.stats->value[i];
	}
	ck_abort_msg("no counter %s", name);
	return 0;
}

/* Descriptors of the process; -1 where we may not look. */
static int
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

static int
client(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memcpy(sun.sun_path + 1, t.path, strlen(t.path));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static void
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
static size_t
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
static const char *
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

#define HTTP_OK "HTTP/1.1 200 OK\r\n"
#define EMPTY	HTTP_OK "Content-Length: 0\r\nConnection: close\r\n\r\n"

static bool
begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static const char *
body_of(const char *answer)
{
	const char *b = strstr(answer, "\r\n\r\n");

	return b != NULL ? b + 4 : "";
}

/* A 9P client on our pump. */
static size_t
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

/* Asks for a forward; the fd of its client, whose ctl is open as fid 1. */
static int
forward9p(const char *name, const char *spec, char *result, size_t size)
{
	int fd = client();
	struct npc c = { .xfer = np_xfer, .arg = &fd };

	ck_assert_int_eq(npc_attach(&c), 0);
	ck_assert_int_eq(npc_forward(&c, name, 1, spec, result, size), 0);
	return fd;
}

#define SPEC "tcp:127.0.0.1:0:tcp:192.168.65.3:80"
#define REAL "tcp:127.0.0.1:40000:tcp:192.168.65.3:80"
#define JSON_PORT                                                              \
	"{\"proto\":\"tcp\",\"out_ip\":\"127.0.0.1\",\"out_port\":8080,"       \
	"\"in_ip\":\"192.168.65.3\",\"in_port\":80}"
#define JSON_ANY                                                               \
	"{\"proto\":\"tcp\",\"out_ip\":\"127.0.0.1\",\"in_ip\":"               \
	"\"192.168.65.3\",\"in_port\":80}"

/*
 * 9P.
 */

START_TEST(forward_lives_with_its_client)
{
	char result[256];
	int fd = forward9p("x", SPEC "\n", result, sizeof(result));

	ck_assert_str_eq(result, "OK " REAL "\n");
	ck_assert_uint_eq(made_count(), 1);
	ck_assert_str_eq(t.made[0].proto, "tcp");
	ck_assert_str_eq(t.made[0].addr, "127.0.0.1");
	ck_assert_str_eq(t.made[0].dst, "192.168.65.3");
	ck_assert_str_eq(t.made[0].via, "net");
	close(fd);
	UNTIL(made_count() == 0);
	ck_assert_uint_eq(t.removes, 1);
}
END_TEST

START_TEST(errors_of_portd)
{
	char result[256];

	t.refuse = "EADDRINUSE";
	close(forward9p("x", SPEC, result, sizeof(result)));
	ck_assert_str_eq(result, "ERROR Bind for 127.0.0.1:0 failed: port is "
				 "already allocated\n");
	t.refuse = "EACCES";
	close(forward9p("x", SPEC, result, sizeof(result)));
	ck_assert_str_eq(
	    result, "ERROR Bind for 127.0.0.1:0 failed: permission denied\n");
	ck_assert(begins(
	    http("POST", "/forwards/expose/port", JSON_PORT), "HTTP/1.1 400 "));
	UNTIL(counter("clients") == 0 && counter("forwards") == 0);
	ck_assert_uint_eq(t.removes, 0);
}
END_TEST

START_TEST(unix_paths)
{
	char result[256];
	int fd = forward9p(
	    "x", "unix:L3RtcC9mb28=:unix:L3Zhci9iYXI=", result, sizeof(result));

	ck_assert(begins(result, "OK unix:L3RtcC9mb28=:unix:L3Zhci9iYXI=\n"));
	ck_assert_str_eq(t.made[0].addr, "/tmp/foo");
	ck_assert_str_eq(t.made[0].dpath, "/var/bar");
	close(fd);
}
END_TEST

/* A client that asks and goes before the answer. */
START_TEST(gone_before_the_answer)
{
	int fd = client(), before;
	struct npc c = { .xfer = np_xfer, .arg = &fd };
	char out[256];
	size_t n;

	ck_assert_int_eq(npc_attach(&c), 0);
	ck_assert_int_eq(npc_ctl(&c, "x", 1), 0);
	before = count_fds();
	t.silent = true;
	n = npc_write_msg(out, sizeof(out), 1, SPEC);
	put(fd, out, n);
	UNTIL(t.adds == 1);
	close(fd);
	/* What portd says now is for nobody; what it listens on ends. */
	ipc_send(t.portd, IPC_FORWARD_ADDED, NULL, 0, "{s:I,s:i}", "id",
	    (json_int_t)t.last_id, "port", 5);
	UNTIL(t.removes == 1);
	UNTIL(counter("forwards") == 0 && counter("clients") == 0);
	ck_assert(before == -1 || count_fds() < before);
}
END_TEST

/* portd dies: the forwards are asked for again, on the ports they had. */
START_TEST(portd_again)
{
	char result[256];
	int a = forward9p("a", SPEC, result, sizeof(result));
	int b = forward9p(
	    "b", "udp:0.0.0.0:53:udp:10.0.0.1:53", result, sizeof(result));

	ck_assert_str_eq(
	    http("POST", "/forwards/expose/port", JSON_PORT), EMPTY);
	lose_portd();
	new_portd();
	UNTIL(made_count() == 3);
	ck_assert_uint_eq(t.made[0].port, 40000);
	ck_assert_uint_eq(t.made[1].port, 53);
	ck_assert_uint_eq(t.made[2].port, 8080);
	close(a);
	close(b);
	UNTIL(made_count() == 1);
}
END_TEST

/* Asked while there is no portd: answered when there is one. */
START_TEST(no_portd)
{
	char out[256], in[64];
	int fd = client();
	struct npc c = { .xfer = np_xfer, .arg = &fd };

	lose_portd();
	ck_assert_int_eq(npc_attach(&c), 0);
	ck_assert_int_eq(npc_ctl(&c, "x", 1), 0);
	put(fd, out, npc_write_msg(out, sizeof(out), 1, SPEC));
	ck_assert(begins(http("GET", "/forwards/list", ""), HTTP_OK));
	new_portd();
	ck_assert_uint_eq(get(fd, in, 11), 11);
	ck_assert_int_eq(in[4], NP_TWRITE + 1);
	UNTIL(made_count() == 1);
	close(fd);
}
END_TEST

/* It can be had no more: the next reader of ctl is told. */
START_TEST(portd_again_refuses)
{
	char result[256];
	int fd = forward9p("a", SPEC, result, sizeof(result));
	struct npc c = { .xfer = np_xfer, .arg = &fd };

	t.refuse = "EADDRINUSE";
	lose_portd();
	new_portd();
	UNTIL(counter("forwards") == 0);
	ck_assert_int_eq(npc_read(&c, 1, result, sizeof(result)), 0);
	ck_assert(begins(result, "ERROR Bind for "));
	close(fd);
}
END_TEST

/* 100 forwards made and removed 100 times, in both ways. */
START_TEST(hundred_times_hundred)
{
	char name[32], result[256];
	int before, i, j, fd = client();
	struct npc c = { .xfer = np_xfer, .arg = &fd };

	ck_assert_int_eq(npc_attach(&c), 0);
	before = count_fds();
	for (i = 0; i < 100; i++) {
		for (j = 0; j < 100; j++) {
			snprintf(name, sizeof(name), "n%d", j);
			ck_assert_int_eq(npc_forward(&c, name, (uint32_t)j + 1,
					     SPEC, result, sizeof(result)),
			    0);
			ck_assert_str_eq(result, "OK " REAL "\n");
		}
		ck_assert_uint_eq(made_count(), 100);
		for (j = 0; j < 100; j++)
			ck_assert_int_eq(npc_clunk(&c, (uint32_t)j + 1), 0);
		UNTIL(made_count() == 0);
	}
	UNTIL(counter("forwards") == 0);
	ck_assert_int_eq(count_fds(), before);
	close(fd);
}
END_TEST

/*
 * HTTP.
 */

START_TEST(list_expose_unexpose)
{
	ck_assert_str_eq(body_of(http("GET", "/forwards/list", "")), "[]");
	ck_assert_str_eq(
	    http("PUT", "/forwards/expose/port", JSON_PORT), EMPTY);
	ck_assert_uint_eq(made_count(), 1);
	/* Once more is the same. */
	ck_assert_str_eq(
	    http("POST", "/forwards/expose/port", JSON_PORT), EMPTY);
	ck_assert_uint_eq(t.adds, 1);
	ck_assert_str_eq(
	    body_of(http("GET", "/forwards/list", "")), "[" JSON_PORT "]");
	ck_assert_str_eq(
	    http("DELETE", "/forwards/unexpose/port", JSON_PORT), EMPTY);
	ck_assert_uint_eq(made_count(), 0);
	ck_assert_str_eq(
	    http("DELETE", "/forwards/unexpose/port", JSON_PORT), EMPTY);
	ck_assert_str_eq(body_of(http("GET", "/forwards/list", "")), "[]");
}
END_TEST

/* A port of our choice: shown, and withdrawn by either form. */
START_TEST(any_port)
{
	static const char real[] =
	    "{\"proto\":\"tcp\",\"out_ip\":\"127.0.0.1\",\"out_port\":40000,"
	    "\"in_ip\":\"192.168.65.3\",\"in_port\":80}";

	http("POST", "/forwards/expose/port", JSON_ANY);
	ck_assert_ptr_nonnull(strstr(http("GET", "/forwards/list", ""), real));
	http("POST", "/forwards/unexpose/port", JSON_ANY);
	ck_assert_uint_eq(made_count(), 0);
	http("POST", "/forwards/expose/port", JSON_ANY);
	http("POST", "/forwards/expose/port", JSON_ANY);
	ck_assert_uint_eq(made_count(), 2);
	http("POST", "/forwards/unexpose/port", real);
	http("POST", "/forwards/unexpose/port", JSON_ANY);
	ck_assert_uint_eq(made_count(), 0);
}
END_TEST

START_TEST(annotations_differ)
{
	static const char noted[] =
	    "{\"proto\":\"udp\",\"out_ip\":\"127.0.0.1\",\"out_port\":8080,"
	    "\"in_ip\":\"192.168.65.3\",\"in_port\":80,"
	    "\"annotation\":\"kube\"}";

	http("POST", "/forwards/expose/port", noted);
	http("POST", "/forwards/expose/port", JSON_PORT);
	ck_assert_uint_eq(made_count(), 2);
	http("POST", "/forwards/unexpose/port", noted);
	ck_assert_str_eq(
	    body_of(http("GET", "/forwards/list", "")), "[" JSON_PORT "]");
}
END_TEST

START_TEST(http_errors)
{
	ck_assert(begins(http("GET", "/", ""), "HTTP/1.1 404 "));
	ck_assert(begins(http("PUT", "/forwards/list", ""), "HTTP/1.1 405 "));
	ck_assert_str_eq(body_of(http("PUT", "/forwards/expose/port", "{")),
	    "{\"message\":\"not JSON: string or '}' expected near end of "
	    "file\"}");
	ck_assert_int_eq(body_of(http("PUT", "/forwards/expose/port",
			     "{\"proto\":\"unix\"}"))[0],
	    '"');
	t.refuse = "EADDRINUSE";
	ck_assert_ptr_nonnull(
	    strstr(http("PUT", "/forwards/expose/port", JSON_PORT),
		"{\"message\":\"listen tcp 127.0.0.1:8080: bind: address "
		"already in use\"}"));
	t.refuse = "EADDRNOTAVAIL";
	ck_assert_ptr_nonnull(
	    strstr(http("PUT", "/forwards/expose/port", JSON_PORT),
		"assign requested address"));
	t.refuse = "EEXIST";
	ck_assert_ptr_nonnull(strstr(
	    http("PUT", "/forwards/expose/pipe",
		"{\"proto\":\"unix\",\"out_path\":\"/a\",\"in_path\":\"/b\"}"),
	    "refusing to remove path /a"));
	ck_assert(begins(
	    http("GET /forwards/list HTTP/1.1\r\nA", "", ""), "HTTP/1.1 400 "));
	ck_assert(begins(http("GET", "/forwards/dump", ""),
	    HTTP_OK "Content-Type: text/plain"));
}
END_TEST

/* Requests behind each other on one connection, a byte at a time. */
START_TEST(pipelined)
{
	static const char req[] =
	    "PUT /forwards/expose/port HTTP/1.1\r\nHost: a\r\n"
	    "Content-Length: 93\r\n\r\n" JSON_PORT
	    "\n\n\n\n\nGET /forwards/list HTTP/1.1\r\nHost: a\r\n\r\n"
	    "PUT /forwards/expose/port HTTP/1.1\r\nHost: a\r\n"
	    "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
	char in[512];
	int fd = client();
	size_t i;

	ck_assert_uint_eq(strlen(JSON_PORT), 88);
	for (i = 0; i < sizeof(req) - 1; i++)
		put(fd, req + i, 1);
	ck_assert_uint_eq(get(fd, in, 38), 38);
	ck_assert(begins(in, HTTP_OK "Content-Length: 0\r\n\r\n"));
	ck_assert_uint_eq(get(fd, in, 71 + 90 + 25), 71 + 90 + 25);
	ck_assert(begins(in, HTTP_OK "Content-Type: application/json\r\n"));
	ck_assert(
	    memcmp(in + 71 + 90, "HTTP/1.1 100 Continue\r\n\r\n", 25) == 0);
	put(fd, "{}", 2);
	ck_assert_uint_eq(get(fd, in, 17), 17);
	ck_assert(begins(in, "HTTP/1.1 400 Bad "));
	close(fd);
}
END_TEST

/* It sends all it has to say and shuts down: still answered. */
START_TEST(half_closed)
{
	char in[64];
	int fd = client();

	put(fd, "GET /forwards/list HTTP/1.1\r\nHost: a\r\n\r\n", 40);
	shutdown(fd, SHUT_WR);
	ck_assert_uint_eq(get(fd, in, 15), 15);
	ck_assert(begins(in, "HTTP/1.1 200 OK"));
	close(fd);
}
END_TEST

/*
 * Clients that mean no good.
 */

/* Asks without end and never reads: nobody else waits. */
START_TEST(never_reads)
{
	static const char req[] = "GET /forwards/dump HTTP/1.1\r\nHost: a\r\n"
				  "\r\n";
	int fd = client(), i;
	ssize_t n = 0;

	for (i = 0; i < 100000 && n != -1; i++)
		n = send(fd, req, sizeof(req) - 1, MSG_NOSIGNAL);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_str_eq(body_of(http("GET", "/forwards/list", "")), "[]");
	close(fd);
	UNTIL(counter("clients") == 0);
}
END_TEST

START_TEST(garbage)
{
	static const struct {
		const char *p;
		size_t n;
	} all[] = {
		{ "\0\0\0\0\0\0\0\0", 8 },
		{ "\xff\xff\xff\xff\x64", 5 },
		{ "\6\0\0\0\x64\xff\xff", 7 },
		{ "\x13\0\0\0\x64\xff\xff\0\0\0\0\xff\xff"
		  "9P2000",
		    19 },
		{ "\1\2\3", 3 },
		{ "G\0\0\0\0\r\n\r\n", 9 },
		{ "hello\n", 6 },
	};
	char in[512];
	size_t i;
	int fd;

	for (i = 0; i < nitems(all); i++) {
		fd = client();
		put(fd, all[i].p, all[i].n);
		shutdown(fd, SHUT_WR);
		while (get(fd, in, sizeof(in)) == sizeof(in))
			continue;
		close(fd);
	}
	UNTIL(counter("clients") == 0);
	ck_assert_uint_ge(counter("clients-of-neither"), 3);
}
END_TEST

/* More clients than there are places: the silent ones go first. */
START_TEST(crowd)
{
	char result[256], c;
	int fd[400], busy;
	size_t i, gone = 0;

	busy = forward9p("x", SPEC, result, sizeof(result));
	for (i = 0; i < nitems(fd); i++)
		fd[i] = client();
	UNTIL(counter("refused-clients") >= 145);
	ck_assert_str_eq(body_of(http("GET", "/forwards/list", "")), "[]");
	for (i = 0; i < nitems(fd); i++) {
		gone += recv(fd[i], &c, 1, 0) == 0;
		close(fd[i]);
	}
	ck_assert_uint_ge(gone, 145);
	ck_assert_uint_eq(made_count(), 1);
	UNTIL(counter("clients") == 1);
	close(busy);
	UNTIL(made_count() == 0);
}
END_TEST

/*
 * Unix sockets that are asked before a stream.
 */

/* What front asks, and our answer. */
static int
via(const char *answer, size_t len)
{
	static const char want[] =
	    "{\"protocol\":\"tcp\",\"src_ip\":\"0.0.0.0\",\"src_port\":0,"
	    "\"dst_ip\":\"10.1.2.3\",\"dst_port\":443}";
	char in[256];
	int sv[2];

	t.via = -1;
	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	ipc_send(t.portd, IPC_VIA_CONN, &sv[1], 1, "{s:i,s:s,s:i}", "id", 9,
	    "dst", "10.1.2.3", "dport", 443);
	ck_assert_uint_eq(get(sv[0], in, 2), 2);
	ck_assert_int_eq((uint8_t)in[0], sizeof(want) - 1);
	ck_assert_int_eq(in[1], 0);
	ck_assert_uint_eq(get(sv[0], in, sizeof(want) - 1), sizeof(want) - 1);
	ck_assert_mem_eq(in, want, sizeof(want) - 1);
	if (len > 0)
		put(sv[0], answer, len);
	else
		close(sv[0]);
	UNTIL(t.via != -1);
	if (len > 0)
		close(sv[0]);
	return t.via;
}

START_TEST(via_answers)
{
	ck_assert_int_eq(via("\x11\0{\"accepted\":true}", 19), 1);
	/* The stream behind it is not front's to read. */
	ck_assert_int_eq(via("\x11\0{\"accepted\":true}and more", 27), 1);
	ck_assert_int_eq(via("\x12\0{\"accepted\":false}", 20), 0);
	ck_assert_int_eq(via("\x11\0{\"accepted\":tru!}", 19), 0);
	ck_assert_int_eq(via("\2\0{}", 4), 0);
	ck_assert_int_eq(via("\0\0", 2), 0);
	ck_assert_int_eq(via("\xff\xff{", 3), 0);
	ck_assert_int_eq(via("", 0), 0);
}
END_TEST

int
main(int argc, char *argv[])
{
	const TTest *const tests[] = { forward_lives_with_its_client,
		errors_of_portd, unix_paths, gone_before_the_answer,
		portd_again, no_portd, portd_again_refuses,
		hundred_times_hundred, list_expose_unexpose, any_port,
		annotations_differ, http_errors, pipelined, half_closed,
		never_reads, garbage, crowd, via_answers };
	TCase *tc = tcase_create("front");
	Suite *s = suite_create("front");
	SRunner *sr;
	size_t i;
	int failed;

	if (argc < 2)
		return 2;
	t.exe = argv[1];
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	for (i = 0; i < nitems(tests); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
