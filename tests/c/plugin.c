/* The library is loaded by dlopen, used and unloaded, again and again: no thread of it outlives the unloading. */
#include <dlfcn.h>

#include "check.h"

/* ISO C has no conversion from an object's pointer to a function's; POSIX has it by this detour. */
#define LOOK_UP(library, function) (*(void **)(&(function)) = dlsym(library, #function + 2), CHECK((function) != NULL))

static void use(const char *path, const char *folder)
{
    cxsink_config *(*f_cxsink_config_new)(void);
    cxsink_status (*f_cxsink_config_set)(cxsink_config *, const char *, const char *, cxsink_error **);
    cxsink_status (*f_cxsink_init_db)(const cxsink_config *, cxsink_error **);
    cxsink_status (*f_cxsink_sink_open)(const cxsink_config *, cxsink_sink **, cxsink_error **);
    cxsink_status (*f_cxsink_sink_start)(cxsink_sink *, cxsink_error **);
    void (*f_cxsink_sink_free)(cxsink_sink **);
    void (*f_cxsink_config_free)(cxsink_config **);
    cxsink_sink *sink = NULL;
    char text[4096];
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (!CHECK(library != NULL)) {
        return;
    }
    LOOK_UP(library, f_cxsink_config_new);
    LOOK_UP(library, f_cxsink_config_set);
    LOOK_UP(library, f_cxsink_init_db);
    LOOK_UP(library, f_cxsink_sink_open);
    LOOK_UP(library, f_cxsink_sink_start);
    LOOK_UP(library, f_cxsink_sink_free);
    LOOK_UP(library, f_cxsink_config_free);
    cxsink_config *config = f_cxsink_config_new();
    snprintf(text, sizeof text, "%s/spool.db", folder);
    CHECK(f_cxsink_config_set(config, "spool.path", text, NULL) == CXSINK_STATUS_OK);
    snprintf(text, sizeof text, "sqlite:%s/events.db", folder);
    CHECK(f_cxsink_config_set(config, "destination.url", text, NULL) == CXSINK_STATUS_OK);
    CHECK(f_cxsink_init_db(config, NULL) == CXSINK_STATUS_OK);
    CHECK(f_cxsink_sink_open(config, &sink, NULL) == CXSINK_STATUS_OK);
    CHECK(f_cxsink_sink_start(sink, NULL) == CXSINK_STATUS_OK);
    f_cxsink_sink_free(&sink);
    f_cxsink_config_free(&config);
    CHECK(dlclose(library) == 0);
}

int main(int argc, char **argv)
{
    for (int round = 0; argc > 2 && round < 5; round++) {
        use(argv[1], argv[2]);
    }
    return checked(__FILE__);
}
