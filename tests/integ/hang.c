/*
 * Makes a process hang: not stopped, which the system would tell, but busy
 * with nothing, by a jump to itself where it happens to be.
 *
 *	hang PID	prints "hangs"; at the end of stdin the process goes on
 */

#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REGS_GENERAL  1 /* NT_PRSTATUS of <elf.h> */
#define CODE_LEN      4
#define FIRST_RESTART 512 /* errors of the kernel's own, to do it again */
#define LAST_RESTART  516

/* Where it is; a call that it waits in becomes one that was interrupted. */
#if defined(__x86_64__)
static const uint8_t loop[CODE_LEN] = { 0xeb, 0xfe, 0xeb, 0xfe };

static uint64_t
leave_call(struct user_regs_struct *r)
{
	int64_t res = (int64_t)r->rax;

	if (res <= -FIRST_RESTART && res >= -LAST_RESTART)
		r->rax = (uint64_t)-EINTR;
	r->orig_rax = UINT64_MAX;
	return r->rip;
}
#elif defined(__aarch64__)
static const uint8_t loop[CODE_LEN] = { 0, 0, 0, 0x14 };

static uint64_t
leave_call(struct user_regs_struct *r)
{
	int64_t res = (int64_t)r->regs[0];

	if (res <= -FIRST_RESTART && res >= -LAST_RESTART)
		r->regs[0] = (uint64_t)-EINTR;
	return r->pc;
}
#else
static const uint8_t loop[CODE_LEN];

static uint64_t
leave_call(struct user_regs_struct *r)
{
	puts("SKIP hang: no jump is known for this processor");
	exit(77);
}
#endif

static void
seize(pid_t pid)
{
	int status;

	if (ptrace(PTRACE_SEIZE, pid, 0, 0) == -1 ||
	    ptrace(PTRACE_INTERRUPT, pid, 0, 0) == -1 ||
	    waitpid(pid, &status, __WALL) == -1)
		err(1, "ptrace");
	if (!WIFSTOPPED(status))
		errx(1, "%d ended with %#x", (int)pid, status);
}

static void
let_go(pid_t pid)
{
	if (ptrace(PTRACE_DETACH, pid, 0, 0) == -1)
		err(1, "detach");
}

int
main(int argc, char *argv[])
{
	struct user_regs_struct r;
	struct iovec iov = { &r, sizeof(r) };
	uint8_t was[CODE_LEN];
	char path[32], c;
	uint64_t at;
	pid_t pid;
	int fd;

	if (argc != 2)
		errx(1, "usage: hang PID");
	pid = (pid_t)atoi(argv[1]);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	seize(pid);
	if (ptrace(PTRACE_GETREGSET, pid, REGS_GENERAL, &iov) == -1)
		err(1, "registers");
	at = leave_call(&r);
	if ((fd = open(path, O_RDWR | O_CLOEXEC)) == -1 ||
	    pread(fd, was, sizeof(was), (off_t)at) != sizeof(was) ||
	    pwrite(fd, loop, sizeof(loop), (off_t)at) != sizeof(loop))
		err(1, "%s", path);
	if (ptrace(PTRACE_SETREGSET, pid, REGS_GENERAL, &iov) == -1)
		err(1, "registers");
	let_go(pid);
	puts("hangs");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		continue;
	seize(pid);
	if (pwrite(fd, was, sizeof(was), (off_t)at) != sizeof(was))
		err(1, "%s", path);
	let_go(pid);
	return 0;
}
