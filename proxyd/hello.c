/*
 * ClientHello; see hello.h.
 *
 * A handshake message may be cut into records anywhere, so its bytes are read
 * through a cursor that steps over record headers.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/rd.h"
#include "proxyd/hello.h"

#define TYPE_HANDSHAKE	 22
#define TYPE_CLIENTHELLO 1
#define EXT_SERVER_NAME	 0
#define NAME_DNS	 0
#define RECORD_MAX	 16384

enum { NO_TLS = 0, FOUND = 1, BAD = -1, MORE = -2 };

/* Joins what the records have in them.  1 when `want' bytes are there. */
static int
join(struct rd r, uint8_t *out, size_t want)
{
	uint16_t version, len;
	size_t n = 0, take;
	uint8_t type;

	while (n < want) {
		if (rd_u8(&r, &type) == -1)
			return MORE;
		if (type != TYPE_HANDSHAKE)
			return NO_TLS;
		if (rd_u16(&r, &version) == -1)
			return r.len > 0 && r.p[0] != 3 ? NO_TLS : MORE;
		if (version >> 8 != 3)
			return NO_TLS;
		if (rd_u16(&r, &len) == -1)
			return MORE;
		if (len == 0 || len > RECORD_MAX)
			return NO_TLS;
		take = len < want - n ? len : want - n;
		if (take > r.len)
			return MORE;
		if (rd_bytes(&r, out + n, take) == -1 ||
		    (n + take < want && rd_skip(&r, len - take) == -1))
			return MORE;
		n += take;
	}
	return FOUND;
}

static bool
is_name(struct rd r)
{
	uint8_t c;

	if (r.len == 0 || r.len > HELLO_NAMEMAX || r.p[0] == '.')
		return false;
	while (rd_u8(&r, &c) == 0) {
		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
		    !(c >= 'A' && c <= 'Z') && c != '-' && c != '.' && c != '_')
			return false;
	}
	return true;
}

/* The extension's data: a list of names, of which one may be a DNS name. */
static int
parse_names(struct rd ext, char *name)
{
	int found = NO_TLS;
	struct rd list, v;
	uint16_t len;
	uint8_t type;

	if (rd_u16(&ext, &len) == -1 || rd_sub(&ext, len, &list) == -1 ||
	    ext.len != 0)
		return BAD;
	while (list.len > 0) {
		if (rd_u8(&list, &type) == -1 || rd_u16(&list, &len) == -1 ||
		    rd_sub(&list, len, &v) == -1)
			return BAD;
		if (type != NAME_DNS)
			continue;
		if (found == FOUND || !is_name(v))
			return BAD;
		memcpy(name, v.p, v.len);
		name[v.len] = '\0';
		found = FOUND;
	}
	return found;
}

static int
parse_extensions(struct rd r, char *name)
{
	bool seen = false;
	uint16_t type, len;
	int found = NO_TLS;
	struct rd ext;

	while (r.len > 0) {
		if (rd_u16(&r, &type) == -1 || rd_u16(&r, &len) == -1 ||
		    rd_sub(&r, len, &ext) == -1)
			return BAD;
		if (type != EXT_SERVER_NAME)
			continue;
		if (seen)
			return BAD;
		seen = true;
		if ((found = parse_names(ext, name)) == BAD)
			return BAD;
	}
	return found;
}

/* Skips a vector behind a length of one or two bytes. */
static int
skip_vector(struct rd *r, size_t lenbytes)
{
	uint16_t len = 0;
	uint8_t one = 0;

	if (lenbytes == 1 ? rd_u8(r, &one) : rd_u16(r, &len))
		return -1;
	return rd_skip(r, lenbytes == 1 ? one : len);
}

static int
parse_hello(struct rd r, char *name)
{
	struct rd ext;
	uint16_t len;

	/* Version and random; session, cipher suites, compressions. */
	if (rd_skip(&r, 2 + 32) == -1 || skip_vector(&r, 1) == -1 ||
	    skip_vector(&r, 2) == -1 || skip_vector(&r, 1) == -1)
		return BAD;
	if (r.len == 0)
		return NO_TLS; /* none, as in old versions */
	if (rd_u16(&r, &len) == -1 || rd_sub(&r, len, &ext) == -1)
		return BAD;
	return parse_extensions(ext, name);
}

int
hello_parse(const void *p, size_t len, char *name)
{
	struct rd r = rd_init(p, len);
	uint8_t msg[HELLO_MAX];
	size_t n;
	int ret;

	if ((ret = join(r, msg, 4)) != FOUND)
		return ret;
	n = (size_t)msg[1] << 16 | (size_t)msg[2] << 8 | msg[3];
	if (msg[0] != TYPE_CLIENTHELLO || n + 4 > sizeof(msg))
		return NO_TLS;
	if ((ret = join(r, msg, n + 4)) != FOUND)
		return ret;
	return parse_hello(rd_init(msg + 4, n), name);
}
