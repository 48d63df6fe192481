#ifndef CMD_OPERATOR_H
#define CMD_OPERATOR_H
/*
 * Operators of a home: key and certificate in operators/, and the row that lets them in.
 * The home must be locked by the caller (a server on it is asked otherwise).
 */
#include "cmd/home.h"

/* True for what may be an operator's name: letters, digits and -_.@. */
bool operator_is_name(const char *name);
/* Makes the key, has the service CA issue, registers. home: where it is now (init makes
 * one elsewhere first); store: path of its database. line gets the certificate in one
 * line. ERR_EXISTS where operators/NAME.key is there. */
must_check int operator_make(const char *home, const char *store,
    const struct config *cfg, const char *name, struct buf *line, struct err *e);

#endif
