/*
 * The command line: the code that walks the table of flags.
 *
 * The rules are those that launchers of the original rely on: long options
 * only, `--x=V' or `--x V', any unique prefix of a name.  Names that the
 * original does not have step back when a prefix could also mean one of its
 * own: `--eth' has always been --ethernet.
 */

#include <bsd/stdlib.h>
#include <stdlib.h>
#include <string.h>

#include "opt_table.h"

/*
 * The command line.
 */

/* The row of a full name, or -1. */
static int
find_exact(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < opt_n; i++) {
		if (strlen(opts[i].name) == len &&
		    memcmp(opts[i].name, name, len) == 0)
			return (int)i;
	}
	return -1;
}

/* Rows that begin with name, of one of the two sorts; *row is the last. */
static int
find_prefix(const char *name, size_t len, bool extra, int *row)
{
	size_t i;
	int n = 0;

	for (i = 0; i < opt_n; i++) {
		if (opts[i].extra != extra ||
		    strncmp(opts[i].name, name, len) != 0)
			continue;
		*row = (int)i;
		n++;
	}
	return n;
}

static int
ambiguous(const char *name, size_t len, char *err)
{
	size_t i, used;

	snprintf(err, OPTIONS_ERRLEN, "option '--%.*s' is ambiguous:", (int)len,
	    name);
	for (i = 0; i < opt_n; i++) {
		if (strncmp(opts[i].name, name, len) != 0)
			continue;
		used = strlen(err);
		snprintf(
		    err + used, OPTIONS_ERRLEN - used, " --%s", opts[i].name);
	}
	return -1;
}

static int
find_row(const char *name, size_t len, char *err)
{
	int row, n;

	if ((row = find_exact(name, len)) != -1)
		return row;
	if (len > 0) {
		if ((n = find_prefix(name, len, false, &row)) == 0)
			n = find_prefix(name, len, true, &row);
		if (n == 1)
			return row;
		if (n > 1)
			return ambiguous(name, len, err);
	}
	return opt_fail(err, "unknown option '--%.*s' (--help lists them all)",
	    len < 64 ? (int)len : 64, name);
}

/* Takes the option in argv[*i], and its value, which may be the next. */
static int
parse_option(
    struct options *op, int argc, char *const argv[], int *i, char *err)
{
	const char *name = argv[*i] + 2, *v = NULL;
	size_t len = strcspn(name, "=");
	const struct opt *o;
	int row;

	if ((row = find_row(name, len, err)) == -1)
		return -1;
	o = &opts[row];
	if (name[len] == '=')
		v = name + len + 1;
	if (op->given[row] != GIVEN_NOT && o->kind != K_URLS &&
	    o->kind != K_PUBS)
		return opt_fail(err, "--%s is given twice", o->name);
	op->given[row] = GIVEN_LINE;
	if (o->kind == K_FLAG) {
		/* The original has --help=FMT; the format is ours to say. */
		if (v != NULL && o->off != OPT_OFF(help))
			return opt_fail(err, "--%s takes no value", o->name);
		return opt_set(op, o, "true", err);
	}
	if (v == NULL) {
		if (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0)
			return opt_fail(err, "--%s needs a value: --%s %s",
			    o->name, o->name, o->arg);
		v = argv[++*i];
	}
	return opt_set(op, o, v, err);
}

int
options_parse(struct options *op, int argc, char *const argv[], char *err)
{
	int i;

	if (op->given == NULL)
		return opt_fail(err, "out of memory");
	for (i = 1; i < argc && !op->help && !op->version; i++) {
		if (strcmp(argv[i], "-h") == 0) {
			op->help = true;
			continue;
		}
		if (argv[i][0] != '-' || argv[i][1] == '\0' ||
		    strcmp(argv[i], "--") == 0)
			return opt_fail(err,
			    "unexpected argument '%.64s' "
			    "(--help lists the options)",
			    argv[i]);
		if (argv[i][1] != '-')
			return opt_fail(err,
			    "unknown option '%.64s' (all names "
			    "are long: --debug; --help lists them)",
			    argv[i]);
		if (parse_option(op, argc, argv, &i, err) == -1)
			return -1;
	}
	return 0;
}

/*
 * The file, the defaults, and what must hold between options.
 */

int
options_file(struct options *op, const char *name, const char *v, char *err)
{
	const struct opt *o;
	bool many;
	int row;

	row = find_exact(name, strlen(name));
	if (row == -1 || opts[row].off == OPT_OFF(config) ||
	    opts[row].off == OPT_OFF(help) || opts[row].off == OPT_OFF(version))
		return opt_fail(err, "unknown option '%.64s'", name);
	o = &opts[row];
	if (op->given[row] == GIVEN_LINE)
		return 0;
	many = o->kind == K_URLS || o->kind == K_PUBS || o->kind == K_NAMES ||
	       o->kind == K_IPS || o->kind == K_FWDS;
	if (op->given[row] == GIVEN_FILE && !many)
		return opt_fail(err, "--%s takes one value", o->name);
	op->given[row] = GIVEN_FILE;
	return opt_set(op, o, v, err);
}

/* An address that a host on a network can have. */
static bool
host_address(const struct ipaddr *a)
{
	uint32_t v = ipaddr_to_u32(a);

	return v >> 24 != 0 && v >> 24 != 127 && v >> 28 < 0xe;
}

static int
check_addresses(const struct options *op, char *err)
{
	char buf[IPADDR_STRLEN];
	const struct {
		const char *name;
		const struct ipaddr *a;
	} addr[] = {
		{ "gateway-ip", &op->gateway_ip },
		{ "host-ip", &op->host_ip },
		{ "lowest-ip", &op->lowest_ip },
		{ "highest-ip", &op->highest_ip },
	};
	bool no_host = ipaddr_to_u32(&op->host_ip) == 0;
	size_t i;

	for (i = 0; i < sizeof(addr) / sizeof(addr[0]); i++) {
		if (!host_address(addr[i].a) &&
		    !(addr[i].a == &op->host_ip && no_host))
			return opt_fail(err,
			    "--%s: %s cannot be the address of a "
			    "host",
			    addr[i].name, ipaddr_str(addr[i].a, buf));
	}
	if (ipaddr_cmp(&op->gateway_ip, &op->host_ip) == 0)
		return opt_fail(err, "--host-ip and --gateway-ip are the same");
	if (ipaddr_to_u32(&op->lowest_ip) > ipaddr_to_u32(&op->highest_ip))
		return opt_fail(err, "--lowest-ip is above --highest-ip");
	return 0;
}

static int
check_tunnel(const struct options *op, char *err)
{
	static const char *const words[] = { "auto", "mux", "mux-handshake",
		"2017" };
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(op->tunnel_protocol, words[i]) == 0)
			return 0;
	}
	return opt_fail(err,
	    "--tunnel-protocol: '%s' is not auto, mux, mux-handshake or 2017",
	    op->tunnel_protocol);
}

int
options_finish(struct options *op, char *err)
{
	size_t i;

	for (i = 0; i < opt_n; i++) {
		if (op->given[i] != GIVEN_NOT || opts[i].def == NULL)
			continue;
		if (opt_set(op, &opts[i], opts[i].def, err) == -1)
			return -1;
	}
	if (op->ethernet == NULL && op->ethernet_qemu == NULL &&
	    op->ethernet_dgram.n == 0)
		return opt_fail(err, "Please provide an --ethernet argument");
	return check_tunnel(op, err) == -1 ? -1 : check_addresses(op, err);
}

const char *
options_note(const struct options *op, size_t *row, char *buf)
{
	const struct opt *o;

	while (*row < opt_n) {
		o = &opts[(*row)++];
		if (op->given[o - opts] == GIVEN_NOT || o->class == C_NOW)
			continue;
		snprintf(buf, OPTIONS_ERRLEN,
		    "--%s: has no meaning any more, ignored", o->name);
		return buf;
	}
	return NULL;
}

void
options_init(struct options *op)
{
	memset(op, 0, sizeof(*op));
	op->max_connections = -1;
	op->given = calloc(opt_n, sizeof(*op->given));
}

void
options_fini(struct options *op)
{
	size_t i;

	for (i = 0; i < opt_n; i++) {
		void *field = (char *)op + opts[i].off;

		switch (opts[i].kind) {
		case K_STR:
		case K_URL:
			free(*(char **)field);
			*(char **)field = NULL;
			break;
		case K_NAMES:
		case K_IPS:
		case K_FWDS:
		case K_URLS:
		case K_PUBS:
			opt_strlist_free(field);
			break;
		default:
			break;
		}
	}
	free(op->given);
	op->given = NULL;
}

const char *
options_tunnel(const struct options *op)
{
	if (op->vsock_path != NULL && *op->vsock_path != '\0')
		return op->vsock_path;
	if (op->port_forwards != NULL && *op->port_forwards != '\0')
		return op->port_forwards;
	return NULL;
}
