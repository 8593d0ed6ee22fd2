/*
 * The file system of ports, over 9P messages: golden bytes of the protocol,
 * the life of a forward, and what hostile clients try.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portd/front/fs.h"

#include "tests/check_main.h"
#include "tests/unit/guard.h"

/*
 * A world: the tree, a session, and a portd that answers when it is told to.
 */

struct world {
	struct fs fs;
	struct fs_session *s;
	struct fs_entry *asked; /* the last one */
	const char *refuse;	/* add refuses with this */
	unsigned adds, dels, counts[FSS__MAX];
	uint8_t req[NP_MAXMSIZE], out[NP_MAXMSIZE];
	size_t outlen;			  /* of the last answer; 0: none yet */
	const struct fs_session *replied; /* whose wait ended last */
	uint8_t reply[64];
	size_t replylen;
	int ret;
};

static const char *
hook_add(void *arg, struct fs_entry *e)
{
	struct world *w = arg;

	if (w->refuse != NULL)
		return w->refuse;
	w->adds++;
	w->asked = e;
	e->fwd = w;
	return NULL;
}

static void
hook_del(void *arg, struct fs_entry *e)
{
	struct world *w = arg;

	w->dels++;
	if (w->asked == e)
		w->asked = NULL;
}

static void
hook_reply(void *arg, struct fs_session *s, const void *p, size_t len)
{
	struct world *w = arg;

	ck_assert_uint_le(len, sizeof(w->reply));
	memcpy(w->reply, p, len);
	w->replied = s;
	w->replylen = len;
}

static void
hook_count(void *arg, enum fs_stat i)
{
	((struct world *)arg)->counts[i]++;
}

static const struct fs_hooks hooks = { hook_add, hook_del, hook_reply,
	hook_count };

static struct world *w;

static void
setup(void)
{
	w = calloc(1, sizeof(*w));
	fs_init(&w->fs, &hooks, w);
	w->s = fs_session_new(&w->fs, w);
}

static void
teardown(void)
{
	fs_session_free(w->s);
	fs_fini(&w->fs);
	ck_assert_uint_eq(w->fs.nentry, 0);
	free(w);
}

/*
 * Requests.  fmt: b, h, w, q numbers of 1, 2, 4, 8 bytes; s a string; d its
 * bytes behind a 32-bit count.
 */

static void
put(struct wr *r, const char *fmt, va_list ap)
{
	const char *s;
	uint64_t q;

	for (; *fmt != '\0'; fmt++) {
		if (*fmt == 'b')
			wr_u8(r, (uint8_t)va_arg(ap, int));
		if (*fmt == 'h')
			wr_le16(r, (uint16_t)va_arg(ap, int));
		if (*fmt == 'w')
			wr_le32(r, va_arg(ap, uint32_t));
		if (*fmt == 'q') {
			q = va_arg(ap, uint64_t);
			wr_le32(r, (uint32_t)q);
			wr_le32(r, (uint32_t)(q >> 32));
		}
		if (*fmt == 's')
			np_put_str(r, va_arg(ap, const char *));
		if (*fmt == 'd') {
			s = va_arg(ap, const char *);
			wr_le32(r, (uint32_t)strlen(s));
			wr_bytes(r, s, strlen(s));
		}
	}
}

/* Sends one and returns the type of its answer, 0 when it comes later. */
static int
ask_on(struct fs_session *s, int type, const char *fmt, ...)
{
	struct wr r = wr_init(w->req, sizeof(w->req)),
		  out = wr_init(w->out, sizeof(w->out));
	va_list ap;

	np_begin(&r, (uint8_t)type, type == NP_TVERSION ? NP_NOTAG : 7);
	va_start(ap, fmt);
	put(&r, fmt, ap);
	va_end(ap);
	np_end(&r, 0);
	w->ret = fs_input(s, w->req, r.len, &out);
	w->outlen = out.len;
	return out.len > 0 ? w->out[4] : 0;
}

#define ask(...) ask_on(w->s, __VA_ARGS__)
#define u32(v)	 ((uint32_t)(v))
#define u64(v)	 ((uint64_t)(v))

static void
ok(int got, int type)
{
	if (got == NP_RERROR)
		ck_abort_msg("error: %.*s", w->out[7], w->out + 9);
	ck_assert_int_eq(got, type + 1);
}

/* The last answer is this error. */
static void
bad(int got, const char *text)
{
	ck_assert_int_eq(got, NP_RERROR);
	ck_assert_uint_eq(w->out[7], strlen(text));
	ck_assert_mem_eq(w->out + 9, text, strlen(text));
}

static void
attach_on(struct fs_session *s, const char *version)
{
	ok(ask_on(s, NP_TVERSION, "ws", u32(8192), version), NP_TVERSION);
	if (strcmp(version, "9P2000.u") == 0)
		ok(ask_on(s, NP_TATTACH, "wwssw", u32(0), NP_NOFID, "me", "",
		       u32(0)),
		    NP_TATTACH);
	else
		ok(ask_on(s, NP_TATTACH, "wwss", u32(0), NP_NOFID, "me", "/"),
		    NP_TATTACH);
}

/* mkdir NAME, and its ctl opened as fid. */
static void
open_ctl(struct fs_session *s, const char *name, uint32_t fid)
{
	ok(ask_on(s, NP_TWALK, "wwh", u32(0), fid, 0), NP_TWALK);
	ok(ask_on(s, NP_TCREATE, "wswb", fid, name, NP_DMDIR | 0777, 0),
	    NP_TCREATE);
	ok(ask_on(s, NP_TCLUNK, "w", fid), NP_TCLUNK);
	ok(ask_on(s, NP_TWALK, "wwhss", u32(0), fid, 2, name, "ctl"), NP_TWALK);
	ok(ask_on(s, NP_TOPEN, "wb", fid, NP_ORDWR), NP_TOPEN);
}

#define SPEC "tcp:127.0.0.1:0:tcp:192.168.65.3:80"

/* A forward that is there, with its ctl open as fid. */
static void
forward(const char *name, uint32_t fid, uint16_t port)
{
	open_ctl(w->s, name, fid);
	ck_assert_int_eq(ask(NP_TWRITE, "wqd", fid, u64(0), SPEC), 0);
	ck_assert(fs_session_waits(w->s));
	fs_answer(w->asked, port, NULL);
	ck_assert_int_eq(w->reply[4], NP_TWRITE + 1);
	ck_assert_uint_eq(w->replylen, 11);
	ck_assert_uint_eq(w->reply[7], strlen(SPEC));
	ck_assert(!fs_session_waits(w->s));
}

/* What a read of the fid says. */
static const char *
contents(uint32_t fid)
{
	static char text[4096];
	uint32_t n;

	ok(ask(NP_TREAD, "wqw", fid, u64(0), u32(4000)), NP_TREAD);
	n = w->out[7] | (uint32_t)w->out[8] << 8;
	memcpy(text, w->out + 11, n);
	text[n] = '\0';
	return text;
}

/* Whether there is a name in the root. */
static bool
exists(const char *name)
{
	bool there =
	    ask(NP_TWALK, "wwhs", u32(0), u32(999), 1, name) == NP_TWALK + 1;

	if (there)
		ok(ask(NP_TCLUNK, "w", u32(999)), NP_TCLUNK);
	return there;
}

/*
 * Golden bytes.
 */

#define B(s) s, sizeof(s) - 1

/* clang-format off */
static const struct {
	const char *what, *in;
	size_t inlen;
	const char *out;
	size_t outlen;
} golden[] = {
	{ "version 9P2000",
	    B("\x13\0\0\0\x64\xff\xff\0\x20\0\0\6\0" "9P2000"),
	    B("\x13\0\0\0\x65\xff\xff\0\x20\0\0\6\0" "9P2000") },
	{ "version 9P2000.u, cut to our size",
	    B("\x15\0\0\0\x64\xff\xff\0\0\1\0\x8\0" "9P2000.u"),
	    B("\x15\0\0\0\x65\xff\xff\0\x40\0\0\x8\0" "9P2000.u") },
	{ "Linux's own dialect",
	    B("\x15\0\0\0\x64\xff\xff\0\x20\0\0\x8\0" "9P2000.L"),
	    B("\x13\0\0\0\x65\xff\xff\0\x20\0\0\6\0" "9P2000") },
	{ "unknown version",
	    B("\x13\0\0\0\x64\xff\xff\0\x20\0\0\6\0" "9P1999"),
	    B("\x14\0\0\0\x65\xff\xff\0\x20\0\0\7\0" "unknown") },
	{ "attach before version",
	    B("\x15\0\0\0\x68\1\0\0\0\0\0\xff\xff\xff\xff\2\0me\0\0"),
	    B("\x1d\0\0\0\x6b\1\0\x14\0no version agreed on") },
};
/* clang-format on */

START_TEST(golden_bytes)
{
	struct wr out = wr_init(w->out, sizeof(w->out));

	fs_input(w->s, (const uint8_t *)golden[_i].in, golden[_i].inlen, &out);
	ck_assert_uint_eq(out.len, golden[_i].outlen);
	ck_assert_msg(memcmp(w->out, golden[_i].out, out.len) == 0, "%s",
	    golden[_i].what);
}
END_TEST

/* The whole stat of the root, both dialects. */
START_TEST(golden_stat)
{
	/* clang-format off */
	static const char plain[] =
	    "\x45\0\0\0\x7d\7\0" "\x3c\0" "\x3a\0" "\xff\xff"
	    "\xff\xff\xff\xff" "\x80\0\0\0\0" "\1\0\0\0\0\0\0\0"
	    "\x6d\1\0\x80" "\xa9\x6e\x59\x44" "\xa9\x6e\x59\x44"
	    "\0\0\0\0\0\0\0\0" "\1\0/" "\3\0uid" "\3\0gid" "\4\0muid";
	/* clang-format on */

	attach_on(w->s, "9P2000");
	ok(ask(NP_TSTAT, "w", u32(0)), NP_TSTAT);
	ck_assert_uint_eq(w->outlen, sizeof(plain) - 1);
	ck_assert_mem_eq(w->out, plain, sizeof(plain) - 1);
	attach_on(w->s, "9P2000.u");
	ok(ask(NP_TSTAT, "w", u32(0)), NP_TSTAT);
	ck_assert_uint_eq(w->outlen, sizeof(plain) - 1 + 14);
	ck_assert_mem_eq(
	    w->out + w->outlen - 14, "\0\0\0\0\0\0\0\0\0\0\0\0\0", 14);
}
END_TEST

/*
 * The life of a forward.
 */

START_TEST(life)
{
	attach_on(w->s, "9P2000");
	open_ctl(w->s, "x", 1);
	ck_assert_str_eq(contents(1),
	    "ERROR no request received. Please read the README.\n");
	ck_assert_int_eq(ask(NP_TWRITE, "wqd", u32(1), u64(0), SPEC "\n"), 0);
	fs_answer(w->asked, 12345, NULL);
	ck_assert_str_eq(
	    contents(1), "OK tcp:127.0.0.1:12345:tcp:192.168.65.3:80\n");
	bad(ask(NP_TWRITE, "wqd", u32(1), u64(0), SPEC), "permission denied");
	/* The name is a file now. */
	ok(ask(NP_TWALK, "wwhs", u32(0), u32(2), 1, "x"), NP_TWALK);
	ok(ask(NP_TOPEN, "wb", u32(2), NP_OREAD), NP_TOPEN);
	ck_assert_str_eq(
	    contents(2), "tcp:127.0.0.1:12345:tcp:192.168.65.3:80\n");
	bad(ask(NP_TWALK, "wwhs", u32(2), u32(3), 1, "ctl"), "file not found");
	ok(ask(NP_TCLUNK, "w", u32(2)), NP_TCLUNK);
	ck_assert_uint_eq(w->dels, 0);
	ok(ask(NP_TCLUNK, "w", u32(1)), NP_TCLUNK);
	ck_assert_uint_eq(w->dels, 1);
	ck_assert(!exists("x"));
}
END_TEST

START_TEST(failure)
{
	attach_on(w->s, "9P2000.u");
	ok(ask(NP_TWALK, "wwh", u32(0), u32(1), 0), NP_TWALK);
	ok(ask(NP_TCREATE, "wswbs", u32(1), "x", NP_DMDIR, 0, ""), NP_TCREATE);
	ok(ask(NP_TWALK, "wwhs", u32(1), u32(2), 1, "ctl"), NP_TWALK);
	ok(ask(NP_TOPEN, "wb", u32(2), NP_ORDWR), NP_TOPEN);
	ck_assert_int_eq(ask(NP_TWRITE, "wqd", u32(2), u64(99), SPEC), 0);
	fs_answer(w->asked, 0, "Bind for 127.0.0.1:0: too bad");
	ck_assert_int_eq(w->reply[4], NP_TWRITE + 1);
	ck_assert_str_eq(contents(2), "ERROR Bind for 127.0.0.1:0: too bad\n");
	bad(ask(NP_TWRITE, "wqd", u32(2), u64(0), SPEC), "permission denied");
	ck_assert(exists("x"));
	ok(ask(NP_TCLUNK, "w", u32(2)), NP_TCLUNK);
	ck_assert(!exists("x"));
	ck_assert_uint_eq(w->dels, 0);
}
END_TEST

/* A client that reads on from where its write has ended. */
START_TEST(reads_on)
{
	static const char want[] = "OK tcp:127.0.0.1:5:tcp:192.168.65.3:80\n";

	attach_on(w->s, "9P2000");
	forward("x", 1, 5);
	ok(ask(NP_TREAD, "wqw", u32(1), u64(35), u32(10)), NP_TREAD);
	ck_assert_uint_eq(w->outlen, 11 + 10);
	ck_assert_mem_eq(w->out + 11, want, 10);
	ok(ask(NP_TREAD, "wqw", u32(1), u64(45), u32(1000)), NP_TREAD);
	ck_assert_uint_eq(w->outlen, 11 + sizeof(want) - 1 - 10);
	ck_assert_mem_eq(w->out + 11, want + 10, sizeof(want) - 1 - 10);
	ok(ask(NP_TREAD, "wqw", u32(1), u64(35 + sizeof(want)), u32(9)),
	    NP_TREAD);
	ck_assert_uint_eq(w->outlen, 11);
	/* And from the start again. */
	ck_assert_str_eq(contents(1), want);
}
END_TEST

/* A request that is none, and one that cannot even be asked for. */
START_TEST(refused)
{
	attach_on(w->s, "9P2000");
	open_ctl(w->s, "x", 1);
	ok(ask(NP_TWRITE, "wqd", u32(1), u64(0), "hello"), NP_TWRITE);
	ck_assert(strncmp(contents(1),
		      "ERROR Failed to parse request [hello], "
		      "expected\n",
		      48) == 0);
	open_ctl(w->s, "y", 2);
	w->refuse = "EMFILE";
	ok(ask(NP_TWRITE, "wqd", u32(2), u64(0), SPEC), NP_TWRITE);
	ck_assert_str_eq(contents(2),
	    "ERROR Bind for 127.0.0.1:0: unexpected error EMFILE\n");
	ck_assert_uint_eq(w->adds, 0);
}
END_TEST

START_TEST(remove_file_stops)
{
	attach_on(w->s, "9P2000");
	forward("x", 1, 5);
	ok(ask(NP_TWALK, "wwhs", u32(0), u32(2), 1, "x"), NP_TWALK);
	ok(ask(NP_TREMOVE, "w", u32(2)), NP_TREMOVE);
	ck_assert_uint_eq(w->dels, 1);
	ck_assert(!exists("x"));
	ok(ask(NP_TCLUNK, "w", u32(1)), NP_TCLUNK);
	ck_assert_uint_eq(w->dels, 1);
}
END_TEST

START_TEST(remove_ctl_stops)
{
	attach_on(w->s, "9P2000");
	forward("x", 1, 5);
	ok(ask(NP_TREMOVE, "w", u32(1)), NP_TREMOVE);
	ck_assert_uint_eq(w->dels, 1);
	bad(ask(NP_TCLUNK, "w", u32(1)), "fid not found");
}
END_TEST

START_TEST(remove_refused_clunks)
{
	attach_on(w->s, "9P2000");
	ok(ask(NP_TWALK, "wwhs", u32(0), u32(1), 1, "README"), NP_TWALK);
	bad(ask(NP_TREMOVE, "w", u32(1)), "permission denied");
	bad(ask(NP_TCLUNK, "w", u32(1)), "fid not found");
	bad(ask(NP_TREMOVE, "w", u32(0)), "permission denied");
}
END_TEST

/* Looking at a ctl without opening it holds nothing and ends nothing. */
START_TEST(stat_of_ctl)
{
	attach_on(w->s, "9P2000");
	open_ctl(w->s, "x", 1);
	ok(ask(NP_TWALK, "wwhss", u32(0), u32(2), 2, "x", "ctl"), NP_TWALK);
	ok(ask(NP_TSTAT, "w", u32(2)), NP_TSTAT);
	ok(ask(NP_TCLUNK, "w", u32(2)), NP_TCLUNK);
	ck_assert(exists("x"));
	ck_assert_int_eq(ask(NP_TWRITE, "wqd", u32(1), u64(0), SPEC), 0);
	fs_answer(w->asked, 1, NULL);
	ck_assert_uint_eq(w->dels, 0);
}
END_TEST

START_TEST(disconnect_stops)
{
	attach_on(w->s, "9P2000");
	forward("x", 1, 5);
	open_ctl(w->s, "asked", 2);
	ck_assert_int_eq(ask(NP_TWRITE, "wqd", u32(2), u64(0), SPEC), 0);
	fs_session_free(w->s);
	ck_assert_uint_eq(w->dels, 2);
	w->s = fs_session_new(&w->fs, w);
	attach_on(w->s, "9P2000");
	ck_assert(!exists("x"));
	ck_assert(!exists("asked"));
}
END_TEST

/* A name is removed by one session while another waits for its forward. */
START_TEST(remove_asked)
{
	struct fs_session *other = fs_session_new(&w->fs, w);

	attach_on(w->s, "9P2000");
	attach_on(other, "9P2000.u");
	open_ctl(w->s, "x", 1);
	ck_assert_int_eq(ask(NP_TWRITE, "wqd", u32(1), u64(0), SPEC), 0);
	ok(ask_on(other, NP_TWALK, "wwhs", u32(0), u32(1), 1, "x"), NP_TWALK);
	ok(ask_on(other, NP_TREMOVE, "w", u32(1)), NP_TREMOVE);
	ck_assert_ptr_eq(w->replied, w->s);
	ck_assert_uint_eq(w->replylen, w->reply[0]);
	ck_assert_int_eq(w->reply[4], NP_RERROR);
	ck_assert_mem_eq(w->reply + 9, "file not found", 14);
	ck_assert_uint_eq(w->counts[FSS_ERRORS], 1);
	ck_assert_uint_eq(w->dels, 1);
	ck_assert(!fs_session_waits(w->s));
	ok(ask(NP_TCLUNK, "w", u32(1)), NP_TCLUNK);
	fs_session_free(other);
}
END_TEST

/* Who goes while it waits hears nothing more. */
START_TEST(gone_asked)
{
	attach_on(w->s, "9P2000");
	open_ctl(w->s, "x", 1);
	ck_assert_int_eq(ask(NP_TWRITE, "wqd", u32(1), u64(0), SPEC), 0);
	fs_session_free(w->s);
	w->s = NULL;
	ck_assert_ptr_null(w->replied);
	ck_assert_uint_eq(w->dels, 1);
}
END_TEST

/* Version begins anew, which lets go of everything too. */
START_TEST(version_stops)
{
	attach_on(w->s, "9P2000");
	forward("x", 1, 5);
	attach_on(w->s, "9P2000");
	ck_assert_uint_eq(w->dels, 1);
	ck_assert(!exists("x"));
}
END_TEST

START_TEST(made_and_left)
{
	struct fs_session *other = fs_session_new(&w->fs, w);

	attach_on(w->s, "9P2000");
	attach_on(other, "9P2000");
	ok(ask_on(other, NP_TCREATE, "wswb", u32(0), "x", NP_DMDIR, 0),
	    NP_TCREATE);
	ck_assert(exists("x"));
	fs_session_free(other);
	ck_assert(!exists("x"));
}
END_TEST

/* Made by one session, held by another: it is the holder's. */
START_TEST(held_by_another)
{
	struct fs_session *other = fs_session_new(&w->fs, w);

	attach_on(w->s, "9P2000");
	attach_on(other, "9P2000");
	ok(ask_on(other, NP_TCREATE, "wswb", u32(0), "x", NP_DMDIR, 0),
	    NP_TCREATE);
	ok(ask(NP_TWALK, "wwhss", u32(0), u32(1), 2, "x", "ctl"), NP_TWALK);
	ok(ask(NP_TOPEN, "wb", u32(1), NP_ORDWR), NP_TOPEN);
	ck_assert_int_eq(ask(NP_TWRITE, "wqd", u32(1), u64(0), SPEC), 0);
	fs_answer(w->asked, 1, NULL);
	fs_session_free(other);
	ck_assert(exists("x"));
	ok(ask(NP_TCLUNK, "w", u32(1)), NP_TCLUNK);
	ck_assert(!exists("x"));
}
END_TEST

START_TEST(same_name_again)
{
	attach_on(w->s, "9P2000");
	forward("x", 1, 5);
	open_ctl(w->s, "x", 2);
	ck_assert_uint_eq(w->dels, 0);
	ok(ask(NP_TCLUNK, "w", u32(1)), NP_TCLUNK);
	ck_assert_uint_eq(w->dels, 1);
	ck_assert(exists("x"));
	ok(ask(NP_TCLUNK, "w", u32(2)), NP_TCLUNK);
	ck_assert(!exists("x"));
}
END_TEST

START_TEST(ended_by_itself)
{
	attach_on(w->s, "9P2000");
	forward("x", 1, 5);
	fs_ended(w->asked, "the virtual machine is gone");
	ck_assert_str_eq(contents(1), "ERROR the virtual machine is gone\n");
	ok(ask(NP_TCLUNK, "w", u32(1)), NP_TCLUNK);
	ck_assert_uint_eq(w->dels, 0);
}
END_TEST

/*
 * Listings.
 */

/* Reads the root in pieces of so many bytes; counts the names. */
static unsigned
list(uint32_t fid, uint32_t piece, char *names, size_t size)
{
	uint64_t offset = 0;
	size_t n, at, used = 0;
	unsigned count = 0;
	uint16_t len, namelen;

	for (;;) {
		ok(ask(NP_TREAD, "wqw", fid, offset, piece), NP_TREAD);
		n = w->outlen - 11;
		if (n == 0)
			return count;
		offset += n;
		for (at = 11; at < w->outlen; at += 2u + len) {
			len = (uint16_t)(w->out[at] | w->out[at + 1] << 8);
			namelen = w->out[at + 41];
			used += (size_t)snprintf(names + used, size - used,
			    "%.*s ", namelen, w->out + at + 43);
			count++;
		}
		ck_assert_uint_eq(at, w->outlen);
	}
}

START_TEST(listing)
{
	char names[512], name[8];
	int i;

	attach_on(w->s, "9P2000");
	for (i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		open_ctl(w->s, name, (uint32_t)i + 10);
	}
	ok(ask(NP_TWALK, "wwh", u32(0), u32(1), 0), NP_TWALK);
	ok(ask(NP_TOPEN, "wb", u32(1), NP_OREAD), NP_TOPEN);
	ck_assert_uint_eq(list(1, 8000, names, sizeof(names)), 8);
	ck_assert_str_eq(names, ". .. README n0 n1 n2 n3 n4 ");
	ck_assert_uint_eq(list(1, 80, names, sizeof(names)), 8);
	ck_assert_str_eq(names, ". .. README n0 n1 n2 n3 n4 ");
	bad(ask(NP_TREAD, "wqw", u32(1), u64(5), u32(100)),
	    "bad offset in directory read");
	ok(ask(NP_TWALK, "wwhs", u32(0), u32(2), 1, "n3"), NP_TWALK);
	ok(ask(NP_TOPEN, "wb", u32(2), NP_OREAD), NP_TOPEN);
	ck_assert_uint_eq(list(2, 8000, names, sizeof(names)), 3);
	ck_assert_str_eq(names, ". .. ctl ");
}
END_TEST

START_TEST(readme)
{
	const char *text;

	attach_on(w->s, "9P2000");
	ok(ask(NP_TWALK, "wwhs", u32(0), u32(1), 1, "README"), NP_TWALK);
	ok(ask(NP_TOPEN, "wb", u32(1), NP_OREAD), NP_TOPEN);
	text = contents(1);
	ck_assert_ptr_nonnull(strstr(text, "tcp:<host IP>"));
	bad(ask(NP_TWRITE, "wqd", u32(1), u64(0), "x"), "permission denied");
	/* Behind its end, far behind, and nothing at all. */
	ok(ask(NP_TREAD, "wqw", u32(1), u64(100000), u32(10)), NP_TREAD);
	ck_assert_uint_eq(w->outlen, 11);
	ok(ask(NP_TREAD, "wqw", u32(1), ~u64(0), u32(10)), NP_TREAD);
	ck_assert_uint_eq(w->outlen, 11);
	ok(ask(NP_TREAD, "wqw", u32(1), u64(0), u32(0)), NP_TREAD);
	ck_assert_uint_eq(w->outlen, 11);
	ok(ask(NP_TREAD, "wqw", u32(1), u64(0), ~u32(0)), NP_TREAD);
}
END_TEST

/*
 * What may not be.
 */

START_TEST(errors)
{
	attach_on(w->s, "9P2000");
	bad(ask(NP_TAUTH, "wss", u32(5), "me", ""), "permission denied");
	bad(ask(NP_TWALK, "wwh", u32(9), u32(1), 0), "fid not found");
	bad(ask(NP_TWALK, "wwhs", u32(0), u32(1), 1, "no"), "file not found");
	bad(ask(NP_TWALK, "wwhs", u32(0), u32(1), 1, ""), "file not found");
	ok(ask(NP_TWALK, "wwhs", u32(0), u32(1), 1, ".."), NP_TWALK);
	bad(ask(NP_TWALK, "wwh", u32(0), u32(1), 0), "fid already in use");
	bad(ask(NP_TATTACH, "wwss", u32(1), NP_NOFID, "", ""),
	    "fid already in use");
	bad(ask(NP_TREAD, "wqw", u32(1), u64(0), u32(9)), "fid is not open");
	bad(ask(NP_TOPEN, "wb", u32(1), NP_OWRITE), "permission denied");
	bad(ask(NP_TCREATE, "wswb", u32(1), "f", u32(0644), 1),
	    "permission denied");
	bad(ask(NP_TCREATE, "wswb", u32(1), "a/b", NP_DMDIR, 0),
	    "permission denied");
	bad(ask(NP_TCREATE, "wswb", u32(1), "..", NP_DMDIR, 0),
	    "permission denied");
	bad(ask(NP_TCREATE, "wswb", u32(1), "README", NP_DMDIR, 0),
	    "permission denied");
	bad(ask(NP_TCREATE, "wswb", u32(1), "", NP_DMDIR, 0),
	    "permission denied");
	bad(ask(NP_TWSTAT, "ws", u32(1), "whatever"), "permission denied");
	bad(ask(130, "w", u32(1)), "malformed request");
	bad(ask(NP_TCLUNK, "wb", u32(1), 0), "malformed request");
	ok(ask(NP_TFLUSH, "h", 3), NP_TFLUSH);
	ok(ask(NP_TCLUNK, "w", u32(1)), NP_TCLUNK);
}
END_TEST

/* A directory is made in the root only. */
START_TEST(create_elsewhere)
{
	attach_on(w->s, "9P2000");
	ok(ask(NP_TWALK, "wwh", u32(0), u32(1), 0), NP_TWALK);
	ok(ask(NP_TCREATE, "wswb", u32(1), "x", NP_DMDIR, 0), NP_TCREATE);
	bad(ask(NP_TCREATE, "wswb", u32(1), "y", NP_DMDIR, 0),
	    "permission denied");
	ok(ask(NP_TWALK, "wwh", u32(1), u32(2), 0), NP_TWALK);
	bad(ask(NP_TCREATE, "wswb", u32(2), "y", NP_DMDIR, 0),
	    "permission denied");
}
END_TEST

/* A walk that ends early says how far it came and makes no fid. */
START_TEST(partial_walk)
{
	attach_on(w->s, "9P2000");
	open_ctl(w->s, "x", 1);
	ok(ask(NP_TWALK, "wwhss", u32(0), u32(2), 2, "x", "no"), NP_TWALK);
	ck_assert_uint_eq(w->out[7], 1);
	bad(ask(NP_TCLUNK, "w", u32(2)), "fid not found");
	ok(ask(NP_TWALK, "wwhsss", u32(0), u32(2), 3, "x", "..", "x"),
	    NP_TWALK);
	ck_assert_uint_eq(w->out[7], 3);
	/* In place. */
	ok(ask(NP_TWALK, "wwhs", u32(2), u32(2), 1, "ctl"), NP_TWALK);
	ok(ask(NP_TOPEN, "wb", u32(2), NP_OREAD), NP_TOPEN);
	bad(ask(NP_TWRITE, "wqd", u32(2), u64(0), SPEC), "permission denied");
}
END_TEST

START_TEST(too_many_fids)
{
	uint32_t i;

	attach_on(w->s, "9P2000");
	for (i = 1; i < FS_MAXFIDS; i++)
		ok(ask(NP_TWALK, "wwh", u32(0), i, 0), NP_TWALK);
	bad(ask(NP_TWALK, "wwh", u32(0), i, 0), "too many fids");
	ck_assert_uint_eq(w->counts[FSS_FIDS], 1);
	ok(ask(NP_TCLUNK, "w", u32(1)), NP_TCLUNK);
	ok(ask(NP_TWALK, "wwh", u32(0), i, 0), NP_TWALK);
}
END_TEST

START_TEST(too_many_names)
{
	char name[16];
	uint32_t i;

	attach_on(w->s, "9P2000");
	for (i = 0; i < FS_MAXOWN; i++) {
		snprintf(name, sizeof(name), "%u", i);
		open_ctl(w->s, name, i + 1);
	}
	ok(ask(NP_TWALK, "wwh", u32(0), i + 1, 0), NP_TWALK);
	bad(ask(NP_TCREATE, "wswb", i + 1, "one more", NP_DMDIR, 0),
	    "too many ports");
	ck_assert_uint_eq(w->counts[FSS_ENTRIES], 1);
	ok(ask(NP_TCLUNK, "w", u32(7)), NP_TCLUNK);
	ok(ask(NP_TCREATE, "wswb", i + 1, "one more", NP_DMDIR, 0), NP_TCREATE);
}
END_TEST

/*
 * Any bytes.
 */

START_TEST(prefixes)
{
	struct guard g = guard_new(NP_MAXMSIZE);
	struct np_msg m;
	uint8_t copy[512];
	size_t n, len;

	attach_on(w->s, "9P2000");
	ask(NP_TWALK, "wwhss", u32(0), u32(1), 2, "x", "ctl");
	len = w->req[0];
	memcpy(copy, w->req, len);
	for (n = 0; n <= len; n++) {
		ck_assert_int_eq(np_frame(guard_put(&g, copy, n), n, 8192),
		    n == len ? (int)len : 0);
		/* Cut, but with a size that fits. */
		if (n >= 4) {
			copy[0] = (uint8_t)n;
			ck_assert_int_eq(
			    np_parse(guard_put(&g, copy, n), n, false, &m),
			    n == len ? 0 : -1);
			copy[0] = (uint8_t)len;
		}
	}
	guard_free(&g);
}
END_TEST

START_TEST(frames)
{
	ck_assert_int_eq(np_frame((const uint8_t *)"\6\0\0\0", 4, 8192), -1);
	ck_assert_int_eq(np_frame((const uint8_t *)"\1\x20\0\0", 4, 8192), -1);
	ck_assert_int_eq(
	    np_frame((const uint8_t *)"\xff\xff\xff\xff", 4, 8192), -1);
	ck_assert_int_eq(np_frame((const uint8_t *)"\0\x20\0\0", 4, 8192), 0);
	ck_assert_int_eq(
	    np_frame((const uint8_t *)"\7\0\0\0\x6c\0\0\0", 8, 8192), 7);
}
END_TEST

static void
add_tests(TCase *tc)
{
	const TTest *const tests[] = { golden_stat, life, failure, reads_on,
		refused, remove_file_stops, remove_ctl_stops,
		remove_refused_clunks, stat_of_ctl, disconnect_stops,
		remove_asked, gone_asked, version_stops, made_and_left,
		held_by_another, same_name_again, ended_by_itself, listing,
		readme, errors, create_elsewhere, partial_walk, too_many_fids,
		too_many_names, prefixes, frames };
	size_t i;

	tcase_add_loop_test(tc, golden_bytes, 0, nitems(golden));
	for (i = 0; i < nitems(tests); i++)
		tcase_add_test(tc, tests[i]);
}

int
main(void)
{
	TCase *tc = tcase_create("ninefs");

	tcase_add_checked_fixture(tc, setup, teardown);
	add_tests(tc);
	return check_case("ninefs", tc);
}
