#ifndef API_H
#define API_H

/*
 * The HTTP control of ports, as vpnkit's Go client speaks it: paths, and ports
 * as JSON.  Pure but for jansson.
 */

#include <jansson.h>

#include "portd/front/http.h"
#include "portd/front/spec.h"

#define API_ANNOTATION 255

enum api_call {
	API_LIST,
	API_EXPOSE,
	API_UNEXPOSE,
	API_DUMP,
};

struct api_port {
	struct fwd_spec spec;
	char annotation[API_ANNOTATION + 1]; /* "" when there is none */
};

/*
 * What a request asks for, and whether of sockets with paths only.  -1: the
 * status to answer.
 */
int api_route(const struct http_req *, enum api_call *, bool *pipe);
/* The methods that a path has, RFC 9110 10.2.1; NULL: it is none of ours. */
const char *api_allow(const char *path);
/*
 * The port in a body.  -1: err, of SPEC_ERRLEN bytes, says why; *bare is set
 * where clients know the text as a JSON string and not as an object.
 */
int api_port_parse(const char *body, size_t len, bool pipe, struct api_port *,
    char *err, bool *bare);
/* The same as JSON, as it is now: port is the host's real one. */
json_t *api_port_json(const struct api_port *, uint16_t port);
/* {"message":text}, or the bare text; the caller frees it. */
char *api_error(const char *text, bool bare);

#endif
