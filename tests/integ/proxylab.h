#ifndef PROXYLAB_H
#define PROXYLAB_H

/*
 * A real proxyd with the test as its supervisor, its portd, its dnsd, its
 * guests and every server and proxy it reaches: all sockets are socketpairs,
 * so nothing touches a network, and times are what the test says they are.
 */

#include <sys/socket.h>
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/plat/plat.h"

#define nitems(a)  (sizeof(a) / sizeof((a)[0]))
#define LOOK_MS	   20 /* between two turns of our own loop */
#define DEADLINE_S 60
#define MAXUPS	   4096
#define LONG_MS	   600000
#define SHORT_MS   50 /* for what is to happen */

/* A server's or proxy's end of one connection. */
struct server {
	int fd; /* owned */
	bool via;
	char addr[IPADDR_STRLEN];
	unsigned port;
	size_t junk; /* bytes that fill it: nobody answers there */
};

/* Settings; NULL and 0 are what most tests want. */
struct settings {
	const char *http, *https; /* proxies; NULL: none */
	const char *auth;
	const char *exclude,
	    *allow; /* one rule; NULL: none; "": an empty list */
	int head_ms, idle_ms, connect_ms, hello_ms;
};

enum portd { GIVE, GIVE_FULL, GIVE_DEAD, REFUSE, IGNORE };

struct proxylab {
	const char *exe;
	struct ev_loop *loop;
	pid_t pid;
	struct stats_file *stats;
	struct ipc *sup, *port, *dns; /* owned */
	bool ready;
	int log; /* its stderr: a file */
	/* Our portd. */
	enum portd portd;
	const char *error; /* of REFUSE */
	bool refuse_v4;	   /* the same, of IPv4 only */
	/* GIVE_FULL, GIVE_DEAD and IGNORE, of these addresses only. */
	const char *silent, *dead, *ignored;
	uint64_t port_id; /* of what was ignored last */
	struct server up[MAXUPS];
	size_t nup;
	unsigned asked;
	/* Our dnsd. */
	bool dns_silent, dns_silent6;
	const char *dns_addr;  /* some, or one; NULL: it has none */
	const char *dns_addr6; /* NULL, both: there is no such name */
	unsigned lookups, lookups6;
	uint64_t dns_id; /* of the last question */
	char name[256];	 /* the last one */
};

extern struct proxylab t;

void turn(int fd, short wanted);
void patience(void);
void still_patient(void);

#define UNTIL(cond)                                                            \
	for (patience(); !(cond); still_patient())                             \
	turn(-1, 0)

/* Tests begin with the usual ones; these are in force on return. */
void conf(const struct settings *);
extern const struct settings usual; /* a proxy for both */
uint64_t counter(const char *name);
/* Whether that text is in the log. */
bool logged(const char *text);

/* A guest's connection: the guest's end. */
int guest_of(unsigned vm, const char *dst, unsigned port);
int guest(const char *dst, unsigned port);
/* The end of connection number n to the outside, as soon as it is there. */
int server(size_t n);

void put(int fd, const void *, size_t n);
void puts_to(int fd, const char *);
/* Reads n bytes, or fewer when the other end ends; how many. */
size_t get(int fd, void *, size_t n);
/* That comes next, and exactly that. */
void want(int fd, const char *);
/* The same, and then the end. */
void want_last(int fd, const char *);
/* That one, which was silent, is connected to. */
void answer(size_t n);
/* portd's answer to a question it ignored; the server's end. */
int given(uint64_t id);
/* dnsd's answer to a question: addresses, NULL for none. */
void resolved(uint64_t id, const char *addrs, const char *error);
/* Everything up to the end, in a static buffer. */
const char *rest(int fd);
/* Only the end. */
void want_end(int fd);
/* Waits until the other end has taken what was written. */
void taken(int fd);
bool nothing_to_read(int fd);
bool begins(const char *s, const char *with);

/* Runs tests, each with a proxyd of its own; the exit status. */
int proxylab_main(
    int argc, char *argv[], const char *name, const TTest *const *, size_t n);

#define ORIGIN	"198.51.100.7"
#define GATEWAY "192.168.65.1"
#define PROXYAT "192.0.2.9"
#define GET_A	"GET /a HTTP/1.1\r\nHost: one.example\r\n\r\n"
#define OK_2	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

#endif
