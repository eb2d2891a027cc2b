/* Creates the tables of a configuration file. */
#include "check.h"

int main(int argc, char **argv)
{
    cxsink_error *err = NULL;
    cxsink_config *config = cxsink_config_new();
    CHECK_STATUS(cxsink_config_load(config, argc > 1 ? argv[1] : "cxsink.toml", &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_init_db(config, &err), CXSINK_STATUS_OK);
    cxsink_config_free(&config);
    return checked(__FILE__);
}
