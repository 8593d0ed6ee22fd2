#ifndef IPC_MSGS_H
#define IPC_MSGS_H

/*
 * Every message of the bus: the table and what checks it.  docs/vpnkit-ipc.7
 * mirrors the table.  Pure but for jansson.
 */

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ipc_role {
	ROLE_MAIN,  /* vpnkit, the supervisor */
	ROLE_ETH,   /* ethd */
	ROLE_STACK, /* netstackd */
	ROLE_DNS,   /* dnsd */
	ROLE_PROXY, /* proxyd */
	ROLE_PORT,  /* portd */
	ROLE_FRONT, /* portd's reader of the port protocols */
	ROLE_DIAG,  /* diagd */
	ROLE_ADMIN, /* whoever may open the admin socket: vpnkit-status */
	ROLE__MAX
};

/* The executables' names too, but for front's, which is portd. */
extern const char *const ipc_role_name[ROLE__MAX];

/* -1 when there is no such role. */
int ipc_role_parse(const char *);

enum ipc_type {
	/* Every daemon and the supervisor. */
	IPC_HELLO,
	IPC_READY,
	IPC_PEER,
	IPC_PEER_GONE,
	IPC_BAD_PEER,
	IPC_LINK_LOST,
	IPC_LOG_LEVEL,
	/* Configuration, each replaced whole. */
	IPC_CONF_ETH,
	IPC_CONF_STACK,
	IPC_CONF_DNS,
	IPC_DNS_SERVER,
	IPC_DNS_HOSTS,
	IPC_CONF_PROXY,
	IPC_INTERCEPT,
	IPC_CONF_CLOSED,
	IPC_CONF_PORT,
	IPC_CONF_FRONT,
	IPC_GATEWAY_FORWARDS,
	IPC_GATEWAY_FORWARD,
	IPC_VIA_FORWARDS,
	IPC_VIA_FORWARD,
	/* VMs. */
	IPC_LISTENER,
	IPC_DGRAM,
	IPC_DGRAM_GONE,
	IPC_LEASE,
	IPC_VM_OPEN,
	IPC_VM_CLOSE,
	IPC_CHAN,
	IPC_TAP_LOST,
	IPC_VM_IP,
	/* Flows of a guest. */
	IPC_FLOW_OPEN,
	IPC_FLOW_FD,
	IPC_FLOW_REFUSED,
	IPC_FLOW_CLOSE,
	IPC_FLOW_ICMP,
	/* Raw sockets for portd. */
	IPC_RAW_OPEN,
	IPC_RAW_FD,
	IPC_FLOW_OFFER,
	IPC_OFFER_DONE,
	IPC_PROXY_FLOW,
	/* Sockets for dnsd and proxyd. */
	IPC_SOCK_OPEN,
	IPC_SOCK_FD,
	IPC_SOCK_SET,
	IPC_SOCK_REFUSED,
	/* Socketpairs between those and the stacks. */
	IPC_PAIR_OPEN,
	IPC_PAIR_FD,
	IPC_PAIR_REFUSED,
	/* The admin socket. */
	IPC_ADMIN_HELLO,
	IPC_STATUS_NEXT,
	IPC_STATUS_PROCESS,
	IPC_STATUS_END,
	IPC_ADMIN_LOG,
	IPC_ADMIN_RESTART,
	IPC_ADMIN_RELOAD,
	IPC_ADMIN_DONE,
	IPC_ADMIN_CAPTURE,
	IPC_ADMIN_CAPTURE_FD,
	IPC_ADMIN_TAP,
	IPC_PORTS_NEXT,
	IPC_PORTS_ENTRY,
	IPC_PORTS_ADD,
	IPC_PORTS_REMOVE,
	/* Shared memory that is read without asking its writer. */
	IPC_RECORDS,
	IPC_CAPTURE,
	IPC_CAPTURE_END,
	/* Ports of the host that lead to a guest. */
	IPC_FORWARD_ADD,
	IPC_FORWARD_ADDED,
	IPC_FORWARD_FAILED,
	IPC_FORWARD_REMOVE,
	IPC_FORWARD_GONE,
	IPC_PORT_HELD,
	IPC_PORT_DROPPED,
	IPC_PORT_END,
	IPC_OFFER_END,
	IPC_TUNNEL_END,
	/* The tunnel to a forwarder in the VM, and what goes through it. */
	IPC_TUNNEL_CONN,
	IPC_TUNNEL_CLOSE,
	IPC_TUNNEL_OPEN,
	IPC_TUNNEL_FD,
	IPC_TUNNEL_REFUSED,
	/* Connections out that go through a Unix socket. */
	IPC_VIA_CONN,
	IPC_VIA_ANSWER,
	/* What portd has no right to open itself. */
	IPC_HOST_BIND,
	IPC_HOST_CONNECT,
	IPC_HOST_FD,
	IPC_HOST_FAILED,
	IPC_HOST_RELEASE,
	IPC_FETCH_OPEN,
	/* Names for proxyd. */
	IPC_RESOLVE,
	IPC_RESOLVED,
	/* Settings of the HTTP proxy, shown and replaced at run time. */
	IPC_HTTP_SHOW,
	IPC_HTTP_SET,
	IPC_HTTP_ANSWER,
	IPC__MAX
};

enum ipc_kind {
	F_END = 0, /* no more fields */
	F_INT,	   /* integer, min..max */
	F_STR,	   /* string, min..max bytes */
	F_BOOL,
	F_ADDR, /* text of an IPv4 or IPv6 address */
	F_MAC,	/* text of an Ethernet address */
	F_STRS, /* array of at most max strings of IPC_STRSLEN bytes */
};

#define IPC_MAXFIELDS 20
#define IPC_STRSLEN   255 /* bytes of one string of an F_STRS */
#define ROLE_BIT(r)   (1u << (r))

struct ipc_field {
	const char *name;
	enum ipc_kind kind;
	int64_t min, max;
};

struct ipc_desc {
	const char *name;
	unsigned from, to;   /* ROLE_BIT masks */
	uint8_t fdmin, fdmax; /* descriptors that must and may come along */
	struct ipc_field field[IPC_MAXFIELDS];
};

extern const struct ipc_desc ipc_desc[IPC__MAX];

/* The value of a field, as it was found in a text or given to be sent. */
struct ipc_val {
	enum { V_NONE, V_INT, V_BOOL, V_STR, V_JSON } kind;
	int64_t i;	    /* of a boolean: 0 or 1 */
	const char *s;	    /* borrowed; a zero byte is behind it */
	size_t len;	    /* of s */
	const json_t *json; /* borrowed; NULL when there never was one */
};

/* How many fields a row has. */
size_t ipc_nfields(const struct ipc_desc *);
/* The row of that name, of len bytes; -1: none. */
int ipc_type_parse(const char *name, size_t len);

/*
 * Checks a received object against the table: known name, allowed sender and
 * receiver, every field there, in range and no other, the right number of
 * descriptors.  Returns the type, with the values in the order of the row's
 * fields and borrowed from the object; or -1 with *why set to a constant
 * string.
 */
int ipc_check(const json_t *body, enum ipc_role from, enum ipc_role to,
    size_t nfd, struct ipc_val *val, const char **why);
/* The same for values of all the row's fields.  NULL, or what is wrong. */
const char *ipc_check_vals(enum ipc_type, enum ipc_role from, enum ipc_role to,
    size_t nfd, const struct ipc_val *val);

/*
 * The values of a message to be sent, as json_vpack() would pack them, without
 * "msg"; checked.  They are borrowed from the arguments and from *body, which
 * the caller releases; it may be NULL.  NULL, or what is wrong.
 */
const char *ipc_compose(enum ipc_type, enum ipc_role from, enum ipc_role to,
    size_t nfd, const char *fmt, va_list, struct ipc_val *, json_t **body);

/*
 * Without a tree.  Nearly all messages are flat: an object that begins with
 * "msg", without blanks, of integers, booleans and strings that are plain
 * (printable ASCII, no escapes).  What is not, is not judged here: -1, and the
 * library has to look at it.
 */

/* Whether the text means itself between quotes. */
bool ipc_flat_plain(const char *, size_t len);
/*
 * Reads a text that has all fields of a row, in any order.  The type, with the
 * values, not yet checked, in the order of the row; strings are ended in place.
 */
int ipc_flat_read(char *text, size_t len, struct ipc_val *val);
/* 0: val has what json_vpack() would have packed. */
int ipc_flat_pack(
    enum ipc_type, const char *fmt, va_list, struct ipc_val *val);

#endif
