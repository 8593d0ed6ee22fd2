#ifndef FRONTLAB_H
#define FRONTLAB_H

/*
 * A real front with the test as its supervisor, its portd, and the clients of
 * its control socket.
 */

#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/plat/plat.h"

#include "tests/check_main.h"
#include "tests/integ/ninep_client.h"

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

struct frontlab {
	const char *exe;
	struct ev_loop *loop;
	pid_t pid;
	struct stats_file *stats;
	struct ipc *sup, *portd; /* owned */
	bool ready, gone;
	/* What our supervisor was asked last of the HTTP proxy's settings. */
	unsigned asks;
	enum ipc_type asked;
	uint32_t ask_id;
	char ask_text[65537];
	/* And which ports it was told of. */
	unsigned held, dropped;
	struct ipc_held {
		uint32_t id;
		char by[9], addr[128], note[64];
		uint16_t want, port;
	} last_held;
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
};

extern struct frontlab t;

/* Turns our loop when there is something for it, or for fd. */
void turn(int fd, short wanted);
/* How long something may take, from now on. */
void patience(void);
void still_patient(void);

#define UNTIL(cond)                                                            \
	for (patience(); !(cond); still_patient())                             \
	turn(-1, 0)

/* The supervisor and portd. */
void conf(const char *tunnel, const char *protocol);
void new_portd(void);
void lose_portd(void);
size_t made_count(void);
uint64_t counter(const char *name);
int count_fds(void); /* of the process */

/* Clients. */
int client(void);
void put(int fd, const void *, size_t n);
/* Reads n bytes, or fewer when the other end ends; how many. */
size_t get(int fd, void *, size_t n);
/* One request over HTTP; the answer is in a static buffer. */
const char *http(const char *method, const char *path, const char *body);
bool begins(const char *s, const char *with);
const char *body_of(const char *answer);
/* A 9P client's messages; arg: its descriptor. */
size_t np_xfer(void *arg, const void *out, size_t n, void *in, size_t max);

/* Runs the tests, each with a front of its own; the exit status. */
int frontlab_main(
    int argc, char *argv[], const char *name, const TTest *const *, size_t n);

#define HTTP_OK	   "HTTP/1.1 200 OK\r\n"
#define HTTP_EMPTY HTTP_OK "Content-Length: 0\r\nConnection: close\r\n\r\n"
#define SPEC	   "tcp:127.0.0.1:0:tcp:192.168.65.3:80"
#define REAL	   "tcp:127.0.0.1:40000:tcp:192.168.65.3:80"
#define JSON_PORT                                                              \
	"{\"proto\":\"tcp\",\"out_ip\":\"127.0.0.1\",\"out_port\":8080,"       \
	"\"in_ip\":\"192.168.65.3\",\"in_port\":80}"
#define JSON_ANY                                                               \
	"{\"proto\":\"tcp\",\"out_ip\":\"127.0.0.1\",\"in_ip\":"               \
	"\"192.168.65.3\",\"in_port\":80}"

#endif
