#ifndef CMD_ASK_H
#define CMD_ASK_H
/*
 * Asking a person at a terminal for a passphrase or a PIN.
 */
#include <stddef.h>

/* A key_passphrase (crypto/key.h): from the file that arg names (const char *, NULL:
 * none; only its owner may reach it), else typed at the terminal without echo, else none.
 */
int ask_passphrase(void *arg, const char *what, char *buf, size_t size);

#endif
