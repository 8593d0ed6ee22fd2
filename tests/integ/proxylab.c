/*
 * Everything around a proxyd; see proxylab.h.
 */

#include "tests/integ/proxylab.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>

#include "tests/integ/alone.h"

struct proxylab t;

const struct settings usual = { .http = PROXYAT, .https = PROXYAT };

/*
 * portd, dnsd and the supervisor.
 */

static int
give_dead(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(1),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)connect(fd, (struct sockaddr *)&sin, sizeof(sin));
	return fd;
}

/* A stream that is full cannot be written to, as one that is connecting. */
static size_t
fill(int fd)
{
	char junk[4096] = { 0 };
	size_t n = 0;
	ssize_t w;

	while ((w = write(fd, junk, sizeof(junk))) > 0)
		n += (size_t)w;
	return n;
}

void
answer(size_t n)
{
	static char junk[1 << 20];
	int fd = server(n);

	ck_assert_uint_le(t.up[n].junk, sizeof(junk));
	ck_assert_uint_eq(get(fd, junk, t.up[n].junk), t.up[n].junk);
}

int
given(uint64_t id)
{
	int sv[2];

	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	ipc_send(t.port, IPC_SOCK_FD, &sv[1], 1, "{s:I}", "id", (json_int_t)id);
	return sv[0];
}

/* Whether t.portd is this, or that for this address. */
static bool
portd_does(enum portd what, const char *list, const struct ipaddr *a)
{
	char text[IPADDR_STRLEN];

	return t.portd == what ||
	       (list != NULL && strstr(list, ipaddr_str(a, text)) != NULL);
}

/* proxyd's end of a connection to the next server. */
static int
give(const struct ipc_msg *m)
{
	struct ipaddr a = ipc_addr(m, "addr");
	struct server *s = &t.up[t.nup++];
	int sv[2];

	ck_assert_uint_le(t.nup, MAXUPS);
	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	s->fd = sv[0];
	s->via = ipc_bool(m, "via");
	s->port = (unsigned)ipc_u64(m, "port");
	ipaddr_str(&a, s->addr);
	if (portd_does(GIVE_FULL, t.silent, &a))
		s->junk = fill(sv[1]);
	return sv[1];
}

static void
on_port(struct ipc *ipc, struct ipc_msg *m)
{
	json_int_t id = (json_int_t)ipc_u64(m, "id");
	struct ipaddr a = ipc_addr(m, "addr");
	int fd;

	ck_assert_int_eq(m->type, IPC_FETCH_OPEN);
	t.asked++;
	if (portd_does(IGNORE, t.ignored, &a)) {
		t.port_id = ipc_u64(m, "id");
		return;
	}
	if (t.portd == REFUSE || (t.refuse_v4 && a.family == 4)) {
		ipc_send(ipc, IPC_SOCK_REFUSED, NULL, 0, "{s:I,s:s}", "id", id,
		    "error", t.error);
		return;
	}
	fd = portd_does(GIVE_DEAD, t.dead, &a) ? give_dead() : give(m);
	ipc_send(ipc, IPC_SOCK_FD, &fd, 1, "{s:I}", "id", id);
}

/* Words that are separated by spaces. */
static json_t *
list(const char *words)
{
	json_t *a = json_array();
	size_t n;

	for (; words != NULL && *words != '\0'; words += n) {
		words += strspn(words, " ");
		n = strcspn(words, " ");
		json_array_append_new(a, json_stringn(words, n));
	}
	return a;
}

void
resolved(uint64_t id, const char *addrs, const char *error)
{
	ipc_send(t.dns, IPC_RESOLVED, NULL, 0, "{s:I,s:o,s:s}", "id",
	    (json_int_t)id, "addrs", list(addrs), "error", error);
}

static void
on_dns(struct ipc *ipc, struct ipc_msg *m)
{
	bool v6 = ipc_bool(m, "v6");
	const char *addr = v6 ? t.dns_addr6 : t.dns_addr;
	bool there = t.dns_addr != NULL || t.dns_addr6 != NULL;

	ck_assert_int_eq(m->type, IPC_RESOLVE);
	t.lookups++;
	t.lookups6 += v6;
	snprintf(t.name, sizeof(t.name), "%s", ipc_str(m, "name"));
	t.dns_id = ipc_u64(m, "id");
	if (t.dns_silent || (v6 && t.dns_silent6))
		return;
	resolved(t.dns_id, addr,
	    addr != NULL ? ""
	    : there	 ? "no address"
			 : "not found");
}

static void
on_sup(struct ipc *ipc, struct ipc_msg *m)
{
	ck_assert_int_ne(m->type, IPC_BAD_PEER);
	if (m->type == IPC_READY)
		t.ready = true;
}

static void
on_gone(struct ipc *ipc, const char *why)
{
	ck_abort_msg("it is gone: %s", why != NULL ? why : "end");
}

static const struct ipc_events sup_events = { on_sup, on_gone };
static const struct ipc_events port_events = { on_port, on_gone };
static const struct ipc_events dns_events = { on_dns, on_gone };

/* Turns our loop when there is something for it, or for fd. */
void
turn(int fd, short wanted)
{
	struct pollfd p[4] = { { fd, wanted, 0 }, { ipc_fd(t.sup), POLLIN, 0 },
		{ ipc_fd(t.port), POLLIN, 0 }, { ipc_fd(t.dns), POLLIN, 0 } };

	ev_run(t.loop, EVRUN_NOWAIT);
	(void)poll(p, 4, fd == -1 ? 1 : LOOK_MS);
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
}

static json_t *
one(const char *s)
{
	json_t *a = json_array();

	if (s != NULL && *s != '\0')
		json_array_append_new(a, json_string(s));
	return a;
}

void
conf(const struct settings *s)
{
	const char *http = s->http != NULL ? s->http : "";
	const char *https = s->https != NULL ? s->https : "";
	const char *auth = s->auth != NULL ? s->auth : "";

	ck_assert_int_eq(
	    ipc_send(t.sup, IPC_CONF_PROXY, NULL, 0,
		"{s:b, s:s, s:s, s:i, s:s, s:s, s:i, s:s, s:[s], s:[s], s:o, "
		"s:b, s:o, s:s, s:i, s:i, s:i, s:i}",
		"enabled", 1, "gateway-ip", GATEWAY, "http-host", http,
		"http-port", 3128, "http-auth", auth, "https-host", https,
		"https-port", 3129, "https-auth", auth, "http-ports", "80",
		"https-ports", "443", "exclude", one(s->exclude),
		"allow-enabled", s->allow != NULL, "allow", one(s->allow),
		"allow-error", "No %s here.", "head-ms",
		s->head_ms > 0 ? s->head_ms : LONG_MS, "idle-ms",
		s->idle_ms > 0 ? s->idle_ms : LONG_MS, "connect-ms",
		s->connect_ms > 0 ? s->connect_ms : LONG_MS, "hello-ms",
		s->hello_ms > 0 ? s->hello_ms : LONG_MS),
	    0);
	/* portd's link is another one. */
	UNTIL(ipc_queued(t.sup) == 0);
	taken(ipc_fd(t.sup));
}

uint64_t
counter(const char *name)
{
	return alone_counter(t.stats, name);
}

bool
logged(const char *text)
{
	static char buf[1 << 20];
	ssize_t n = pread(t.log, buf, sizeof(buf) - 1, 0);

	buf[n > 0 ? n : 0] = '\0';
	return strstr(buf, text) != NULL;
}

static void
link_to(enum ipc_role role, struct ipc **ipc, const struct ipc_events *events)
{
	*ipc = ipc_new(t.loop, alone_peer(t.sup, role, 0), role, ROLE_PROXY, 0,
	    events, NULL);
}

static void
setup(void)
{
	char *argv[] = { (char *)(uintptr_t)t.exe, NULL };
	int bus;

	t.loop = ev_default_loop(0);
	t.dns_addr = ORIGIN;
	t.log = fileno(tmpfile());
	t.pid = alone_start(t.exe, argv, t.log, &bus, &t.stats);
	t.sup =
	    ipc_new(t.loop, bus, ROLE_MAIN, ROLE_PROXY, 0, &sup_events, NULL);
	link_to(ROLE_PORT, &t.port, &port_events);
	link_to(ROLE_DNS, &t.dns, &dns_events);
	UNTIL(t.ready);
	conf(&usual);
}

/* What its sanitizer had to say. */
static void
show_log(void)
{
	char buf[65536];
	ssize_t n = pread(t.log, buf, sizeof(buf), 0);

	if (n > 0)
		(void)!write(STDERR_FILENO, buf, (size_t)n);
}

static void
teardown(void)
{
	int status;

	ipc_free(t.port);
	ipc_free(t.dns);
	ipc_free(t.sup);
	ck_assert_int_eq(waitpid(t.pid, &status, 0), t.pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		show_log();
	ck_assert_msg(WIFEXITED(status), "killed by %d", WTERMSIG(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}

/*
 * Guests and servers.
 */

int
guest_of(unsigned vm, const char *dst, unsigned port)
{
	int sv[2];

	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	ck_assert_int_eq(
	    ipc_send(t.port, IPC_PROXY_FLOW, &sv[1], 1, "{s:i,s:s,s:i,s:s,s:i}",
		"vm", (int)vm, "src", "192.168.65.3", "sport", 40000, "dst",
		dst, "dport", (int)port),
	    0);
	return sv[0];
}

int
guest(const char *dst, unsigned port)
{
	return guest_of(1, dst, port);
}

int
server(size_t n)
{
	UNTIL(t.nup > n);
	return t.up[n].fd;
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

void
puts_to(int fd, const char *s)
{
	put(fd, s, strlen(s));
}

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

void
want(int fd, const char *text)
{
	static char buf[65536];
	size_t n = get(fd, buf, strlen(text));

	buf[n] = '\0';
	ck_assert_str_eq(buf, text);
}

void
want_last(int fd, const char *text)
{
	want(fd, text);
	want_end(fd);
}

const char *
rest(int fd)
{
	static char buf[1 << 20];
	size_t n = get(fd, buf, sizeof(buf) - 1);

	buf[n] = '\0';
	close(fd);
	return buf;
}

void
want_end(int fd)
{
	ck_assert_str_eq(rest(fd), "");
}

void
taken(int fd)
{
	int left = 1;

	UNTIL(ioctl(fd, SIOCOUTQ, &left) == 0 && left == 0);
}

bool
nothing_to_read(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_PEEK) == -1 && errno == EAGAIN;
}

bool
begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

int
proxylab_main(int argc, char *argv[], const char *name,
    const TTest *const *tests, size_t n)
{
	TCase *tc;
	Suite *s = suite_create(name);
	SRunner *sr;
	size_t i;
	int failed;

	if (argc < 2)
		return 2;
	t.exe = argv[1];
	for (i = 0; i < n; i++) {
		/* CK_RUN_CASE runs one of them. */
		tc = tcase_create(tests[i]->name);
		tcase_set_timeout(tc, 120);
		tcase_add_checked_fixture(tc, setup, teardown);
		tcase_add_test(tc, tests[i]);
		suite_add_tcase(s, tc);
	}
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
