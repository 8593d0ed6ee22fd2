/*
 * Every message of the bus, here and nowhere else; docs/vpnkit-ipc.7 mirrors
 * it.  A row: name, who may send it to whom, how many descriptors come along,
 * and the fields with their types and ranges.  All fields are required.
 */

#include "common/ipc.h"

#define P_MAIN	ROLE_BIT(ROLE_MAIN)
#define P_ETH	ROLE_BIT(ROLE_ETH)
#define P_STACK ROLE_BIT(ROLE_STACK)
#define P_DNS	ROLE_BIT(ROLE_DNS)
#define P_PROXY ROLE_BIT(ROLE_PROXY)
#define P_PORT	ROLE_BIT(ROLE_PORT)
#define P_ADMIN ROLE_BIT(ROLE_ADMIN)
#define P_DIAG	ROLE_BIT(ROLE_DIAG)
#define P_FRONT ROLE_BIT(ROLE_FRONT)
#define P_KIDS	(P_ETH | P_STACK | P_DNS | P_PROXY | P_PORT | P_FRONT | P_DIAG)

/* clang-format off */
#define F_ID(n)	  { n, F_INT, 0, UINT32_MAX }
#define F_VM	  { "vm", F_INT, 1, UINT32_MAX }
#define F_IP(n)	  { n, F_ADDR, 0, 0 }
#define F_TCPUDPPORT(n) { n, F_INT, 0, 65535 }
#define F_TEXT(n) { n, F_STR, 0, 255 }
#define WIDE	  (INT64_C(1) << 53) /* what any reader of JSON keeps */
#define F_NAMES(n) { n, F_STRS, 0, 64 }
#define F_RULES(n) { n, F_STRS, 0, 160 }
#define F_AUTH(n) { n, F_STR, 0, 1024 }
/* clang-format on */

const char *const ipc_role_name[ROLE__MAX] = {
	[ROLE_MAIN] = "vpnkit",
	[ROLE_ETH] = "ethd",
	[ROLE_STACK] = "netstackd",
	[ROLE_DNS] = "dnsd",
	[ROLE_PROXY] = "proxyd",
	[ROLE_PORT] = "portd",
	[ROLE_FRONT] = "front",
	[ROLE_DIAG] = "diagd",
	[ROLE_ADMIN] = "admin",
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
	/* The sender had no descriptors left for what came from the other. */
	[IPC_LINK_LOST] = { "link-lost", P_KIDS, P_MAIN, 0, 0,
	    { { "role", F_STR, 1, 16 }, F_ID("vm") } },
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
	    F_NAMES("vm-names"), { "in-turn", F_BOOL, 0, 0 },
	    { "offline-after", F_INT, 0, INT32_MAX },
	    { "network", F_INT, 0, UINT32_MAX } } },
	/*
	 * A server, and names with their addresses ("ADDRESS NAME"), for the
	 * conf-dns that follows: that replaces everything at once.
	 */
	[IPC_DNS_SERVER] = { "dns-server", P_MAIN, P_DNS, 0, 0,
	    { F_IP("addr"), { "port", F_INT, 1, 65535 },
	    { "order", F_INT, 0, INT32_MAX },
	    { "timeout-ms", F_INT, 0, 3600000 }, { "zones", F_STRS, 0, 256 } } },
	[IPC_DNS_HOSTS] = { "dns-hosts", P_MAIN, P_DNS, 0, 0,
	    { F_NAMES("names") } },
	/*
	 * HTTP.  A host of "" is no proxy; auth is what follows "Basic", ""
	 * for none.  Ports are decimal numbers.
	 */
	[IPC_CONF_PROXY] = { "conf-proxy", P_MAIN, P_PROXY, 0, 0,
	    { { "enabled", F_BOOL, 0, 0 }, F_IP("gateway-ip"),
	    F_TEXT("http-host"), F_TCPUDPPORT("http-port"),
	    F_AUTH("http-auth"), F_TEXT("https-host"),
	    F_TCPUDPPORT("https-port"), F_AUTH("https-auth"),
	    F_NAMES("http-ports"), F_NAMES("https-ports"),
	    F_RULES("exclude"), { "allow-enabled", F_BOOL, 0, 0 },
	    F_RULES("allow"), { "allow-error", F_STR, 0, 1024 },
	    { "head-ms", F_INT, 1, INT32_MAX },
	    { "idle-ms", F_INT, 1, INT32_MAX },
	    { "connect-ms", F_INT, 1, INT32_MAX },
	    { "hello-ms", F_INT, 1, INT32_MAX } } },
	/* The guest's TCP ports that proxyd serves, and gateway:3128, 3129. */
	[IPC_INTERCEPT] = { "intercept", P_MAIN, P_STACK, 0, 0,
	    { { "ports", F_STRS, 0, 128 }, { "explicit", F_BOOL, 0, 0 } } },
	/* The suite's own TCP ports ("ADDRESS#PORT"): no guest gets there. */
	[IPC_CONF_CLOSED] = { "conf-closed", P_MAIN, P_PORT, 0, 0,
	    { F_NAMES("addresses") } },
	[IPC_CONF_PORT] = { "conf-port", P_MAIN, P_PORT, 0, 0,
	    { F_IP("gateway-ip"), F_IP("host-ip"), F_IP("lowest-ip"),
	    F_IP("highest-ip"), F_NAMES("servers"), F_NAMES("proxies"),
	    { "max-connections", F_INT, -1, INT32_MAX },
	    F_NAMES("allowed-bind"), { "backlog", F_INT, 0, INT32_MAX },
	    { "preserve-source", F_BOOL, 0, 0 } } },
	/*
	 * How the tunnel begins: "hyperkit", "plain"; "": there is none.  What
	 * is spoken then: "auto", "mux", "mux-handshake", "2017".
	 */
	[IPC_CONF_FRONT] = { "conf-front", P_MAIN, P_FRONT, 0, 0,
	    { { "tunnel", F_STR, 0, 16 }, { "protocol", F_STR, 1, 16 } } },
	/*
	 * Ports of the gateway that lead elsewhere: so many follow, and then
	 * all of them together replace the ones before.
	 */
	[IPC_GATEWAY_FORWARDS] = { "gateway-forwards", P_MAIN,
	    P_PORT | P_STACK, 0, 0, { { "count", F_INT, 0, 1024 } } },
	[IPC_GATEWAY_FORWARD] = { "gateway-forward", P_MAIN,
	    P_PORT | P_STACK, 0, 0, { { "proto", F_STR, 3, 3 },
	    F_TCPUDPPORT("port"), F_IP("dst"), F_TCPUDPPORT("dport") } },
	/* The same of destinations that are reached through Unix sockets. */
	[IPC_VIA_FORWARDS] = { "via-forwards", P_MAIN, P_PORT, 0, 0,
	    { { "count", F_INT, 0, 1024 } } },
	[IPC_VIA_FORWARD] = { "via-forward", P_MAIN, P_PORT, 0, 0,
	    { F_TEXT("prefix"), F_TCPUDPPORT("dport"), F_TEXT("path") } },

	/* A listening socket: for VMs vmnet or qemu; port for front. */
	[IPC_LISTENER] = { "listener", P_MAIN,
	    P_ETH | P_FRONT | P_DIAG, 1, 1,
	    { { "kind", F_STR, 1, 8 } } },
	/* A datagram socket for VMs, connected to the one that is there. */
	[IPC_DGRAM] = { "dgram", P_MAIN, P_ETH, 1, 1, { F_ID("id") } },
	/* That VM is not there any more; the socket can wait for another. */
	[IPC_DGRAM_GONE] = { "dgram-gone", P_ETH, P_MAIN, 0, 0,
	    { F_ID("id") } },
	/* A lease ethd gave before it was restarted. */
	[IPC_LEASE] = { "lease", P_MAIN, P_ETH, 0, 0,
	    { F_VM, { "uuid", F_STR, 36, 36 }, { "mac", F_MAC, 0, 0 },
	    F_IP("ip"), { "gone-ms", F_INT, 0, WIDE } } },
	/* A VM with this lease is there; it needs a stack and a channel. */
	[IPC_VM_OPEN] = { "vm-open", P_ETH, P_MAIN, 0, 0,
	    { F_VM, { "uuid", F_STR, 36, 36 }, { "mac", F_MAC, 0, 0 },
	    F_IP("ip") } },
	/* It has been gone for ten seconds: its stack can go too. */
	[IPC_VM_CLOSE] = { "vm-close", P_ETH, P_MAIN, 0, 0, { F_VM } },
	/*
	 * A packet channel: socket, arena to write, arena to read.  tap: the
	 * machine's TAP is the stack's, who gets it as a fourth descriptor;
	 * then the channel has what goes between VMs, and no more.  vnet: each
	 * frame there is behind a header (common/vnet.h).
	 */
	[IPC_CHAN] = { "chan", P_MAIN, P_ETH | P_STACK, 3, 4,
	    { F_VM, { "tap", F_BOOL, 0, 0 }, { "vnet", F_BOOL, 0, 0 } } },
	/* It takes and gives no more frames. */
	[IPC_TAP_LOST] = { "tap-lost", P_STACK, P_MAIN, 0, 0, { { 0 } } },
	/* The address of the VM whose stack is, or will be, a peer. */
	[IPC_VM_IP] = { "vm-ip", P_MAIN, P_PORT, 0, 0, { F_VM, F_IP("ip") } },

	/*
	 * A flow of the guest needs a host socket.  proto: "tcp", "udp-bind"
	 * (a socket for everything that guest port receives; dst is not
	 * looked at), "udp" (a connected socket on the local port of the
	 * guest port's udp-bind), "dns" (dnsd only: one datagram socket for
	 * all UDP queries of the VM), "icmp" (echo with the identifier sport
	 * to dst; answered by flow-icmp), "http" (portd only: a stream whose
	 * other end goes to proxyd).
	 */
	[IPC_FLOW_OPEN] = { "flow-open", P_STACK, P_PORT | P_DNS,
	    0, 0, { F_ID("id"), { "proto", F_STR, 3, 8 }, F_IP("src"),
	    F_TCPUDPPORT("sport"), F_IP("dst"), F_TCPUDPPORT("dport") } },
	/* The socket; a TCP one may still be connecting. */
	[IPC_FLOW_FD] = { "flow-fd", P_PORT | P_DNS, P_STACK, 1, 1,
	    { F_ID("id") } },
	/* error: a name of <errno.h>, as "ECONNREFUSED". */
	[IPC_FLOW_REFUSED] = { "flow-refused", P_PORT | P_DNS, P_STACK, 0, 0,
	    { F_ID("id"), { "error", F_STR, 1, 32 } } },
	/* The stack is done with the flow, answered or not. */
	[IPC_FLOW_CLOSE] = { "flow-close", P_STACK, P_PORT | P_DNS, 0, 0,
	    { F_ID("id") } },

	/*
	 * HTTP of a guest: proxyd's end of the stream whose other end the
	 * stack got for its flow-open of "http".
	 */
	[IPC_PROXY_FLOW] = { "proxy-flow", P_PORT, P_PROXY, 1, 1,
	    { F_VM, F_IP("src"), F_TCPUDPPORT("sport"), F_IP("dst"),
	    F_TCPUDPPORT("dport") } },

	/*
	 * The socket of an "icmp" flow, connected.  echo-id: the identifier
	 * its messages have outside.  raw: not the kernel but the stack puts
	 * it in, and what is received begins with the IP header.
	 */
	[IPC_FLOW_ICMP] = { "flow-icmp", P_PORT, P_STACK, 1, 1,
	    { F_ID("id"), F_TCPUDPPORT("echo-id"), { "raw", F_BOOL, 0, 0 } } },
	/* The kernel refuses portd ping sockets: a raw ICMP one is needed. */
	[IPC_RAW_OPEN] = { "raw-open", P_PORT, P_MAIN, 0, 0, { { 0 } } },
	/* Answers each of those, in turn; no descriptor: there is none. */
	[IPC_RAW_FD] = { "raw-fd", P_MAIN, P_PORT, 0, 1, { { 0 } } },

	/*
	 * A client of the host wants to speak with the guest's dst and dport.
	 * proto: "tcp", with the accepted socket, or "udp", with one connected
	 * to the client and a second that holds the datagrams which came
	 * before there was the first.  from and to are the ends of the
	 * client's own connection, 0.0.0.0 where it has none.  preserve: the
	 * guest shall see from; proxy: a PROXY header goes before the stream.
	 */
	[IPC_FLOW_OFFER] = { "flow-offer", P_PORT, P_STACK, 1, 2,
	    { F_ID("id"), { "proto", F_STR, 3, 3 }, F_IP("dst"),
	    F_TCPUDPPORT("dport"), F_IP("from"), F_TCPUDPPORT("fport"),
	    F_IP("to"), F_TCPUDPPORT("tport"), { "preserve", F_BOOL, 0, 0 },
	    { "proxy", F_BOOL, 0, 0 } } },
	/* The stack is done with it, or could do nothing with it. */
	[IPC_OFFER_DONE] = { "offer-done", P_STACK, P_PORT, 0, 0,
	    { F_ID("id") } },

	/* count sockets connected (TCP: connecting) to one address. */
	[IPC_SOCK_OPEN] = { "sock-open", P_DNS | P_PROXY, P_PORT, 0, 0,
	    { F_ID("id"), { "proto", F_STR, 3, 3 }, F_IP("addr"),
	    F_TCPUDPPORT("port"), { "count", F_INT, 1, 64 } } },
	[IPC_SOCK_FD] = { "sock-fd", P_PORT, P_DNS | P_PROXY, 1, 64,
	    { F_ID("id") } },
	/*
	 * The same for UDP, behind one more, which is for nothing but to see at
	 * which of our addresses the way to that one begins: the others stay
	 * at what it was.
	 */
	[IPC_SOCK_SET] = { "sock-set", P_PORT, P_DNS, 2, 64,
	    { F_ID("id") } },
	[IPC_SOCK_REFUSED] = { "sock-refused", P_PORT, P_DNS | P_PROXY, 0, 0,
	    { F_ID("id"), { "error", F_STR, 1, 32 } } },

	/*
	 * One end of a new socketpair for a stack, as flow-fd of the flow it
	 * has asked the sender for, and the other for the sender.  proto:
	 * "tcp" for a stream, "dns" for datagrams.  Who parses what guests
	 * send passes no descriptors itself: the call takes addresses, too.
	 */
	[IPC_PAIR_OPEN] = { "pair-open", P_DNS | P_PROXY, P_PORT, 0, 0,
	    { F_ID("id"), F_VM, { "proto", F_STR, 3, 3 } } },
	[IPC_PAIR_FD] = { "pair-fd", P_PORT, P_DNS | P_PROXY, 1, 1,
	    { F_ID("id"), F_VM } },
	[IPC_PAIR_REFUSED] = { "pair-refused", P_PORT, P_DNS | P_PROXY, 0, 0,
	    { F_ID("id"), F_VM, { "error", F_STR, 1, 32 } } },

	/* What a client of the admin socket hears first. */
	[IPC_ADMIN_HELLO] = { "admin-hello", P_MAIN, P_ADMIN, 0, 0,
	    { F_TEXT("version") } },
	/* Each request has one answer.  The next process behind that one. */
	[IPC_STATUS_NEXT] = { "status-next", P_ADMIN | P_DIAG, P_MAIN,
	    0, 0,
	    { F_ID("after") } },
	/*
	 * One process; files says what the descriptors are, which can only be
	 * read.  uuid, mac and ip are empty but for a netstackd.
	 */
	[IPC_STATUS_PROCESS] = { "status-process", P_MAIN,
	    P_ADMIN | P_DIAG, 0, 4,
	    { F_ID("serial"), { "name", F_STR, 1, 31 },
	    { "role", F_STR, 1, 16 }, F_ID("vm"),
	    { "pid", F_INT, 0, INT32_MAX }, { "state", F_STR, 1, 16 },
	    { "uptime-ms", F_INT, 0, WIDE }, F_ID("restarts"),
	    F_TEXT("why"), { "memory", F_INT, 0, WIDE },
	    { "log-level", F_INT, 0, 3 }, F_NAMES("sandbox"),
	    { "uuid", F_STR, 0, 36 }, { "mac", F_STR, 0, 17 },
	    { "ip", F_STR, 0, 45 }, F_NAMES("files") } },
	[IPC_STATUS_END] = { "status-end", P_MAIN, P_ADMIN | P_DIAG, 0, 0,
	    { { 0 } } },
	/* name: of one process, or empty for all. */
	[IPC_ADMIN_LOG] = { "admin-log", P_ADMIN, P_MAIN, 0, 0,
	    { { "level", F_INT, 0, 3 }, { "name", F_STR, 0, 31 } } },
	[IPC_ADMIN_RESTART] = { "admin-restart", P_ADMIN, P_MAIN, 0, 0,
	    { { "name", F_STR, 1, 31 } } },
	/* As SIGHUP does. */
	[IPC_ADMIN_RELOAD] = { "admin-reload", P_ADMIN, P_MAIN, 0, 0,
	    { { 0 } } },
	/* It is done, or error says why not. */
	[IPC_ADMIN_DONE] = { "admin-done", P_MAIN, P_ADMIN, 0, 0,
	    { F_TEXT("error") } },

	/*
	 * Packets of a VM from now on, until this client is gone.  The answer
	 * is a ring that can only be read, or admin-done with an error.
	 */
	[IPC_ADMIN_CAPTURE] = { "admin-capture", P_ADMIN, P_MAIN, 0, 0,
	    { F_VM, { "snaplen", F_INT, 1, 65535 } } },
	[IPC_ADMIN_CAPTURE_FD] = { "admin-capture-fd", P_MAIN, P_ADMIN, 1, 1,
	    { F_VM } },

	/*
	 * The TAP device of a connected VM: its stack is to use it itself, as
	 * long as this client stays.  Answered by admin-done.
	 */
	[IPC_ADMIN_TAP] = { "admin-tap", P_ADMIN, P_MAIN, 1, 1,
	    { { "uuid", F_STR, 36, 36 } } },

	/*
	 * Ports of the host that lead to a guest, one after the other: answered
	 * by ports-entry, or status-end.  by: who wanted it, "publish",
	 * "admin", "http" or "9p"; state: "asked", "listening" or "failed",
	 * where note says why.  want is the port asked for, port the real one.
	 */
	[IPC_PORTS_NEXT] = { "ports-next", P_ADMIN, P_MAIN, 0, 0,
	    { F_ID("after") } },
	[IPC_PORTS_ENTRY] = { "ports-entry", P_MAIN, P_ADMIN, 0, 0,
	    { F_ID("serial"), { "by", F_STR, 2, 8 }, { "state", F_STR, 1, 16 },
	    { "proto", F_STR, 3, 4 }, { "addr", F_STR, 1, 255 },
	    F_TCPUDPPORT("want"), F_TCPUDPPORT("port"), F_IP("dst"),
	    F_TCPUDPPORT("dport"), F_TEXT("dpath"), { "proxy", F_BOOL, 0, 0 },
	    F_TEXT("note") } },
	/* As --publish; answered by ports-entry, or admin-done with an error. */
	[IPC_PORTS_ADD] = { "ports-add", P_ADMIN, P_MAIN, 0, 0,
	    { { "spec", F_STR, 1, 255 } } },
	/* The host's end of one that is there; answered by admin-done. */
	[IPC_PORTS_REMOVE] = { "ports-remove", P_ADMIN, P_MAIN, 0, 0,
	    { { "spec", F_STR, 1, 255 } } },

	/*
	 * Memory files the daemon writes and others read: of a netstackd its
	 * flow table and its capture rings, of dnsd its table.  snaplen: bytes to keep of a frame.
	 */
	[IPC_RECORDS] = { "records", P_MAIN, P_STACK | P_DNS, 1, 2,
	    { { "snaplen", F_INT, 0, 65535 } } },
	/* A ring for a live capture. */
	[IPC_CAPTURE] = { "capture", P_MAIN, P_STACK, 1, 1,
	    { F_ID("id"), { "snaplen", F_INT, 1, 65535 } } },
	[IPC_CAPTURE_END] = { "capture-end", P_MAIN, P_STACK, 0, 0,
	    { F_ID("id") } },

	/*
	 * Listen on addr and port (0: any; "unix": addr is a path) for a
	 * guest's dst and dport (unix: dpath).  via: "net", over the virtual
	 * network; "tunnel", what is accepted goes to front.  The id is the
	 * sender's.
	 */
	[IPC_FORWARD_ADD] = { "forward-add", P_MAIN | P_FRONT, P_PORT, 0, 0,
	    { F_ID("id"), { "proto", F_STR, 3, 4 }, { "addr", F_STR, 1, 255 },
	    F_TCPUDPPORT("port"), F_IP("dst"), F_TCPUDPPORT("dport"),
	    F_TEXT("dpath"), { "via", F_STR, 3, 6 },
	    { "proxy", F_BOOL, 0, 0 } } },
	/* It listens, on that port. */
	[IPC_FORWARD_ADDED] = { "forward-added", P_PORT, P_MAIN | P_FRONT,
	    0, 0, { F_ID("id"), F_TCPUDPPORT("port") } },
	/* error: a name of <errno.h>; why: what to do, where we know. */
	[IPC_FORWARD_FAILED] = { "forward-failed", P_PORT, P_MAIN | P_FRONT,
	    0, 0, { F_ID("id"), { "error", F_STR, 1, 32 }, F_TEXT("why") } },
	/* Answered by forward-gone, also when there is none of that id. */
	[IPC_FORWARD_REMOVE] = { "forward-remove", P_MAIN | P_FRONT, P_PORT,
	    0, 0, { F_ID("id") } },
	/* It listens no more.  why is empty when that was asked for. */
	[IPC_FORWARD_GONE] = { "forward-gone", P_PORT, P_MAIN | P_FRONT, 0, 0,
	    { F_ID("id"), F_TEXT("why") } },

	/*
	 * A forward that front's clients have now; by: "http" or "9p".  Those
	 * of HTTP outlive front: the next one is told of them, with the ids
	 * they had, and asks for them again.
	 */
	[IPC_PORT_HELD] = { "port-held", P_FRONT | P_MAIN, P_MAIN | P_FRONT,
	    0, 0, { F_ID("id"), { "by", F_STR, 2, 8 },
	    { "proto", F_STR, 3, 4 }, { "addr", F_STR, 1, 255 },
	    F_TCPUDPPORT("want"), F_TCPUDPPORT("port"), F_IP("dst"),
	    F_TCPUDPPORT("dport"), F_TEXT("dpath"), F_TEXT("note") } },
	[IPC_PORT_DROPPED] = { "port-dropped", P_FRONT, P_MAIN, 0, 0,
	    { F_ID("id") } },
	/* The administrator wants it to end. */
	[IPC_PORT_END] = { "port-end", P_MAIN, P_FRONT, 0, 0,
	    { F_ID("id") } },

	/*
	 * The forward of this UDP client, of flow-offer or tunnel-conn, is
	 * gone: its socket must not hold the port any longer.
	 */
	[IPC_OFFER_END] = { "offer-end", P_PORT, P_STACK, 0, 0,
	    { F_ID("id") } },
	[IPC_TUNNEL_END] = { "tunnel-end", P_PORT, P_FRONT, 0, 0,
	    { F_ID("id") } },

	/*
	 * A client of a forward through the tunnel: its socket, as in
	 * flow-offer.  The id is portd's.
	 */
	[IPC_TUNNEL_CONN] = { "tunnel-conn", P_PORT, P_FRONT, 1, 2,
	    { F_ID("id"), F_ID("forward"), F_IP("from"),
	    F_TCPUDPPORT("fport"), F_IP("to"), F_TCPUDPPORT("tport") } },
	[IPC_TUNNEL_CLOSE] = { "tunnel-close", P_FRONT, P_PORT, 0, 0,
	    { F_ID("id") } },
	/* front needs a connection to the forwarder; the id is front's. */
	[IPC_TUNNEL_OPEN] = { "tunnel-open", P_FRONT, P_PORT, 0, 0,
	    { F_ID("id") } },
	[IPC_TUNNEL_FD] = { "tunnel-fd", P_PORT, P_FRONT, 1, 1,
	    { F_ID("id") } },
	[IPC_TUNNEL_REFUSED] = { "tunnel-refused", P_PORT, P_FRONT, 0, 0,
	    { F_ID("id"), { "error", F_STR, 1, 32 } } },

	/*
	 * A connection to a Unix socket that leads to dst: front asks there
	 * and says what was answered; portd has the socket, too, and goes on
	 * with it.  The id is portd's.
	 */
	[IPC_VIA_CONN] = { "via-conn", P_PORT, P_FRONT, 1, 1,
	    { F_ID("id"), F_IP("dst"), F_TCPUDPPORT("dport") } },
	[IPC_VIA_ANSWER] = { "via-answer", P_FRONT, P_PORT, 0, 0,
	    { F_ID("id"), { "accepted", F_BOOL, 0, 0 } } },

	/*
	 * portd has neither files nor privileges.  The supervisor binds for
	 * it: a path ("unix"), or a port it may not have; and connects to a
	 * path of the configuration, the tunnel's where path is empty.  The
	 * id is portd's.
	 */
	[IPC_HOST_BIND] = { "host-bind", P_PORT, P_MAIN, 0, 0,
	    { F_ID("id"), { "proto", F_STR, 3, 4 }, { "addr", F_STR, 1, 255 },
	    F_TCPUDPPORT("port"), { "scope", F_INT, 0, UINT32_MAX } } },
	[IPC_HOST_CONNECT] = { "host-connect", P_PORT, P_MAIN, 0, 0,
	    { F_ID("id"), F_TEXT("path") } },
	[IPC_HOST_FD] = { "host-fd", P_MAIN, P_PORT, 1, 1, { F_ID("id") } },
	[IPC_HOST_FAILED] = { "host-failed", P_MAIN, P_PORT, 0, 0,
	    { F_ID("id"), { "error", F_STR, 1, 32 } } },
	/* What was bound at a path is not needed any more. */
	[IPC_HOST_RELEASE] = { "host-release", P_PORT, P_MAIN, 0, 0,
	    { F_ID("id") } },
	/*
	 * One TCP socket on behalf of a guest, connecting: to where the guest
	 * itself may go, or (via) to a configured proxy.  Answered as above.
	 */
	[IPC_FETCH_OPEN] = { "fetch-open", P_PROXY, P_PORT, 0, 0,
	    { F_ID("id"), { "via", F_BOOL, 0, 0 }, F_IP("addr"),
	    F_TCPUDPPORT("port") } },

	/* A name's addresses of one family, as a guest would get them. */
	[IPC_RESOLVE] = { "resolve", P_PROXY, P_DNS, 0, 0,
	    { F_ID("id"), { "name", F_STR, 1, 253 },
	    { "v6", F_BOOL, 0, 0 } } },
	/*
	 * None: error says why, "" otherwise; "no address" of a name that is
	 * there, and may have some of the other family.
	 */
	[IPC_RESOLVED] = { "resolved", P_DNS, P_PROXY, 0, 0,
	    { F_ID("id"), { "addrs", F_STRS, 0, 16 },
	    { "error", F_STR, 0, 32 } } },

	/*
	 * Settings of the HTTP proxy, for a client of --http-api-path: what
	 * they are, or new ones as JSON.  Each has one answer, with a status
	 * of HTTP's and its text.  The id is front's.
	 */
	[IPC_HTTP_SHOW] = { "http-show", P_FRONT, P_MAIN, 0, 0,
	    { F_ID("id") } },
	[IPC_HTTP_SET] = { "http-set", P_FRONT, P_MAIN, 0, 0,
	    { F_ID("id"), { "text", F_STR, 0, 65536 } } },
	[IPC_HTTP_ANSWER] = { "http-answer", P_MAIN, P_FRONT, 0, 0,
	    { F_ID("id"), { "status", F_INT, 200, 599 },
	    { "text", F_STR, 0, 65536 } } },
};
/* clang-format on */
