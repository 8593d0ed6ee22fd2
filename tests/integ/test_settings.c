/*
 * A front with a listener of --http-api-path, and the test as its supervisor:
 * what clients get byte for byte, and what the supervisor is asked.
 */

#include "tests/integ/frontlab.h"

#define CLOSED	"Connection: closed\r\n\r\n"
#define TRY	"Try {GET,POST} /http_proxy.json"
#define UNKNOWN "HTTP/1.0 404 Unknown\r\n" CLOSED TRY
#define HEAD_1	" HTTP/1.1\r\nHost: unix\r\n"
#define GET_IT	"GET /http_proxy.json" HEAD_1 "\r\n"
#define POST_IT "POST /http_proxy.json" HEAD_1

static struct sockaddr_un api;
static char answer[70000];

/* A listener of that kind, beside the one for ports. */
static void
listen_api(void)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "vpnkit-test-settings.%d", getpid());
	memset(&api, 0, sizeof(api));
	api.sun_family = AF_UNIX;
	memcpy(api.sun_path + 1, name, strlen(name));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&api, sizeof(api)), 0);
	ck_assert_int_eq(listen(fd, 64), 0);
	ipc_send(t.sup, IPC_LISTENER, &fd, 1, "{s:s}", "kind", "http-api");
}

static int
ask(const char *text)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	patience();
	while (connect(fd, (struct sockaddr *)&api, sizeof(api)) == -1) {
		still_patient();
		turn(-1, 0);
	}
	put(fd, text, strlen(text));
	return fd;
}

/* All that comes until the end. */
static const char *
rest(int fd)
{
	size_t n = get(fd, answer, sizeof(answer) - 1);

	answer[n] = '\0';
	close(fd);
	return answer;
}

static void
say(int status, const char *text)
{
	ipc_send(t.sup, IPC_HTTP_ANSWER, NULL, 0, "{s:I,s:i,s:s}", "id",
	    (json_int_t)t.ask_id, "status", status, "text", text);
}

START_TEST(show)
{
	unsigned asks = t.asks;
	int fd;

	listen_api();
	fd = ask(GET_IT);
	UNTIL(t.asks == asks + 1);
	ck_assert_int_eq(t.asked, IPC_HTTP_SHOW);
	say(200, "{\"http\":\"a:1\"}");
	ck_assert_str_eq(
	    rest(fd), "HTTP/1.0 200 OK\r\n" CLOSED "{\"http\":\"a:1\"}");
	fd = ask(GET_IT GET_IT); /* one request each */
	UNTIL(t.asks == asks + 2);
	say(404, "");
	ck_assert_str_eq(rest(fd), "HTTP/1.0 404 None set\r\n" CLOSED);
	ck_assert_uint_eq(t.asks, asks + 2);
}
END_TEST

/* clang-format off */
static const struct {
	const char *request, *text;
} sets[] = {
	{ POST_IT "Content-Length: 22\r\n\r\n{ \"http\" :\n\"a:1\"    }\n",
	    "{\"http\":\"a:1\"}" },
	{ POST_IT "Transfer-Encoding: chunked\r\n\r\n"
	    "8\r\n{\"http\":\r\n7;x\r\n \"a:1\"}\r\n0\r\nA: b\r\n\r\n",
	    "{\"http\":\"a:1\"}" },
	{ POST_IT "Content-Length: 2\r\n\r\n{}", "{}" },
	{ "POST http://unix/http_proxy.json?x" HEAD_1 "Content-Length: 2"
	    "\r\n\r\n[]", "[]" },
};
/* clang-format on */

START_TEST(set)
{
	unsigned asks = t.asks;
	size_t i;
	int fd;

	listen_api();
	for (i = 0; i < nitems(sets); i++) {
		fd = ask(sets[i].request);
		UNTIL(t.asks == asks + 1 + i);
		ck_assert_int_eq(t.asked, IPC_HTTP_SET);
		ck_assert_str_eq(t.ask_text, sets[i].text);
		say(200, "");
		ck_assert_str_eq(rest(fd), "HTTP/1.0 200 OK\r\n" CLOSED);
	}
	fd = ask(sets[0].request);
	UNTIL(t.asks == asks + 1 + i);
	say(400, "http: not a string");
	ck_assert_str_eq(rest(fd), "HTTP/1.0 400 Bad_request\r\n" CLOSED
				   "Failed to parse .json: http: not a string");
}
END_TEST

/* clang-format off */
static const struct {
	const char *request, *want;
} refused[] = {
	{ "GET /" HEAD_1 "\r\n", UNKNOWN },
	{ "GET /forwards/list" HEAD_1 "\r\n", UNKNOWN },
	{ "PUT /http_proxy.json" HEAD_1 "Content-Length: 2\r\n\r\n{}", UNKNOWN },
	{ "DELETE /http_proxy.json" HEAD_1 "\r\n", UNKNOWN },
	{ POST_IT "\r\n", "HTTP/1.0 400 Bad_request\r\n" CLOSED
	    "Failed to parse .json: line 1, column 0: not JSON" },
	{ POST_IT "Content-Length: 8\r\n\r\n{\"a\":\n }", "HTTP/1.0 400 "
	    "Bad_request\r\n" CLOSED
	    "Failed to parse .json: line 2, column 2: not JSON" },
	{ POST_IT "Content-Length: 3\r\n\r\n\"\xff\"", "HTTP/1.0 400 "
	    "Bad_request\r\n" CLOSED
	    "Failed to parse .json: line 1, column 1: not JSON" },
	{ POST_IT "Content-Length: 65537\r\n\r\n", "HTTP/1.0 413 Bad_request"
	    "\r\n" CLOSED "the request is not understood" },
	{ POST_IT "Transfer-Encoding: chunked\r\n\r\nx", "HTTP/1.0 400 "
	    "Bad_request\r\n" CLOSED "the request is not understood" },
	{ "\6\0\0\0\144", "HTTP/1.0 400" }, /* of 9P */
	{ "nonsense\r\n\r\n", "HTTP/1.0 400 Bad_request\r\n" CLOSED
	    "the request is not understood" },
};
/* clang-format on */

/* The supervisor hears of none of them. */
START_TEST(refuse)
{
	unsigned asks = t.asks;
	size_t i;
	int fd;

	listen_api();
	for (i = 0; i < nitems(refused); i++) {
		fd = ask(refused[i].request);
		(void)shutdown(fd, SHUT_WR);
		if (refused[i].request[0] < ' ')
			ck_assert_str_eq(rest(fd), "");
		else
			ck_assert_str_eq(rest(fd), refused[i].want);
	}
	ck_assert_uint_eq(t.asks, asks);
}
END_TEST

/* A body that would not fit a message when it is quoted. */
START_TEST(long_body)
{
	static const char head[] = POST_IT "Content-Length: 65536\r\n\r\n";
	static char text[sizeof(head) + 65536];
	char *p = text + sizeof(head) - 1;

	memcpy(text, head, sizeof(head));
	memset(p, '\\', 65536);
	p[0] = '[';
	p[65535] = ']';
	p[1] = p[65534] = '"';
	listen_api();
	ck_assert_str_eq(rest(ask(text)),
	    "HTTP/1.0 400 Bad_request\r\n" CLOSED
	    "Failed to parse .json: it is too long");
}
END_TEST

/* Who has gone when the answer comes, and an answer to nobody. */
START_TEST(gone)
{
	unsigned asks = t.asks;
	int fd;

	listen_api();
	fd = ask(GET_IT);
	UNTIL(t.asks == asks + 1);
	close(fd);
	say(200, "{}");
	say(200, "{}");
	fd = ask(GET_IT);
	UNTIL(t.asks == asks + 2);
	say(500, "");
	ck_assert_str_eq(
	    rest(fd), "HTTP/1.0 500 Internal_server_error\r\n" CLOSED);
	UNTIL(counter("clients") == 0);
}
END_TEST

int
main(int argc, char *argv[])
{
	const TTest *const tests[] = { show, set, refuse, long_body, gone };

	return frontlab_main(argc, argv, "settings", tests, nitems(tests));
}
