/* Times: what is read and can be written reads the same again. */
#include "fuzz.h"

#include "base/clock.h"
#include "codec/iso8601.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int64_t ms, again;
	char text[CLOCK_TEXT];
	if (iso8601_parse(span_of(data, len), &ms, NULL))
		return 0;
	if (ms < 0)
		return 0; /* an offset before 1970 */
	clock_iso(ms, 7, text);
	if (ms >= INT64_C(253402300800000))
		return 0; /* the year 10000 is written with four digits */
	assert(iso8601_parse(span_str(text), &again, NULL) == 0 && again == ms);
	return 0;
}
