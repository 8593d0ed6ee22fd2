/*
 * A snapshot of the suite, process by process, as the supervisor tells it.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "common/ipc.h"
#include "common/view/view.h"

static void
copy(char *to, size_t size, const struct ipc_msg *m, const char *field)
{
	strlcpy(to, ipc_str(m, field), size);
}

static struct file *
file_named(struct process *p, const char *name)
{
	if (strcmp(name, "counters") == 0)
		return &p->counters;
	if (strcmp(name, "flows") == 0)
		return &p->flows;
	if (strcmp(name, "capture") == 0)
		return &p->capture;
	return strcmp(name, "queries") == 0 ? &p->queries : NULL;
}

static void
take_files(struct process *p, struct ipc_msg *m)
{
	size_t i, n = ipc_nstr(m, "files");
	struct file *f;
	int fd;

	for (i = 0; i < n && (fd = ipc_take_fd(m, i)) != -1; i++) {
		f = file_named(p, ipc_strat(m, "files", i));
		if (f == NULL || f->p != NULL)
			close(fd);
		else
			read_map(f, fd);
	}
}

int
snapshot_add(struct snapshot *s, struct ipc_msg *m)
{
	struct process *v, *p;
	size_t i;

	v = reallocarray(s->v, s->n + 1, sizeof(*v));
	if (v == NULL)
		return -1;
	s->v = v;
	p = &v[s->n++];
	memset(p, 0, sizeof(*p));
	p->serial = (uint32_t)ipc_u64(m, "serial");
	p->vm = (uint32_t)ipc_u64(m, "vm");
	p->restarts = (uint32_t)ipc_u64(m, "restarts");
	p->pid = (int64_t)ipc_u64(m, "pid");
	p->uptime_ms = (int64_t)ipc_u64(m, "uptime-ms");
	p->memory = ipc_u64(m, "memory");
	p->log_level = (int)ipc_u64(m, "log-level");
	copy(p->name, sizeof(p->name), m, "name");
	copy(p->role, sizeof(p->role), m, "role");
	copy(p->state, sizeof(p->state), m, "state");
	copy(p->why, sizeof(p->why), m, "why");
	copy(p->uuid, sizeof(p->uuid), m, "uuid");
	copy(p->mac, sizeof(p->mac), m, "mac");
	copy(p->ip, sizeof(p->ip), m, "ip");
	for (i = 0; i < ipc_nstr(m, "sandbox"); i++) {
		if (i > 0)
			strlcat(p->sandbox, " ", sizeof(p->sandbox));
		strlcat(
		    p->sandbox, ipc_strat(m, "sandbox", i), sizeof(p->sandbox));
	}
	take_files(p, m);
	return 0;
}

void
snapshot_fini(struct snapshot *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		read_unmap(&s->v[i].counters);
		read_unmap(&s->v[i].flows);
		read_unmap(&s->v[i].capture);
		read_unmap(&s->v[i].queries);
	}
	free(s->v);
	memset(s, 0, sizeof(*s));
}
