/* SPDX-License-Identifier: GPL-2.0-or-later */
/* abi.h: facts about the binary interface of another program: of its structs only the members that are used, each with
 * its offset. A test that has the program's own headers says ABI_CHECKED, and every fact becomes an assertion about them. */
#ifndef S3VTL_ABI_H
#define S3VTL_ABI_H

#include <stddef.h>
#include <stdint.h>

_Static_assert(sizeof(void *) == 8 && sizeof(long) == 8, "offsets are those of a 64-bit system");

/*
 * ABI_STRUCT(name, size, AT(offset, type, member) ...): struct name as the other program has it. The members are those of
 * a union, so an initialiser may name one at most.
 * ABI_CONSTANT(name, value): one of its constants.
 * ABI_FUNCTION(result, name, (parameters)): one of its functions.
 */
#ifndef ABI_CHECKED
#define ABI_STRUCT(name, size, ...)                                                                                    \
    struct name {                                                                                                      \
        union {                                                                                                        \
            char whole_##name[size];                                                                                   \
            __VA_ARGS__                                                                                                \
        };                                                                                                             \
    };                                                                                                                 \
    _Static_assert(sizeof(struct name) == (size), "struct " #name);
#define AT(offset, type, member)                                                                                       \
    struct {                                                                                                           \
        char before_##member[offset];                                                                                  \
        type member;                                                                                                   \
    };
#define ABI_CONSTANT(name, value) enum { name = (value) };
#else
#define ABI_STRUCT(name, size, ...)                                                                                    \
    static inline void check_##name(void)                                                                              \
    {                                                                                                                  \
        typedef struct name checked;                                                                                   \
        _Static_assert(sizeof(checked) == (size), "struct " #name);                                                    \
        __VA_ARGS__                                                                                                    \
    }
#define AT(offset, type, member)                                                                                       \
    _Static_assert(offsetof(checked, member) == (offset) && (offset) % _Alignof(type) == 0, "offset of " #member);     \
    _Static_assert(__builtin_types_compatible_p(type, typeof(((checked *)0)->member)), "type of " #member);
#define ABI_CONSTANT(name, value) _Static_assert((name) == (value), #name);
#endif
#define ABI_FUNCTION(result, name, parameters) extern result name parameters;

#endif
