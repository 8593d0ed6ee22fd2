/*
 * Ports of the host that lead to guests: listed, added, removed.
 */

#include <err.h>
#include <stdio.h>
#include <string.h>

#include <bsd/string.h>

#include "common/ipc_msgs.h"
#include "tools/status/status.h"

#define END_LEN 300

/* "tcp 127.0.0.1:80", with brackets where they must be; or a path. */
static const char *
host_end(const struct port_row *r, char *buf)
{
	const char *form = strchr(r->addr, ':') != NULL ? "[%s]:%u" : "%s:%u";
	unsigned port = r->port != 0 ? r->port : r->want;

	if (strcmp(r->proto, "unix") == 0)
		strlcpy(buf, r->addr, END_LEN);
	else
		snprintf(buf, END_LEN, form, r->addr, port);
	return buf;
}

static const char *
guest_end(const struct port_row *r, char *buf)
{
	if (r->dpath[0] != '\0')
		strlcpy(buf, r->dpath, END_LEN);
	else
		snprintf(buf, END_LEN, "%s:%u", r->dst, r->dport);
	return buf;
}

static json_t *
row_json(const struct port_row *r)
{
	char host[END_LEN], guest[END_LEN];

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:b, s:o}", "by",
	    print_json(r->by), "state", print_json(r->state), "proto",
	    print_json(r->proto), "host", print_json(host_end(r, host)),
	    "guest", print_json(guest_end(r, guest)), "asked-port",
	    (int)r->want, "port", (int)r->port, "proxy", (int)r->proxy, "note",
	    print_json(r->note));
}

static void
row_cells(struct table *t, const struct port_row *r)
{
	char host[END_LEN], guest[END_LEN];

	table_cell(t, "%s", r->proto);
	table_cell(t, "%s", host_end(r, host));
	table_cell(t, "%s", guest_end(r, guest));
	table_cell(t, "%s", r->state);
	table_cell(t, "%s", r->by);
	table_cell(t, "%s%s", r->proxy ? "PROXY " : "", r->note);
}

static int
list(struct conn *c, const struct style *st)
{
	static const char *const head[] = { "PROTO", "HOST", "GUEST", "STATE",
		"BY", "NOTE" };
	json_t *all = json_array();
	struct port_row r = { 0 };
	struct table t;

	table_init(&t, head, sizeof(head) / sizeof(head[0]));
	while (conn_port(c, IPC_PORTS_NEXT,
	    json_pack("{s:I}", "after", (json_int_t)r.serial), &r)) {
		if (st->json)
			json_array_append_new(all, row_json(&r));
		else
			row_cells(&t, &r);
	}
	if (st->json)
		print_json_dump(stdout, json_pack("{s:O}", "ports", all));
	else
		table_print(stdout, &t, st);
	json_decref(all);
	return EX_FINE;
}

static int
add(struct conn *c, const struct style *st, const char *spec)
{
	char host[END_LEN], guest[END_LEN];
	struct port_row r = { 0 };

	if (!conn_port(c, IPC_PORTS_ADD, json_pack("{s:s}", "spec", spec), &r))
		return EX_REFUSED;
	if (st->json)
		print_json_dump(stdout, row_json(&r));
	else
		printf("%s %s leads to %s\n", r.proto, host_end(&r, host),
		    guest_end(&r, guest));
	return EX_FINE;
}

int
ports_main(struct conn *c, const struct style *st, int argc, char **argv)
{
	if (argc == 1 || (argc == 2 && strcmp(argv[1], "list") == 0))
		return list(c, st);
	if (argc == 3 && strcmp(argv[1], "add") == 0)
		return add(c, st, argv[2]);
	if (argc != 3 || strcmp(argv[1], "remove") != 0)
		errx(EX_USE, "usage: vpnkit-status ports "
			     "[add SPEC | remove HOSTIP:PORT[/udp]]");
	conn_do(c, IPC_PORTS_REMOVE, json_pack("{s:s}", "spec", argv[2]));
	return EX_FINE;
}
