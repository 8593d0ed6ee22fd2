/*
 * The tunnel of a real front, with this program as the forwarder in the VM, of
 * every generation, and as the clients of forwards.
 *
 * The first argument is the executable, portd's; the second may be "few", for
 * few descriptors, or "long".
 */

#include "tests/integ/frontlab.h"

#include <sys/resource.h>
#include <signal.h>
#include <netinet/in.h>

#include "portd/front/mux.h"

#define SHAKE	 MUX_MAGIC "\0"
#define SHAKELEN (MUX_MAGICLEN + 2)
#define FIRST	 0x7fffffffu /* the first channel's number */

static int fw; /* the forwarder's end of the tunnel */

/* Forwards of each kind; their numbers for portd. */
static uint32_t tcp_id, udp_id, unix_id;

static uint32_t
expose(const char *path, const char *json)
{
	ck_assert_str_eq(http("PUT", path, json), HTTP_EMPTY);
	return t.last_id;
}

static void
begin(const char *kind, const char *protocol)
{
	conf(kind, protocol);
	/* A link that is known to come after the configuration. */
	lose_portd();
	new_portd();
	tcp_id = expose("/forwards/expose/port", JSON_PORT);
	udp_id = expose("/forwards/expose/port",
	    "{\"proto\":\"udp\",\"out_ip\":\"127.0.0.1\",\"out_port\":53,"
	    "\"in_ip\":\"192.168.65.3\",\"in_port\":53}");
	unix_id = expose("/forwards/expose/pipe",
	    "{\"proto\":\"unix\",\"out_path\":\"/a\",\"in_path\":\"/run/b\"}");
	ck_assert_str_eq(t.made[0].via, "tunnel");
}

/* portd has connected to the forwarder: front gets one end. */
static int
connected(uint32_t id)
{
	int sv[2];

	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	ipc_send(
	    t.portd, IPC_TUNNEL_FD, &sv[1], 1, "{s:I}", "id", (json_int_t)id);
	return sv[0];
}

/*
 * Two ends of a TCP connection, which a UNIX socket is not when it resets.
 * rcvbuf, sndbuf: of the first and the second; 0: the system's.
 */
static void
tcp_pair(int sv[2], int rcvbuf, int sndbuf)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(l, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(l, 1), 0);
	ck_assert_int_eq(getsockname(l, (struct sockaddr *)&in, &len), 0);
	sv[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (rcvbuf != 0)
		setsockopt(sv[0], SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(int));
	ck_assert_int_eq(connect(sv[0], (struct sockaddr *)&in, len), 0);
	sv[1] = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ck_assert_int_ne(sv[1], -1);
	if (sndbuf != 0)
		setsockopt(sv[1], SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(int));
	fcntl(sv[0], F_SETFL, O_NONBLOCK);
	close(l);
}

static void
offer(uint32_t forward, const int *fd, size_t nfd)
{
	static int id;

	ipc_send(t.portd, IPC_TUNNEL_CONN, fd, nfd, "{s:i,s:I,s:s,s:i,s:s,s:i}",
	    "id", ++id, "forward", (json_int_t)forward, "from", "10.9.8.7",
	    "fport", 4660, "to", "127.0.0.1", "tport", 8080);
}

/* A client of a forward; the test's end. */
static int
tcp_client(void)
{
	int sv[2];

	tcp_pair(sv, 0, 0);
	offer(tcp_id, &sv[1], 1);
	return sv[0];
}

/* One that takes little at a time, and whose kernel keeps so much for it. */
static int
slow_client(int sndbuf)
{
	int sv[2];

	tcp_pair(sv, 2048, sndbuf);
	offer(tcp_id, &sv[1], 1);
	return sv[0];
}

/* A datagram client; what it sends to early came before it was known. */
static int
udp_client(int *early)
{
	int sv[2], ev[2], fd[2];

	ck_assert_int_eq(plat_socketpair(SOCK_DGRAM, sv), 0);
	ck_assert_int_eq(plat_socketpair(SOCK_DGRAM, ev), 0);
	fd[0] = sv[1];
	fd[1] = ev[1];
	*early = ev[0];
	ck_assert_int_eq(send(ev[0], "early", 5, 0), 5);
	offer(udp_id, fd, 2);
	return sv[0];
}

/*
 * Frames, from the forwarder's side.
 */

static uint8_t payload[1 << 20];

/* The next frame; the bytes of a Data frame are in payload. */
static struct mux_frame
frame(void)
{
	uint8_t head[MUX_MAXHEAD];
	struct mux_frame f;
	size_t len;

	ck_assert_uint_eq(get(fw, head, 2), 2);
	len = head[0] | (size_t)head[1] << 8;
	ck_assert_uint_le(len, sizeof(head));
	ck_assert_uint_eq(get(fw, head + 2, len - 2), len - 2);
	ck_assert_int_eq(mux_get(head, len, &f), (int)len);
	if (f.cmd == MUX_DATA) {
		ck_assert_uint_le(f.len, sizeof(payload));
		ck_assert_uint_eq(get(fw, payload, f.len), f.len);
	}
	return f;
}

/* The next frame is this one; its number. */
static uint32_t
expect(uint8_t cmd)
{
	struct mux_frame f = frame();

	ck_assert_str_eq(mux_cmd_name[f.cmd], mux_cmd_name[cmd]);
	return f.id;
}

/* Open and the first window of a new channel. */
static uint32_t
expect_open(void)
{
	struct mux_frame f = frame();

	ck_assert_uint_eq(f.cmd, MUX_OPEN);
	ck_assert_uint_eq(f.connection, MUX_MULTIPLEXED);
	ck_assert_uint_eq(expect(MUX_WINDOW), f.id);
	return f.id;
}

static void
say(uint8_t cmd, uint32_t id, uint64_t v)
{
	const struct mux_frame f = {
		.cmd = cmd, .id = id, .len = (uint32_t)v, .seq = v
	};
	uint8_t head[MUX_MAXHEAD];
	struct wr w = wr_init(head, sizeof(head));

	mux_put(&w, &f);
	put(fw, head, w.len);
}

static void
say_data(uint32_t id, const void *p, size_t n)
{
	say(MUX_DATA, id, n);
	put(fw, p, n);
}

/* The multiplexer without a handshake, and nothing in it yet. */
static void
begin_mux(void)
{
	begin("plain", "mux");
}

/* The first client, its channel, and the tunnel that is made for it. */
static int
first_client(uint32_t *id)
{
	int fd = tcp_client();

	UNTIL(t.opens == 1);
	fw = connected(t.last_open);
	*id = expect_open();
	return fd;
}

static bool
was_reset(int fd)
{
	char c;

	return get(fd, &c, 1) == 0 && errno == ECONNRESET;
}

static void
is_eof(int fd)
{
	char c;

	errno = 0;
	ck_assert_uint_eq(get(fd, &c, 1), 0);
	ck_assert_int_ne(errno, ECONNRESET);
}

/*
 * How it begins.
 */

/* Who says nothing is taken for vpnkit 0.3. */
START_TEST(silent_forwarder)
{
	static const char want[] = "00000003.0000f3a5\n"
				   "\x11\0\1\xff\xff\xff\x7f\2\1\4\0"
				   "\xc0\xa8\x41\3\x50\0"
				   "\xf\0\5\xff\xff\xff\x7f\0\0\1\0\0\0\0\0";
	char in[sizeof(want)];

	begin("hyperkit", "auto");
	tcp_client();
	UNTIL(t.opens == 1);
	fw = connected(t.last_open);
	ck_assert_uint_eq(get(fw, in, sizeof(want) - 1), sizeof(want) - 1);
	ck_assert_mem_eq(in, want, sizeof(want) - 1);
}
END_TEST

START_TEST(forwarder_shakes_hands)
{
	char in[SHAKELEN];

	begin("hyperkit", "auto");
	tcp_client();
	UNTIL(t.opens == 1);
	fw = connected(t.last_open);
	ck_assert_uint_eq(get(fw, in, 18), 18);
	ck_assert_mem_eq(in, "00000003.0000f3a5\n", 18);
	put(fw, SHAKE, 20);
	put(fw, &SHAKE[20], SHAKELEN - 20);
	ck_assert_uint_eq(get(fw, in, SHAKELEN), SHAKELEN);
	ck_assert_mem_eq(in, SHAKE, SHAKELEN);
	ck_assert_uint_eq(expect_open(), FIRST);
}
END_TEST

/* Its magic comes when we have begun: we know it from then on. */
START_TEST(slow_to_shake_hands)
{
	char in[SHAKELEN];
	int fd;

	begin("plain", "auto");
	fd = tcp_client();
	UNTIL(t.opens == 1);
	fw = connected(t.last_open);
	expect_open();
	put(fw, SHAKE, SHAKELEN);
	UNTIL(t.opens == 2);
	close(fw);
	fw = connected(t.last_open);
	ck_assert_uint_eq(get(fw, in, SHAKELEN), SHAKELEN);
	ck_assert_mem_eq(in, SHAKE, SHAKELEN);
	put(fw, SHAKE, SHAKELEN);
	/* The client has noticed nothing. */
	say(MUX_WINDOW, expect_open(), 100);
	put(fd, "hello", 5);
	ck_assert_uint_eq(frame().len, 5);
	ck_assert_mem_eq(payload, "hello", 5);
}
END_TEST

/* The same from one that has gone before it was heard. */
START_TEST(slow_and_gone)
{
	char in[SHAKELEN];

	begin("plain", "auto");
	tcp_client();
	UNTIL(t.opens == 1);
	fw = connected(t.last_open);
	expect_open();
	kill(t.pid, SIGSTOP);
	put(fw, SHAKE, SHAKELEN);
	close(fw);
	/* What is newest is served first: front has to write before it reads.
	 */
	tcp_client();
	turn(-1, 0);
	kill(t.pid, SIGCONT);
	UNTIL(t.opens == 2);
	fw = connected(t.last_open);
	ck_assert_uint_eq(get(fw, in, SHAKELEN), SHAKELEN);
	ck_assert_mem_eq(in, SHAKE, SHAKELEN);
}
END_TEST

START_TEST(handshake_wanted)
{
	char in[SHAKELEN];
	int fd, i;

	begin("plain", "mux-handshake");
	fd = tcp_client();
	for (i = 1; i <= 2; i++) {
		UNTIL(t.opens == (unsigned)i);
		fw = connected(t.last_open);
		ck_assert_uint_eq(get(fw, in, SHAKELEN), SHAKELEN);
		say(MUX_WINDOW, 1, 1); /* not what was to come */
		ck_assert_uint_eq(get(fw, in, 1), 0);
		close(fw);
	}
	ck_assert(was_reset(fd));
	/* The next one tries again. */
	tcp_client();
	UNTIL(t.opens == 3);
	fw = connected(t.last_open);
	put(fw, MUX_MAGIC "\3\0abc", MUX_MAGICLEN + 5);
	ck_assert_uint_eq(get(fw, in, SHAKELEN), SHAKELEN);
	expect_open();
}
END_TEST

START_TEST(unix_destination)
{
	struct mux_frame f;
	int sv[2];

	begin_mux();
	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	offer(unix_id, &sv[1], 1);
	UNTIL(t.opens == 1);
	fw = connected(t.last_open);
	f = frame();
	ck_assert_uint_eq(f.dest.proto, MUX_UNIX);
	ck_assert_str_eq(f.dest.path, "/run/b");
}
END_TEST

START_TEST(no_tunnel)
{
	int fd, i;

	begin_mux();
	for (i = 1; i <= 3; i++) {
		fd = tcp_client();
		UNTIL(t.opens == (unsigned)i);
		ipc_send(t.portd, IPC_TUNNEL_REFUSED, NULL, 0, "{s:I,s:s}",
		    "id", (json_int_t)t.last_open, "error", "ENOENT");
		ck_assert(was_reset(fd));
		close(fd);
		UNTIL(t.closes == (unsigned)i);
	}
}
END_TEST

/* A listener with one place, which is taken. */
static int
full_listener(struct sockaddr_in *in)
{
	socklen_t len = sizeof(*in);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int taken = socket(AF_INET, SOCK_STREAM, 0);

	memset(in, 0, sizeof(*in));
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(l, (struct sockaddr *)in, len), 0);
	ck_assert_int_eq(listen(l, 0), 0);
	ck_assert_int_eq(getsockname(l, (struct sockaddr *)in, &len), 0);
	ck_assert_int_eq(connect(taken, (struct sockaddr *)in, len), 0);
	ck_assert_int_eq(poll(&(struct pollfd){ l, POLLIN, 0 }, 1, -1), 1);
	return l;
}

/* portd has begun to connect to the forwarder, which has no place for it. */
static int
connecting(uint32_t id)
{
	struct sockaddr_in in;
	int l = full_listener(&in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&in, sizeof(in)), -1);
	ck_assert_int_eq(errno, EINPROGRESS);
	ipc_send(t.portd, IPC_TUNNEL_FD, &fd, 1, "{s:I}", "id", (json_int_t)id);
	UNTIL(strstr(http("GET", "/forwards/dump", ""), "tunnel connecting"));
	return l;
}

/* Nothing is said, and no answer waited for, before it is connected. */
START_TEST(connects_late)
{
	char in[SHAKELEN];
	int fd, l;

	begin("plain", "mux-handshake");
	fd = tcp_client();
	UNTIL(t.opens == 1);
	l = connecting(t.last_open);
	tcp_client(); /* waits, too */
	close(accept(l, NULL, NULL));
	UNTIL((fw = accept4(l, NULL, NULL, SOCK_NONBLOCK)) != -1);
	ck_assert_uint_eq(get(fw, in, SHAKELEN), SHAKELEN);
	ck_assert_mem_eq(in, SHAKE, SHAKELEN);
	put(fw, SHAKE, SHAKELEN);
	say(MUX_WINDOW, expect_open(), 10);
	ck_assert_uint_eq(expect_open(), FIRST + 1);
	put(fd, "x", 1);
	ck_assert_uint_eq(expect(MUX_DATA), FIRST);
	ck_assert_uint_eq(counter("tunnels"), 1);
}
END_TEST

/* The other end refuses it after a while. */
START_TEST(connects_never)
{
	int fd[2];

	begin_mux();
	fd[0] = tcp_client();
	UNTIL(t.opens == 1);
	fd[1] = tcp_client();
	close(connecting(t.last_open));
	ck_assert(was_reset(fd[0]));
	ck_assert(was_reset(fd[1]));
	ck_assert_uint_eq(counter("tunnels-refused"), 1);
	ck_assert_uint_eq(counter("tunnels"), 0);
	ck_assert_uint_eq(t.opens, 1);
	tcp_client();
	UNTIL(t.opens == 2);
}
END_TEST

/* portd dies while it is asked: the next one is asked again. */
START_TEST(portd_dies)
{
	int fd;

	begin_mux();
	fd = tcp_client();
	UNTIL(t.opens == 1);
	lose_portd();
	new_portd();
	UNTIL(t.opens == 2);
	fw = connected(t.last_open);
	say(MUX_WINDOW, expect_open(), 10);
	put(fd, "x", 1);
	ck_assert_uint_eq(expect(MUX_DATA), FIRST);
	/* And with the tunnel up nothing changes at all. */
	lose_portd();
	new_portd();
	put(fd, "y", 1);
	ck_assert_uint_eq(expect(MUX_DATA), FIRST);
	ck_assert_uint_eq(t.opens, 2);
}
END_TEST

/*
 * Sockets of UDP clients hold the port that the next portd has to bind; so do
 * those of a forward that is removed.
 */
START_TEST(udp_clients_go)
{
	uint32_t id;
	int fd, early;

	begin_mux();
	fd = udp_client(&early);
	UNTIL(t.opens == 1);
	fw = connected(t.last_open);
	id = expect_open();
	say(MUX_WINDOW, id, 100000);
	ck_assert_uint_eq(expect(MUX_DATA), id);
	close(early);
	ipc_send(t.portd, IPC_TUNNEL_END, NULL, 0, "{s:I}", "id",
	    (json_int_t)2); /* somebody else */
	ipc_send(
	    t.portd, IPC_TUNNEL_END, NULL, 0, "{s:I}", "id", (json_int_t)1);
	ck_assert_uint_eq(expect(MUX_CLOSE), id);
	/* The other end is closed: */
	UNTIL(send(fd, "x", 1, MSG_NOSIGNAL) == -1 && errno == ECONNREFUSED);
	close(fd);
	fd = udp_client(&early);
	id = expect_open();
	say(MUX_WINDOW, id, 100000);
	ck_assert_uint_eq(expect(MUX_DATA), id);
	lose_portd();
	ck_assert_uint_eq(expect(MUX_CLOSE), id);
	UNTIL(send(fd, "x", 1, MSG_NOSIGNAL) == -1 && errno == ECONNREFUSED);
	close(fd);
	close(early);
}
END_TEST

/*
 * Channels.
 */

/* A byte of the pattern at this place. */
static uint8_t
pattern(size_t at)
{
	return (uint8_t)(at * 2654435761u >> 24);
}

/* These bytes are those of that place. */
static void
check_pattern(const uint8_t *p, size_t n, size_t at)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] != pattern(at + i))
			ck_abort_msg("wrong byte at %zu", at + i);
	}
}

#define BULK 1000000

START_TEST(toward_the_vm)
{
	uint8_t out[10000];
	size_t sent = 0, got = 0, window = 0, i;
	struct mux_frame f;
	uint32_t id;
	ssize_t n;
	int fd;

	begin_mux();
	fd = first_client(&id);
	while (got < BULK) {
		for (i = 0; i < sizeof(out); i++)
			out[i] = pattern(sent + i);
		n = send(fd, out,
		    BULK - sent < sizeof(out) ? BULK - sent : sizeof(out),
		    MSG_NOSIGNAL);
		if (n > 0)
			sent += (size_t)n;
		if (got == window) {
			window += 30011;
			say(MUX_WINDOW, id, window);
		}
		f = frame();
		ck_assert_uint_eq(f.cmd, MUX_DATA);
		check_pattern(payload, f.len, got);
		got += f.len;
		ck_assert_uint_le(got, window);
		if (sent == BULK)
			shutdown(fd, SHUT_WR);
	}
	ck_assert_uint_eq(expect(MUX_SHUTDOWN), id);
	say_data(id, "bye", 3);
	say(MUX_SHUTDOWN, id, 0);
	ck_assert_uint_eq(expect(MUX_CLOSE), id);
	say(MUX_CLOSE, id, 0);
	ck_assert_uint_eq(get(fd, out, 3), 3);
	is_eof(fd);
	UNTIL(t.closes == 1);
}
END_TEST

START_TEST(toward_the_client)
{
	uint8_t out[16000], in[16000];
	size_t sent = 0, got = 0, window = 65536, n, i;
	struct mux_frame f;
	uint32_t id;
	int fd;

	begin_mux();
	fd = first_client(&id);
	say(MUX_WINDOW, id, 1000);
	while (got < BULK) {
		n = BULK - sent < sizeof(out) ? BULK - sent : sizeof(out);
		if (sent + n <= window) {
			for (i = 0; i < n; i++)
				out[i] = pattern(sent + i);
			say_data(id, out, n);
			sent += n;
		}
		n = sent - got < sizeof(in) ? sent - got : sizeof(in);
		ck_assert_uint_eq(get(fd, in, n), n);
		check_pattern(in, n, got);
		got += n;
		while (sent < BULK && sent + sizeof(out) > window) {
			f = frame();
			ck_assert_uint_eq(f.cmd, MUX_WINDOW);
			ck_assert_uint_gt(f.seq, window);
			window = f.seq;
		}
	}
	say(MUX_SHUTDOWN, id, 0);
	is_eof(fd);
	/* The other direction goes on. */
	put(fd, "still here", 10);
	do
		f = frame();
	while (f.cmd == MUX_WINDOW);
	ck_assert_uint_eq(f.len, 10);
	close(fd);
	ck_assert_uint_eq(expect(MUX_SHUTDOWN), id);
	ck_assert_uint_eq(expect(MUX_CLOSE), id);
}
END_TEST

/* Nobody listens in the VM: the client sees a reset, not an end. */
START_TEST(refused_in_the_vm)
{
	uint32_t id;
	int fd;

	begin_mux();
	fd = first_client(&id);
	say(MUX_WINDOW, id, 65536);
	say(MUX_CLOSE, id, 0);
	ck_assert(was_reset(fd));
	ck_assert_uint_eq(expect(MUX_CLOSE), id);
	ck_assert_uint_eq(counter("channels-refused"), 1);
	/* The tunnel lives. */
	tcp_client();
	ck_assert_uint_eq(expect_open(), FIRST + 1);
}
END_TEST

/* It closes with bytes on the way: they arrive, and then the end. */
START_TEST(closed_by_the_vm)
{
	static char bytes[60000], in[60000];
	uint32_t id;
	int fd;

	begin_mux();
	fd = first_client(&id);
	say_data(id, bytes, sizeof(bytes));
	say(MUX_CLOSE, id, 0);
	while (frame().cmd != MUX_CLOSE)
		continue;
	ck_assert_uint_eq(get(fd, in, sizeof(in)), sizeof(in));
	is_eof(fd);
	UNTIL(t.closes == 1);
}
END_TEST

/* All that a window allows, and an end to which front has to say its own. */
static void
say_all(uint32_t id, uint8_t end)
{
	static uint8_t out[MUX_WIN];
	size_t i;

	for (i = 0; i < sizeof(out); i++)
		out[i] = pattern(i);
	say_data(id, out, sizeof(out));
	say(end, id, 0);
	while (frame().cmd != MUX_CLOSE)
		continue;
}

/* The client takes so much of it, from there. */
static void
take(int fd, size_t at, size_t n)
{
	static uint8_t in[MUX_WIN];

	ck_assert_uint_eq(get(fd, in, n), n);
	check_pattern(in, n, at);
}

/* Or it is reset before the end. */
static bool
took_all(int fd)
{
	static uint8_t in[MUX_WIN];
	size_t n;

	errno = 0;
	n = get(fd, in, sizeof(in));
	check_pattern(in, n, 0);
	if (n < sizeof(in)) {
		ck_assert_int_eq(errno, ECONNRESET);
		return false;
	}
	is_eof(fd);
	return true;
}

/*
 * All of it fits the kernel's buffer, but not the client's: the socket stays
 * until that has been sent, or the client is gone.
 */
START_TEST(kernel_keeps)
{
	uint32_t id;
	int fd[3], i;

	begin_mux();
	for (i = 0; i < 3; i++) {
		fd[i] = slow_client(4 * MUX_WIN);
		UNTIL(t.opens == 1);
		if (i == 0)
			fw = connected(t.last_open);
		id = expect_open();
		/* The client of one has said its last before. */
		if (i == 1) {
			shutdown(fd[i], SHUT_WR);
			say(MUX_WINDOW, id, 1);
			ck_assert_uint_eq(expect(MUX_SHUTDOWN), id);
		}
		say_all(id, i == 1 ? MUX_SHUTDOWN : MUX_CLOSE);
	}
	http("GET", "/", "");
	ck_assert_uint_eq(t.closes, 0);
	close(fd[2]);
	UNTIL(t.closes == 1);
	for (i = 0; i < 2; i++)
		ck_assert(took_all(fd[i]));
	UNTIL(t.closes == 3);
	ck_assert_uint_eq(counter("tunnel-connections"), 0);
}
END_TEST

#define FEW 128 /* connections, with few descriptors */

/*
 * Clients that take nothing keep their places, and what is left for them,
 * until somebody new needs one: then one of those is reset, and none that has
 * just taken something.
 */
START_TEST(stalled_give_way)
{
	int fd[FEW], i, resets = 0;

	begin_mux();
	for (i = 0; i < FEW; i++) {
		fd[i] = slow_client(2048);
		UNTIL(t.opens == 1);
		if (i == 0)
			fw = connected(t.last_open);
		say_all(expect_open(), MUX_CLOSE);
	}
	/* More than the kernel has, less than all: front has written some. */
	take(fd[0], 0, 30000);
	tcp_client();
	expect_open();
	ck_assert_uint_eq(counter("refused-connections"), 1);
	ck_assert_uint_eq(counter("tunnel-connections"), FEW);
	take(fd[0], 30000, MUX_WIN - 30000);
	is_eof(fd[0]);
	for (i = 1; i < FEW; i++)
		resets += !took_all(fd[i]);
	ck_assert_int_eq(resets, 1);
	UNTIL(t.closes == FEW);
}
END_TEST

/* When all of them are served, the new one is refused. */
START_TEST(no_place)
{
	uint32_t id;
	int i, fd;

	begin_mux();
	first_client(&id);
	for (i = 1; i < FEW; i++) {
		tcp_client();
		expect_open();
	}
	fd = tcp_client();
	ck_assert(was_reset(fd));
	ck_assert_uint_eq(counter("refused-connections"), 1);
	ck_assert_uint_eq(counter("tunnel-connections"), FEW);
}
END_TEST

/* However long a client pauses, it gets all of it. */
START_TEST(long_pause)
{
	usec_t until = plat_now() + 70 * USEC_SEC;
	int fd;

	begin_mux();
	fd = slow_client(2048);
	UNTIL(t.opens == 1);
	fw = connected(t.last_open);
	say_all(expect_open(), MUX_CLOSE);
	while (plat_now() < until)
		turn(-1, 0);
	take(fd, 0, MUX_WIN);
	is_eof(fd);
	UNTIL(t.closes == 1);
}
END_TEST

/* A client goes in the middle of bytes: they are dropped, others not. */
START_TEST(client_vanishes)
{
	static char bytes[60000], in[5];
	uint32_t a, b;
	int fd[2];

	begin_mux();
	fd[0] = first_client(&a);
	fd[1] = tcp_client();
	b = expect_open();
	say(MUX_WINDOW, a, 65536);
	say(MUX_WINDOW, b, 65536);
	say(MUX_DATA, a, sizeof(bytes));
	put(fw, bytes, 10000);
	close(fd[0]);
	put(fw, bytes, sizeof(bytes) - 10000);
	say_data(a, bytes, 100);
	say_data(b, "hello", 5);
	ck_assert_uint_eq(get(fd[1], in, 5), 5);
	ck_assert_mem_eq(in, "hello", 5);
	while (frame().cmd != MUX_CLOSE)
		continue;
	say(MUX_CLOSE, a, 0);
	put(fd[1], "again", 5);
	ck_assert_uint_eq(expect(MUX_DATA), b);
	UNTIL(t.closes == 1);
	ck_assert_uint_eq(counter("tunnels-lost"), 0);
}
END_TEST

/* One client reads nothing: its credit ends, and that of nobody else. */
START_TEST(client_never_reads)
{
	static char bytes[16384], in[16384];
	size_t sent = 0, window = 65536, i;
	struct mux_frame f;
	uint32_t a, b;
	int other;

	begin_mux();
	first_client(&a);
	other = tcp_client();
	b = expect_open();
	for (i = 0; i < 2000; i++) {
		if (sent + sizeof(bytes) <= window) {
			say_data(a, bytes, sizeof(bytes));
			sent += sizeof(bytes);
		}
		say_data(b, bytes, 20);
		ck_assert_uint_eq(get(other, in, 20), 20);
		while (recv(fw, in, 1, MSG_PEEK) == 1) {
			f = frame();
			if (f.cmd == MUX_WINDOW && f.id == a)
				window = f.seq;
		}
	}
	ck_assert_uint_gt(sent + sizeof(bytes), window);
	ck_assert_str_eq(body_of(http("GET", "/forwards/expose", "")),
	    "{\"message\":\"no such path\"}");
}
END_TEST

/* The forwarder reads nothing: clients are held back, front is not. */
START_TEST(forwarder_never_reads)
{
	static char bytes[65536];
	size_t sent = 0, i;
	uint32_t id;
	ssize_t n;
	int fd;

	begin_mux();
	fd = first_client(&id);
	say(MUX_WINDOW, id, UINT64_MAX);
	for (i = 0; i < 400; i++) {
		n = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
		if (n > 0)
			sent += (size_t)n;
		else
			turn(-1, 0);
		if (n == -1 && i > 100)
			break;
	}
	ck_assert_str_eq(
	    body_of(http("GET", "/", "")), "{\"message\":\"no such path\"}");
	/* It reads again, and all of it comes. */
	shutdown(fd, SHUT_WR);
	for (n = 0; (size_t)n < sent;)
		n += (ssize_t)frame().len;
	ck_assert_uint_eq(expect(MUX_SHUTDOWN), id);
}
END_TEST

/* Every client of a tunnel that is lost sees that; who is new does not. */
START_TEST(tunnel_lost)
{
	uint32_t id;
	int used, fresh;

	begin_mux();
	used = first_client(&id);
	say(MUX_WINDOW, id, 65536);
	put(used, "x", 1);
	expect(MUX_DATA);
	fresh = tcp_client();
	expect_open();
	close(fw);
	ck_assert(was_reset(used));
	UNTIL(t.opens == 2);
	fw = connected(t.last_open);
	id = expect_open();
	say_data(id, "hello", 5);
	ck_assert_uint_eq(get(fresh, payload, 5), 5);
	ck_assert_uint_eq(counter("tunnels-lost"), 1);
}
END_TEST

START_TEST(not_frames)
{
	uint32_t id;
	int fd;

	begin_mux();
	fd = first_client(&id);
	say(MUX_WINDOW, id, 10);
	put(fw, "\1\0\0\0\0\0\0\0", 8);
	ck_assert(was_reset(fd));
	ck_assert_uint_eq(counter("bad-frames"), 1);
	tcp_client();
	UNTIL(t.opens == 2);
}
END_TEST

START_TEST(five_hundred)
{
	static int fd[500];
	uint32_t id[500];
	size_t i;
	char c;

	begin_mux();
	fd[0] = first_client(&id[0]);
	for (i = 1; i < nitems(fd); i++) {
		fd[i] = tcp_client();
		id[i] = expect_open();
	}
	for (i = 0; i < nitems(fd); i++) {
		say(MUX_WINDOW, id[i], 65536);
		say_data(id[i], "x", 1);
		put(fd[i], "y", 1);
	}
	for (i = 0; i < nitems(fd); i++) {
		expect(MUX_DATA);
		ck_assert_uint_eq(get(fd[i], &c, 1), 1);
	}
	for (i = 0; i < nitems(fd); i++)
		close(fd[i]);
	UNTIL(counter("tunnel-connections") == 500);
	for (i = 0; i < nitems(fd); i++)
		say(MUX_SHUTDOWN, id[i], 0);
	UNTIL(counter("tunnel-connections") == 0);
	UNTIL(t.closes == 500);
}
END_TEST

START_TEST(one_after_another)
{
	uint32_t id;
	int fd, before = -1, i;

	begin_mux();
	for (i = 0; i < 300; i++) {
		if (i == 0) {
			fd = first_client(&id);
		} else {
			fd = tcp_client();
			id = expect_open();
		}
		say(MUX_CLOSE, id, 0);
		expect(MUX_CLOSE);
		UNTIL(t.closes == (unsigned)i + 1);
		close(fd);
		if (i == 0)
			before = count_fds();
	}
	ck_assert_int_eq(count_fds(), before);
}
END_TEST

/*
 * Datagrams.
 */

/* Reads one encapsulated datagram out of Data frames. */
static size_t
next_datagram(uint8_t *all, size_t size)
{
	static uint8_t have[200000];
	static size_t nhave;
	struct mux_frame f;
	struct rd body;
	int len;

	while ((len = udpenc_get(have, nhave, &body)) == -2) {
		f = frame();
		if (f.cmd != MUX_DATA)
			continue;
		ck_assert_uint_le(nhave + f.len, sizeof(have));
		memcpy(have + nhave, payload, f.len);
		nhave += f.len;
		/* More may be sent, as much as was. */
		say(MUX_WINDOW, f.id, UINT64_MAX);
	}
	ck_assert_int_gt(len, 0);
	ck_assert_uint_le((size_t)len, size);
	memcpy(all, have, (size_t)len);
	memmove(have, have + len, nhave - (size_t)len);
	nhave -= (size_t)len;
	return (size_t)len;
}

START_TEST(datagrams)
{
	static const size_t sizes[] = { 1, 4, 511, 512, 1023, 2034, 2035, 4095,
		8191, 9215, 9216, 40000, 65507 };
	static const uint8_t head[] = "\x14\0\4\0\xa\x9\x8\x7\x34\x12\0\0\5\0";
	static uint8_t out[66000], in[70000];
	size_t i, j, n;
	uint32_t id;
	int fd, early;

	begin_mux();
	fd = udp_client(&early);
	UNTIL(t.opens == 1);
	fw = connected(t.last_open);
	id = expect_open();
	say(MUX_WINDOW, id, 100);
	/* What came early is first, behind the client's address. */
	ck_assert_uint_eq(next_datagram(in, sizeof(in)), 19);
	ck_assert_mem_eq(in + 2, head + 2, 12);
	ck_assert_mem_eq(in + 14, "early", 5);
	for (i = 0; i < nitems(sizes); i++) {
		for (j = 0; j < sizes[i]; j++)
			out[j] = pattern(j + i);
		ck_assert_int_eq(send(fd, out, sizes[i], 0), (ssize_t)sizes[i]);
		n = next_datagram(in, sizeof(in));
		ck_assert_uint_eq(n, sizes[i] + 14);
		ck_assert_mem_eq(in + 14, out, sizes[i]);
		/* And back, as Go does it: without an address. */
		struct wr w = wr_init(in, sizeof(in));
		wr_le16(&w, (uint16_t)(10 + sizes[i]));
		wr_zero(&w, 6);
		wr_le16(&w, (uint16_t)sizes[i]);
		wr_bytes(&w, out, sizes[i]);
		say_data(id, in, w.len);
		n = 0;
		for (patience(); n == 0; still_patient()) {
			ssize_t r = recv(fd, in, sizeof(in), 0);

			if (r > 0)
				n = (size_t)r;
			else
				turn(fd, POLLIN);
		}
		ck_assert_uint_eq(n, sizes[i]);
		ck_assert_mem_eq(in, out, n);
	}
	/* The end of the channel is the end of the client's. */
	say(MUX_CLOSE, id, 0);
	UNTIL(t.closes == 1);
}
END_TEST

/*
 * Reads the payload of the next datagram, which is of this length and has its
 * number in front.
 */
static void
expect_numbered(uint32_t number, size_t len)
{
	static uint8_t in[70000];
	uint32_t got;

	ck_assert_uint_eq(next_datagram(in, sizeof(in)), 14 + len);
	memcpy(&got, in + 14, sizeof(got));
	ck_assert_uint_eq(got, number);
}

static void
send_numbered(int fd, uint32_t number, size_t len)
{
	static uint8_t out[66000];

	memcpy(out, &number, sizeof(number));
	ck_assert_int_eq(send(fd, out, len, 0), (ssize_t)len);
}

#define MANY 60

/* All that came early arrives, though nothing comes any more. */
START_TEST(many_early)
{
	static uint8_t in[70000];
	int fd, early;
	uint32_t i;

	begin_mux();
	fd = udp_client(&early);
	for (i = 0; i < MANY; i++)
		send_numbered(early, i, 100);
	UNTIL(t.opens == 1);
	fw = connected(t.last_open);
	say(MUX_WINDOW, expect_open(), 65536);
	ck_assert_uint_eq(next_datagram(in, sizeof(in)), 19);
	for (i = 0; i < MANY; i++)
		expect_numbered(i, 100);
	/* And what is sent to the client's own socket is behind it. */
	send_numbered(fd, i, 100);
	expect_numbered(i, 100);
}
END_TEST

/* A large one, in several frames, and small ones come in the same turn. */
START_TEST(burst)
{
	static uint8_t in[70000];
	int fd, early;
	uint32_t i, id, n;

	begin_mux();
	fd = udp_client(&early);
	UNTIL(t.opens == 1);
	fw = connected(t.last_open);
	id = expect_open();
	say(MUX_WINDOW, id, UINT64_MAX);
	ck_assert_uint_eq(next_datagram(in, sizeof(in)), 19);
	for (n = 1; n < 40; n++) {
		kill(t.pid, SIGSTOP);
		send_numbered(fd, 0, 20000);
		for (i = 1; i < n; i++)
			send_numbered(fd, i, 100);
		kill(t.pid, SIGCONT);
		expect_numbered(0, 20000);
		for (i = 1; i < n; i++)
			expect_numbered(i, 100);
	}
}
END_TEST

/* A UDP socket of the loopback, on a port or on any, which is told. */
static int
udp_at(uint16_t *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(*port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*port = ntohs(sin.sin_port);
	return fd;
}

static void
connect_to(int fd, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
}

/*
 * Of a client that goes, its host says so by ICMP, in whatever call of ours is
 * next.  One that comes back to its port has its channel still.
 */
START_TEST(client_gone_and_back)
{
	static const uint8_t answer[] = "\xb\0\0\0\0\0\0\0\1\0x";
	uint16_t cport = 0, sport = 0;
	int sock[2], early[2], client = udp_at(&cport), i;
	static uint8_t in[70000];
	uint32_t id;

	begin_mux();
	sock[0] = udp_at(&sport);
	connect_to(sock[0], cport);
	ck_assert_int_eq(plat_socketpair(SOCK_DGRAM, early), 0);
	ck_assert_int_eq(send(early[0], "early", 5, 0), 5);
	sock[1] = early[1];
	offer(udp_id, sock, 2);
	UNTIL(t.opens == 1);
	fw = connected(t.last_open);
	id = expect_open();
	say(MUX_WINDOW, id, 1000);
	ck_assert_uint_eq(next_datagram(in, sizeof(in)), 19);
	close(client);
	for (i = 0; i < 5; i++)
		say_data(id, answer, sizeof(answer) - 1);
	UNTIL(counter("datagrams") == 6);
	client = udp_at(&cport);
	connect_to(client, sport);
	ck_assert_int_eq(send(client, "again", 5, 0), 5);
	ck_assert_uint_eq(next_datagram(in, sizeof(in)), 19);
	ck_assert_mem_eq(in + 14, "again", 5);
	say_data(id, answer, sizeof(answer) - 1);
	UNTIL(recv(client, in, sizeof(in), 0) == 1);
	ck_assert_int_eq(in[0], 'x');
	ck_assert_uint_eq(t.closes, 0);
	close(client);
	close(early[0]);
}
END_TEST

START_TEST(bad_datagrams)
{
	uint32_t id;
	int early;

	begin_mux();
	udp_client(&early);
	UNTIL(t.opens == 1);
	fw = connected(t.last_open);
	id = expect_open();
	say_data(id, "\1\0\0\0", 4);
	UNTIL(t.closes == 1);
	while (frame().cmd != MUX_CLOSE)
		continue;
	ck_assert_uint_eq(counter("tunnels-lost"), 0);
}
END_TEST

/*
 * 2017: a connection for each.
 */

START_TEST(year_2017)
{
	static const char want[] = "00000003.0000f3a5\n"
				   "\1\4\0\xc0\xa8\x41\3\x50\0";
	char in[64];
	int fd[2], vm[2], i;

	begin("hyperkit", "2017");
	for (i = 0; i < 2; i++) {
		fd[i] = tcp_client();
		UNTIL(t.opens == (unsigned)i + 1);
		vm[i] = connected(t.last_open);
		ck_assert_uint_eq(get(vm[i], in, 27), 27);
		ck_assert_mem_eq(in, want, 27);
	}
	for (i = 0; i < 2; i++) {
		put(fd[i], "question", 8);
		ck_assert_uint_eq(get(vm[i], in, 8), 8);
		shutdown(fd[i], SHUT_WR);
		ck_assert_uint_eq(get(vm[i], in, 1), 0);
		put(vm[i], "answer", 6);
		ck_assert_uint_eq(get(fd[i], in, 6), 6);
		close(vm[i]);
		is_eof(fd[i]);
	}
	UNTIL(t.closes == 2);
	/* Refused by the VM. */
	fd[0] = tcp_client();
	UNTIL(t.opens == 3);
	close(connected(t.last_open));
	ck_assert(was_reset(fd[0]));
	/* And by portd. */
	fd[0] = tcp_client();
	UNTIL(t.opens == 4);
	ipc_send(t.portd, IPC_TUNNEL_REFUSED, NULL, 0, "{s:I,s:s}", "id",
	    (json_int_t)t.last_open, "error", "ECONNREFUSED");
	ck_assert(was_reset(fd[0]));
}
END_TEST

START_TEST(year_2017_bulk)
{
	static uint8_t out[BULK], in[BULK];
	size_t i, sent = 0, got = 0;
	ssize_t n;
	int fd, vm;

	begin("plain", "2017");
	fd = tcp_client();
	UNTIL(t.opens == 1);
	vm = connected(t.last_open);
	ck_assert_uint_eq(get(vm, in, 9), 9);
	for (i = 0; i < BULK; i++)
		out[i] = pattern(i);
	while (got < BULK) {
		n = send(fd, out + sent, BULK - sent, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		n = recv(vm, in + got, BULK - got, 0);
		got += n > 0 ? (size_t)n : 0;
		turn(-1, 0);
	}
	ck_assert_mem_eq(in, out, BULK);
	for (sent = got = 0; got < BULK; turn(-1, 0)) {
		n = send(vm, out + sent, BULK - sent, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		n = recv(fd, in + got, BULK - got, 0);
		got += n > 0 ? (size_t)n : 0;
	}
	ck_assert_mem_eq(in, out, BULK);
}
END_TEST

START_TEST(year_2017_datagrams)
{
	static const size_t len = 1700;
	static uint8_t out[1700], in[1714];
	int fd, vm, early, i;

	begin("plain", "2017");
	fd = udp_client(&early);
	UNTIL(t.opens == 1);
	vm = connected(t.last_open);
	ck_assert_uint_eq(get(vm, in, 9 + 19), 9 + 19);
	ck_assert_mem_eq(in, "\2\4\0\xc0\xa8\x41\3\x35\0", 9);
	ck_assert_mem_eq(in + 9 + 14, "early", 5);
	put(vm, "\xc\0\0\0\0\0\0\0\2\0hi", 12);
	ck_assert_uint_eq(get(fd, in, 2), 2);
	ck_assert_mem_eq(in, "hi", 2);
	/* More came early than waits for the VM at a time. */
	fd = udp_client(&early);
	for (i = 0; i < MANY; i++)
		ck_assert_int_eq(send(early, out, len, 0), (ssize_t)len);
	UNTIL(t.opens == 2);
	vm = connected(t.last_open);
	ck_assert_uint_eq(get(vm, in, 9 + 19), 9 + 19);
	for (i = 0; i < MANY; i++)
		ck_assert_uint_eq(get(vm, in, 14 + len), 14 + len);
}
END_TEST

int
main(int argc, char *argv[])
{
	const TTest *const tests[] = { silent_forwarder, forwarder_shakes_hands,
		slow_to_shake_hands, slow_and_gone, handshake_wanted,
		unix_destination, no_tunnel, connects_late, connects_never,
		portd_dies, udp_clients_go, toward_the_vm, toward_the_client,
		refused_in_the_vm, closed_by_the_vm, kernel_keeps,
		client_vanishes, client_never_reads, forwarder_never_reads,
		tunnel_lost, not_frames, five_hundred, one_after_another,
		datagrams, many_early, burst, client_gone_and_back,
		bad_datagrams, year_2017, year_2017_bulk, year_2017_datagrams };
	const TTest *const few[] = { stalled_give_way, no_place };
	const TTest *const slow[] = { long_pause };
	const struct rlimit rl = { 1024, 1024 };

	if (argc > 2 && strcmp(argv[2], "long") == 0)
		return frontlab_main(
		    argc, argv, "tunnel-long", slow, nitems(slow));
	if (argc < 3)
		return frontlab_main(
		    argc, argv, "tunnel", tests, nitems(tests));
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1)
		return 2;
	return frontlab_main(argc, argv, "tunnel-few", few, nitems(few));
}
