/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sense.h: sense keys and additional sense codes by their SPC-5 names, and fixed format sense data. */
#ifndef S3VTL_SENSE_H
#define S3VTL_SENSE_H

#include "scsi/request.h"

/* SPC-5 4.4.7 */
enum scsi_sense_key {
    KEY_NO_SENSE = 0x0,
    KEY_RECOVERED_ERROR = 0x1,
    KEY_NOT_READY = 0x2,
    KEY_MEDIUM_ERROR = 0x3,
    KEY_HARDWARE_ERROR = 0x4,
    KEY_ILLEGAL_REQUEST = 0x5,
    KEY_UNIT_ATTENTION = 0x6,
    KEY_DATA_PROTECT = 0x7,
    KEY_BLANK_CHECK = 0x8,
    KEY_ABORTED_COMMAND = 0xB,
    KEY_VOLUME_OVERFLOW = 0xD,
};

/* ASC in the high byte, ASCQ in the low one: SPC-5 annex D, in order of number. */
enum scsi_asc {
    ASC_NONE = 0x0000,
    ASC_FILEMARK_DETECTED = 0x0001,
    ASC_END_OF_PARTITION_MEDIUM_DETECTED = 0x0002,
    ASC_BEGINNING_OF_PARTITION_MEDIUM_DETECTED = 0x0004,
    ASC_END_OF_DATA_DETECTED = 0x0005,
    ASC_PROGRAMMABLE_EARLY_WARNING_DETECTED = 0x0007,
    ASC_BECOMING_READY = 0x0401,
    ASC_FORMAT_IN_PROGRESS = 0x0404,
    ASC_OPERATION_IN_PROGRESS = 0x0407,
    ASC_WRITE_ERROR = 0x0C00,
    ASC_UNRECOVERED_READ_ERROR = 0x1100,
    ASC_PARAMETER_LIST_LENGTH_ERROR = 0x1A00,
    ASC_INVALID_COMMAND_OPERATION_CODE = 0x2000,
    ASC_INVALID_ELEMENT_ADDRESS = 0x2101,
    ASC_INVALID_FIELD_IN_CDB = 0x2400,
    ASC_LOGICAL_UNIT_NOT_SUPPORTED = 0x2500,
    ASC_INVALID_FIELD_IN_PARAMETER_LIST = 0x2600,
    ASC_WRITE_PROTECTED = 0x2700,
    ASC_NOT_READY_TO_READY_CHANGE = 0x2800,
    ASC_IMPORT_OR_EXPORT_ELEMENT_ACCESSED = 0x2801,
    ASC_POWER_ON_RESET = 0x2900,
    ASC_MODE_PARAMETERS_CHANGED = 0x2A01,
    ASC_LOG_PARAMETERS_CHANGED = 0x2A02,
    ASC_DATA_ENCRYPTION_PARAMETERS_CHANGED_BY_ANOTHER = 0x2A11,
    ASC_DATA_ENCRYPTION_KEY_INSTANCE_COUNTER_HAS_CHANGED = 0x2A13,
    ASC_INCOMPATIBLE_MEDIUM_INSTALLED = 0x3000,
    ASC_CLEANING_CARTRIDGE_INSTALLED = 0x3003,
    ASC_WORM_MEDIUM_OVERWRITE_ATTEMPTED = 0x300C,
    ASC_SAVING_PARAMETERS_NOT_SUPPORTED = 0x3900,
    ASC_MEDIUM_NOT_PRESENT = 0x3A00,
    ASC_SEQUENTIAL_POSITIONING_ERROR = 0x3B00,
    ASC_POSITION_PAST_BEGINNING_OF_MEDIUM = 0x3B0C,
    ASC_MEDIUM_DESTINATION_ELEMENT_FULL = 0x3B0D,
    ASC_MEDIUM_SOURCE_ELEMENT_EMPTY = 0x3B0E,
    ASC_INTERNAL_TARGET_FAILURE = 0x4400,
    ASC_MEDIA_LOAD_OR_EJECT_FAILED = 0x5300,
    ASC_MEDIUM_REMOVAL_PREVENTED = 0x5302,
    ASC_INSUFFICIENT_RESOURCES = 0x5503,
    ASC_AUXILIARY_MEMORY_OUT_OF_SPACE = 0x5506,
    ASC_UNABLE_TO_DECRYPT_DATA = 0x7401,
    ASC_UNENCRYPTED_DATA_ENCOUNTERED_WHILE_DECRYPTING = 0x7402,
    ASC_INCORRECT_DATA_ENCRYPTION_KEY = 0x7403,
};

/* Ends a request with CHECK CONDITION. Data already in rq->in stays valid: in_actual does not change. */
void scsi_check(struct scsi_request *rq, enum scsi_sense_key key, enum scsi_asc asc);
/* 5/24/00 with a field pointer (SPC-5 4.4.2.4.2) to a byte of the CDB, and to its bit unless that is -1. */
void scsi_check_cdb_field(struct scsi_request *rq, unsigned byte, int bit);
/* 5/26/00 with a field pointer into the parameter list. */
void scsi_check_param_field(struct scsi_request *rq, unsigned byte, int bit);

/* These add to the sense just made. */

/* INFORMATION, in two's complement, with VALID; nothing when 32 bits are too few. */
void scsi_sense_info(struct scsi_request *rq, int64_t information);
/* PROGRESS INDICATION of NOT READY and NO SENSE, in 65536ths (SPC-5 4.4.2.4.6). */
void scsi_sense_progress(struct scsi_request *rq, uint16_t progress);
/* It is about an operation that was answered before: response code 71h (SPC-5 4.4.5). */
void scsi_sense_deferred(struct scsi_request *rq);
/* SPC-5 table 53, SSC-5 4.2.18 */
enum { SENSE_FILEMARK = 0x80, SENSE_EOM = 0x40, SENSE_ILI = 0x20 };
void scsi_sense_flags(struct scsi_request *rq, uint8_t flags);

#endif
