/* Hides AVX-512, AVX-VNNI and AMX from a process and its children, so that libraries take their AVX2 code.

     gcc -O2 -shared -fPIC -o narrow_cpu.so benchmarks/narrow_cpu.c -ldl
     LD_PRELOAD=$PWD/narrow_cpu.so python ...

   Linux on x86-64, where the kernel can let the instruction CPUID fault ("cpuid_fault" in /proc/cpuinfo: Intel).
   The handler of the fault answers without those bits; /proc/cpuinfo is read without their names, and its model
   name says so, which every figure takes over. Clock, caches and memory stay those of the machine: a run says what
   AVX2 code takes here, not what an older processor would take. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012

static struct sigaction theirs; /* what the process wants done with SIGSEGV */
static int (*next_sigaction)(int, const struct sigaction *, struct sigaction *);

static long let_fault(int faults) { return syscall(SYS_arch_prctl, ARCH_SET_CPUID, !faults); }

/* By the tables of Intel's manual (CPUID, leaf 07H): all features that are named AVX512, AMX or AVX-VNNI, and AVX10. */
static void narrow(uint32_t leaf, uint32_t part, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d) {
    if (leaf == 7 && part == 0) {
        *b &= ~(1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31);
        *c &= ~(1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14);
        *d &= ~(1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25);
    }
    if (leaf == 7 && part == 1) {
        *a &= ~(1u << 4 | 1u << 5 | 1u << 21 | 1u << 23);
        *d &= ~(1u << 4 | 1u << 5 | 1u << 8 | 1u << 10 | 1u << 19 | 1u << 21);
    }
}

static void on_fault(int number, siginfo_t *info, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *code = (const unsigned char *)r[REG_RIP];
    if (info->si_code == SI_KERNEL && code[0] == 0x0f && code[1] == 0xa2) {
        uint32_t leaf = r[REG_RAX], part = r[REG_RCX], a, b, c, d;
        let_fault(0);
        __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(part));
        let_fault(1);
        narrow(leaf, part, &a, &b, &c, &d);
        r[REG_RAX] = a, r[REG_RBX] = b, r[REG_RCX] = c, r[REG_RDX] = d;
        r[REG_RIP] += 2;
        return;
    }
    if (theirs.sa_flags & SA_SIGINFO && theirs.sa_sigaction)
        theirs.sa_sigaction(number, info, context);
    else if (theirs.sa_handler != SIG_DFL && theirs.sa_handler != SIG_IGN)
        theirs.sa_handler(number);
    else { /* as if we were not there: the instruction faults again */
        struct sigaction none = {.sa_handler = SIG_DFL};
        next_sigaction(number, &none, NULL);
    }
}

int sigaction(int number, const struct sigaction *wanted, struct sigaction *before) {
    if (!next_sigaction) next_sigaction = dlsym(RTLD_NEXT, "sigaction");
    if (number != SIGSEGV) return next_sigaction(number, wanted, before);
    if (before) *before = theirs;
    if (wanted) theirs = *wanted;
    return 0;
}

sighandler_t signal(int number, sighandler_t wanted) {
    struct sigaction own = {.sa_handler = wanted, .sa_flags = SA_RESTART}, before;
    return sigaction(number, &own, &before) ? SIG_ERR : before.sa_handler;
}

/* /proc/cpuinfo as a file in memory: without some words, and with a note after the model's name. */
static int narrowed_cpuinfo(void) {
    static const char *hidden[] = {"avx512", "avx_vnni", "amx_", "avx10", NULL};
    FILE *from = fdopen(syscall(SYS_openat, AT_FDCWD, "/proc/cpuinfo", O_RDONLY | O_CLOEXEC, 0), "r");
    int to = memfd_create("cpuinfo", MFD_CLOEXEC);
    if (!from || to < 0) return -1;
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, from) > 0) {
        for (int i = 0; hidden[i]; i++)
            for (char *at; (at = strstr(line, hidden[i]));) {
                size_t n = strcspn(at, " \n");
                n += at[n] == ' ';
                memmove(at, at + n, strlen(at + n) + 1);
            }
        line[strcspn(line, "\n")] = 0;
        dprintf(to, "%s%s\n", line, strncmp(line, "model name", 10) ? "" : " (simulated: AVX2 alone)");
    }
    free(line);
    fclose(from);
    lseek(to, 0, SEEK_SET);
    return to;
}

static int is_asked(const char *path) { return path && !strcmp(path, "/proc/cpuinfo"); }

#define OPENS(name, call)                                                                  \
    int name(const char *path, int flags, ...) {                                          \
        va_list rest;                                                                      \
        va_start(rest, flags);                                                             \
        int mode = va_arg(rest, int);                                                      \
        va_end(rest);                                                                      \
        return is_asked(path) ? narrowed_cpuinfo() : syscall(SYS_openat, AT_FDCWD, path, call, mode); \
    }
OPENS(open, flags)
OPENS(open64, flags | O_LARGEFILE)

#define OPENS_AT(name, call)                                                               \
    int name(int folder, const char *path, int flags, ...) {                              \
        va_list rest;                                                                      \
        va_start(rest, flags);                                                             \
        int mode = va_arg(rest, int);                                                      \
        va_end(rest);                                                                      \
        return is_asked(path) ? narrowed_cpuinfo() : syscall(SYS_openat, folder, path, call, mode); \
    }
OPENS_AT(openat, flags)
OPENS_AT(openat64, flags | O_LARGEFILE)

#define OPENS_FILE(name)                                                                   \
    FILE *name(const char *path, const char *mode) {                                       \
        if (is_asked(path)) return fdopen(narrowed_cpuinfo(), "r");                           \
        FILE *(*next)(const char *, const char *) = dlsym(RTLD_NEXT, #name);               \
        return next(path, mode);                                                           \
    }
OPENS_FILE(fopen)
OPENS_FILE(fopen64)

__attribute__((constructor(101))) static void begin(void) {
    struct sigaction own = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
    if (!next_sigaction) next_sigaction = dlsym(RTLD_NEXT, "sigaction");
    next_sigaction(SIGSEGV, &own, NULL);
    if (let_fault(1)) {
        fprintf(stderr, "narrow_cpu: this machine cannot let CPUID fault: %s\n", strerror(errno));
        _exit(70);
    }
}
