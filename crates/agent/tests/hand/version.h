/* What tells the contents of payloads apart: one byte, on a page of its own. */
static const unsigned char page[4096] __attribute__((aligned(4096))) = "quell payload: this is version \x2a";

static inline int version(void) {
    const unsigned char *at = page;
    /* The compiler must not know what stands there. */
    __asm__ volatile("" : "+r"(at));
    return at[31];
}
