/* The header, the library and Cargo.toml (EXPECTED_VERSION, given by the build) are of one version. */
#include "check.h"

int main(void)
{
    const uint32_t next_series = CXSINK_VERSION_NUMBER + (CXSINK_VERSION_MAJOR == 0 ? 1000u : 1000000u);

    CHECK(cxsink_version_number() == CXSINK_VERSION_NUMBER);
    CHECK(CXSINK_VERSION_NUMBER % 1000 == CXSINK_VERSION_PATCH);
    CHECK(strcmp(cxsink_version_string(), CXSINK_VERSION_STRING) == 0);
    CHECK(strcmp(cxsink_version_string(), EXPECTED_VERSION) == 0);
    CHECK(CXSINK_CHECK_VERSION());
    CHECK(!cxsink_check_version(CXSINK_VERSION_NUMBER + 1));
    CHECK(!cxsink_check_version(next_series));
    return checked(__FILE__);
}
