/*
 * Load for the bench, and the servers it goes to.
 *
 *	load serve ADDR				all servers
 *	load pingpong HOST SECS			round trips of one byte over TCP
 *	load connrate HOST SECS PARALLEL	connect, a byte each way, close
 *	load idle HOST COUNT PARALLEL		opens COUNT connections, keeps
 *						them until its input ends
 *	load udpecho HOST SIZE WINDOW SECS	echoes, WINDOW on their way
 *	load udpflood HOST SIZE SECS		datagrams to the host
 *	load udppull HOST SIZE SECS		datagrams from the host
 *	load dnsdelay ADDR MS SERVER		a name server at ADDR that is
 *						SERVER, but farther away
 *	load http HOST COUNT SECS PORT TARGET [PORT TARGET]
 *						requests over COUNT kept
 *						connections; two ways in turns,
 *						of which the second's names
 *						begin with second_
 *	load httphold HOST COUNT PORT TARGET	one request each, kept until
 *						its input ends
 *
 * Each prints one line of name=value.
 */

#include <sys/resource.h>
#include <arpa/inet.h>
#include <err.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load.h"

double
load_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct sockaddr_in
load_addr(const char *host, int port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port) };

	if (inet_pton(AF_INET, host, &sin.sin_addr) != 1)
		errx(2, "not an address: %s", host);
	return sin;
}

void
samples_init(struct samples *s, size_t cap)
{
	s->n = 0;
	s->cap = cap;
	if ((s->usec = calloc(cap, sizeof(*s->usec))) == NULL)
		err(1, "memory");
}

void
samples_add(struct samples *s, double seconds)
{
	if (s->n < s->cap)
		s->usec[s->n++] = seconds * 1e6;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void
samples_sort(struct samples *s)
{
	qsort(s->usec, s->n, sizeof(*s->usec), compare);
}

double
samples_at(const struct samples *s, unsigned percent)
{
	return s->n > 0 ? s->usec[(s->n - 1) * percent / 100] : -1;
}

_Noreturn static void
serve(const char *addr)
{
	udp_serve(addr);
	tcp_serve(addr);
}

/* As many descriptors as this machine lets a process have. */
static void
raise_nofile(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		err(1, "getrlimit");
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1)
		err(1, "setrlimit");
}

int
main(int argc, char *argv[])
{
	const char *verb = argc > 2 ? argv[1] : "", *host = argv[2];

	signal(SIGPIPE, SIG_IGN);
	raise_nofile();
	if (argc == 3 && strcmp(verb, "serve") == 0)
		serve(host);
	else if (argc == 4 && strcmp(verb, "pingpong") == 0)
		tcp_pingpong(host, atof(argv[3]));
	else if (argc == 5 && strcmp(verb, "connrate") == 0)
		tcp_connrate(host, atof(argv[3]), atoi(argv[4]));
	else if (argc == 5 && strcmp(verb, "idle") == 0)
		tcp_idle(host, atol(argv[3]), atoi(argv[4]));
	else if (argc == 6 && strcmp(verb, "udpecho") == 0)
		udp_echo(host, strtoul(argv[3], NULL, 10), atoi(argv[4]),
		    atof(argv[5]));
	else if (argc == 5 && strcmp(verb, "udpflood") == 0)
		udp_flood(host, strtoul(argv[3], NULL, 10), atof(argv[4]));
	else if (argc == 5 && strcmp(verb, "udppull") == 0)
		udp_pull(host, strtoul(argv[3], NULL, 10), atof(argv[4]));
	else if (argc == 5 && strcmp(verb, "dnsdelay") == 0)
		dns_delay(host, atof(argv[3]), argv[4]);
	else if (argc == 7 && strcmp(verb, "http") == 0)
		http_load(host, strtoul(argv[3], NULL, 10), atof(argv[4]),
		    atoi(argv[5]), argv[6], 0, NULL);
	else if (argc == 9 && strcmp(verb, "http") == 0)
		http_load(host, strtoul(argv[3], NULL, 10), atof(argv[4]),
		    atoi(argv[5]), argv[6], atoi(argv[7]), argv[8]);
	else if (argc == 6 && strcmp(verb, "httphold") == 0)
		http_hold(
		    host, atoi(argv[4]), argv[5], strtoul(argv[3], NULL, 10));
	else
		errx(2, "usage: see the head of load.c");
	return 0;
}
