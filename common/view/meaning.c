/*
 * What the daemons' counters mean to who asks why something was lost, and
 * which of them go up and down.  A counter that is not here counts what is as
 * it should be.
 */

#include <string.h>

#include "common/nitems.h"
#include "common/view/view.h"

/* clang-format off */
static const struct {
	const char *role, *counter, *text; /* text NULL: a gauge */
} meaning[] = {
	{ "netstackd", "tcp-flows", NULL },
	{ "netstackd", "udp-flows", NULL },
	{ "netstackd", "icmp-flows", NULL },
	{ "ethd", "conns", NULL },
	{ "ethd", "vms", NULL },
	{ "dnsd", "in-flight", NULL },
	{ "dnsd", "cache-entries", NULL },
	{ "portd", "flows", NULL },
	{ "portd", "forwards", NULL },
	{ "portd", "clients", NULL },
	{ "front", "clients", NULL },
	{ "front", "forwards", NULL },
	{ "front", "tunnel-connections", NULL },
	{ "proxyd", "connections", NULL },
	{ "diagd", "clients", NULL },

	{ "netstackd", "rx-short", "frames cut short, or with lengths that lie" },
	{ "netstackd", "rx-ethertype", "neither IPv4 nor ARP: IPv6 is not served" },
	{ "netstackd", "rx-not-for-us", "frames for another Ethernet address" },
	{ "netstackd", "rx-bad-checksum", "a wrong checksum: often offload in the guest" },
	{ "netstackd", "rx-bad-source", "not from the address that DHCP gave" },
	{ "netstackd", "rx-bad-destination", "to an address nobody can have" },
	{ "netstackd", "rx-ttl", "packets whose TTL ended here: often traceroute" },
	{ "netstackd", "rx-protocol", "an IP protocol that is not served" },
	{ "netstackd", "rx-bad-vnet-header", "frames of a TAP with a virtio header that cannot be" },
	{ "netstackd", "tx-full", "the guest does not take its packets" },
	{ "netstackd", "arp-foreign-sender", "ARP from an address that is not the guest's" },
	{ "netstackd", "arp-conflict", "the guest claims the gateway's or the host's address" },
	{ "netstackd", "dhcp-bad", "DHCP that cannot be read" },
	{ "netstackd", "dhcp-nak", "leases the guest asked for and cannot have" },
	{ "netstackd", "dhcp-declined", "addresses the guest says are taken" },
	{ "netstackd", "frag-limit", "too many fragments at a time" },
	{ "netstackd", "frag-timeout", "fragments whose rest never came" },
	{ "netstackd", "frag-bad", "fragments that lie, or overlap" },
	{ "netstackd", "icmp-limit", "more errors at once than may be sent" },
	{ "netstackd", "icmp-ignored", "ICMP that is not served" },
	{ "netstackd", "icmp-unwanted", "clients of ports the guest's firewall refused" },
	{ "netstackd", "icmp-evicted", "pings ended early: too many" },
	{ "netstackd", "icmp-dropped", "echo requests before there was a socket, or too many" },
	{ "netstackd", "icmp-failed", "echo requests the host's kernel refused" },
	{ "netstackd", "icmp-bad-reply", "replies that nobody asked for" },
	{ "netstackd", "icmp-bad-errors", "ICMP errors that are about nothing of ours" },
	{ "netstackd", "pmtu-too-big", "packets too large for their path: the guest was told" },
	{ "netstackd", "udp-queue-full", "datagrams before there was a socket" },
	{ "netstackd", "udp-failed", "datagrams the host's kernel refused" },
	{ "netstackd", "udp-limit", "UDP flows ended early: too many" },
	{ "netstackd", "udp-bad-peer", "datagrams from an address the guest must not see" },
	{ "netstackd", "tcp-refused", "connections the other end, or policy, refused" },
	{ "netstackd", "tcp-out-of-order-full", "segments out of order beyond what is kept" },
	{ "netstackd", "tcp-bad-sequence", "segments outside of the window" },
	{ "netstackd", "tcp-timeout", "connections whose guest fell silent" },
	{ "netstackd", "tcp-evicted", "connects that waited and made room for others" },
	{ "netstackd", "tcp-challenge-limit", "challenge ACKs not sent: too many" },
	{ "netstackd", "tcp-time-wait-early", "connections in TIME-WAIT that made room for others" },
	{ "netstackd", "flow-limit", "flows beyond the limit" },
	{ "netstackd", "offer-refused", "clients of published ports for whom there was no place" },

	{ "portd", "refused-policy", "addresses the guest may not reach" },
	{ "portd", "refused-max-connections", "connections beyond --max-connections" },
	{ "portd", "refused-vm-limit", "connections of one VM beyond its share" },
	{ "portd", "refused-destination-limit", "connections to one destination, too many" },
	{ "portd", "refused-udp-ports", "UDP ports beyond a VM's share" },
	{ "portd", "refused-system", "sockets the host's kernel refused" },
	{ "portd", "refused-wait-full", "requests that found no place to wait for a descriptor" },
	{ "portd", "refused-icmp", "pings for which there is no socket on this host" },
	{ "portd", "refused-no-proxyd", "intercepted connections while proxyd was away" },
	{ "portd", "sockets-refused", "sockets that dnsd or proxyd could not have" },
	{ "portd", "pairs-refused", "streams to dnsd for which there was no descriptor" },
	{ "portd", "http-sockets-refused", "connections that proxyd could not have" },
	{ "portd", "bad-servers", "name servers that cannot be asked" },
	{ "portd", "forwards-failed", "ports that could not be had" },
	{ "portd", "clients-refused", "clients of ports for whom no guest was there" },
	{ "portd", "clients-stack-busy", "clients of ports whose guest had too many" },
	{ "portd", "early-datagrams-lost", "datagrams of a new client of a port, too many" },
	{ "portd", "flows-via-socket-refused", "flows that --forwards refused" },

	{ "front", "refused-clients", "clients of --port beyond the limit" },
	{ "front", "clients-of-neither", "clients of --port that speak neither 9P nor HTTP" },
	{ "front", "9p-errors", "requests over 9P that were refused" },
	{ "front", "http-errors", "requests over HTTP that were refused" },
	{ "front", "refused-fids", "9P clients with too many files open" },
	{ "front", "refused-names", "ports whose name cannot be read" },
	{ "front", "forwards-failed", "ports asked for that could not be had" },
	{ "front", "refused-forwards", "ports beyond the limit" },
	{ "front", "refused-connections", "connections through the tunnel beyond the limit" },
	{ "front", "tunnels-refused", "tunnels that nobody answered" },
	{ "front", "tunnels-lost", "tunnels that broke" },
	{ "front", "dropped-client-full", "datagrams whose client did not take them" },
	{ "front", "dropped-too-long", "datagrams beyond what the tunnel can carry" },
	{ "front", "channels-refused", "connections the forwarder in the VM refused" },
	{ "front", "channels-overrun", "connections whose forwarder sent more than it may" },
	{ "front", "bad-frames", "tunnels ended because they broke the protocol" },
	{ "front", "via-refused", "flows the socket of --forwards refused" },

	{ "dnsd", "no-answer", "queries that no server answered" },
	{ "dnsd", "no-server", "queries for which no server is configured" },
	{ "dnsd", "dropped-malformed", "queries that cannot be read" },
	{ "dnsd", "dropped-wrong-answer", "answers to what was not asked: late, or lies" },
	{ "dnsd", "dropped-vm-limit", "queries of one VM beyond its share" },
	{ "dnsd", "dropped-vm-rate", "queries of one VM, too many a second" },
	{ "dnsd", "dropped-limit", "queries beyond the limit of all" },
	{ "dnsd", "dropped-guest-full", "answers the guest did not take" },
	{ "dnsd", "refused-connections", "queries by TCP beyond the limit" },
	{ "dnsd", "sockets-refused", "queries for which there was no socket" },
	{ "dnsd", "bad-configuration", "names in the settings that are none, or too many" },

	{ "proxyd", "refused-request", "requests that cannot be read, or must not pass" },
	{ "proxyd", "refused-body", "request bodies whose length lies" },
	{ "proxyd", "refused-response", "responses that cannot be read" },
	{ "proxyd", "refused-hello", "TLS whose first message cannot be read" },
	{ "proxyd", "refused-policy", "names the guest may not reach" },
	{ "proxyd", "refused-vm-limit", "connections of one VM beyond its share" },
	{ "proxyd", "refused-limit", "connections beyond the limit of all" },
	{ "proxyd", "refused-head-too-long", "heads of messages that are too long" },
	{ "proxyd", "refused-too-many-fields", "heads with too many fields" },
	{ "proxyd", "lookup-failed", "names that were not found" },
	{ "proxyd", "connect-failed", "servers and proxies that did not answer" },
	{ "proxyd", "proxy-refused-connect", "tunnels the configured proxy refused" },
	{ "proxyd", "timeout-head", "clients that did not finish their request" },
	{ "proxyd", "timeout-connect", "servers that took too long to answer" },

	{ "ethd", "bad-version", "handshakes of an unknown version" },
	{ "ethd", "bad-command", "handshakes with an unknown command" },
	{ "ethd", "bad-uuid", "handshakes whose UUID cannot be read" },
	{ "ethd", "refused", "machines whose wish cannot be met" },
	{ "ethd", "accept-limit", "machines that waited for a descriptor" },
	{ "ethd", "greeting-evicted", "unfinished handshakes that made room for others" },
	{ "ethd", "greeting-eof", "clients that left during the handshake" },
	{ "ethd", "conn-limit", "connections of one UUID beyond the limit" },
	{ "ethd", "no-memory", "machines for whom there was no memory" },
	{ "ethd", "rx-short", "frames too short for Ethernet" },
	{ "ethd", "rx-bad-length", "frames with lengths that lie: the machine was cut off" },
	{ "ethd", "rx-no-channel", "frames while the stack was away" },
	{ "ethd", "tap-in-use", "connections that wait until their machine's last TAP is gone" },
	{ "ethd", "tx-too-big", "frames the machine cannot take" },
	{ "ethd", "switch-flood-limit", "frames for all, too many a second" },
	{ "ethd", "switch-forged", "frames in the name of another machine" },
	{ "ethd", "switch-too-big", "frames another machine cannot take" },
	{ "ethd", "switch-full", "frames whose machine did not take them" },
	{ "ethd", "switch-gone", "frames whose machine was gone" },
	{ "ethd", "channel-lost", "channels to stacks that broke" },
	{ "ethd", "dgram-truncated", "datagrams too large for a frame" },
	{ "ethd", "dgram-gone", "clients of datagram sockets that ended" },

	{ "diagd", "refused", "clients beyond the limit" },
	{ "diagd", "packets-lost", "packets a client of --pcap was too slow for" },
};
/* clang-format on */

bool
meaning_is_gauge(const char *role, const char *counter)
{
	size_t i;

	for (i = 0; i < nitems(meaning); i++) {
		if (meaning[i].text == NULL &&
		    strcmp(meaning[i].role, role) == 0 &&
		    strcmp(meaning[i].counter, counter) == 0)
			return true;
	}
	return false;
}

const char *
meaning_of_loss(const char *role, const char *counter)
{
	size_t i;

	for (i = 0; i < nitems(meaning); i++) {
		if (strcmp(meaning[i].role, role) == 0 &&
		    strcmp(meaning[i].counter, counter) == 0)
			return meaning[i].text;
	}
	return NULL;
}
