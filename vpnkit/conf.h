#ifndef CONF_H
#define CONF_H

/*
 * What the daemons are told: the options, and the files they name.  Parsed
 * here and nowhere else, and sent whole after each change.
 */

#include <jansson.h>

#include "common/ipc.h"

#include "httpconf.h"
#include "options.h"

#define CONF_FILEMAX (256 * 1024)

struct lease;

struct conf {
	const struct options *op; /* borrowed */
	const char *resolv_path;  /* borrowed */
	json_t *domain;		  /* owned: string, for DHCP */
	json_t *search;		  /* owned: array of strings, for DHCP */
	/*
	 * Name servers, owned: objects with the fields of dns-server; of the
	 * file of --dns (NULL: there is none) and of the host.
	 */
	json_t *dns_servers, *resolv_servers;
	uint32_t offline_after;
	uint32_t network; /* how often it may have become another one */
	json_t *dns_search;  /* owned: of the file of --dns, for DHCP */
	bool search_changed; /* when it was last read */
	json_t *hosts;	     /* owned: array of "ADDRESS NAME" */
	struct httpconf http;
	bool http_was_set; /* not by a file or the environment */
	json_t *http_file; /* owned: what the file says; NULL: there is none */
};

/* The JSON in a file.  NULL: the text in err says why, and errno. */
json_t *conf_read_json(const char *path, char *err);

/* Reads the file of --config into the options; -1 with a line in err. */
int conf_options_file(struct options *, const char *path, char *err);

/* Nothing is read yet; -1 when out of memory. */
int conf_init(struct conf *, const struct options *);
void conf_fini(struct conf *);

/*
 * Read again.  1: something is new; 0: all as before; -1: the file is missing
 * or wrong, which is logged and changes nothing.
 */
int conf_read_dhcp(struct conf *);
int conf_read_resolv(struct conf *);
/* A missing file means the host's servers, and no names. */
int conf_read_dns(struct conf *);
int conf_read_hosts(struct conf *);
/*
 * A missing file is no settings, and no error; what was set at run time stays
 * until there is one, or it says something else.
 */
int conf_read_http(struct conf *);
/* The same from a JSON text; -1: err, of HTTPCONF_ERRLEN bytes, says why. */
int conf_set_http(struct conf *, const char *text, char *err);
/*
 * The whole file, at most max bytes, owned by the caller; NULL with errno.
 */
char *conf_read_file(const char *path, size_t max, size_t *len);
/* Puts a new value in place of *old; both owned.  True when it differs. */
bool conf_replace(json_t **old, json_t *new);
json_t *conf_names(const struct strlist *); /* owned: array of strings */

/* The configuration of a daemon there is one of. */
void conf_send(const struct conf *, struct ipc *);
void conf_send_stack(const struct conf *, struct ipc *, const struct lease *);

/* conf_dns.c's part of them. */
int conf_init_dns(struct conf *);
void conf_fini_dns(struct conf *);
void conf_send_dns(const struct conf *, struct ipc *);
json_t *conf_server_texts(const struct conf *); /* owned: "IP#PORT" each */

/* conf_http.c's part of them. */
void conf_send_proxy(const struct conf *, struct ipc *);
void conf_send_intercept(const struct conf *, struct ipc *);
json_t *conf_proxies(const struct conf *); /* owned: array of "IP#PORT" */

#endif
