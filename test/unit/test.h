#ifndef TEST_UNIT_TEST_H
#define TEST_UNIT_TEST_H
/* cmocka with the headers it wants first, and two assertions that print the error's text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

#define assert_ok(call, e)                                                               \
	do {                                                                             \
		if ((call) != 0)                                                         \
			fail_msg("%s", (e)->text);                                       \
	} while (0)
#define assert_fails(call, e, want)                                                      \
	do {                                                                             \
		assert_int_equal((call), -1);                                            \
		assert_string_equal(err_row((e)->code)->name, #want);                    \
	} while (0)

#endif
