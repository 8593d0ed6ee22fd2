/*
 * The frame of one message and its check against the table.  What passes can
 * be sent on, and is then the same message.  What is read without a tree is
 * what the library reads, and is judged the same.
 */

#include "common/ipc.h"
#include "common/ipc_wire.h"

#include "fuzz.h"

static void
send_on(int type, const struct ipc_val *val, json_t *body, enum ipc_role from,
    enum ipc_role to)
{
	struct ipc_val v[IPC_MAXFIELDS];
	struct ipc_queue q = { .buf = NULL };
	struct ipc_frame f;
	struct ipc_run run;
	const char *why;
	json_t *again;

	CHECK(type >= 0 && type < IPC__MAX);
	CHECK(ipc_queue_push(&q, (enum ipc_type)type, val, NULL, 0) == NULL);
	run = ipc_queue_next(&q);
	CHECK(run.len == ipc_queue_bytes(&q) && run.nfd == 0);
	CHECK(ipc_frame_head(run.p, run.len, &f, &why) == 0);
	CHECK(IPC_HDRLEN + f.len == run.len && f.nfd == 0);
	again = json_loadb((const char *)run.p + IPC_HDRLEN, f.len,
	    JSON_REJECT_DUPLICATES, NULL);
	CHECK(again != NULL && json_equal(again, body));
	CHECK(
	    ipc_check(again, from, to, ipc_desc[type].fdmin, v, &why) == type);
	json_decref(again);
	ipc_queue_wrote(&q, &run, run.len);
	CHECK(ipc_queue_bytes(&q) == 0);
	ipc_queue_fini(&q);
}

static void
flat(const struct rd *r, enum ipc_role from, enum ipc_role to, size_t nfd,
    int type, const struct ipc_val *val, const char *why)
{
	struct rd all = *r;
	size_t len;
	char *text = (char *)fuzz_bytes(&all, r->len, &len);
	struct ipc_val v[IPC_MAXFIELDS] = { { .kind = V_NONE } };
	int t = ipc_flat_read(text, len, v);
	size_t i;
	const char *w;

	if (t == -1)
		CHECK(memcmp(text, r->p, len) == 0);
	else if ((w = ipc_check_vals((enum ipc_type)t, from, to, nfd, v)) !=
		 NULL)
		CHECK(type == -1 && why != NULL && strcmp(w, why) == 0);
	else
		CHECK(type == t);
	for (i = 0; t != -1 && t == type && i < ipc_nfields(&ipc_desc[t]); i++) {
		CHECK(v[i].kind == val[i].kind && v[i].i == val[i].i);
		CHECK(v[i].len == val[i].len);
		CHECK(v[i].kind != V_STR || strcmp(v[i].s, val[i].s) == 0);
	}
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	enum ipc_role from = fuzz_u8(&r) % ROLE__MAX;
	enum ipc_role to = fuzz_u8(&r) % ROLE__MAX;
	size_t nfd = fuzz_u8(&r) % (IPC_MAXFDS + 1);
	struct ipc_val val[IPC_MAXFIELDS];
	const char *why = NULL;
	struct ipc_frame f;
	json_t *body;
	int type;

	json_object_seed(1);
	if (ipc_frame_head(r.p, r.len, &f, &why) == 0)
		CHECK(f.len <= IPC_MAXLEN && f.nfd + f.ahead <= IPC_MAXFDS);
	body =
	    json_loadb((const char *)r.p, r.len, JSON_REJECT_DUPLICATES, NULL);
	why = NULL;
	type = body == NULL ? -1 : ipc_check(body, from, to, nfd, val, &why);
	flat(&r, from, to, nfd, type, val, why);
	if (body == NULL)
		return 0;
	if (type == -1)
		CHECK(why != NULL);
	else
		send_on(type, val, body, from, to);
	json_decref(body);
	return 0;
}
