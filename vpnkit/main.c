/*
 * vpnkit: a network for virtual machines, made of the host's own sockets.
 *
 * This program is the supervisor.  It parses the command line and the
 * administrator's files, opens the sockets on which VMs connect, starts the
 * daemons that do the work and starts them again when they die.  It parses
 * nothing that a guest or the network sent.
 *
 * Order of start: log, options, --check ends here, listeners, sandbox,
 * daemons, loop.
 */

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/plat/plat.h"
#include "common/plat/sandbox.h"
#include "config.h"

#include "child.h"
#include "conf.h"
#include "options.h"
#include "sup.h"

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/*
 * Launchers may start us without stdin, stdout or stderr: then the first
 * socket we open must not become one of them.
 */
static void
fill_stdio(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* 0, or the errno that says what is wrong with the path of a file. */
static int
path_error(const char *path, bool must_exist)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return must_exist ? errno : 0;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	return must_exist && access(path, R_OK) == -1 ? errno : 0;
}

/* What only a look at the file system tells. */
static int
check_paths(const struct options *op, char *err)
{
	const struct {
		const char *name, *path;
		bool must_exist;
	} file[] = {
		{ "dhcp-path", op->dhcp_path, true },
		{ "dns", op->dns, false },
		{ "hosts", op->hosts, false },
		{ "http", op->http, false },
		{ "gateway-forwards", op->gateway_forwards, false },
		{ "forwards", op->forwards, false },
	};
	size_t i;
	int e;

	for (i = 0; i < sizeof(file) / sizeof(file[0]); i++) {
		if (file[i].path == NULL || *file[i].path == '\0')
			continue;
		if ((e = path_error(file[i].path, file[i].must_exist)) == 0)
			continue;
		snprintf(err, OPTIONS_ERRLEN, "--%s: %.256s: %s", file[i].name,
		    file[i].path, strerror(e));
		return -1;
	}
	return 0;
}

static int
check_log(const struct options *op, char *err)
{
	struct logdest d;

	if (logdest_parse(&d, op->log) == 0)
		return 0;
	snprintf(err, OPTIONS_ERRLEN,
	    "--log: '%.128s' is not auto, stderr, journal[:PATH] or "
	    "syslog[:PATH], with a path of at most %zu bytes",
	    op->log, sizeof(d.path) - 1);
	return -1;
}

static int
parse_all(struct options *op, int argc, char *argv[], char *err)
{
	if (options_parse(op, argc, argv, err) == -1)
		return -1;
	if (op->help || op->version)
		return 0;
	if (op->config != NULL && conf_options_file(op, op->config, err) == -1)
		return -1;
	if (options_finish(op, err) == -1)
		return -1;
	if (check_log(op, err) == -1)
		return -1;
	return check_paths(op, err);
}

static void
log_notes(const struct options *op)
{
	char buf[OPTIONS_ERRLEN];
	size_t row = 0;

	while (options_note(op, &row, buf) != NULL)
		log_warnx("%s", buf);
}

/* The daemons' programs; better to say now than to fail again and again. */
static int
check_programs(const struct options *op)
{
	const struct children where = { .libexec =
					    getenv("VPNKIT_LIBEXECDIR") };
	char path[PATH_MAX];
	int role;

	for (role = ROLE_MAIN + 1; role < ROLE__MAX; role++) {
		if (role == ROLE_ADMIN ||
		    (role == ROLE_DIAG && !options_want_diag(op)))
			continue;
		if (child_path(&where, role, path, sizeof(path)) == -1) {
			log_warn("cannot run %s", path);
			return -1;
		}
	}
	return 0;
}

/* What a start would read; -1: a file is wrong, logged. */
static int
check_files(const struct options *op)
{
	struct ports ports = { .op = op };
	struct conf conf;
	int r = -1;

	if (conf_init(&conf, op) == 0 && conf_read_dhcp(&conf) != -1 &&
	    conf_read_resolv(&conf) != -1 && conf_read_dns(&conf) != -1 &&
	    conf_read_hosts(&conf) != -1 && conf_read_http(&conf) != -1 &&
	    ports_init(&ports, op) == 0 && ports_read_gateway(&ports) != -1 &&
	    ports_read_via(&ports) != -1)
		r = 0;
	ports_fini(&ports);
	conf_fini(&conf);
	return r;
}

static int
lock_sandbox(struct sandbox_report *report)
{
	size_t i;

	if (sandbox_lock(SANDBOX_SUPERVISOR, report) == -1) {
		log_warnx("cannot lock the sandbox");
		return -1;
	}
	for (i = 0; i < report->n; i++)
		log_debug("sandbox: %s", report->layer[i]);
	return 0;
}

static int
serve(const struct options *op)
{
	struct logdest log;
	struct sup *s;
	int r = -1;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		fatal("start");
	if (logdest_open(&log, op->log) == -1) {
		log_warn("--log %s", op->log);
		free(s);
		return -1;
	}
	if (check_programs(op) == 0 && sup_init(s, op) == 0 &&
	    lock_sandbox(&s->sandbox) == 0) {
		s->kids.log = &log;
		r = sup_run(s);
	}
	sup_fini(s);
	logdest_close(&log);
	free(s);
	return r;
}

static int
run(const struct options *op)
{
	if (op->help)
		options_help(stdout);
	if (op->version)
		puts(VPNKIT_VERSION);
	if (op->help || op->version)
		return 0;
	if (op->debug || getenv("VPNKIT_DEBUG") != NULL)
		log_set_level(LOG_LVL_DEBUG);
	log_notes(op);
	if (op->check)
		return check_files(op);
	plat_nofile();
	return serve(op);
}

int
main(int argc, char *argv[])
{
	const char *name = base_name(argc > 0 ? argv[0] : "vpnkit");
	char err[OPTIONS_ERRLEN] = "";
	struct options op;
	int r;

	fill_stdio();
	signal(SIGPIPE, SIG_IGN);
	log_init(name);
	options_init(&op);
	if (parse_all(&op, argc, argv, err) == -1) {
		fprintf(stderr, "%s: %s\n", name, err);
		options_fini(&op);
		return 1;
	}
	r = run(&op);
	options_fini(&op);
	return r == -1 ? 1 : 0;
}
