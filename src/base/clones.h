/*
 * clones.h: CLONES before a function has it compiled for several instruction sets, the best of
 * which is chosen when the program is loaded. For plain loops that the compiler vectorises.
 * clang below 17 gives the chosen function a name that other files don't find: it has none.
 */
#ifndef BASE_CLONES_H
#define BASE_CLONES_H

#if defined(__x86_64__) && defined(__ELF__) && !defined(__SANITIZE_THREAD__) && \
    (!defined(__clang__) || __clang_major__ >= 17)
#define CLONES __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define CLONES
#endif

#endif
