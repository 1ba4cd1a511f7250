/*
 * Preloaded into nginx under a sanitizer: modules stay mapped until the end,
 * so that reports name their functions, and what their static variables hold
 * is no leak.
 */

int dlclose(void *handle);


int
dlclose(void *handle)
{
    (void) handle;

    return 0;
}
