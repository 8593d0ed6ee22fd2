/* A DHCP message of the guest's, in an otherwise good frame. */

#include "frames.h"
#include "fuzz.h"

static void
on_tcp(void *arg, uint32_t src, const struct tcp_seg *s)
{
	CHECK(!"nobody asked for TCP");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct world w;
	uint8_t f[FRAME_HDRLEN + 8 + 1472] = { 0 }, *ip = f + ETH_HDRLEN;
	struct rd r = rd_init(data, len);
	uint8_t how = fuzz_u8(&r);

	len = r.len < 1472 ? r.len : 1472;
	world_init(&w);
	memset(w.conf.domain, 'd', how);
	for (; w.conf.nsearch < (how & 7); w.conf.nsearch++)
		memset(w.conf.search[w.conf.nsearch], 's', how & 63);
	CHECK(world_start(&w) == 0);
	memcpy(f + 6, w.conf.guest_mac, 6);
	put_u16(f + 12, 0x0800);
	ip[0] = 0x45;
	put_u16(ip + 2, (uint16_t)(IP4_HDRLEN + 8 + len));
	ip[8] = IP4_TTL;
	ip[9] = IPPROTO4_UDP;
	put_u32(ip + 16, how & 1 ? UINT32_MAX : w.conf.gateway_ip);
	put_u16(ip + 20, 68);
	put_u16(ip + 22, 67);
	put_u16(ip + 24, (uint16_t)(8 + len));
	memcpy(ip + 28, r.p, len);
	frames_repair(&w, f, FRAME_HDRLEN + 8 + len);
	world_frame(&w, f, FRAME_HDRLEN + 8 + len);
	world_flush(&w);
	CHECK(w.stat[NETS_DHCP_RX] == 1);
	frames_check(&w, on_tcp, NULL);
	world_fini(&w);
	return 0;
}
