/*
 * A name server that is far away: questions go on to one that is near, and
 * its answers wait.  It understands no more of a message than its id.
 */

#include <sys/socket.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define PORT	53
#define MAXMSG	512
#define IDS	65536 /* questions under way; a power of two */
#define WAITING 65536 /* answers; a power of two */

struct asked {
	struct sockaddr_in by;
	uint8_t id[2]; /* as it was */
};

struct answer {
	double due;
	struct sockaddr_in to;
	size_t len;
	uint8_t msg[MAXMSG];
};

struct relay {
	int clients, server; /* owned */
	double delay;
	struct asked *asked;   /* owned; by the id we have given */
	struct answer *answer; /* owned; a ring */
	unsigned next_id, first, end;
};

static int
dgram_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	if (fd == -1)
		err(1, "socket");
	return fd;
}

static void
relay_init(struct relay *r, const char *addr, double ms, const char *server)
{
	struct sockaddr_in here = load_addr(addr, PORT);
	struct sockaddr_in there = load_addr(server, PORT);

	memset(r, 0, sizeof(*r));
	r->delay = ms / 1000;
	r->clients = dgram_socket();
	r->server = dgram_socket();
	r->asked = calloc(IDS, sizeof(*r->asked));
	r->answer = calloc(WAITING, sizeof(*r->answer));
	if (r->asked == NULL || r->answer == NULL)
		err(1, "memory");
	if (bind(r->clients, (struct sockaddr *)&here, sizeof(here)) == -1 ||
	    connect(r->server, (struct sockaddr *)&there, sizeof(there)) == -1)
		err(1, "%s, %s", addr, server);
}

/* A question goes on at once. */
static void
ask(struct relay *r)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	uint8_t msg[MAXMSG];
	struct asked *a;
	ssize_t n;

	while ((n = recvfrom(r->clients, msg, sizeof(msg), 0,
		    (struct sockaddr *)&from, &len)) > 2) {
		a = &r->asked[r->next_id % IDS];
		a->by = from;
		memcpy(a->id, msg, 2);
		msg[0] = (uint8_t)(r->next_id >> 8);
		msg[1] = (uint8_t)r->next_id;
		r->next_id++;
		if (send(r->server, msg, (size_t)n, 0) == -1 && errno != EAGAIN)
			err(1, "question");
	}
}

/* An answer gets its place in the queue. */
static void
take(struct relay *r)
{
	struct answer *w;
	struct asked *a;
	ssize_t n;

	for (;;) {
		w = &r->answer[r->end % WAITING];
		if (r->end - r->first == WAITING ||
		    (n = recv(r->server, w->msg, MAXMSG, 0)) <= 2)
			return;
		a = &r->asked[w->msg[0] << 8 | w->msg[1]];
		memcpy(w->msg, a->id, 2);
		w->to = a->by;
		w->len = (size_t)n;
		w->due = load_now() + r->delay;
		r->end++;
	}
}

/* Sends what is due; how long until more of it is. */
static const struct timespec *
give(struct relay *r, struct timespec *ts)
{
	double now = load_now(), wait;
	struct answer *w;

	for (; r->first != r->end; r->first++) {
		w = &r->answer[r->first % WAITING];
		if ((wait = w->due - now) > 0) {
			*ts = (struct timespec){ 0, (long)(wait * 1e9) };
			return ts;
		}
		(void)sendto(r->clients, w->msg, w->len, 0,
		    (struct sockaddr *)&w->to, sizeof(w->to));
	}
	return NULL;
}

_Noreturn void
dns_delay(const char *addr, double ms, const char *server)
{
	struct timespec ts;
	struct pollfd p[2];
	struct relay r;

	relay_init(&r, addr, ms, server);
	p[0] = (struct pollfd){ .fd = r.clients, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = r.server, .events = POLLIN };
	while (ppoll(p, 2, give(&r, &ts), NULL) != -1 || errno == EINTR) {
		ask(&r);
		take(&r);
	}
	err(1, "poll");
}
