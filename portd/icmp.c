/*
 * Sockets for ICMP echo to one address.
 *
 * Linux has sockets for it that need no rights, and lets those have them whose
 * group is in net.ipv4.ping_group_range.  To others the supervisor gives raw
 * ones, if it has the right.  Such a socket is made deaf for everything but
 * the replies to one identifier, for good, and connected, before the stack gets
 * it: what it can send is ICMP to that address, and what it hears are answers.
 */

#include <bsd/stdlib.h>
#include <errno.h>
#include <unistd.h>

#include "common/log.h"
#include "common/plat/plat.h"
#include "portd/portd.h"

#define ID_TRIES 64

/* The flow's socket is there. */
static void
icmp_give(struct portd *p, struct flow *f, int fd, uint16_t echo_id)
{
	stats_inc(&p->d->stats, f->raw ? PORTS_ICMP_RAW : PORTS_ICMP);
	ipc_send(f->vm->link, IPC_FLOW_ICMP, &fd, 1, "{s:I,s:i,s:b}", "id",
	    (json_int_t)f->id, "echo-id", (int)echo_id, "raw", (int)f->raw);
}

/*
 * Connects; what came before that may be from anybody.  Takes fd away on error.
 */
static int
icmp_connect(const struct flow *f, int fd)
{
	if (plat_sockerr_keep(fd, true) == 0 && sock_connect_flow(fd, f) == 0)
		return 0;
	return sock_fail(fd);
}

static void
icmp_refuse(struct portd *p, struct flow *f, int error)
{
	opener_refuse(p, f, PORTS_ICMP_REFUSED, error);
}

/* Once: it is a matter of the system's configuration. */
static void
icmp_log(struct portd *p)
{
	if (p->raw_none)
		return;
	p->raw_none = true;
	log_warnx("guests cannot ping other hosts: no CAP_NET_RAW, and not in "
		  "net.ipv4.ping_group_range; "
		  "set it to \"0 2147483647\" with sysctl(8)");
}

/* An identifier that none of our raw sockets has, -1 when there is none. */
static int
raw_id(struct portd *p)
{
	uint16_t id;
	int i;

	for (i = 0; i < ID_TRIES; i++) {
		id = (uint16_t)arc4random();
		if ((p->raw_id[id / 8] & 1 << id % 8) == 0)
			return id;
	}
	errno = EADDRNOTAVAIL;
	return -1;
}

static void
raw_give(struct portd *p, struct flow *f, int fd)
{
	int id = raw_id(p);

	if (id == -1 || plat_raw_limit(fd, (uint16_t)id) == -1)
		(void)sock_fail(fd);
	else if (icmp_connect(f, fd) == 0) {
		f->raw = true;
		f->local_port = (uint16_t)id;
		p->raw_id[id / 8] |= (uint8_t)(1 << id % 8);
		icmp_give(p, f, fd, (uint16_t)id);
		return;
	}
	icmp_refuse(p, f, errno);
}

/* The kernel did not give one; the supervisor may have the right. */
static void
raw_ask(struct portd *p, struct flow *f)
{
	if (p->raw_none) {
		icmp_refuse(p, f, EACCES);
		return;
	}
	if (f->vm->nwait == WAIT_MAX) {
		opener_refuse(p, f, PORTS_WAIT_FULL, EMFILE);
		return;
	}
	f->waiting = f->raw_asked = true;
	f->vm->nwait++;
	TAILQ_INSERT_TAIL(&p->raw_wait, f, wait);
	ipc_send(p->d->sup, IPC_RAW_OPEN, NULL, 0, "{}");
}

/* Whoever waits longest gets it; its own answer may have come too late. */
void
icmp_raw_fd(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct portd *p = d->data;
	struct flow *f = TAILQ_FIRST(&p->raw_wait);
	int fd = ipc_take_fd(m, 0);

	if (fd == -1)
		icmp_log(p);
	if (f == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	TAILQ_REMOVE(&p->raw_wait, f, wait);
	f->vm->nwait--;
	f->waiting = f->raw_asked = false;
	if (fd == -1)
		icmp_refuse(p, f, EACCES);
	else
		raw_give(p, f, fd);
}

bool
icmp_try(struct portd *p, struct flow *f)
{
	uint16_t id;
	int fd;

	if ((fd = plat_ping(&id)) == -1) {
		if (sock_no_room(errno))
			return false;
		raw_ask(p, f);
	} else if (icmp_connect(f, fd) == -1) {
		icmp_refuse(p, f, errno);
	} else {
		icmp_give(p, f, fd, id);
	}
	return true;
}

void
icmp_forget(struct portd *p, struct flow *f)
{
	if (f->raw)
		p->raw_id[f->local_port / 8] &=
		    (uint8_t) ~(1 << f->local_port % 8);
}
