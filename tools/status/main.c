/*
 * vpnkit-status: what the suite does, and a few things it can be told.
 */

#include <sys/stat.h>
#include <err.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/stdlib.h>

#include "common/ipc_msgs.h"
#include "common/log.h"
#include "config.h"
#include "tools/status/status.h"

struct command {
	const char *name, *args, *help;
	int min, max; /* arguments */
	int (*fn)(struct conn *, const struct style *, int, char **);
};

static int
cmd_show(struct conn *c, const struct style *st, int argc, char **argv)
{
	struct snapshot s;
	bool healthy;

	conn_snapshot(c, &s);
	show_print(stdout, &s, st);
	healthy = show_healthy(&s);
	snapshot_fini(&s);
	return healthy ? EX_FINE : EX_BROKEN;
}

static bool
is_process(const struct snapshot *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (strcmp(s->v[i].name, name) == 0)
			return true;
	}
	return false;
}

static int
cmd_counters(struct conn *c, const struct style *st, int argc, char **argv)
{
	const char *name = NULL;
	struct snapshot s;
	bool all = false;
	int i;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--all") == 0)
			all = true;
		else
			name = argv[i];
	}
	conn_snapshot(c, &s);
	if (name != NULL && !is_process(&s, name))
		errx(EX_REFUSED, "no process has the name %s", name);
	counters_print(stdout, &s, name, all, st);
	snapshot_fini(&s);
	return EX_FINE;
}

static uint32_t
number(const char *s, uint32_t max)
{
	const char *why;
	uint32_t n = (uint32_t)strtonum(s, 1, max, &why);

	if (why != NULL)
		errx(EX_USE, "'%s' is %s", s, why);
	return n;
}

static int
cmd_flows(struct conn *c, const struct style *st, int argc, char **argv)
{
	struct snapshot s;

	conn_snapshot(c, &s);
	flows_print(stdout, &s, argc > 1 ? number(argv[1], UINT32_MAX) : 0, st);
	snapshot_fini(&s);
	return EX_FINE;
}

static int
cmd_dns(struct conn *c, const struct style *st, int argc, char **argv)
{
	struct snapshot s;

	conn_snapshot(c, &s);
	dns_print(stdout, &s, st);
	snapshot_fini(&s);
	return EX_FINE;
}

static int
cmd_explain(struct conn *c, const struct style *st, int argc, char **argv)
{
	struct snapshot s;
	int r;

	conn_snapshot(c, &s);
	r = explain_print(stdout, &s, argv[1], st);
	snapshot_fini(&s);
	return r == 0 ? EX_FINE : EX_REFUSED;
}

static int
cmd_metrics(struct conn *c, const struct style *st, int argc, char **argv)
{
	struct snapshot s;

	conn_snapshot(c, &s);
	metrics_print(stdout, &s);
	snapshot_fini(&s);
	return EX_FINE;
}

static int
cmd_log(struct conn *c, const struct style *st, int argc, char **argv)
{
	static const char *const level[] = { "error", "warning", "info",
		"debug" };
	int i;

	for (i = 0; i < 4 && strcmp(level[i], argv[1]) != 0; i++)
		continue;
	if (i == 4)
		errx(EX_USE, "a level is error, warning, info or debug");
	conn_do(c, IPC_ADMIN_LOG,
	    json_pack(
		"{s:i, s:s}", "level", i, "name", argc > 2 ? argv[2] : ""));
	return EX_FINE;
}

static int
cmd_restart(struct conn *c, const struct style *st, int argc, char **argv)
{
	conn_do(c, IPC_ADMIN_RESTART, json_pack("{s:s}", "name", argv[1]));
	return EX_FINE;
}

static int
cmd_reload(struct conn *c, const struct style *st, int argc, char **argv)
{
	conn_do(c, IPC_ADMIN_RELOAD, json_object());
	return EX_FINE;
}

/* clang-format off */
static const struct command commands[] = {
	{ "show", "", "processes and virtual machines (the default)",
	    0, 0, cmd_show },
	{ "flows", "[VM]", "every flow, with bytes, rates and round trips",
	    0, 1, cmd_flows },
	{ "top", "[-d SECONDS]", "the same, live", 0, 2, top_main },
	{ "dns", "", "name servers, their latencies, and the last queries",
	    0, 0, cmd_dns },
	{ "counters", "[--all] [NAME]", "counters of the processes",
	    0, 2, cmd_counters },
	{ "explain", "drops|ADDRESS[:PORT]|NAME", "why packets and flows "
	    "were lost", 1, 1, cmd_explain },
	{ "capture", "[--last] [FILTER]...", "packets as pcapng",
	    0, 64, capture_main },
	{ "ports", "[add SPEC|remove HOSTIP:PORT]", "ports of the host that "
	    "lead to guests", 0, 2, ports_main },
	{ "metrics", "", "everything as OpenMetrics text",
	    0, 0, cmd_metrics },
	{ "log", "LEVEL [NAME]", "how much is logged: error, warning, info "
	    "or debug", 1, 2, cmd_log },
	{ "restart", "NAME", "ends a process, which is started again",
	    1, 1, cmd_restart },
	{ "reload", "", "reads the configuration files again",
	    0, 0, cmd_reload },
};
/* clang-format on */

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
usage(FILE *out)
{
	size_t i;

	fputs("Usage: vpnkit-status [-s SOCKET] [--json] [COMMAND [ARG]...]\n\n"
	      "SOCKET is vpnkit's admin socket, or the --ethernet socket "
	      "beside it.\n\n",
	    out);
	for (i = 0; i < NCOMMANDS; i++)
		fprintf(out, "  %-10s%-31s%s\n", commands[i].name,
		    commands[i].args, commands[i].help);
	fputs("\nExit status: 0 fine, 1 wrong usage, 2 the suite cannot be "
	      "reached, 3 it refuses,\n4 (show) a process does not run.\n",
	    out);
}

static bool
is_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* The admin socket that is meant by a path, or is in a usual place. */
static const char *
find_socket(const char *given, char *buf, size_t size)
{
	static const char *const usual[] = { "/run/vpnkit/ethernet.sock.admin",
		"/run/vpnkit/admin.sock" };
	const char *run = getenv("XDG_RUNTIME_DIR");
	size_t i;

	if (given == NULL)
		given = getenv("VPNKIT_ADMIN");
	if (given != NULL) {
		snprintf(buf, size, "%s.admin", given);
		return is_socket(buf) ? buf : given;
	}
	if (run != NULL) {
		for (i = 0; i < 2; i++) {
			snprintf(buf, size, "%s/vpnkit/%s", run,
			    i == 0 ? "ethernet.sock.admin" : "admin.sock");
			if (is_socket(buf))
				return buf;
		}
	}
	for (i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		if (is_socket(usual[i]))
			return usual[i];
	}
	errx(EX_NOSUITE, "no vpnkit is known: say where with -s SOCKET");
}

static const struct command *
find_command(const char *name)
{
	size_t i;

	for (i = 0; i < NCOMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	errx(EX_USE, "'%s' is no command; --help lists them", name);
}

static int
run(const char *path, const struct style *st, int argc, char **argv)
{
	static char show[] = "show";
	char *none[] = { show, NULL };
	const struct command *cmd;
	char buf[512];
	struct conn *c;
	int r;

	if (argc == 0) {
		argc = 1;
		argv = none;
	}
	cmd = find_command(argv[0]);
	if (argc - 1 < cmd->min || argc - 1 > cmd->max)
		errx(EX_USE, "usage: vpnkit-status %s%s%s", cmd->name,
		    cmd->args[0] != '\0' ? " " : "", cmd->args);
	c = conn_open(find_socket(path, buf, sizeof(buf)));
	r = cmd->fn(c, st, argc, argv);
	conn_close(c);
	if (fflush(stdout) == EOF && r == EX_FINE)
		r = EX_USE;
	return r;
}

int
main(int argc, char *argv[])
{
	static const struct option opts[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *path = NULL, *term = getenv("TERM");
	struct style st = { 0 };
	int o;

	log_init("vpnkit-status");
	/* '+': what is behind the command is the command's. */
	while ((o = getopt_long(argc, argv, "+s:jh", opts, NULL)) != -1) {
		switch (o) {
		case 's':
			path = optarg;
			break;
		case 'j':
			st.json = true;
			break;
		case 'h':
			usage(stdout);
			return EX_FINE;
		case 'V':
			puts(VPNKIT_VERSION);
			return EX_FINE;
		default:
			return EX_USE;
		}
	}
	/* Also behind the command, where people look for it first. */
	if (argc > optind + 1 && strcmp(argv[argc - 1], "--json") == 0) {
		st.json = true;
		argc--;
	}
	st.color = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL &&
		   term != NULL && strcmp(term, "dumb") != 0;
	return run(path, &st, argc - optind, argv + optind);
}
