/* Opens capstone by its name. See capstone.h. */
#include "hv/kvm/capstone.h"

#include <dlfcn.h>

/* POSIX lets a function's address come out of dlsym() as that of an object. */
static bool find(const struct capstone *c, const char *name, void *pointer)
{
    *(void **)pointer = dlsym(c->library, name);
    return *(void **)pointer != NULL;
}

bool capstone_load(struct capstone *c)
{
    c->library = dlopen(CAPSTONE_NAME, RTLD_NOW | RTLD_LOCAL);
    bool found = c->library != NULL;
#define CAPSTONE_FIND(name) found = found && find(c, #name, &c->name);
    CAPSTONE_FUNCTIONS(CAPSTONE_FIND)
    return found;
}

void capstone_unload(struct capstone *c)
{
    if (c->library)
        dlclose(c->library);
    *c = (struct capstone){0};
}
