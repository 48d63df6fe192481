#ifndef IO_JAIL_SAN_H
#define IO_JAIL_SAN_H
/*
 * Jails in a build with AddressSanitizer (LeakSanitizer, UBSan): what its runtime asks of
 * the system to print a report is answered with EACCES instead of death. Of no use, and
 * empty, in any other build.
 */
#if defined(__SANITIZE_ADDRESS__)
#define JAIL_SAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define JAIL_SAN 1
#endif
#endif
#ifndef JAIL_SAN
#define JAIL_SAN 0
#endif

/* Before anything is given up; once. */
void jail_san_prepare(void);

#endif
