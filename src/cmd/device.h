#ifndef CMD_DEVICE_H
#define CMD_DEVICE_H
/*
 * The verbs of muster device that are in a file of their own: many identities from and
 * into files, and what is said to a device: its twin, a method, a message. argv[0] is the
 * verb.
 */
#include "base/err.h"

int device_export(int argc, char **argv, struct err *e);
int device_import(int argc, char **argv, struct err *e);
int device_talk_twin(int argc, char **argv, struct err *e);
int device_talk_method(int argc, char **argv, struct err *e);
int device_talk_send(int argc, char **argv, struct err *e);

#endif
