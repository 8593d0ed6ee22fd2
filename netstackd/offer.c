/*
 * Clients of the host's published ports: portd has the socket, the guest shall
 * have the flow.  Without room for it the client is told so at once.
 */

#include <sys/socket.h>
#include <string.h>
#include <unistd.h>

#include "common/proxy2.h"
#include "netstackd/netstackd.h"

/* A connection that nobody serves: its client gets a RST, not an end. */
static void
turn_away(int fd)
{
	static const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

/* The PROXY header before the stream.  -1: out of memory. */
static int
put_head(struct stackd *s, uint32_t id, const struct ipc_msg *m)
{
	struct ipaddr from = ipc_addr(m, "from"), to = ipc_addr(m, "to");
	uint8_t head[PROXY2_MAX];
	size_t len;

	len = proxy2_header(head, &from, (uint16_t)ipc_u64(m, "fport"), &to,
	    (uint16_t)ipc_u64(m, "tport"));
	return hostio_head(s, id, head, len);
}

/* A flow of the core's for it; its id, or -1: no room. */
static int64_t
take(struct stackd *s, const struct ipc_msg *m, enum net_proto proto)
{
	struct ipaddr from = ipc_addr(m, "from");
	struct net_offer o = { .proto = proto,
		.guest_port = (uint16_t)ipc_u64(m, "dport") };
	int64_t id;

	if (ipc_bool(m, "preserve")) {
		o.from = ipaddr_to_u32(&from);
		o.fport = (uint16_t)ipc_u64(m, "fport");
	}
	if (s->net == NULL || o.guest_port == 0 ||
	    (id = net_offer(s->net, stackd_now(s), &o)) == -1)
		return -1;
	broker_offered(s, (uint32_t)id, proto, (uint32_t)ipc_u64(m, "id"));
	return id;
}

/* Its flow, if it has one still, closes and says that it is done. */
void
offer_end(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct stackd *s = d->data;
	int64_t id = broker_find_offer(s, (uint32_t)ipc_u64(m, "id"));

	if (id != -1 && s->net != NULL)
		net_offer_end(s->net, (uint32_t)id);
}

void
offer_flow(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct stackd *s = d->data;
	bool tcp = strcmp(ipc_str(m, "proto"), "tcp") == 0;
	enum net_proto proto = tcp ? NET_TCP : NET_UDP;
	int fd = ipc_take_fd(m, 0);
	usec_t now = stackd_now(s);
	int64_t got = take(s, m, proto);
	uint32_t id = (uint32_t)got;

	if (got == -1) {
		turn_away(fd);
		ipc_send(from, IPC_OFFER_DONE, NULL, 0, "{s:I}", "id",
		    (json_int_t)ipc_u64(m, "id"));
		return;
	}
	if (hostio_add(s, id, fd, proto, false) == -1) {
		net_open_failed(s->net, now, id, NET_ELIMIT);
		return;
	}
	hostio_early(s, id, ipc_take_fd(m, 1));
	if (ipc_bool(m, "proxy") && put_head(s, id, m) == -1) {
		net_open_failed(s->net, now, id, NET_ELIMIT);
		return;
	}
	net_opened(s->net, now, id, true);
	/* What waits there made no event yet, or never will. */
	net_readable(s->net, now, id);
}
