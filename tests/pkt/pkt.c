/*
 * The reader of packet scripts, and the writer of their notation.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pkt/pkt.h"

static const char flag_name[] = "FSRP.UEW";

static int
bad(struct pkt_script *ps, int line, const char *fmt, ...)
{
	va_list ap;
	int n;

	n = snprintf(ps->error, sizeof(ps->error), "line %d: ", line);
	va_start(ap, fmt);
	vsnprintf(ps->error + n, sizeof(ps->error) - (size_t)n, fmt, ap);
	va_end(ap);
	return -1;
}

/* A decimal number, which may be negative, up to one of the stop characters. */
static int
number(const char **p, const char *stop, uint32_t *v)
{
	char *end;
	long long n = strtoll(*p, &end, 10);

	if (end == *p || strchr(stop, *end) == NULL)
		return -1;
	*v = (uint32_t)n;
	*p = *end == '\0' ? end : end + 1;
	return 0;
}

static int
read_flags(const char *w, uint8_t *flags)
{
	const char *f;

	*flags = 0;
	if (strcmp(w, "-") == 0)
		return 0;
	for (; *w != '\0'; w++) {
		if ((f = strchr(flag_name, *w)) == NULL)
			return -1;
		*flags |= (uint8_t)(1 << (f - flag_name));
	}
	return 0;
}

/* "1:1001(1000)" */
static int
read_range(const char *w, struct pkt_seg *s)
{
	uint32_t end;

	if (number(&w, ":", &s->seq) == -1 || number(&w, "(", &end) == -1 ||
	    number(&w, ")", &s->len) == -1 || *w != '\0')
		return -1;
	return end - s->seq == s->len ? 0 : -1;
}

static int
read_sack(const char *p, struct tcp_opts *o)
{
	struct tcp_range *r;

	while (*p != '\0') {
		if (o->nsack == TCP_NSACK)
			return -1;
		r = &o->sack[o->nsack++];
		if (number(&p, ":", &r->start) == -1 ||
		    number(&p, " ", &r->end) == -1)
			return -1;
	}
	return o->nsack > 0 ? 0 : -1;
}

static int
read_raw(const char *p, struct pkt_seg *s)
{
	char digits[3] = { 0 };
	char *end;

	for (; *p != '\0'; p += 2) {
		memcpy(digits, p, 2);
		if (digits[1] == '\0' || s->nraw == sizeof(s->raw))
			return -1;
		s->raw[s->nraw++] = (uint8_t)strtoul(digits, &end, 16);
		if (*end != '\0')
			return -1;
	}
	return 0;
}

static int
read_option(const char *p, struct tcp_opts *o)
{
	uint32_t v;

	if (strcmp(p, "nop") == 0)
		return 0;
	if (strcmp(p, "sackOK") == 0) {
		o->has |= TCPO_SACKOK;
	} else if (strncmp(p, "mss ", 4) == 0) {
		p += 4;
		if (number(&p, "", &v) == -1)
			return -1;
		o->has |= TCPO_MSS;
		o->mss = (uint16_t)v;
	} else if (strncmp(p, "wscale ", 7) == 0) {
		p += 7;
		if (number(&p, "", &v) == -1)
			return -1;
		o->has |= TCPO_WSCALE;
		o->wscale = (uint8_t)v;
	} else if (strncmp(p, "ts ", 3) == 0) {
		p += 3;
		o->has |= TCPO_TS;
		return number(&p, " ", &o->tsval) == 0
			   ? number(&p, "", &o->tsecr)
			   : -1;
	} else if (strncmp(p, "sack ", 5) == 0) {
		return read_sack(p + 5, o);
	} else {
		return -1;
	}
	return 0;
}

/* The text between < and >. */
static int
read_options(char *text, struct pkt_seg *s)
{
	char *p;

	s->has_opt = true;
	while ((p = strsep(&text, ",")) != NULL) {
		p += strspn(p, " ");
		if (strncmp(p, "raw ", 4) == 0) {
			if (read_raw(p + 4, s) == -1)
				return -1;
		} else if (*p != '\0' && read_option(p, &s->opt) == -1) {
			return -1;
		}
	}
	return 0;
}

static int
read_icmp(struct pkt_step *st)
{
	uint32_t type, code;
	const char *t, *c;

	if (st->nword != 3)
		return -1;
	t = st->word[1];
	c = st->word[2];
	if (number(&t, "", &type) == -1 || number(&c, "", &code) == -1)
		return -1;
	st->seg.icmp = true;
	st->seg.icmp_type = (uint8_t)type;
	st->seg.icmp_code = (uint8_t)code;
	return 0;
}

/* What stands behind flags and range; 1 when it took the number. */
static int
read_field(struct pkt_step *st, const char *name, const char *value)
{
	struct pkt_seg *s = &st->seg;
	uint32_t n;

	if (strcmp(name, "badsum") == 0) {
		s->badsum = true;
		return 0;
	}
	if (value == NULL || number(&value, "", &n) == -1)
		return -1;
	if (strcmp(name, "ack") == 0) {
		s->ack = n;
	} else if (strcmp(name, "win") == 0) {
		s->win = (uint16_t)n;
		s->has_win = true;
	} else if (strcmp(name, "urg") == 0) {
		s->urg = (uint16_t)n;
	} else if (strcmp(name, "off") == 0 && n > 0 && n < 16) {
		s->off = (uint8_t)n;
	} else if (strcmp(name, "x") == 0) {
		st->times = n;
	} else {
		return -1;
	}
	return 1;
}

static int
read_seg(struct pkt_step *st)
{
	int i, ret;

	if (st->nword > 0 && strcmp(st->word[0], "icmp") == 0)
		return read_icmp(st);
	if (st->nword < 2 || read_flags(st->word[0], &st->seg.flags) == -1 ||
	    read_range(st->word[1], &st->seg) == -1)
		return -1;
	for (i = 2; i < st->nword; i += 1 + ret) {
		ret = read_field(st, st->word[i],
		    i + 1 < st->nword ? st->word[i + 1] : NULL);
		if (ret == -1)
			return -1;
	}
	return 0;
}

/* "+1.5" or "+.001" or "*" */
static int
read_time(const char *w, struct pkt_step *st)
{
	double secs;
	char *end;

	if (strcmp(w, "*") == 0) {
		st->any_time = true;
		return 0;
	}
	if (*w != '+')
		return -1;
	secs = strtod(w + 1, &end);
	if (end == w + 1 || *end != '\0' || secs < 0)
		return -1;
	st->after = (usec_t)(secs * 1e6 + 0.5);
	return 0;
}

/* Takes the next word off *p; NULL when there is none. */
static char *
next_word(char **p)
{
	char *w;

	while ((w = strsep(p, " \t")) != NULL && *w == '\0')
		;
	return w;
}

static int
read_words(struct pkt_step *st, char *p)
{
	char *w;

	while ((w = next_word(&p)) != NULL) {
		if (st->nword == PKT_MAXWORD)
			return -1;
		if (st->nword == 0 && w[0] == '@' && w[1] >= '0' &&
		    w[1] < '0' + PKT_NFLOW && w[2] == '\0')
			st->flow = w[1] - '0';
		else
			st->word[st->nword++] = w;
	}
	return 0;
}

static int
read_step(struct pkt_script *ps, struct pkt_step *st)
{
	char *p = st->text, *w = next_word(&p), *opt;

	st->times = 1;
	if (strcmp(w, "set") == 0) {
		st->what = 's';
		if (read_words(st, p) == -1 || st->nword != 2)
			return bad(
			    ps, st->line, "set takes a name and a value");
		return 0;
	}
	if (read_time(w, st) == -1)
		return bad(ps, st->line, "\"%s\" is no time", w);
	w = next_word(&p);
	if (w == NULL || strlen(w) != 1 || strchr("<>!?", *w) == NULL)
		return bad(ps, st->line, "one of < > ! ? must follow the time");
	st->what = *w;
	if ((st->what == '<' || st->what == '>') && p != NULL &&
	    (opt = strchr(p, '<')) != NULL) {
		*opt++ = '\0';
		if (opt[strcspn(opt, ">")] == '\0' ||
		    opt[strcspn(opt, ">") + 1] != '\0')
			return bad(ps, st->line, "options end with >");
		opt[strcspn(opt, ">")] = '\0';
		if (read_options(opt, &st->seg) == -1)
			return bad(ps, st->line, "bad options");
	}
	if (read_words(st, p) == -1 || st->nword == 0)
		return bad(ps, st->line, "too many words, or none");
	return 0;
}

int
pkt_read(struct pkt_script *ps, const char *text, size_t len)
{
	struct pkt_step *st;
	int i;

	if (pkt_read_words(ps, text, len) == -1)
		return -1;
	for (i = 0; i < ps->nstep; i++) {
		st = &ps->step[i];
		if ((st->what == '<' || st->what == '>') && read_seg(st) == -1)
			return bad(ps, st->line, "bad segment");
	}
	return 0;
}

int
pkt_read_words(struct pkt_script *ps, const char *text, size_t len)
{
	struct pkt_step *st;
	const char *end;
	size_t n;
	int line;

	memset(ps, 0, sizeof(*ps));
	for (line = 1; len > 0; line++) {
		end = memchr(text, '\n', len);
		n = end != NULL ? (size_t)(end - text) : len;
		if (ps->nstep == PKT_MAXSTEP || n >= PKT_MAXLINE)
			return bad(ps, line, "too long");
		st = &ps->step[ps->nstep];
		memset(st, 0, sizeof(*st));
		memcpy(st->text, text, n);
		st->text[strcspn(st->text, "#")] = '\0';
		while (*st->text != '\0' &&
		       strchr(" \t\r", st->text[strlen(st->text) - 1]) != NULL)
			st->text[strlen(st->text) - 1] = '\0';
		st->line = line;
		if (*st->text != '\0') {
			if (read_step(ps, st) == -1)
				return -1;
			ps->nstep++;
		}
		len -= end != NULL ? n + 1 : n;
		text += end != NULL ? n + 1 : n;
	}
	return 0;
}

static void
print_options(FILE *f, const struct tcp_opts *o)
{
	const char *sep = " <";
	int i;

	if (o->has & TCPO_MSS)
		fprintf(f, "%smss %u", sep, o->mss), sep = ",";
	if (o->has & TCPO_SACKOK)
		fprintf(f, "%ssackOK", sep), sep = ",";
	if (o->has & TCPO_TS)
		fprintf(f, "%sts %u %u", sep, o->tsval, o->tsecr), sep = ",";
	if (o->has & TCPO_WSCALE)
		fprintf(f, "%swscale %u", sep, o->wscale), sep = ",";
	if (o->nsack > 0)
		fprintf(f, "%ssack", sep), sep = ",";
	for (i = 0; i < o->nsack; i++)
		fprintf(f, " %u:%u", o->sack[i].start, o->sack[i].end);
	if (*sep == ',')
		fprintf(f, ">");
}

void
pkt_print(char *buf, size_t size, const struct pkt_seg *s)
{
	FILE *f = fmemopen(buf, size, "w");
	int i;

	if (f == NULL)
		abort();
	if (s->icmp) {
		fprintf(f, "> icmp %u %u", s->icmp_type, s->icmp_code);
	} else {
		fprintf(f, "> ");
		for (i = 0; i < 8; i++) {
			if (s->flags & 1 << i)
				fputc(flag_name[i], f);
		}
		if (s->flags == 0)
			fputc('-', f);
		fprintf(f, " %u:%u(%u)", s->seq, s->seq + s->len, s->len);
		if (s->flags & TCP_ACK)
			fprintf(f, " ack %u", s->ack);
		if (s->has_win)
			fprintf(f, " win %u", s->win);
		if (s->has_opt)
			print_options(f, &s->opt);
	}
	fclose(f);
}
