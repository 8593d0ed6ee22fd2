/* inject.h says what this is for. */

#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "inject.h"

#define REGS_GENERAL  1	    /* NT_PRSTATUS of <elf.h> */
#define REGS_ARM_CALL 0x404 /* NT_ARM_SYSTEM_CALL of <elf.h> */

/*
 * Another process's registers while it enters a system call, and after it.
 */

/* Makes it another call. */
static void set_call(pid_t, struct user_regs_struct *, long, const uint64_t *);
/* Makes it the call it was, to be done once more. */
static void again(struct user_regs_struct *);
static long result(const struct user_regs_struct *);
static uint64_t stack(const struct user_regs_struct *);

/* One that was killed meanwhile is found to be dead with its next step. */
static void
set_regs(pid_t pid, struct user_regs_struct *r)
{
	struct iovec iov = { r, sizeof(*r) };

	if (ptrace(PTRACE_SETREGSET, pid, REGS_GENERAL, &iov) == -1 &&
	    errno != ESRCH)
		err(1, "registers");
}

/* False: somebody has killed it meanwhile. */
static bool
get_regs(pid_t pid, struct user_regs_struct *r)
{
	struct iovec iov = { r, sizeof(*r) };

	if (ptrace(PTRACE_GETREGSET, pid, REGS_GENERAL, &iov) == 0)
		return true;
	if (errno != ESRCH)
		err(1, "registers");
	return false;
}

#if defined(__x86_64__)
static void
set_call(pid_t pid, struct user_regs_struct *r, long nr, const uint64_t *a)
{
	r->orig_rax = (uint64_t)nr;
	r->rdi = a[0];
	r->rsi = a[1];
	r->rdx = a[2];
	r->r10 = a[3];
	r->r8 = a[4];
	r->r9 = a[5];
	set_regs(pid, r);
}

static void
again(struct user_regs_struct *r)
{
	r->rip -= 2; /* syscall */
	r->rax = r->orig_rax;
	r->orig_rax = UINT64_MAX;
}

static long
result(const struct user_regs_struct *r)
{
	return (long)r->rax;
}

static uint64_t
stack(const struct user_regs_struct *r)
{
	return r->rsp;
}
#elif defined(__aarch64__)
static void
set_call(pid_t pid, struct user_regs_struct *r, long nr, const uint64_t *a)
{
	int i, n = (int)nr;
	struct iovec iov = { &n, sizeof(n) };

	for (i = 0; i < 6; i++)
		r->regs[i] = a[i];
	set_regs(pid, r);
	if (ptrace(PTRACE_SETREGSET, pid, REGS_ARM_CALL, &iov) == -1)
		err(1, "registers");
}

static void
again(struct user_regs_struct *r)
{
	r->pc -= 4; /* svc #0 */
}

static long
result(const struct user_regs_struct *r)
{
	return (long)r->regs[0];
}

static uint64_t
stack(const struct user_regs_struct *r)
{
	return r->sp;
}
#else
#error "no registers known for this processor"
#endif

/* The next stop or end of the child. */
static int
step(pid_t pid, int request, long sig)
{
	int status;

	if (ptrace(request, pid, 0, sig) == -1 && errno != ESRCH)
		err(1, "ptrace %d", request);
	if (waitpid(pid, &status, __WALL) == -1)
		err(1, "waitpid");
	return status;
}

static bool
at_call(int status)
{
	return WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80);
}

/* On to where the child next enters or leaves a system call, or ends. */
static int
to_call(pid_t pid)
{
	int status = step(pid, PTRACE_SYSCALL, 0);

	while (WIFSTOPPED(status) && !at_call(status))
		status = step(pid, PTRACE_SYSCALL, WSTOPSIG(status));
	return status;
}

int
inject_catch(pid_t pid)
{
	int status;

	if (ptrace(PTRACE_SEIZE, pid, 0,
		PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == -1) {
		if (errno == EPERM)
			return -1;
		err(1, "ptrace");
	}
	status = step(pid, PTRACE_INTERRUPT, 0);
	/* The one it was waiting in ends with EINTR; this is the next. */
	if (WIFSTOPPED(status))
		status = to_call(pid);
	if (!at_call(status))
		errx(1, "%d ended with %#x", pid, status);
	return 0;
}

uint64_t
inject_scratch(pid_t pid)
{
	struct user_regs_struct r;

	if (!get_regs(pid, &r))
		errx(1, "%d has ended", pid);
	/* Below the stack, and what a leaf function may use under it. */
	return (stack(&r) - INJECT_SCRATCH - 1024) & ~UINT64_C(15);
}

void
inject_poke(pid_t pid, uint64_t at, const void *p, size_t len)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	if ((fd = open(path, O_WRONLY | O_CLOEXEC)) == -1 ||
	    pwrite(fd, p, len, (off_t)at) != (ssize_t)len)
		err(1, "%s", path);
	close(fd);
}

void
inject_go(pid_t pid)
{
	if (ptrace(PTRACE_DETACH, pid, 0, 0) == -1)
		err(1, "detach");
}

bool
inject_call(pid_t pid, long nr, const uint64_t *arg, long *res, int *status)
{
	struct user_regs_struct own, r;

	if (!get_regs(pid, &own))
		errx(1, "%d has ended", pid);
	r = own;
	set_call(pid, &r, nr, arg);
	*status = to_call(pid); /* the end of this one, even when refused */
	if (!at_call(*status))
		return false;
	if (!get_regs(pid, &r)) {
		if (waitpid(pid, status, __WALL) == -1)
			err(1, "waitpid");
		return false;
	}
	*res = result(&r);
	again(&own);
	set_regs(pid, &own);
	*status = to_call(pid); /* who gets there is alive */
	if (!at_call(*status))
		return false;
	inject_go(pid);
	return true;
}

void
inject_until(pid_t pid, int error)
{
	struct user_regs_struct r;
	int status;

	do {
		status = to_call(pid); /* the end of the one it is in */
		if (at_call(status) && get_regs(pid, &r) &&
		    result(&r) == -error)
			return;
		if (at_call(status))
			status = to_call(pid);
	} while (at_call(status));
	errx(1, "%d ended with %#x", pid, status);
}
