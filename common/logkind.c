#include "common/logkind.h"

#include <stddef.h>

/* Its place; else a free one, or that of the kind that is oldest. */
static struct logkind *
place(struct logkinds *k, const char *fmt)
{
	struct logkind *v, *best = &k->kind[0];

	for (v = k->kind; v < k->kind + LOGKIND_MAX; v++) {
		if (v->fmt == fmt)
			return v;
		if (best->fmt != NULL &&
		    (v->fmt == NULL ||
			(v->left_out == 0 &&
			    (best->left_out > 0 || v->since < best->since))))
			best = v;
	}
	return best;
}

bool
logkinds_may(struct logkinds *k, const char *fmt, usec_t now)
{
	struct logkind *v = place(k, fmt);

	if (v->fmt != fmt) {
		/* No room, and all of them have something to say. */
		if (v->fmt != NULL && v->left_out > 0)
			return true;
		*v = (struct logkind){ .fmt = fmt, .since = now };
	}
	if (now - v->since >= LOGKIND_PERIOD && v->left_out == 0) {
		v->since = now;
		v->n = 0;
	}
	if (v->n < LOGKIND_BURST) {
		v->n++;
		return true;
	}
	v->left_out++;
	return false;
}

const char *
logkinds_over(struct logkinds *k, usec_t now, unsigned *left_out)
{
	struct logkind *v;

	for (v = k->kind; v < k->kind + LOGKIND_MAX; v++) {
		if (v->left_out == 0 || now - v->since < LOGKIND_PERIOD)
			continue;
		*left_out = v->left_out;
		v->since = now;
		v->n = v->left_out = 0;
		return v->fmt;
	}
	return NULL;
}

bool
logkinds_pending(const struct logkinds *k)
{
	const struct logkind *v;

	for (v = k->kind; v < k->kind + LOGKIND_MAX; v++) {
		if (v->left_out > 0)
			return true;
	}
	return false;
}
