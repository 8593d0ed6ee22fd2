/* A request of the HTTP control: its head, where it leads, and its body. */

#include "portd/front/api.h"

#include "fuzz.h"

/* What was understood is understood again when we say it. */
static void
again(const struct api_port *p, bool pipe)
{
	json_t *o = api_port_json(p, p->spec.out.port);
	char err[SPEC_ERRLEN], *text = json_dumps(o, JSON_COMPACT);
	struct api_port q;
	bool bare;

	CHECK(text != NULL);
	CHECK(api_port_parse(text, strlen(text), pipe, &q, err, &bare) == 0);
	CHECK(spec_cmp(&p->spec, &q.spec) == 0);
	CHECK(strcmp(p->annotation, q.annotation) == 0);
	free(text);
	json_decref(o);
}

/* A body in chunks is the same however it is cut. */
static void
chunks(const uint8_t *data, size_t len, size_t cut)
{
	struct http_chunks k = { 0 };
	const char *p = (const char *)data, *from;
	size_t at = 0, n, total = 0, end;
	int taken, status = 0;

	while (at < len && !k.done) {
		end = at < cut ? cut : len;
		taken = http_chunks_take(
		    &k, p + at, end - at, &from, &n, &status);
		if (taken == -1) {
			CHECK(status == 400 || status == 413);
			return;
		}
		CHECK(taken > 0 && (size_t)taken <= end - at);
		CHECK(n == 0 || (from >= p + at && from + n <= p + end));
		total += n;
		at += (size_t)taken;
	}
	CHECK(total <= HTTP_MAXBODY);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char err[SPEC_ERRLEN], *text;
	struct fwd_spec s, back;
	char line[SPEC_STRLEN];
	enum api_call call;
	struct http_req r;
	struct api_port p;
	bool pipe = len % 2, bare;
	int n, status = 0;

	if (spec_parse((const char *)data, len, &s, err) == 0) {
		spec_str(&s, line);
		CHECK(spec_parse(line, strlen(line), &back, err) == 0);
		CHECK(spec_cmp(&s, &back) == 0);
	}
	chunks(data, len, len);
	chunks(data, len, len / 2);
	n = http_parse((const char *)data, len, &r, &status);
	CHECK(n == -1 || n == -2 || (n > 0 && (size_t)n <= len));
	CHECK(n != -1 || status >= 400);
	if (n > 0) {
		CHECK(r.body <= HTTP_MAXBODY && r.path[0] == '/');
		api_route(&r, &call, &pipe);
		data += n;
		len -= (size_t)n;
	}
	if (api_port_parse((const char *)data, len, pipe, &p, err, &bare) ==
	    0) {
		again(&p, pipe);
		return 0;
	}
	CHECK(err[0] != '\0');
	CHECK((text = api_error(err, bare)) != NULL);
	free(text);
	return 0;
}
