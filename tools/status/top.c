/*
 * top: flows, live, with the keys people know: q ends, r b a t sort by rate,
 * bytes, age and round trip, + and - look more and less often, and any other
 * key looks at once.
 */

#include <sys/ioctl.h>
#include <err.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <bsd/stdlib.h>

#include "common/plat/plat.h"
#include "tools/status/status.h"

#define NAME_WIDTH 32 /* a longer one would push the rest out */

struct top {
	enum flow_sort by;
	int delay_ms;
	struct flow *old; /* owned: what was seen last */
	size_t nold;
	usec_t at;
	bool quit;
};

/* Back to how it was, however the program ends. */
static struct termios saved;

static void
term_end(void)
{
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}

static void
term_begin(void)
{
	struct termios tio;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved) == -1)
		return;
	tio = saved;
	tio.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &tio) == -1 ||
	    atexit(term_end) != 0)
		return;
	/* The other screen, without a cursor. */
	fputs("\033[?1049h\033[?25l", stdout);
}

static unsigned
term_lines(unsigned *cols)
{
	struct winsize ws;

	*cols = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == -1 || ws.ws_row == 0)
		return 24;
	*cols = ws.ws_col > 0 ? ws.ws_col : 80;
	return ws.ws_row;
}

/* Text cut to the window: a line that breaks would push others out. */
static void
put_cut(const char *text, unsigned lines, unsigned cols)
{
	unsigned col = 0;
	bool esc = false;

	for (; *text != '\0' && lines > 0; text++) {
		if (*text == '\033')
			esc = true;
		if (*text == '\n') {
			fputs("\033[K\n", stdout);
			lines--;
			col = 0;
		} else if (esc || col < cols) {
			fputc(*text, stdout);
			col += !esc;
		}
		if (esc && *text == 'm')
			esc = false;
	}
}

static void
draw(struct top *t, const struct snapshot *s, struct flow *v, size_t n,
    const struct style *st)
{
	static const char *const by[] = { "rate", "bytes", "age",
		"round trip" };
	double in = 0, out = 0;
	char a[PRINT_NUM], b[PRINT_NUM], *text = NULL;
	unsigned cols, lines = term_lines(&cols);
	size_t i, len;
	FILE *f;

	for (i = 0; i < n; i++) {
		out += v[i].out_bps > 0 ? v[i].out_bps : 0;
		in += v[i].in_bps > 0 ? v[i].in_bps : 0;
	}
	if ((f = open_memstream(&text, &len)) == NULL)
		return;
	fprintf(f,
	    "%zu flows  sent %s  received %s  by %s  every %.1f s  "
	    "(q quit, r rate, b bytes, a age, t round trip, + -)\n\n",
	    n, print_rate(out, a), print_rate(in, b), by[t->by],
	    t->delay_ms / 1000.);
	flows_table(f, s, v, n < lines ? n : lines, st);
	fclose(f);
	fputs("\033[H", stdout);
	put_cut(text, lines - 1, cols);
	fputs("\033[J", stdout);
	fflush(stdout);
	free(text);
}

static void
look(struct top *t, struct conn *conn, const struct style *st)
{
	struct snapshot s;
	struct flow *v;
	size_t n;

	conn_snapshot(conn, &s);
	n = read_flows(&s, &v);
	/* The table's own times: it may be older than this moment. */
	flows_rates(v, n, t->old, t->nold, t->at > 0 ? s.now - t->at : 0);
	free(t->old);
	t->old = calloc(n + 1, sizeof(*v));
	t->nold = t->old != NULL ? n : 0;
	if (n > 0 && t->old != NULL)
		memcpy(t->old, v, n * sizeof(*v));
	t->at = s.now;
	flows_sort(v, n, t->by, s.now);
	draw(t, &s, v, n, st);
	free(v);
	snapshot_fini(&s);
}

static void
key(struct top *t, char c)
{
	switch (c) {
	case 'q':
		t->quit = true;
		break;
	case 'r':
		t->by = SORT_RATE;
		break;
	case 'b':
		t->by = SORT_BYTES;
		break;
	case 'a':
		t->by = SORT_AGE;
		break;
	case 't':
		t->by = SORT_RTT;
		break;
	case '+':
		t->delay_ms = t->delay_ms > 200 ? t->delay_ms / 2 : 100;
		break;
	case '-':
		t->delay_ms = t->delay_ms < 30000 ? t->delay_ms * 2 : 60000;
		break;
	default:
		break;
	}
}

/* Until the next look, or a key. */
static void
rest(struct top *t)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char c;

	if (poll(&p, 1, t->delay_ms) != 1)
		return;
	if (read(STDIN_FILENO, &c, 1) == 1)
		key(t, c);
	else
		t->quit = true; /* nobody is there any more */
}

int
top_main(struct conn *conn, const struct style *st, int argc, char **argv)
{
	struct style narrow = *st;
	struct top t = { .by = SORT_RATE, .delay_ms = 1000 };
	const char *why;
	int o;

	optind = 1;
	while ((o = getopt(argc, argv, "d:")) != -1) {
		if (o != 'd')
			exit(EX_USE);
		t.delay_ms = (int)strtonum(optarg, 1, 60, &why) * 1000;
		if (why != NULL)
			errx(EX_USE, "-d: '%s' is %s: 1 to 60 seconds", optarg,
			    why);
	}
	if (!isatty(STDOUT_FILENO))
		errx(EX_USE, "top needs a terminal: use flows");
	narrow.name = NAME_WIDTH;
	conn_catch(conn);
	term_begin();
	while (!t.quit && !conn_stopped && conn_alive(conn)) {
		look(&t, conn, &narrow);
		rest(&t);
	}
	free(t.old);
	if (!t.quit && !conn_stopped)
		errx(EX_NOSUITE, "the suite has ended");
	return EX_FINE;
}
