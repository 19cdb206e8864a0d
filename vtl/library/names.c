/* SPDX-License-Identifier: GPL-2.0-or-later */
/* names.c: the words of "status". A switch without a default for each: the compiler tells when an enum has grown, and no
 * value leads beyond the end of a table. */
#include "vtl/library/names.h"

const char *element_type_name(enum element_type type)
{
    switch (type) {
    case ELEMENT_TRANSPORT:
        return "transport";
    case ELEMENT_STORAGE:
        return "slot";
    case ELEMENT_IMPORT_EXPORT:
        return "import_export";
    case ELEMENT_DRIVE:
        return "drive";
    }
    return "unknown";
}

const char *activity_name(enum tape_activity activity)
{
    switch (activity) {
    case TAPE_IDLE:
        return "idle";
    case TAPE_CLEANING:
        return "cleaning";
    case TAPE_LOADING:
        return "loading";
    case TAPE_UNLOADING:
        return "unloading";
    case TAPE_OTHER:
        return "busy";
    case TAPE_READING:
    case TAPE_READING_ENCRYPTED:
        return "reading";
    case TAPE_WRITING:
    case TAPE_WRITING_ENCRYPTED:
        return "writing";
    case TAPE_LOCATING:
        return "locating";
    case TAPE_REWINDING:
        return "rewinding";
    case TAPE_ERASING:
        return "erasing";
    case TAPE_FORMATTING:
        return "formatting";
    }
    return "busy";
}
