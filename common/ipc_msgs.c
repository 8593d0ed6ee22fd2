/*
 * Every message of the bus, here and nowhere else; docs/vpnkit-ipc.7 mirrors
 * it.  A row: name, who may send it to whom, how many descriptors come along,
 * and the fields with their types and ranges.  All fields are required.
 */

#include <stdbool.h>
#include <string.h>

#include "common/ipaddr.h"
#include "common/ipc_msgs.h"

#define P_MAIN	ROLE_BIT(ROLE_MAIN)
#define P_ETH	ROLE_BIT(ROLE_ETH)
#define P_STACK ROLE_BIT(ROLE_STACK)
#define P_DNS	ROLE_BIT(ROLE_DNS)
#define P_PROXY ROLE_BIT(ROLE_PROXY)
#define P_PORT	ROLE_BIT(ROLE_PORT)
#define P_KIDS	(P_ETH | P_STACK | P_DNS | P_PROXY | P_PORT)

#define F_ID(n)	  { n, F_INT, 0, UINT32_MAX }
#define F_VM	  { "vm", F_INT, 1, UINT32_MAX }
#define F_IP(n)	  { n, F_ADDR, 0, 0 }
#define F_TCPUDPPORT(n) { n, F_INT, 0, 65535 }
#define F_TEXT(n) { n, F_STR, 0, 255 }
#define F_NAMES(n) { n, F_STRS, 0, 64 }

const char *const ipc_role_name[ROLE__MAX] = {
	[ROLE_MAIN] = "vpnkit",
	[ROLE_ETH] = "ethd",
	[ROLE_STACK] = "netstackd",
	[ROLE_DNS] = "dnsd",
	[ROLE_PROXY] = "proxyd",
	[ROLE_PORT] = "portd",
};

/* clang-format off */
const struct ipc_desc ipc_desc[IPC__MAX] = {
	/* The first message of every daemon. */
	[IPC_HELLO] = { "hello", P_KIDS, P_MAIN, 0, 0,
	    { F_TEXT("version"), { "pid", F_INT, 1, INT32_MAX } } },
	/* Sandboxed; the layers the OS confirmed. */
	[IPC_READY] = { "ready", P_KIDS, P_MAIN, 0, 0,
	    { F_NAMES("sandbox") } },
	/* A link to another daemon; replaces the one it names. */
	[IPC_PEER] = { "peer", P_MAIN, P_KIDS, 1, 1,
	    { { "role", F_STR, 1, 16 }, F_ID("vm") } },
	/* That daemon is not there now; what was asked of it is lost. */
	[IPC_PEER_GONE] = { "peer-gone", P_MAIN, P_KIDS, 0, 0,
	    { { "role", F_STR, 1, 16 }, F_ID("vm") } },
	/* The sender of this saw a violation by the daemon it names. */
	[IPC_BAD_PEER] = { "bad-peer", P_KIDS, P_MAIN, 0, 0,
	    { { "role", F_STR, 1, 16 }, F_ID("vm"), F_TEXT("why") } },
	[IPC_LOG_LEVEL] = { "log-level", P_MAIN, P_KIDS, 0, 0,
	    { { "level", F_INT, 0, 3 } } },

	[IPC_CONF_ETH] = { "conf-eth", P_MAIN, P_ETH, 0, 0,
	    { { "mtu", F_INT, 576, 65521 }, F_IP("gateway-ip"),
	    F_IP("host-ip"), F_IP("lowest-ip"), F_IP("highest-ip"),
	    { "server-mac", F_MAC, 0, 0 } } },
	[IPC_CONF_STACK] = { "conf-stack", P_MAIN, P_STACK, 0, 0,
	    { F_VM, { "mac", F_MAC, 0, 0 }, F_IP("ip"),
	    { "mtu", F_INT, 576, 65521 }, F_IP("gateway-ip"),
	    F_IP("host-ip"), F_IP("highest-ip"),
	    { "server-mac", F_MAC, 0, 0 }, F_TEXT("domain"),
	    F_NAMES("search") } },
	[IPC_CONF_DNS] = { "conf-dns", P_MAIN, P_DNS, 0, 0,
	    { F_IP("gateway-ip"), F_IP("host-ip"), F_IP("lowest-ip"),
	    F_NAMES("gateway-names"), F_NAMES("host-names"),
	    F_NAMES("vm-names"), F_NAMES("servers") } },
	[IPC_CONF_PROXY] = { "conf-proxy", P_MAIN, P_PROXY, 0, 0, { { 0 } } },
	[IPC_CONF_PORT] = { "conf-port", P_MAIN, P_PORT, 0, 0,
	    { F_IP("gateway-ip"), F_IP("host-ip"), F_IP("lowest-ip"),
	    F_IP("highest-ip"), F_NAMES("servers"),
	    { "max-connections", F_INT, -1, INT32_MAX } } },

	/* A listening or datagram socket for VMs: vmnet, qemu or dgram. */
	[IPC_LISTENER] = { "listener", P_MAIN, P_ETH, 1, 1,
	    { { "kind", F_STR, 1, 8 } } },
	/* A lease ethd gave before it was restarted. */
	[IPC_LEASE] = { "lease", P_MAIN, P_ETH, 0, 0,
	    { F_VM, { "uuid", F_STR, 36, 36 }, { "mac", F_MAC, 0, 0 },
	    F_IP("ip") } },
	/* A VM with this lease is there; it needs a stack and a channel. */
	[IPC_VM_OPEN] = { "vm-open", P_ETH, P_MAIN, 0, 0,
	    { F_VM, { "uuid", F_STR, 36, 36 }, { "mac", F_MAC, 0, 0 },
	    F_IP("ip") } },
	/* It has been gone for ten seconds: its stack can go too. */
	[IPC_VM_CLOSE] = { "vm-close", P_ETH, P_MAIN, 0, 0, { F_VM } },
	/* A packet channel: socket, arena to write, arena to read. */
	[IPC_CHAN] = { "chan", P_MAIN, P_ETH | P_STACK, 3, 3, { F_VM } },

	/*
	 * A flow of the guest needs a host socket.  proto: "tcp", "udp-bind"
	 * (a socket for everything that guest port receives; dst is not
	 * looked at), "udp" (a connected socket on the local port of the
	 * guest port's udp-bind), "dns" (dnsd only: one datagram socket for
	 * all UDP queries of the VM).
	 */
	[IPC_FLOW_OPEN] = { "flow-open", P_STACK, P_PORT | P_DNS | P_PROXY,
	    0, 0, { F_ID("id"), { "proto", F_STR, 3, 8 }, F_IP("src"),
	    F_TCPUDPPORT("sport"), F_IP("dst"), F_TCPUDPPORT("dport") } },
	/* The socket; a TCP one may still be connecting. */
	[IPC_FLOW_FD] = { "flow-fd", P_PORT | P_DNS | P_PROXY, P_STACK,
	    1, 1, { F_ID("id") } },
	/* error: a name of <errno.h>, as "ECONNREFUSED". */
	[IPC_FLOW_REFUSED] = { "flow-refused", P_PORT | P_DNS | P_PROXY,
	    P_STACK, 0, 0, { F_ID("id"), { "error", F_STR, 1, 32 } } },
	/* The stack is done with the flow, answered or not. */
	[IPC_FLOW_CLOSE] = { "flow-close", P_STACK, P_PORT | P_DNS | P_PROXY,
	    0, 0, { F_ID("id") } },

	/* count sockets connected (TCP: connecting) to one address. */
	[IPC_SOCK_OPEN] = { "sock-open", P_DNS | P_PROXY, P_PORT, 0, 0,
	    { F_ID("id"), { "proto", F_STR, 3, 3 }, F_IP("addr"),
	    F_TCPUDPPORT("port"), { "count", F_INT, 1, 64 } } },
	[IPC_SOCK_FD] = { "sock-fd", P_PORT, P_DNS | P_PROXY, 1, 64,
	    { F_ID("id") } },
	[IPC_SOCK_REFUSED] = { "sock-refused", P_PORT, P_DNS | P_PROXY, 0, 0,
	    { F_ID("id"), { "error", F_STR, 1, 32 } } },
};
/* clang-format on */
