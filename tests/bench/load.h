#ifndef LOAD_H
#define LOAD_H

/*
 * What the files of the load tool share.  Servers and clients agree on ports;
 * TCP has many, so that a client does not run out of its own.
 */

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_TCP_PORT  7100 /* echo; the first of LOAD_TCP_PORTS */
#define LOAD_TCP_PORTS 16
#define LOAD_UDP_ECHO  7200
#define LOAD_UDP_SINK  7300
#define LOAD_UDP_QUERY 7301 /* what the sink has counted */
#define LOAD_UDP_PULL  7302 /* sends what it is asked to */

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

/* Measured times, in microseconds. */
struct samples {
	double *usec; /* owned */
	size_t n, cap;
};

/* load.c */
double load_now(void); /* seconds */
struct sockaddr_in load_addr(const char *host, int port);
void samples_init(struct samples *, size_t cap);
void samples_add(struct samples *, double seconds); /* full: ignored */
void samples_sort(struct samples *);
/* A percentile of sorted samples; -1 when there are none. */
double samples_at(const struct samples *, unsigned percent);

/* load_tcp.c */
_Noreturn void tcp_serve(const char *addr);
void tcp_pingpong(const char *host, double secs);
void tcp_connrate(const char *host, double secs, int parallel);
void tcp_idle(const char *host, long want, int parallel);

/* load_udp.c */
void udp_serve(const char *addr); /* starts threads */
void udp_echo(const char *host, size_t size, int window, double secs);
void udp_flood(const char *host, size_t size, double secs);
void udp_pull(const char *host, size_t size, double secs);

/* load_dns.c */
_Noreturn void dns_delay(const char *addr, double ms, const char *server);

/* load_http.c */
void http_load(const char *host, size_t count, double secs, int port,
    const char *target, int port2, const char *target2);
void http_hold(const char *host, int port, const char *target, size_t count);

#endif
