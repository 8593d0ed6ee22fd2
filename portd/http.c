/*
 * HTTP of guests.  A flow of "http" is a stream between the guest's stack and
 * proxyd: the pair is made here and each of them is handed one end, so that
 * proxyd needs no right to pass descriptors.
 *
 * The sockets proxyd then asks for are connected here, under the policy that
 * holds for the guest itself: through proxyd it reaches nothing more.
 */

#include <sys/socket.h>
#include <netinet/in.h>
#include <errno.h>
#include <unistd.h>

#include "common/plat/plat.h"
#include "portd/portd.h"

/* An explicit proxy's address is the gateway's; others are the servers'. */
bool
http_allowed(const struct portd *p, const struct flow *f)
{
	struct ipaddr dst = ipaddr_from_u32(f->dst);

	return (p->gateway_ip != 0 && f->dst == p->gateway_ip) ||
	       policy_check(&p->policy, &dst) == POLICY_ALLOW;
}

/*
 * The stack's end.  While there is no proxyd nobody answers, and the guest
 * asks again.
 */
int
http_flow(struct portd *p, const struct flow *f)
{
	struct ipc *proxy = daemon_peer(p->d, ROLE_PROXY, 0);
	struct ipaddr src = ipaddr_from_u32(f->guest_ip);
	struct ipaddr dst = ipaddr_from_u32(f->dst);
	char from[IPADDR_STRLEN], to[IPADDR_STRLEN];
	int sv[2];

	if (proxy == NULL) {
		stats_inc(&p->d->stats, PORTS_HTTP_NONE);
		errno = ETIMEDOUT;
		return -1;
	}
	if (plat_socketpair(SOCK_STREAM, sv) == -1)
		return -1;
	ipc_send(proxy, IPC_PROXY_FLOW, &sv[0], 1, "{s:I,s:s,s:i,s:s,s:i}",
	    "vm", (json_int_t)ipc_vm(f->vm->link), "src",
	    ipaddr_str(&src, from), "sport", (int)f->guest_port, "dst",
	    ipaddr_str(&dst, to), "dport", (int)f->dst_port);
	return sv[1];
}

/* A mapped address would be an IPv4 connection by another name. */
static struct ipaddr
fetch_addr(const struct ipc_msg *m)
{
	struct ipaddr a = ipc_addr(m, "addr");

	return ipaddr_unmap(&a);
}

static int
fetch_socket(struct portd *p, const struct ipc_msg *m)
{
	struct ipaddr a = fetch_addr(m);
	uint16_t port = (uint16_t)ipc_u64(m, "port");

	switch (policy_fetch(&p->policy, ipc_bool(m, "via"), &a, port)) {
	case POLICY_ALLOW:
		return sock_any(p, true, &a, port);
	case POLICY_LOOPBACK:
		a = ipaddr_from_u32(INADDR_LOOPBACK);
		return sock_any(p, true, &a, port);
	case POLICY_DENY:
		break;
	}
	errno = EACCES;
	return -1;
}

void
http_fetch(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	json_int_t id = (json_int_t)ipc_u64(m, "id");
	struct ipaddr a = fetch_addr(m);
	int fd;

	if (!ipc_bool(m, "via") && opener_fetch(d->data, from, (uint32_t)id, &a,
				       (uint16_t)ipc_u64(m, "port")))
		return;
	if ((fd = fetch_socket(d->data, m)) == -1) {
		stats_inc(&d->stats, PORTS_FETCH_REFUSED);
		ipc_send(from, IPC_SOCK_REFUSED, NULL, 0, "{s:I,s:s}", "id", id,
		    "error", sock_error_name(errno));
		return;
	}
	stats_inc(&d->stats, PORTS_FETCH);
	ipc_send(from, IPC_SOCK_FD, &fd, 1, "{s:I}", "id", id);
}
