/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_ops.c: what a drive can do, as the command set calls it. */
#include "vtl/drive/drive_private.h"

const struct tape_ops drive_tape_ops = {
    .status = drive_status,
    .statistics = drive_statistics,
    .alert = drive_alert,
    .written_by = drive_written_by,
    .mam_get = drive_mam_get,
    .mam_set = drive_mam_set,
    .wake = drive_wake,
    .for_medium = drive_for_medium,
    .write = drive_write,
    .write_at_once = drive_write_at_once,
    .write_filemarks = drive_write_filemarks,
    .read = drive_read,
    .next_block = drive_next_block,
    .space_blocks = drive_space_blocks,
    .space_filemarks = drive_space_filemarks,
    .space_end_of_data = drive_space_end,
    .locate_object = drive_locate_object,
    .locate_file = drive_locate_file,
    .rewind = drive_rewind,
    .load = drive_load,
    .unload = drive_unload,
    .erase = drive_erase,
    .format = drive_format,
    .set_capacity = drive_set_capacity,
    .prevent = drive_prevent,
};
