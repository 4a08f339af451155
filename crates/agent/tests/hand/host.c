/* Loads the library that it is given. */
#include <dlfcn.h>
#include <stddef.h>

int main(int count, char **words) {
    return count > 1 && dlopen(words[1], RTLD_NOW) == NULL;
}
