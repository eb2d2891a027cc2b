/* The header, the library and Cargo.toml (EXPECTED_VERSION, given by the build) are of one version. */
#include <stdio.h>
#include <string.h>

#include "cxsink.h"

static int passed = 0;
static int failed = 0;

static void check(const char *what, bool held)
{
    if (held) {
        passed++;
    } else {
        failed++;
        fprintf(stderr, "FAILED: %s\n", what);
    }
}

int main(void)
{
    const uint32_t next_series = CXSINK_VERSION_NUMBER + (CXSINK_VERSION_MAJOR == 0 ? 1000u : 1000000u);

    check("the library's number is the header's", cxsink_version_number() == CXSINK_VERSION_NUMBER);
    check("the library's text is the header's", strcmp(cxsink_version_string(), CXSINK_VERSION_STRING) == 0);
    check("the library's text is that of Cargo.toml", strcmp(cxsink_version_string(), EXPECTED_VERSION) == 0);
    check("the library serves its own header", CXSINK_CHECK_VERSION());
    check("the library refuses a newer header", !cxsink_check_version(CXSINK_VERSION_NUMBER + 1));
    check("the library refuses a header of the next series", !cxsink_check_version(next_series));

    printf("version.c: %d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
