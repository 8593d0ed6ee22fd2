/*
 * The switch's decision, see switch.h.  Nearly every frame goes to the server
 * address, so that is asked first; the table of learned addresses is walked
 * only for an address that is no lease's.
 */

#include <string.h>

#include "common/rd.h"

#include "switch.h"

#define IPPROTO4_UDP 17
#define PORT_DHCP    67

static bool
mac_eq(const struct macaddr *a, const struct macaddr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static bool
mac_group(const struct macaddr *mac)
{
	return (mac->b[0] & 1) != 0;
}

static bool
mac_zero(const struct macaddr *mac)
{
	static const struct macaddr zero;

	return mac_eq(mac, &zero);
}

void
switch_add(struct switch_table *t, uint32_t vm)
{
	t->live[vm] = true;
	t->flood[vm].tokens = SWITCH_FLOOD_BURST;
}

void
switch_del(struct switch_table *t, uint32_t vm)
{
	t->live[vm] = false;
	if (!mac_zero(&t->learned[vm]))
		t->nlearned--;
	memset(&t->learned[vm], 0, sizeof(t->learned[vm]));
}

/* The live VM with this address; 0 when there is none. */
static uint32_t
find(const struct switch_table *t, const struct macaddr *mac)
{
	uint32_t vm = lease_mac_vm(mac->b), left = t->nlearned;

	if (vm != 0 && t->live[vm])
		return vm;
	for (vm = 1; vm <= LEASE_MAX && left > 0; vm++) {
		if (mac_zero(&t->learned[vm]))
			continue;
		if (mac_eq(&t->learned[vm], mac))
			return vm;
		left--;
	}
	return 0;
}

static void
learn(struct switch_table *t, uint32_t vm, const struct macaddr *src)
{
	if (mac_eq(&t->learned[vm], src) || lease_mac_vm(src->b) != 0 ||
	    mac_group(src) || mac_zero(src) || mac_eq(src, &t->server) ||
	    find(t, src) != 0)
		return;
	if (mac_zero(&t->learned[vm]))
		t->nlearned++;
	t->learned[vm] = *src;
}

bool
switch_flood(struct switch_table *t, uint32_t vm, usec_t now)
{
	struct switch_bucket *b = &t->flood[vm];
	const usec_t each = USEC_SEC / SWITCH_FLOOD_RATE;
	usec_t more = (now - b->at) / each;

	if (more >= SWITCH_FLOOD_BURST - b->tokens) {
		b->tokens = SWITCH_FLOOD_BURST;
		b->at = now;
	} else {
		/* What is less than a token counts next time. */
		b->tokens += (uint32_t)more;
		b->at += more * each;
	}
	if (b->tokens == 0)
		return false;
	b->tokens--;
	return true;
}

/* What an ARP message says of its sender: that it has this address. */
static bool
arp_forged(const struct lease_pool *pool, uint32_t vm, struct rd *r)
{
	const struct lease *l;
	uint32_t ip;

	/* Types, lengths, operation, hardware address. */
	if (rd_skip(r, 8 + 6) == -1 || rd_u32(r, &ip) == -1 || ip == 0)
		return false;
	if (ip == pool->conf.gateway || ip == pool->conf.host)
		return true;
	l = lease_find_ip(pool, ip);
	return l != NULL && l->vm != vm;
}

/* A later fragment is worth nothing without the first. */
static bool
from_dhcp_server(struct rd *r)
{
	uint8_t version, proto;
	uint16_t sport;

	return rd_u8(r, &version) == 0 && rd_skip(r, 8) == 0 &&
	       rd_u8(r, &proto) == 0 && proto == IPPROTO4_UDP &&
	       rd_skip(r, (size_t)(version & 15) * 4 - 10) == 0 &&
	       rd_u16(r, &sport) == 0 && sport == PORT_DHCP;
}

bool
switch_forged(const struct lease_pool *pool, uint32_t vm, const uint8_t *frame,
    size_t len)
{
	struct rd r = rd_init(frame, len);
	uint16_t type;

	if (rd_skip(&r, 2 * sizeof(struct macaddr)) == -1 ||
	    rd_u16(&r, &type) == -1)
		return false;
	if (type == ETHERTYPE_ARP)
		return arp_forged(pool, vm, &r);
	return type == ETHERTYPE_IP4 && from_dhcp_server(&r);
}

enum switch_verdict
switch_input(struct switch_table *t, uint32_t vm, const uint8_t *frame,
    size_t len, uint32_t *to)
{
	struct rd r = rd_init(frame, len);
	struct macaddr dst, src;
	uint16_t type;

	if (rd_bytes(&r, dst.b, sizeof(dst.b)) == -1 ||
	    rd_bytes(&r, src.b, sizeof(src.b)) == -1 || rd_u16(&r, &type) == -1)
		return SWITCH_SHORT;
	learn(t, vm, &src);
	if (mac_eq(&dst, &t->server))
		return SWITCH_STACK;
	if (mac_group(&dst))
		return SWITCH_ALL;
	*to = find(t, &dst);
	return *to == 0 || *to == vm ? SWITCH_STACK : SWITCH_VM;
}
