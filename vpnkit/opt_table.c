/*
 * Every flag of the command line, and the help text, which is this table
 * printed.
 */

#include <string.h>

#include "opt_table.h"

#define OFF(f) OPT_OFF(f)

/* clang-format off */
static const char *const group_name[] = {
	[G_VM] = "Where virtual machines connect",
	[G_ADDR] = "The network they see",
	[G_NAMES] = "Names",
	[G_OUT] = "Connections out",
	[G_IN] = "Ports published on the host",
	[G_ADMIN] = "Running and watching vpnkit",
	[G_OLD] = "Accepted for old launchers",
};

const struct opt opts[] = {
	{ "ethernet", "URL", NULL, OFF(ethernet), K_URL, C_NOW, G_VM,
	    false, 0, 0, "listen for HyperKit and other vmnet clients: "
	    "PATH, fd:N, vsock://:PORT" },
	{ "ethernet-qemu", "PATH", NULL, OFF(ethernet_qemu), K_URL, C_NOW,
	    G_VM, true, 0, 0, "listen for QEMU's stream socket network: "
	    "PATH, fd:N, vsock://:PORT" },
	{ "ethernet-dgram", "PATH", NULL, OFF(ethernet_dgram), K_URLS, C_NOW,
	    G_VM, true, 0, 0, "Unix datagram socket for one VM of vfkit or "
	    "QEMU, one frame a datagram; may be given again" },
	{ "mtu", "N", "1500", OFF(mtu), K_INT, C_NOW, G_VM, false,
	    576, 65521, "largest IP packet on the link, in bytes" },

	{ "gateway-ip", "IP", "192.168.65.1", OFF(gateway_ip), K_IP, C_NOW,
	    G_ADDR, false, 0, 0, "the gateway, which is also the name server "
	    "and DHCP server" },
	{ "host-ip", "IP", "192.168.65.2", OFF(host_ip), K_IP, C_NOW, G_ADDR,
	    false, 0, 0, "the address by which guests reach the host's "
	    "loopback services; 0.0.0.0 disables it" },
	{ "lowest-ip", "IP", "192.168.65.3", OFF(lowest_ip), K_IP, C_NOW,
	    G_ADDR, false, 0, 0, "first address given to a guest" },
	{ "highest-ip", "IP", "192.168.65.254", OFF(highest_ip), K_IP, C_NOW,
	    G_ADDR, false, 0, 0, "last address given to a guest" },
	{ "server-macaddr", "MAC", "f6:16:36:bc:f9:c6", OFF(server_mac),
	    K_MAC, C_NOW, G_ADDR, false, 0, 0, "Ethernet address of the "
	    "gateway and of everything behind it" },
	{ "domain", "NAME", NULL, OFF(domain), K_STR, C_NOW, G_ADDR, false,
	    0, 255, "domain name given by DHCP; before what is in "
	    "--dhcp-path, and localdomain if neither says" },
	{ "dhcp-path", "FILE", NULL, OFF(dhcp_path), K_STR, C_NOW, G_ADDR,
	    false, 1, 4095, "JSON with searchDomains and domainName for "
	    "DHCP; must exist, is watched" },

	{ "gateway-names", "LIST", "gateway.internal", OFF(gateway_names),
	    K_NAMES, C_NOW, G_NAMES, false, 0, 0, "names of the gateway" },
	{ "host-names", "LIST", "host.internal", OFF(host_names), K_NAMES,
	    C_NOW, G_NAMES, false, 0, 0, "names of --host-ip" },
	{ "vm-names", "LIST", "vm.internal", OFF(vm_names), K_NAMES, C_NOW,
	    G_NAMES, false, 0, 0, "names of --lowest-ip" },
	{ "dns", "FILE", NULL, OFF(dns), K_STR, C_NOW, G_NAMES, false,
	    0, 4095, "upstream name servers, instead of the host's" },
	{ "hosts", "FILE", "/etc/hosts", OFF(hosts), K_STR, C_NOW, G_NAMES,
	    false, 0, 4095, "hosts file for names; empty disables it" },

	{ "max-connections", "N", NULL, OFF(max_connections), K_INT, C_NOW,
	    G_OUT, false, 0, INT32_MAX, "limit of the connections of all "
	    "guests together" },
	{ "http", "FILE", NULL, OFF(http), K_STR, C_NOW, G_OUT, false,
	    0, 4095, "HTTP proxy settings as JSON; is watched" },
	{ "http-from-environment", NULL, NULL, OFF(http_from_environment),
	    K_FLAG, C_NOW, G_OUT, true, 0, 0, "take http_proxy, https_proxy "
	    "and no_proxy where there is no file of --http" },
	{ "http-api-path", "URL", NULL, OFF(http_api_path), K_URL, C_NOW,
	    G_OUT, false, 0, 0, "socket to read and change the HTTP proxy "
	    "settings" },
	{ "tcpv4-forwards", "LIST", "", OFF(tcpv4_forwards), K_FWDS, C_NOW,
	    G_OUT, false, 0, 0, "TCP ports of the gateway, as "
	    "PORT:IP:PORT,..." },
	{ "udpv4-forwards", "LIST", "", OFF(udpv4_forwards), K_FWDS, C_NOW,
	    G_OUT, false, 0, 0, "UDP ports of the gateway, as "
	    "PORT:IP:PORT,..." },
	{ "gateway-forwards", "FILE", NULL, OFF(gateway_forwards), K_STR,
	    C_NOW, G_OUT, false, 0, 4095, "the same as JSON" },
	{ "forwards", "FILE", NULL, OFF(forwards), K_STR, C_NOW, G_OUT,
	    false, 0, 4095, "JSON list of destinations reached through "
	    "Unix sockets" },

	{ "port", "URL", NULL, OFF(port), K_URLS, C_NOW, G_IN, false, 0, 0,
	    "port control server; may be given again" },
	{ "vsock-path", "URL", "", OFF(vsock_path), K_STR, C_NOW, G_IN,
	    false, 0, 4095, "how to reach the forwarder in the VM" },
	{ "port-forwards", "URL", "", OFF(port_forwards), K_STR, C_NOW,
	    G_IN, false, 0, 4095, "the same as --vsock-path" },
	{ "tunnel-protocol", "WORD", "auto", OFF(tunnel_protocol), K_STR,
	    C_NOW, G_IN, true, 0, 16, "what the forwarder in the VM speaks: "
	    "auto, mux, mux-handshake or 2017" },
	{ "allowed-bind-addresses", "LIST", "0.0.0.0", OFF(allowed_bind),
	    K_IPS, C_NOW, G_IN, false, 0, 0, "addresses that published "
	    "ports may be bound to" },
	{ "listen-backlog", "N", NULL, OFF(listen_backlog), K_INT, C_NOW,
	    G_IN, false, 0, INT32_MAX, "connections waiting to be accepted" },

	{ "publish", "SPEC", NULL, OFF(publish), K_PUBS, C_NOW, G_IN, true,
	    0, 0, "a port of the host that leads to a guest: "
	    "HOSTIP:PORT:GUESTIP:PORT[/udp][/proxy]; may be given again" },
	{ "preserve-source", NULL, NULL, OFF(preserve_source), K_FLAG, C_NOW,
	    G_IN, true, 0, 0, "guests see the addresses of the clients of "
	    "published ports, not the gateway's" },

	{ "config", "FILE", NULL, OFF(config), K_STR, C_NOW, G_ADMIN, true,
	    1, 4095, "read further options from a JSON file; the command "
	    "line wins" },
	{ "admin", "PATH", NULL, OFF(admin), K_STR, C_NOW, G_ADMIN, true,
	    1, 107, "where vpnkit-status connects; \"none\" for nowhere; "
	    "unless given, beside --ethernet with .admin behind its name" },
	{ "metrics", "WHERE", NULL, OFF(metrics), K_URL, C_NOW, G_ADMIN, true,
	    0, 0, "Unix socket, or ADDRESS:PORT, that answers HTTP with "
	    "OpenMetrics text; guests cannot reach it" },
	{ "log", "WHERE", "auto", OFF(log), K_STR, C_NOW, G_ADMIN, true,
	    1, 127, "stderr, journal or syslog, the last two also with :PATH "
	    "of a socket; auto: the journal if stderr leads there" },
	{ "check", NULL, NULL, OFF(check), K_FLAG, C_NOW, G_ADMIN, true,
	    0, 0, "check the command line and all files, and stop" },
	{ "debug", NULL, NULL, OFF(debug), K_FLAG, C_NOW, G_ADMIN, false,
	    0, 0, "log more, as does VPNKIT_DEBUG in the environment" },
	{ "diagnostics", "URL", NULL, OFF(diagnostics), K_URLS, C_NOW,
	    G_ADMIN, false, 0, 0, "socket that streams a tar of the state" },
	{ "introspection", "URL", NULL, OFF(introspection), K_URLS, C_NOW,
	    G_ADMIN, false, 0, 0, "socket of a 9P tree with what the tar of "
	    "--diagnostics has" },
	{ "pcap", "URL", NULL, OFF(pcap), K_URLS, C_NOW, G_ADMIN, false,
	    0, 0, "socket that streams a capture of all traffic" },
	{ "pcap-snaplen", "N", "128", OFF(pcap_snaplen), K_INT, C_NOW,
	    G_ADMIN, false, 0, INT32_MAX, "bytes kept of each packet" },
	{ "help", NULL, NULL, OFF(help), K_FLAG, C_NOW, G_ADMIN, false,
	    0, 0, "print this text" },
	{ "version", NULL, NULL, OFF(version), K_FLAG, C_NOW, G_ADMIN, false,
	    0, 0, "print the version" },

	{ "db", "PATH", NULL, OFF(unused), K_STR, C_OLD, G_OLD, true, 0, 0,
	    "ignored" },
	{ "branch", "NAME", NULL, OFF(unused), K_STR, C_OLD, G_OLD, true,
	    0, 0, "ignored" },
	{ "log-destination", "NAME", NULL, OFF(unused), K_STR, C_OLD, G_OLD,
	    true, 0, 0, "ignored" },
	{ "gc-compact-interval", "SECONDS", NULL, OFF(unused), K_STR, C_OLD,
	    G_OLD, false, 0, 0, "ignored" },
	{ "port-max-idle-time", "SECONDS", NULL, OFF(unused), K_STR, C_OLD,
	    G_OLD, false, 0, 0, "ignored: nothing that is idle is cut" },
};
/* clang-format on */

const size_t opt_n = sizeof(opts) / sizeof(opts[0]);

/*
 * The help text.
 */

#define HELP_INDENT 32
#define HELP_WIDTH  79

/* Writes words, a line break before one that would not fit. */
static void
help_words(FILE *f, const char *s, size_t *col)
{
	size_t n;

	while (*s != '\0') {
		n = strcspn(s, " ");
		if (*col + 1 + n > HELP_WIDTH) {
			fprintf(f, "\n%*s", HELP_INDENT, "");
			*col = HELP_INDENT;
		}
		fprintf(f, "%s%.*s", *col > HELP_INDENT ? " " : "", (int)n, s);
		*col += n + (*col > HELP_INDENT);
		s += n + (s[n] == ' ');
	}
}

static void
help_option(FILE *f, const struct opt *o)
{
	char buf[128];
	size_t col;
	int n;

	n = fprintf(f, "  --%s%s%s", o->name, o->arg != NULL ? " " : "",
	    o->arg != NULL ? o->arg : "");
	if (n < HELP_INDENT - 1)
		fprintf(f, "%*s", HELP_INDENT - n, "");
	else
		fprintf(f, "\n%*s", HELP_INDENT, "");
	col = HELP_INDENT;
	help_words(f, o->help, &col);
	if (o->def != NULL && *o->def != '\0') {
		snprintf(buf, sizeof(buf), "(default %s)", o->def);
		help_words(f, buf, &col);
	}
	fputc('\n', f);
}

void
options_help(FILE *f)
{
	size_t i;

	fputs("Usage: vpnkit --ethernet URL [OPTION]...\n\n"
	      "Gives virtual machines a network made of the host's sockets.\n"
	      "Options are --name=VALUE or --name VALUE; a name may be cut "
	      "short while it stays\nunique.\n",
	    f);
	for (i = 0; i < opt_n; i++) {
		if (i == 0 || opts[i].group != opts[i - 1].group)
			fprintf(f, "\n%s:\n", group_name[opts[i].group]);
		help_option(f, &opts[i]);
	}
}
