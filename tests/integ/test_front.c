/*
 * A real front's control sockets: 9P and HTTP clients, good and bad, and what
 * portd does in between.
 *
 * The first argument is the executable, portd's.
 */

#include "tests/integ/frontlab.h"

#define NOTED                                                                  \
	"{\"proto\":\"udp\",\"out_ip\":\"127.0.0.1\",\"out_port\":8080,"       \
	"\"in_ip\":\"192.168.65.3\",\"in_port\":80,\"annotation\":\"kube\"}"

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
	    http("POST", "/forwards/expose/port", JSON_PORT), HTTP_EMPTY);
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

/* 100 forwards made and removed; ports.sh does it 100 times. */
START_TEST(hundred_again_and_again)
{
	char name[32], result[256];
	int before, i, j, fd = client();
	struct npc c = { .xfer = np_xfer, .arg = &fd };

	ck_assert_int_eq(npc_attach(&c), 0);
	before = count_fds();
	for (i = 0; i < 20; i++) {
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
	    http("PUT", "/forwards/expose/port", JSON_PORT), HTTP_EMPTY);
	ck_assert_uint_eq(made_count(), 1);
	/* Once more is the same. */
	ck_assert_str_eq(
	    http("POST", "/forwards/expose/port", JSON_PORT), HTTP_EMPTY);
	ck_assert_uint_eq(t.adds, 1);
	ck_assert_str_eq(
	    body_of(http("GET", "/forwards/list", "")), "[" JSON_PORT "]");
	ck_assert_str_eq(
	    http("DELETE", "/forwards/unexpose/port", JSON_PORT), HTTP_EMPTY);
	ck_assert_uint_eq(made_count(), 0);
	ck_assert_str_eq(
	    http("DELETE", "/forwards/unexpose/port", JSON_PORT), HTTP_EMPTY);
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

/*
 * A name is removed while its port is still asked for: who has asked hears of
 * it, and leaves nothing behind.
 */
START_TEST(removed_while_asked)
{
	int a = client(), b = client();
	struct npc asks = { .xfer = np_xfer, .arg = &a },
		   removes = { .xfer = np_xfer, .arg = &b };
	uint8_t in[256];
	size_t n;

	t.silent = true;
	ck_assert_int_eq(npc_attach(&asks), 0);
	ck_assert_int_eq(npc_attach(&removes), 0);
	ck_assert_int_eq(npc_ctl(&asks, "x", 1), 0);
	n = npc_write_msg(asks.out, sizeof(asks.out), 1, SPEC);
	put(a, asks.out, n);
	UNTIL(t.adds == 1);
	ck_assert_int_eq(npc_walk(&removes, 1, "x", NULL), 0);
	ck_assert_int_eq(npc_remove(&removes, 1), 0);
	ck_assert_uint_eq(get(a, in, 7 + 2 + 14), 7 + 2 + 14);
	ck_assert_int_eq(in[4], NP_RERROR);
	ck_assert_mem_eq(in + 9, "file not found", 14);
	ck_assert_int_eq(npc_clunk(&asks, 1), 0);
	UNTIL(t.removes == 1);
	close(a);
	close(b);
	UNTIL(counter("clients") == 0 && counter("forwards") == 0);
}
END_TEST

/* The supervisor learns of each port that is there, and of its end. */
START_TEST(told_to_the_supervisor)
{
	char result[256];
	int fd = forward9p("x", SPEC, result, sizeof(result));

	UNTIL(t.held == 1);
	ck_assert_str_eq(t.last_held.by, "9p");
	ck_assert_str_eq(t.last_held.addr, "127.0.0.1");
	ck_assert_uint_eq(t.last_held.want, 0);
	ck_assert_uint_eq(t.last_held.port, 40000);
	close(fd);
	UNTIL(t.dropped == 1);
	http("POST", "/forwards/expose/port", NOTED);
	UNTIL(t.held == 2);
	ck_assert_str_eq(t.last_held.by, "http");
	ck_assert_str_eq(t.last_held.note, "kube");
	http("POST", "/forwards/unexpose/port", NOTED);
	UNTIL(t.dropped == 2);
	t.refuse = "EADDRINUSE";
	http("POST", "/forwards/expose/port", NOTED);
	ck_assert_uint_eq(t.held, 2);
	ck_assert_uint_eq(t.dropped, 2);
}
END_TEST

static void
held(uint32_t id, const char *proto, const char *addr, int want, int port)
{
	bool path = addr[0] == '/';

	ipc_send(t.sup, IPC_PORT_HELD, NULL, 0,
	    "{s:I, s:s, s:s, s:s, s:i, s:i, s:s, s:i, s:s, s:s}", "id",
	    (json_int_t)id, "by", "http", "proto", proto, "addr", addr, "want",
	    want, "port", port, "dst", path ? "0.0.0.0" : "192.168.65.3",
	    "dport", path ? 0 : 80, "dpath", path ? "/in" : "", "note", "");
}

/* What an earlier front had over HTTP is asked for, listed, and ended. */
START_TEST(kept_over_a_restart)
{
	held(0, "tcp", "127.0.0.1", 8080, 8080);
	held(7, "tcp", "127.0.0.1", 0, 40123);
	held(8, "unix", "/run/x", 0, 0);
	held(7, "udp", "127.0.0.1", 9, 9); /* taken: nothing */
	held(9, "tcp", "localhost", 9, 9); /* no address: nothing */
	UNTIL(made_count() == 3);
	ck_assert_uint_eq(t.made[0].port, 8080);
	ck_assert_uint_eq(t.made[1].port, 40123);
	ck_assert_str_eq(t.made[2].addr, "/run/x");
	UNTIL(t.held == 3);
	ck_assert(begins(body_of(http("GET", "/forwards/list", "")),
	    "[" JSON_PORT ",{\"proto\":\"tcp\",\"out_ip\":\"127.0.0.1\","
	    "\"out_port\":40123,"));
	/* It is the same for clients: asked again, withdrawn as asked for. */
	ck_assert_str_eq(
	    http("POST", "/forwards/expose/port", JSON_PORT), HTTP_EMPTY);
	http("POST", "/forwards/unexpose/port", JSON_ANY);
	http("POST", "/forwards/unexpose/port", JSON_PORT);
	ck_assert_uint_eq(made_count(), 1);
	UNTIL(t.dropped == 2);
}
END_TEST

/* The port was taken meanwhile: it is nobody's, and nobody says it is. */
START_TEST(kept_and_refused)
{
	t.refuse = "EADDRINUSE";
	held(3, "tcp", "127.0.0.1", 8080, 8080);
	UNTIL(t.dropped == 1);
	ck_assert_str_eq(body_of(http("GET", "/forwards/list", "")), "[]");
	t.refuse = NULL;
	ck_assert_str_eq(
	    http("POST", "/forwards/expose/port", JSON_PORT), HTTP_EMPTY);
	ck_assert_uint_eq(made_count(), 1);
}
END_TEST

START_TEST(ended_by_the_administrator)
{
	char result[256], text[256];
	int fd = forward9p("x", SPEC, result, sizeof(result));
	struct npc c = { .xfer = np_xfer, .arg = &fd };

	UNTIL(t.held == 1);
	ipc_send(t.sup, IPC_PORT_END, NULL, 0, "{s:I}", "id",
	    (json_int_t)t.last_held.id);
	UNTIL(t.dropped == 1);
	ck_assert_uint_eq(made_count(), 0);
	/* Its client can read why, and close as ever. */
	ck_assert_int_eq(npc_read(&c, 1, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "ERROR removed by the administrator\n");
	close(fd);
	http("POST", "/forwards/expose/port", JSON_PORT);
	UNTIL(t.held == 2);
	lose_portd();
	ipc_send(t.sup, IPC_PORT_END, NULL, 0, "{s:I}", "id",
	    (json_int_t)t.last_held.id);
	UNTIL(t.dropped == 2);
	new_portd();
	ck_assert_str_eq(body_of(http("GET", "/forwards/list", "")), "[]");
	/* One that is not there. */
	ipc_send(t.sup, IPC_PORT_END, NULL, 0, "{s:I}", "id", (json_int_t)99);
	ck_assert_str_eq(body_of(http("GET", "/forwards/list", "")), "[]");
}
END_TEST

/* A path that is no text cannot be named to portd: refused, not forgotten. */
START_TEST(path_that_is_no_text)
{
	char result[256];

	close(
	    forward9p("x", "unix:L/7/:unix:L2Jhcg==", result, sizeof(result)));
	ck_assert(begins(result, "ERROR Bind for "));
	ck_assert_ptr_nonnull(strstr(result, "EILSEQ"));
	ck_assert_uint_eq(t.adds, 0);
	UNTIL(counter("forwards") == 0);
}
END_TEST

START_TEST(annotations_differ)
{
	http("POST", "/forwards/expose/port", NOTED);
	http("POST", "/forwards/expose/port", JSON_PORT);
	ck_assert_uint_eq(made_count(), 2);
	http("POST", "/forwards/unexpose/port", NOTED);
	ck_assert_str_eq(
	    body_of(http("GET", "/forwards/list", "")), "[" JSON_PORT "]");
}
END_TEST

START_TEST(http_errors)
{
	ck_assert(begins(http("GET", "/", ""), "HTTP/1.1 404 "));
	ck_assert(begins(http("PUT", "/forwards/list", ""),
	    "HTTP/1.1 405 Method Not Allowed\r\n"
	    "Content-Type: application/json\r\nAllow: GET, HEAD\r\n"));
	/* Of what GET would say, the head. */
	ck_assert_str_eq(http("HEAD", "/forwards/list", ""),
	    HTTP_OK "Content-Type: application/json\r\n"
		    "Content-Length: 2\r\nConnection: close\r\n\r\n");
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

/* Clients of HTTP that keep their connections cost nobody else's. */
START_TEST(crowd_of_http)
{
	static const char req[] = "GET /forwards/list HTTP/1.1\r\nHost: a\r\n"
				  "\r\n";
	static const char want[] = HTTP_OK "Content-Type: application/json\r\n"
					   "Content-Length: 2\r\n\r\n[]";
	char result[256], in[sizeof(want)];
	int fd[300], busy;
	size_t i, gone = 0;

	busy = forward9p("x", SPEC, result, sizeof(result));
	for (i = 0; i < nitems(fd); i++) {
		fd[i] = client();
		put(fd[i], req, sizeof(req) - 1);
		ck_assert_uint_eq(
		    get(fd[i], in, sizeof(want) - 1), sizeof(want) - 1);
		ck_assert_mem_eq(in, want, sizeof(want) - 1);
	}
	for (i = 0; i < nitems(fd); i++) {
		gone += recv(fd[i], in, 1, 0) == 0;
		close(fd[i]);
	}
	ck_assert_uint_eq(gone, nitems(fd) - 255);
	ck_assert_uint_eq(made_count(), 1);
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
		removed_while_asked, portd_again, no_portd, portd_again_refuses,
		hundred_again_and_again, list_expose_unexpose, any_port,
		annotations_differ, http_errors, pipelined, half_closed,
		never_reads, garbage, crowd, crowd_of_http, via_answers,
		told_to_the_supervisor, kept_over_a_restart, kept_and_refused,
		ended_by_the_administrator, path_that_is_no_text };

	return frontlab_main(argc, argv, "front", tests, nitems(tests));
}
