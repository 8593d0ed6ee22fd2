#ifndef SUP_H
#define SUP_H

/*
 * The supervisor once it runs: its daemons, what they say, signals, changed
 * files, and the end.
 */

#include <ev.h>
#include <stdbool.h>

#include "common/plat/sandbox.h"
#include "common/usec.h"

#include "admin.h"
#include "child.h"
#include "conf.h"
#include "listen.h"
#include "options.h"
#include "ports.h"
#include "vm.h"
#include "watch.h"

#define SUP_NSIGNALS 5

struct sup {
	struct ev_loop *loop;	  /* owned */
	const struct options *op; /* borrowed */
	struct listeners listen;
	struct conf conf;
	struct ports ports;
	struct watch watch;
	struct {
		int fd; /* owned; 0, -1: none */
		struct ev_io io;
		struct ev_timer settle; /* from the last change on */
		usec_t since;		/* the first one; 0: none waits */
	} net;				/* the host's; sup_net.c */
	struct children kids;
	struct child *kid[ROLE__MAX]; /* owned; daemons there is one of */
	struct vms vms;
	struct admin admin;
	struct sandbox_report sandbox; /* our own */
	usec_t started;
	struct ev_signal sig[SUP_NSIGNALS];
	struct ev_timer owing;	  /* says what the log has left out */
	struct ev_timer watchdog; /* of a service manager that wants signs */
	bool served;		  /* and was told that we serve */
	bool stopping;
};

/*
 * Files are read, nothing is started.  -1: cannot go on, logged; sup_fini()
 * is to be called in either case.
 */
int sup_init(struct sup *, const struct options *);
/* Starts the daemons and runs until a signal ends it; -1: could not start. */
int sup_run(struct sup *);
void sup_fini(struct sup *);
/* Tells a daemon its configuration, if it is there. */
void sup_resend(struct sup *, enum ipc_role);

/*
 * sup_files.c: reads all files, and watches them from then on; the second one
 * looks for them and reads them again, and tries again for ports that could not
 * be had.
 */
void sup_files_init(struct sup *);
void sup_reload(struct sup *);

/* sup_net.c: dnsd hears of changes of the host's network. */
void sup_net_init(struct sup *);
void sup_net_fini(struct sup *);

/* sup_http.c: there are new settings; front asks on behalf of a client. */
void sup_http_resend(struct sup *);
void sup_http_show(struct sup *, struct child *, struct ipc_msg *);
void sup_http_set(struct sup *, struct child *, struct ipc_msg *);

#endif
