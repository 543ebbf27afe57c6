/* child.h - the program under test as a child process: started, its output read, ended. */
#ifndef TWT_CHILD_H
#define TWT_CHILD_H

#include <stdint.h>
#include <sys/types.h>

typedef struct twt_child {
    pid_t pid;
    int output; /* read end of its standard output */
} twt_child;

/* argv ends with NULL; argv[0] is the path. Its standard error is ours. */
twt_child twt_child_start(const char *const *argv);
/* Reads its output up to the first line that contains `pattern` into line. 0; -1: it ended before. */
int twt_child_line(twt_child *child, const char *pattern, char *line, size_t line_cap);
/* Sends the signal (0: none) and waits for the end. The exit code, or -1 after a signal. */
int twt_child_end(twt_child *child, int signal_number);
/* Resident memory and open descriptors of a process; -1 where the system does not tell (/proc). */
long twt_child_resident_kib(const twt_child *child);
int twt_child_descriptors(const twt_child *child);

#endif
