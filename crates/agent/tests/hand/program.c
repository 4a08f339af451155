/* The same for the dynamic loader: a program, and a library that ends whoever loads it. */
#include "version.h"
#include <unistd.h>

#ifdef LIBRARY
__attribute__((constructor)) static void loaded(void) { _exit(version()); }
#else
int main(void) { return version(); }
#endif
