/*
 * The front role as a process; see front.h.
 */

#include <stdlib.h>
#include <string.h>

#include "common/plat/plat.h"
#include "portd/front/front.h"
#include "portd/portd.h"

#define FDS_RESERVE 512 /* clients, listeners, the bus and the tunnel */

static const char *const stat_name[FRONTS__MAX] = {
	[FRONTS_CLIENTS] = "clients",
	[FRONTS_CLIENT_LIMIT] = "refused-clients",
	[FRONTS_NO_ROOM] = "waited-for-descriptor",
	[FRONTS_9P] = "9p-requests",
	[FRONTS_9P_ERRORS] = "9p-errors",
	[FRONTS_9P_FIDS] = "refused-fids",
	[FRONTS_9P_NAMES] = "refused-names",
	[FRONTS_HTTP] = "http-requests",
	[FRONTS_HTTP_ERRORS] = "http-errors",
	[FRONTS_NEITHER] = "clients-of-neither",
	[FRONTS_SETTINGS] = "settings-requests",
	[FRONTS_FWDS] = "forwards",
	[FRONTS_FWD_FAILED] = "forwards-failed",
	[FRONTS_FWD_LIMIT] = "refused-forwards",
	[FRONTS_CONNS] = "tunnel-connections",
	[FRONTS_CONN_LIMIT] = "refused-connections",
	[FRONTS_TUNNELS] = "tunnels",
	[FRONTS_TUNNEL_REFUSED] = "tunnels-refused",
	[FRONTS_TUNNEL_LOST] = "tunnels-lost",
	[FRONTS_DATAGRAMS] = "datagrams",
	[FRONTS_DATAGRAM_FULL] = "dropped-client-full",
	[FRONTS_DATAGRAM_LONG] = "dropped-too-long",
	[FRONTS_MUX + MUXS_OPENED] = "channels",
	[FRONTS_MUX + MUXS_REFUSED] = "channels-refused",
	[FRONTS_MUX + MUXS_UNKNOWN] = "frames-for-nobody",
	[FRONTS_MUX + MUXS_OPENS] = "channels-of-the-vm",
	[FRONTS_MUX + MUXS_OVERRUN] = "channels-overrun",
	[FRONTS_MUX + MUXS_BAD] = "bad-frames",
	[FRONTS_VIA] = "via-questions",
	[FRONTS_VIA_REFUSED] = "via-refused",
};

/* clang-format off */
static const struct {
	const char *word;
	enum tunnel_form form;
} forms[] = {
	{ "auto",		FORM_AUTO },
	{ "mux",		FORM_MUX },
	{ "mux-handshake",	FORM_HANDSHAKE },
	{ "2017",		FORM_2017 },
};
/* clang-format on */

static void
front_conf(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct front *f = d->data;
	const char *tunnel = ipc_str(m, "tunnel");
	size_t i;

	f->tunnelled = tunnel[0] != '\0';
	f->hyperkit = strcmp(tunnel, "hyperkit") == 0;
	for (i = 0; i < nitems(forms); i++) {
		if (strcmp(forms[i].word, ipc_str(m, "protocol")) == 0)
			f->form = forms[i].form;
	}
}

static void
front_peer(struct daemon *d, struct ipc *link)
{
	struct front *f = d->data;

	if (ipc_peer(link) != ROLE_PORT)
		return;
	f->portd = link;
	f->nportd++;
	book_portd(f);
	conns_portd(f);
	tunnel_portd(f);
}

static void
front_peer_gone(struct daemon *d, struct ipc *link)
{
	struct front *f = d->data;

	if (f->portd != link)
		return;
	f->portd = NULL;
	book_portd_gone(f);
	conns_portd_gone(f);
}

static int
front_start(struct daemon *d)
{
	int nofile = plat_nofile();
	struct front *f;

	if ((f = calloc(1, sizeof(*f))) == NULL) {
		log_warn("start");
		return -1;
	}
	f->d = d;
	TAILQ_INIT(&f->clients);
	TAILQ_INIT(&f->fwds);
	TAILQ_INIT(&f->conns);
	TAILQ_INIT(&f->ending);
	LIST_INIT(&f->vias);
	/* Two descriptors each, and three for a moment. */
	f->maxconn = nofile > 2 * FDS_RESERVE
			 ? (size_t)(nofile - FDS_RESERVE) / 3
			 : FDS_RESERVE / 4;
	fs_init(&f->fs, &book_fs_hooks, f);
	tunnel_init(f);
	/* What an earlier process counted down to. */
	stats_set(&d->stats, FRONTS_CLIENTS, 0);
	stats_set(&d->stats, FRONTS_FWDS, 0);
	stats_set(&d->stats, FRONTS_CONNS, 0);
	d->data = f;
	return 0;
}

static void
front_stop(struct daemon *d)
{
	struct front *f = d->data;

	client_fini(f);
	fs_fini(&f->fs);
	conns_fini(f);
	tunnel_fini(f);
	via_fini(f);
	book_fini(f);
	free(f);
	d->data = NULL;
}

static const struct ipc_handler handlers[] = {
	{ IPC_CONF_FRONT, front_conf },
	{ IPC_LISTENER, client_listener },
	{ IPC_FORWARD_ADDED, book_added },
	{ IPC_FORWARD_FAILED, book_failed },
	{ IPC_FORWARD_GONE, book_gone },
	{ IPC_PORT_HELD, book_held },
	{ IPC_PORT_END, book_end },
	{ IPC_TUNNEL_CONN, conn_open },
	{ IPC_TUNNEL_END, conn_end },
	{ IPC_TUNNEL_FD, tunnel_fd },
	{ IPC_TUNNEL_REFUSED, tunnel_refused },
	{ IPC_VIA_CONN, via_conn },
	{ IPC_HTTP_ANSWER, settings_answer },
};

static const struct daemon_spec front = {
	.role = ROLE_FRONT,
	.sandbox = SANDBOX_SERVER,
	.handler = handlers,
	.nhandler = nitems(handlers),
	.stats_name = stat_name,
	.nstats = FRONTS__MAX,
	.start = front_start,
	.stop = front_stop,
	.peer = front_peer,
	.peer_gone = front_peer_gone,
};

int
front_main(int argc, char *argv[])
{
	return daemon_main(&front, argc, argv);
}
