#ifndef HELLO_H
#define HELLO_H

/*
 * The server's name in a TLS ClientHello, RFC 8446 4.1.2 and RFC 6066 3.  The
 * bytes are looked at and never altered.  Pure.
 */

#include <stddef.h>
#include <sys/types.h>

#define HELLO_MAX     16384 /* bytes looked at */
#define HELLO_NAMEMAX 253

/*
 * 1: name, of HELLO_NAMEMAX + 1 bytes, is what the client asks for; 0: it asks
 * for none, or this is not TLS; -1: a name that is none, or given twice;
 * -2: need more.
 */
int hello_parse(const void *, size_t len, char *name);

#endif
