/*
 * ethd: between the sockets VMs are connected to and the packet channels of
 * their stacks.  It reads the vmnet handshake, the lengths of frames and, to
 * switch between VMs, their Ethernet headers; it holds the sockets it was
 * given or accepted, and the leases.
 *
 * Whatever is written leaves at the end of a turn of the loop, just before it
 * sleeps: all that one turn brought goes in one write to each VM and each
 * channel.
 */

#include <stdlib.h>
#include <string.h>

#include <bsd/stdlib.h>

#include "common/plat/plat.h"
#include "ethd.h"

/* clang-format off */
static const char *const stat_name[ETHS__MAX] = {
	[ETHS_CONNS] = "conns",
	[ETHS_VMS] = "vms",
	[ETHS_ACCEPTED] = "accepted",
	[ETHS_ACCEPT_LIMIT] = "accept-limit",
	[ETHS_GREETING_EVICTED] = "greeting-evicted",
	[ETHS_GREETING_EOF] = "greeting-eof",
	[ETHS_BAD_VERSION] = "bad-version",
	[ETHS_BAD_COMMAND] = "bad-command",
	[ETHS_BAD_UUID] = "bad-uuid",
	[ETHS_REFUSED] = "refused",
	[ETHS_CONN_LIMIT] = "conn-limit",
	[ETHS_NOMEM] = "no-memory",
	[ETHS_RX_FRAMES] = "rx-frames",
	[ETHS_RX_BYTES] = "rx-bytes",
	[ETHS_RX_ZERO] = "rx-zero",
	[ETHS_RX_SHORT] = "rx-short",
	[ETHS_RX_LENGTH] = "rx-bad-length",
	[ETHS_RX_NOCHAN] = "rx-no-channel",
	[ETHS_RX_TAP] = "rx-beside-tap",
	[ETHS_TAP_IN_USE] = "tap-in-use",
	[ETHS_TX_FRAMES] = "tx-frames",
	[ETHS_TX_BYTES] = "tx-bytes",
	[ETHS_TX_TOOBIG] = "tx-too-big",
	[ETHS_SW_UNICAST] = "switch-unicast",
	[ETHS_SW_FLOOD] = "switch-flood",
	[ETHS_SW_FLOOD_LIMIT] = "switch-flood-limit",
	[ETHS_SW_FORGED] = "switch-forged",
	[ETHS_SW_TOOBIG] = "switch-too-big",
	[ETHS_SW_FULL] = "switch-full",
	[ETHS_SW_GONE] = "switch-gone",
	[ETHS_CHAN_LOST] = "channel-lost",
	[ETHS_DGRAM_TRUNC] = "dgram-truncated",
	[ETHS_DGRAM_GONE] = "dgram-gone",
};

/* What eth_bad() says. */
static const char *const bad_text[ETHS__MAX] = {
	[ETHS_ACCEPT_LIMIT] = "cannot accept: no descriptors or memory",
	[ETHS_GREETING_EVICTED] = "too many unfinished handshakes",
	[ETHS_BAD_VERSION] = "client with another protocol version",
	[ETHS_BAD_COMMAND] = "client with an unknown command",
	[ETHS_BAD_UUID] = "client whose UUID is none",
	[ETHS_REFUSED] = "client refused: its address, or no address left",
	[ETHS_CONN_LIMIT] = "too many with one UUID: closed the most silent one",
	[ETHS_NOMEM] = "out of memory",
	[ETHS_RX_ZERO] = "empty frame from a VM",
	[ETHS_RX_SHORT] = "frame without a whole header from a VM",
	[ETHS_RX_LENGTH] = "impossible frame length from a VM",
	[ETHS_RX_TAP] = "VM that has a TAP sends on a connection, too",
	[ETHS_TAP_IN_USE] = "VM comes again before its TAP is gone: it waits",
	[ETHS_SW_FORGED] = "VM that speaks as another one or the gateway",
	[ETHS_TX_TOOBIG] = "frame above the MTU toward a VM",
	[ETHS_DGRAM_TRUNC] = "datagram longer than a frame",
};
/* clang-format on */

void
eth_bad(struct ethd *e, enum eth_stat s)
{
	unsigned missed;

	eth_count(e, s, 1);
	if (bad_text[s] == NULL ||
	    !log_rate_ok(&e->rate[s], usec_now(e->d->loop), &missed))
		return;
	if (missed > 0)
		log_warnx("%s (and %u before)", bad_text[s], missed);
	else
		log_warnx("%s", bad_text[s]);
}

/*
 * Writing may close connections, and losing a channel gives others something
 * to write: until nothing is left.
 */
static void
flush_cb(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
	struct ethd *e = w->data;
	struct conn *c;
	struct vm *vm;

	for (;;) {
		if ((c = TAILQ_FIRST(&e->dirty_conns)) != NULL) {
			TAILQ_REMOVE(&e->dirty_conns, c, dirty_entry);
			c->dirty = false;
			if (conn_write(c) == -1)
				conn_close(c);
		} else if ((vm = TAILQ_FIRST(&e->dirty_vms)) != NULL) {
			TAILQ_REMOVE(&e->dirty_vms, vm, dirty_entry);
			vm->dirty = false;
			vm_flush(vm);
		} else {
			return;
		}
	}
}

/*
 * The bus.
 */

static uint32_t
msg_ip(const struct ipc_msg *msg, const char *field)
{
	struct ipaddr ip = ipc_addr(msg, field);

	return ipaddr_to_u32(&ip);
}

static void
on_conf(struct daemon *d, struct ipc *from, struct ipc_msg *msg)
{
	struct ethd *e = d->data;
	struct listener *l;

	e->mtu = (uint32_t)ipc_u64(msg, "mtu");
	e->pool.conf.lowest = msg_ip(msg, "lowest-ip");
	e->pool.conf.highest = msg_ip(msg, "highest-ip");
	e->pool.conf.gateway = msg_ip(msg, "gateway-ip");
	e->pool.conf.host = msg_ip(msg, "host-ip");
	e->sw.server = ipc_mac(msg, "server-mac");
	if (e->configured)
		return;
	e->configured = true;
	TAILQ_FOREACH (l, &e->listeners, entry)
		listener_start(l);
}

static void
on_listener(struct daemon *d, struct ipc *from, struct ipc_msg *msg)
{
	const char *kind = ipc_str(msg, "kind");

	if (listener_new(d->data, ipc_take_fd(msg, 0), kind) == -1)
		log_warnx("cannot serve a listener of kind %s", kind);
}

static void
on_dgram(struct daemon *d, struct ipc *from, struct ipc_msg *msg)
{
	dgram_new(d->data, ipc_take_fd(msg, 0), (uint32_t)ipc_u64(msg, "id"));
}

/* When the VM of a lease from before our start cannot come back any more. */
static usec_t
spare_at(const struct ethd *e, uint64_t gone_ms)
{
	if (gone_ms == 0)
		return vm_gone_at(e);
	return usec_now(e->d->loop) - (usec_t)gone_ms * USEC_MS;
}

static void
on_lease(struct daemon *d, struct ipc *from, struct ipc_msg *msg)
{
	uint64_t vm = ipc_u64(msg, "vm");
	struct macaddr mac = ipc_mac(msg, "mac");
	struct ethd *e = d->data;
	struct lease *l = NULL;
	struct uuid uuid;

	if (vm <= LEASE_MAX && uuid_parse(ipc_str(msg, "uuid"), &uuid) == 0)
		l = lease_restore(
		    &e->pool, (uint32_t)vm, &uuid, &mac, msg_ip(msg, "ip"));
	if (l == NULL) {
		log_warnx("lease %s does not fit", ipc_str(msg, "uuid"));
		return;
	}
	l->spare_at = spare_at(e, ipc_u64(msg, "gone-ms"));
}

static void
on_chan(struct daemon *d, struct ipc *from, struct ipc_msg *msg)
{
	uint64_t vm = ipc_u64(msg, "vm");
	struct ethd *e = d->data;
	struct chan *chan;

	/* It may have gone while this was on its way. */
	if (vm > LEASE_MAX || e->vm[vm] == NULL)
		return;
	if ((chan = calloc(1, sizeof(*chan))) == NULL) {
		eth_bad(e, ETHS_NOMEM);
		return;
	}
	if (chan_init(chan, ipc_take_fd(msg, 0), ipc_take_fd(msg, 1),
		ipc_take_fd(msg, 2)) == -1) {
		log_warn("channel of VM %u", (unsigned)vm);
		free(chan);
		return;
	}
	vm_chan(e->vm[vm], chan, ipc_bool(msg, "tap"));
}

static int
ethd_start(struct daemon *d)
{
	struct ethd *e;
	int nofile = plat_nofile();
	uint8_t byte;

	if ((e = calloc(1, sizeof(*e))) == NULL) {
		log_warn("start");
		return -1;
	}
	arc4random_buf(&byte, sizeof(byte)); /* opens what it may need */
	e->d = d;
	e->nofile = nofile > 0 ? (size_t)nofile : 0;
	/* The file outlives the process; what is counted down starts anew. */
	stats_set(&d->stats, ETHS_CONNS, 0);
	stats_set(&d->stats, ETHS_VMS, 0);
	TAILQ_INIT(&e->listeners);
	TAILQ_INIT(&e->greetings);
	TAILQ_INIT(&e->vms);
	TAILQ_INIT(&e->dirty_conns);
	TAILQ_INIT(&e->dirty_vms);
	ev_prepare_init(&e->flush, flush_cb);
	e->flush.data = e;
	ev_prepare_start(d->loop, &e->flush);
	d->data = e;
	return 0;
}

static void
ethd_stop(struct daemon *d)
{
	struct ethd *e = d->data;

	if (e == NULL)
		return;
	e->stopping = true;
	ev_prepare_stop(d->loop, &e->flush);
	while (!TAILQ_EMPTY(&e->greetings))
		conn_close(TAILQ_FIRST(&e->greetings));
	while (!TAILQ_EMPTY(&e->vms))
		vm_free(TAILQ_FIRST(&e->vms));
	while (!TAILQ_EMPTY(&e->listeners))
		listener_free(TAILQ_FIRST(&e->listeners));
	free(e->dgram);
	free(e);
}

static const struct ipc_handler handlers[] = {
	{ IPC_CONF_ETH, on_conf },
	{ IPC_LISTENER, on_listener },
	{ IPC_DGRAM, on_dgram },
	{ IPC_LEASE, on_lease },
	{ IPC_CHAN, on_chan },
};

static const struct daemon_spec ethd = {
	.role = ROLE_ETH,
	.sandbox = SANDBOX_READER,
	.crowds = true,
	.spins = true,
	.handler = handlers,
	.nhandler = sizeof(handlers) / sizeof(handlers[0]),
	.stats_name = stat_name,
	.nstats = ETHS__MAX,
	.start = ethd_start,
	.stop = ethd_stop,
};

int
main(int argc, char *argv[])
{
	return daemon_main(&ethd, argc, argv);
}
