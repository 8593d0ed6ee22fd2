#!/bin/sh
# table.sh RESULTS.jsonl: medians as Markdown, a row for each test, a column
# for each peer.
awk '
function field(name,    s) {
	s = $0
	if (!sub(".*\"" name "\":\"?", "", s))
		return ""
	sub(/[",}].*/, "", s)
	return s
}
function median(key,    n, i, j, t, v) {
	n = count[key]
	for (i = 1; i <= n; i++)
		v[i] = value[key, i]
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && v[j - 1] > v[j]; j--) {
			t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
		}
	return n ? (v[int((n + 1) / 2)] + v[int((n + 2) / 2)]) / 2 : "-"
}
function add(key, v) {
	if (v != "null" && v != "")
		value[key, ++count[key]] = v + 0
}
function show(v, digits) {
	return v == "-" ? "-" : sprintf("%." digits "f", v)
}
function row(title, test, digits,    i, line) {
	line = ""
	for (i = 1; i <= npeer; i++)
		line = line count[peer[i] SUBSEP test]
	if (line == "")
		return # this run has not measured it
	line = "| " title " |"
	for (i = 1; i <= npeer; i++)
		line = line " " show(median(peer[i] SUBSEP test), digits) " |"
	print line
}
{
	p = field("peer")
	if (!(p in seen)) {
		seen[p] = 1
		peer[++npeer] = p
	}
	t = field("test")
	add(p SUBSEP t, field("value"))
	if (field("bytes") + 0 > 0)
		add(p SUBSEP t "_cpu", field("cpu_s") / field("bytes") * 1e9)
}
END {
	line = "| |"; rule = "|---|"
	for (i = 1; i <= npeer; i++) {
		line = line " " peer[i] " |"
		rule = rule "--:|"
	}
	print line
	print rule
	way["up"] = "guest to host"; way["down"] = "host to guest"
	split("1500 65520", mtu, " ")
	split("up down", dir, " ")
	split("1 8", streams, " ")
	for (m = 1; m <= 2; m++)
		for (d = 1; d <= 2; d++)
			for (s = 1; s <= 2; s++)
				row("TCP " way[dir[d]] ", MTU " mtu[m] ", " \
				    streams[s] (s == 1 ? " stream" : " streams") \
				    ", Gbit/s", \
				    "tcp_" dir[d] "_" mtu[m] "_" streams[s], 2)
	for (m = 1; m <= 2; m++)
		for (d = 1; d <= 2; d++)
			for (s = 1; s <= 2; s++)
				row("CPU s per GB, " way[dir[d]] ", MTU " mtu[m] \
				    ", " streams[s], "tcp_" dir[d] "_" mtu[m] \
				    "_" streams[s] "_cpu", 2)
	row("TCP round trip, median, us", "rtt_us", 1)
	row("connections per second, one at a time", "conn_1", 0)
	row("connections per second, 64 at a time", "conn_64", 0)
	split("64 1400", size, " ")
	for (z = 1; z <= 2; z++) {
		row("UDP echoes per second, " size[z] " B", \
		    "udp_echo_" size[z], 0)
		row("UDP flood guest to host, " size[z] " B, packets/s", \
		    "udp_up_" size[z], 0)
		row("UDP flood host to guest, " size[z] " B, packets/s", \
		    "udp_down_" size[z], 0)
	}
	row("DNS queries per second, not in a cache", "dns_qps", 0)
	row("the same of the upstream itself, through the peer", \
	    "dns_direct", 0)
	row("the same of the upstream itself, without a peer", "dns_plain", 0)
	row("DNS queries per second, not in a cache, upstream 5 ms away", \
	    "dns_far", 0)
	row("the same of that upstream itself, through the peer", \
	    "dns_far_direct", 0)
	row("DNS queries per second, answers that may be kept", "dns_kept", 0)
	split("pub_lo pub", pub, " ")
	where["pub_lo"] = "port on the loopback"
	where["pub"] = "port on another address"
	for (w = 1; w <= 2; w++) {
		at = where[pub[w]]
		for (m = 1; m <= 2; m++) {
			row(at ", to the guest, MTU " mtu[m] ", Gbit/s", \
			    pub[w] "_in_" mtu[m], 2)
			row(at ", from the guest, MTU " mtu[m] ", Gbit/s", \
			    pub[w] "_out_" mtu[m], 2)
		}
		row(at ", round trip, median, us", pub[w] "_rtt_us", 1)
		row(at ", connections per second, one at a time", \
		    pub[w] "_conn_1", 0)
		row(at ", connections per second, 64 at a time", \
		    pub[w] "_conn_64", 0)
	}
	row("memory per idle connection, kB", "idle_kb_each", 2)
	row("TCP host to guest, nobody looks, Gbit/s", "tcp_unwatched", 2)
	row("the same beside `vpnkit-status top`, Gbit/s", "tcp_watched", 2)
	row("`vpnkit-status flows`, ms", "status_flows_ms", 0)
	row("flows it shows", "status_flows_n", 0)
	split("1 64 1000", kept, " ")
	for (k = 1; k <= 3; k++) {
		row("squid asked directly, " kept[k] " kept, requests/s", \
		    "http_rps_" kept[k] "_direct", 0)
		row("squid by interception, " kept[k] " kept, requests/s", \
		    "http_rps_" kept[k] "_us", 0)
	}
	row("squid asked directly, 100 MB files, Gbit/s", \
	    "http_gbps_direct", 2)
	row("squid by interception, 100 MB files, Gbit/s", "http_gbps_us", 2)
	row("memory per kept intercepted connection, kB", "http_kb_each", 2)
}' "$1"
