/*
 * Leases, see lease.h.  The pool is an array by number; an address is free
 * when no slot has it.  Both searches are linear: they run once for each VM
 * that connects, over at most a thousand slots.
 */

#include <stdio.h>
#include <string.h>

#include "common/rd.h"

#include "lease.h"

static const char *const texts[LEASE__MAX] = {
	[LEASE_OK] = "",
	[LEASE_OTHER_IP] = ("UUID already assigned to a different IP than the "
			    "IP requested by the client"),
	[LEASE_RANGE] = "Preferred IP address out of range.",
	[LEASE_TAKEN] = "", /* made in lease_text() */
	[LEASE_NONE] = "No IP addresses available.",
};

static const uint8_t mark[4] = { 'v', 'p', 'n', 'k' };

static int
hexval(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
uuid_parse(const char *text, struct uuid *uuid)
{
	size_t i, n = 0;
	int hi, lo;

	for (i = 0; i < UUID_STRLEN - 1;) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i++] != '-')
				return -1;
			continue;
		}
		if ((hi = hexval(text[i])) == -1 ||
		    (lo = hexval(text[i + 1])) == -1)
			return -1;
		uuid->b[n++] = (uint8_t)(hi << 4 | lo);
		i += 2;
	}
	return 0;
}

const char *
uuid_str(const struct uuid *uuid, char *buf)
{
	static const char hex[] = "0123456789abcdef";
	char *p = buf;
	size_t i;

	for (i = 0; i < sizeof(uuid->b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = hex[uuid->b[i] >> 4];
		*p++ = hex[uuid->b[i] & 15];
	}
	*p = '\0';
	return buf;
}

struct uuid
uuid_draw(const uint8_t random[16])
{
	struct uuid uuid;

	memcpy(uuid.b, random, sizeof(uuid.b));
	memcpy(uuid.b, mark, sizeof(mark));
	uuid.b[6] = (uint8_t)((uuid.b[6] & 0x0f) | 0x40);
	uuid.b[8] = (uint8_t)((uuid.b[8] & 0x3f) | 0x80);
	return uuid;
}

bool
uuid_drawn(const struct uuid *uuid)
{
	return memcmp(uuid->b, mark, sizeof(mark)) == 0;
}

struct uuid
uuid_dgram(uint32_t n)
{
	struct uuid uuid = { { 'd', 'g', 'r', 'a', 'm', 0, 0x80, 0, 0x80 } };

	uuid.b[12] = (uint8_t)(n >> 24);
	uuid.b[13] = (uint8_t)(n >> 16);
	uuid.b[14] = (uint8_t)(n >> 8);
	uuid.b[15] = (uint8_t)n;
	return uuid;
}

static const struct uuid of_mac = { { 'n', 'i', 'c', 0, 0, 0, 0x80, 0, 0x80 } };

struct uuid
uuid_mac(const struct macaddr *mac)
{
	struct uuid uuid = of_mac;

	memcpy(uuid.b + 10, mac->b, sizeof(mac->b));
	return uuid;
}

bool
uuid_is_mac(const struct uuid *uuid, struct macaddr *mac)
{
	memcpy(mac->b, uuid->b + 10, sizeof(mac->b));
	return memcmp(uuid, &of_mac, 10) == 0;
}

struct macaddr
lease_mac(uint32_t vm)
{
	struct macaddr mac = { { 0x02, 0x50, (uint8_t)(vm >> 24),
	    (uint8_t)(vm >> 16), (uint8_t)(vm >> 8), (uint8_t)vm } };

	return mac;
}

uint32_t
lease_mac_vm(const uint8_t mac[6])
{
	struct rd r = rd_init(mac, 6);
	uint16_t head;
	uint32_t vm;

	if (rd_u16(&r, &head) == -1 || rd_u32(&r, &vm) == -1 ||
	    head != 0x0250 || vm > LEASE_MAX)
		return 0;
	return vm;
}

static struct lease *
find_uuid(struct lease_pool *pool, const struct uuid *uuid)
{
	struct lease *l;

	for (l = &pool->slot[1]; l <= &pool->slot[LEASE_MAX]; l++)
		if (l->vm != 0 && memcmp(&l->uuid, uuid, sizeof(*uuid)) == 0)
			return l;
	return NULL;
}

const struct lease *
lease_find_ip(const struct lease_pool *pool, uint32_t ip)
{
	const struct lease *l;

	for (l = &pool->slot[1]; l <= &pool->slot[LEASE_MAX]; l++)
		if (l->vm != 0 && l->ip == ip)
			return l;
	return NULL;
}

static bool
ip_taken(const struct lease_pool *pool, uint32_t ip)
{
	return lease_find_ip(pool, ip) != NULL;
}

/* Whether a guest may have this address at all. */
static bool
ip_allowed(const struct lease_conf *conf, uint32_t ip)
{
	return ip != 0 && ip >= conf->lowest && ip <= conf->highest &&
	       ip != conf->gateway && ip != conf->host;
}

/* The lowest free address; 0 when there is none. */
static uint32_t
ip_lowest_free(const struct lease_pool *pool)
{
	uint64_t ip;

	for (ip = pool->conf.lowest; ip <= pool->conf.highest; ip++)
		if (ip_allowed(&pool->conf, (uint32_t)ip) &&
		    !ip_taken(pool, (uint32_t)ip))
			return (uint32_t)ip;
	return 0;
}

/* A lease that was drawn for somebody who is gone; ip as in lease_get(). */
static struct lease *
find_unused(struct lease_pool *pool, const uint32_t *ip)
{
	struct lease *l;

	for (l = &pool->slot[1]; l <= &pool->slot[LEASE_MAX]; l++)
		if (l->vm != 0 && !l->used && uuid_drawn(&l->uuid) &&
		    (ip == NULL || *ip == l->ip))
			return l;
	return NULL;
}

/* When nothing else is left: of who has been gone longest. */
static struct lease *
find_spare(struct lease_pool *pool, usec_t now)
{
	struct lease *l, *spare = NULL;

	for (l = &pool->slot[1]; l <= &pool->slot[LEASE_MAX]; l++)
		if (l->vm != 0 && !l->used && l->spare_at <= now &&
		    (spare == NULL || l->spare_at < spare->spare_at))
			spare = l;
	return spare;
}

/*
 * The number of who has this address when all come one after the other and
 * none asks for another.  So who asks for the one it had before the suite was
 * restarted has its Ethernet address again, too, whoever comes first.
 */
static uint32_t
ip_rank(const struct lease_conf *conf, uint32_t ip)
{
	uint32_t n = ip - conf->lowest + 1;

	if (conf->gateway >= conf->lowest && conf->gateway < ip)
		n--;
	if (conf->host >= conf->lowest && conf->host < ip &&
	    conf->host != conf->gateway)
		n--;
	return n;
}

static enum lease_result
lease_new(struct lease_pool *pool, const struct uuid *uuid, uint32_t ip,
    struct lease **out)
{
	uint32_t vm, rank;

	for (vm = 1; vm <= LEASE_MAX && pool->slot[vm].vm != 0;)
		vm++;
	/* Numbers first: without a free one the search for an address could
	 * be long. */
	if (vm > LEASE_MAX || (ip == 0 && (ip = ip_lowest_free(pool)) == 0))
		return LEASE_NONE;
	rank = ip_rank(&pool->conf, ip);
	if (rank != 0 && rank <= LEASE_MAX && pool->slot[rank].vm == 0)
		vm = rank;
	pool->slot[vm] = (struct lease){
		.vm = vm, .uuid = *uuid, .mac = lease_mac(vm), .ip = ip
	};
	*out = &pool->slot[vm];
	return LEASE_OK;
}

/* The number and its Ethernet address stay; ip, unless 0, is a free address. */
static enum lease_result
lease_take(struct lease_pool *pool, const struct uuid *uuid, uint32_t ip,
    usec_t now, struct lease **out)
{
	struct lease *l = find_spare(pool, now);

	if (l == NULL)
		return LEASE_NONE;
	l->uuid = *uuid;
	if (ip != 0)
		l->ip = ip;
	*out = l;
	return LEASE_OK;
}

enum lease_result
lease_get(struct lease_pool *pool, const struct uuid *uuid, const uint32_t *ip,
    usec_t now, struct lease **out)
{
	struct lease *l = find_uuid(pool, uuid);
	uint32_t wish = ip != NULL ? *ip : 0;

	if (l == NULL && uuid_drawn(uuid))
		l = find_unused(pool, ip);
	if (l != NULL) {
		if (ip != NULL && *ip != l->ip)
			return LEASE_OTHER_IP;
		*out = l;
		return LEASE_OK;
	}
	if (ip != NULL && !ip_allowed(&pool->conf, wish))
		return LEASE_RANGE;
	if (ip != NULL && ip_taken(pool, wish))
		return LEASE_TAKEN;
	if (lease_new(pool, uuid, wish, out) == LEASE_OK)
		return LEASE_OK;
	return lease_take(pool, uuid, wish, now, out);
}

struct lease *
lease_restore(struct lease_pool *pool, uint32_t vm, const struct uuid *uuid,
    const struct macaddr *mac, uint32_t ip)
{
	struct macaddr want = lease_mac(vm);
	struct lease *l = find_uuid(pool, uuid);

	if (l != NULL)
		return l->vm == vm && l->ip == ip ? l : NULL;
	if (vm == 0 || vm > LEASE_MAX || ip == 0 || pool->slot[vm].vm != 0 ||
	    memcmp(&want, mac, sizeof(want)) != 0 || ip_taken(pool, ip))
		return NULL;
	l = &pool->slot[vm];
	*l = (struct lease){ .vm = vm, .uuid = *uuid, .mac = *mac, .ip = ip };
	return l;
}

const char *
lease_text(enum lease_result result, uint32_t ip, char *buf)
{
	struct ipaddr addr = ipaddr_from_u32(ip);
	char ipbuf[IPADDR_STRLEN];

	if (result == LEASE_TAKEN)
		snprintf(buf, LEASE_TEXTLEN,
		    "Preferred IP address %s already used.",
		    ipaddr_str(&addr, ipbuf));
	else
		snprintf(buf, LEASE_TEXTLEN, "%s", texts[result]);
	return buf;
}
