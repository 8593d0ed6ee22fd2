/* Frames of the core's, checked. */

#include "tests/fuzz/frames.h"

#include "fuzz.h"

#define ARP_LEN 28

static uint16_t
get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t
get_u32(const uint8_t *p)
{
	return (uint32_t)get_u16(p) << 16 | get_u16(p + 2);
}

static void
check_payload(const uint8_t *ip, size_t len, frames_tcp *tcp, void *arg)
{
	const uint8_t *p = ip + IP4_HDRLEN;
	uint32_t sum;
	struct tcp_seg s;

	len -= IP4_HDRLEN;
	sum = cksum_pseudo(get_u32(ip + 12), get_u32(ip + 16), ip[9], len);
	switch (ip[9]) {
	case IPPROTO4_ICMP:
		CHECK(len >= 8 && cksum_finish(cksum_add(0, p, len)) == 0);
		break;
	case IPPROTO4_UDP:
		CHECK(len >= 8 && get_u16(p + 4) == len && get_u16(p + 6) != 0);
		CHECK(cksum_finish(cksum_add(sum, p, len)) == 0);
		break;
	case IPPROTO4_TCP:
		CHECK(cksum_finish(cksum_add(sum, p, len)) == 0);
		CHECK(tcp_parse(rd_init(p, len), &s) == 0);
		tcp(arg, get_u32(ip + 12), &s);
		break;
	default:
		CHECK(!"a protocol we do not have");
	}
}

static void
check_ip4(const struct world *w, const uint8_t *ip, size_t len, frames_tcp *tcp,
    void *arg)
{
	uint16_t frag;

	CHECK(len >= IP4_HDRLEN && ip[0] == 0x45 && ip[8] > 0);
	CHECK(get_u16(ip + 2) == len && len <= w->conf.mtu);
	CHECK(cksum_finish(cksum_add(0, ip, IP4_HDRLEN)) == 0);
	/* An answer by DHCP goes to where its client says it is. */
	CHECK(get_u32(ip + 16) == w->conf.guest_ip ||
	      (ip[9] == IPPROTO4_UDP && get_u16(ip + IP4_HDRLEN) == 67));
	frag = get_u16(ip + 6);
	CHECK((frag & IP4_MF) == 0 || len % 8 == IP4_HDRLEN % 8);
	if ((frag & ~IP4_DF) == 0)
		check_payload(ip, len, tcp, arg);
}

void
frames_check(struct world *w, frames_tcp *tcp, void *arg)
{
	struct frame *f;

	if (*w->error != '\0') {
		fprintf(stderr, "%s\n", w->error);
		CHECK(!"the hooks were used well");
	}
	while ((f = world_take(w)) != NULL) {
		CHECK(f->len >= ETH_HDRLEN + ARP_LEN - 8);
		CHECK(memcmp(f->data + 6, w->conf.server_mac, 6) == 0);
		if (get_u16(f->data + 12) == 0x0800)
			check_ip4(w, f->data + ETH_HDRLEN, f->len - ETH_HDRLEN,
			    tcp, arg);
		else
			CHECK(get_u16(f->data + 12) == 0x0806 &&
			      f->len >= ETH_HDRLEN + ARP_LEN);
		free(f);
	}
}

static void
put_sum(uint8_t *at, uint32_t sum, const uint8_t *p, size_t len)
{
	uint16_t field;

	memset(at, 0, sizeof(field));
	field = cksum_finish(cksum_add(sum, p, len));
	memcpy(at, &field, sizeof(field));
}

void
frames_repair(const struct world *w, uint8_t *f, size_t len)
{
	static const uint8_t sum_at[256] = {
		[IPPROTO4_ICMP] = 2, [IPPROTO4_UDP] = 6, [IPPROTO4_TCP] = 16
	};
	uint8_t *ip = f + ETH_HDRLEN, *p;
	size_t total, hdrlen;
	uint32_t sum;

	if (len < FRAME_HDRLEN)
		return;
	memcpy(f, w->conf.server_mac, 6);
	if (get_u16(f + 12) != 0x0800)
		return;
	put_u32(ip + 12, w->conf.guest_ip);
	hdrlen = (size_t)(ip[0] & 15) * 4;
	total = get_u16(ip + 2);
	if (hdrlen < IP4_HDRLEN || total < hdrlen || total > len - ETH_HDRLEN)
		return;
	put_sum(ip + 10, 0, ip, hdrlen);
	p = ip + hdrlen;
	total -= hdrlen;
	if (sum_at[ip[9]] == 0 || total < (size_t)sum_at[ip[9]] + 2)
		return;
	sum = ip[9] == IPPROTO4_ICMP ? 0
				     : cksum_pseudo(get_u32(ip + 12),
					   get_u32(ip + 16), ip[9], total);
	put_sum(p + sum_at[ip[9]], sum, p, total);
}
