#ifndef KAURI_PROTECT_H
#define KAURI_PROTECT_H

/**
 * Executes this program again from a place where nobody can write to it, with `arguments`. A container reaches the
 * launcher's file through /proc/self/exe, and root of a container is root of the host (CVE-2019-5736).
 */
void execute_protected(char *const arguments[]);

#endif
