#ifndef BASE_BANNED_H
#define BASE_BANNED_H
/*
 * Functions that do not compile here. Included on the command line after every system
 * header has been seen once (see meson.build), so a use is an error at its line.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets
#pragma GCC poison gmtime localtime ctime asctime
#pragma GCC poison atoi atol atoll atof
#pragma GCC poison srand random srandom drand48 tmpnam mktemp
#pragma GCC poison system popen

#endif
