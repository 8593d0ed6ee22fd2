/*
 * 9P clients of the control of ports: any messages of two sessions, between
 * which portd answers, refuses or takes away what was asked for.
 */

#include "portd/front/fs.h"

#include "fuzz.h"

#define MAXASKED 64

struct world {
	struct fs_entry *asked[MAXASKED]; /* not answered, or active */
	bool active[MAXASKED];
};

static const char *
hook_add(void *arg, struct fs_entry *e)
{
	struct world *w = arg;
	size_t i;

	for (i = 0; i < MAXASKED; i++) {
		if (w->asked[i] != NULL)
			continue;
		w->asked[i] = e;
		w->active[i] = false;
		e->fwd = &w->asked[i];
		return NULL;
	}
	return "EMFILE";
}

static void
hook_del(void *arg, struct fs_entry *e)
{
	struct fs_entry **slot = e->fwd;

	CHECK(*slot == e);
	*slot = NULL;
}

static void
hook_reply(void *arg, struct fs_session *s, const void *p, size_t len)
{
	CHECK(np_frame(p, len, NP_MAXMSIZE) == (int)len);
}

static void
hook_count(void *arg, enum fs_stat i)
{
}

static const struct fs_hooks hooks = { hook_add, hook_del, hook_reply,
	hook_count };

/* What portd says of one of them. */
static void
portd(struct world *w, uint8_t what)
{
	size_t i = what % MAXASKED;
	struct fs_entry *e = w->asked[i];

	if (e == NULL)
		return;
	if (w->active[i] || what & 0x80)
		w->asked[i] = NULL;
	if (w->active[i])
		fs_ended(e, "gone");
	else if (what & 0x80)
		fs_answer(e, 0, "no");
	else
		fs_answer(e, what, NULL);
	w->active[i] = true;
}

static void
message(struct fs_session *s, struct rd *r, uint8_t type)
{
	static uint8_t in[300], out[NP_MAXMSIZE];
	struct wr w = wr_init(in, sizeof(in)), o = wr_init(out, sizeof(out));
	size_t n = fuzz_u8(r);

	if (fs_session_waits(s))
		return;
	if (n > r->len)
		n = r->len;
	np_begin(&w, type, 1);
	wr_bytes(&w, r->p, n);
	rd_skip(r, n);
	np_end(&w, 0);
	fs_input(s, in, w.len, &o);
	CHECK(o.len == 0 || np_frame(out, o.len, NP_MAXMSIZE) == (int)o.len);
	CHECK(o.len > 0 || fs_session_waits(s));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	struct world w = { { NULL }, { false } };
	struct fs_session *s[2];
	struct fs fs;
	uint8_t op;

	fs_init(&fs, &hooks, &w);
	s[0] = fs_session_new(&fs, NULL);
	s[1] = fs_session_new(&fs, NULL);
	while (r.len > 0) {
		op = fuzz_u8(&r);
		if (op < 64) {
			portd(&w, fuzz_u8(&r));
		} else if (op == 255) {
			fs_session_free(s[1]);
			s[1] = fs_session_new(&fs, NULL);
		} else {
			message(
			    s[op >> 7], &r, (uint8_t)(NP_TVERSION + (op & 31)));
		}
	}
	fs_session_free(s[0]);
	fs_session_free(s[1]);
	CHECK(fs.nentry == 0);
	fs_fini(&fs);
	return 0;
}
