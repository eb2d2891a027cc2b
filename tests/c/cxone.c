/* A simulated CXone for programs that have none: prints the variables to read from it, and serves until the input ends.
 * The options are NAME=VALUE. */
#include "check.h"

int main(int argc, char **argv)
{
    cxsink_error *err = NULL;
    cxsink_simulator *cxone = cxsink_simulator_new();
    cxsink_config *config = cxsink_config_new();
    const char *keys[] = {"oauth.url", "stream.url", "oauth.client_id", "stream.id"};
    const char *variables[] = {"CXSINK_OAUTH__URL", "CXSINK_STREAM__URL", "CXONE_CLIENT_ID", "CXONE_STREAM_ID"};

    CHECK_STATUS(cxsink_simulator_set(cxone, "client_secret", "secret", &err), CXSINK_STATUS_OK);
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        *value++ = '\0';
        CHECK_STATUS(cxsink_simulator_set(cxone, argv[i], value, &err), CXSINK_STATUS_OK);
    }
    CHECK_STATUS(cxsink_simulator_start(cxone, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_simulator_configure(cxone, config, &err), CXSINK_STATUS_OK);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        cxsink_buffer *value = NULL;
        CHECK_STATUS(cxsink_config_get(config, keys[i], &value, &err), CXSINK_STATUS_OK);
        printf("%s=%s\n", variables[i], cxsink_buffer_data(value, NULL));
        cxsink_buffer_free(&value);
    }
    puts("CXONE_CLIENT_SECRET=secret");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    cxsink_simulator_free(&cxone);
    cxsink_config_free(&config);
    return checks_failed == 0 ? 0 : 1;
}
