/* Programs with a mistake, which valgrind and AddressSanitizer must find: they prove that these look at the library. */
#include "check.h"

int main(int argc, char **argv)
{
    const char *mistake = argc > 1 ? argv[1] : "";
    cxsink_error *err = NULL;
    cxsink_config *config = cxsink_config_new();
    cxsink_config *copy = config;

    cxsink_config_set(config, "x", "y", &err);
    if (strcmp(mistake, "none") == 0) {
        cxsink_error_free(&err);
        cxsink_config_free(&config);
    } else if (strcmp(mistake, "leak") == 0) {
        err = NULL;
        cxsink_config_free(&config);
    } else if (strcmp(mistake, "use-after-free") == 0) {
        const char *message = cxsink_error_message(err);
        cxsink_error_free(&err);
        printf("%c\n", message[3]);
        cxsink_config_free(&config);
    } else if (strcmp(mistake, "double-free") == 0) {
        cxsink_error_free(&err);
        cxsink_config_free(&config);
        cxsink_config_free(&copy);
    }
    copy = NULL;
    return 0;
}
