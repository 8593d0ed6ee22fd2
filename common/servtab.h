#ifndef SERVTAB_H
#define SERVTAB_H

/*
 * The name servers as socket addresses, in a page that portd writes and dnsd
 * can read and not write.  dnsd may connect to what is in there and to nothing
 * else: its filter of system calls looks at the pointer, and the page stays
 * where it is (seccomp_linux.c).  Pure.
 */

#include <sys/socket.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

/* A place, or a part of it that the kernel is given the address of. */
struct servtab_place {
	union {
		struct sockaddr any; /* AF_UNSPEC: nothing is here */
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		uint8_t size[32];
	};
};

#define SERVTAB_PLACES 128 /* the first is for nobody: to disconnect with */
#define SERVTAB_LEN    sizeof(struct sockaddr_in6) /* of every one of them */

struct servtab {
	struct servtab_place place[SERVTAB_PLACES];
};

/* Where dnsd has it: lower than where the system puts what it may choose. */
#define SERVTAB_AT 0x40000000

/*
 * From now on these and no others.  A place gets another address only when
 * there is none left that never had one, so that nobody who connects meanwhile
 * meets a half of each.  At most half of the places.
 */
void servtab_put(struct servtab *, const struct sockaddr_storage *, size_t n);
/* Its place; 0: none. */
unsigned servtab_find(const struct servtab *, const struct sockaddr_storage *);
/* Whether it is at that place, still. */
bool servtab_is(
    const struct servtab *, unsigned place, const struct sockaddr_storage *);

#endif
