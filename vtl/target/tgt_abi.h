/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tgt_abi.h: what the module needs to know of the tgtd that loads it. tgt installs no headers; these facts were taken from
 * a build of it, and tests/abi/run compares each with the source of the tgt that the system has. */
#ifndef S3VTL_TGT_ABI_H
#define S3VTL_TGT_ABI_H

#include <sys/socket.h>

#include "base/abi.h"

struct scsi_cmd;
struct scsi_lu;
struct it_nexus;
struct service_action;
struct target;
struct iscsi_connection;
struct iscsi_session;
struct iscsi_target;
struct iscsi_task;
struct iscsi_transport;

/* clang-format off */
#ifndef ABI_CHECKED
struct list_head {
    struct list_head *next, *prev;
};
#else
ABI_STRUCT(list_head, 16,
    AT(0, struct list_head *, next)
    AT(8, struct list_head *, prev)
)
#endif

/* ---- SCSI ---- */

ABI_CONSTANT(NR_SCSI_OPCODES, 256)
ABI_CONSTANT(SCSI_SENSE_BUFFERSIZE, 252)
ABI_CONSTANT(TGT_CMD_ASYNC, 2) /* bit of scsi_cmd.state: its end comes later */
ABI_CONSTANT(TGTADM_SUCCESS, 0)
/* Kinds of persistent reservation that an operation conflicts with: Write Exclusive, Exclusive Access; for whoever is
 * registered (F?), or not (?N). */
ABI_CONSTANT(PR_WE_FA, 1 << 4)
ABI_CONSTANT(PR_EA_FA, 1 << 3)
ABI_CONSTANT(PR_WE_FN, 1 << 1)
ABI_CONSTANT(PR_EA_FN, 1 << 0)

ABI_STRUCT(scsi_data_buffer, 24,
    AT(0, uint64_t, buffer) /* an address */
    AT(8, uint32_t, length)
    AT(12, uint32_t, transfer_len)
    AT(16, int32_t, resid)
)
ABI_STRUCT(mgmt_req, 24,
    AT(0, uint64_t, mid)
    AT(12, int, function)
    AT(16, int, result)
)
ABI_STRUCT(scsi_cmd, 480,
    AT(0, struct target *, c_target)
    AT(8, struct list_head, c_hlist)
    AT(40, uint64_t, dev_id)
    AT(48, struct scsi_lu *, dev)
    AT(56, unsigned long, state)
    AT(72, struct scsi_data_buffer, in_sdb)
    AT(96, struct scsi_data_buffer, out_sdb)
    AT(120, uint64_t, cmd_itn_id)
    AT(144, uint8_t *, scb)
    AT(152, int, scb_len)
    AT(156, typeof(uint8_t[8]), lun)
    AT(164, int, attribute)
    AT(184, struct mgmt_req *, mreq)
    AT(192, typeof(unsigned char[SCSI_SENSE_BUFFERSIZE]), sense_buffer)
    AT(444, int, sense_len)
    AT(464, struct it_nexus *, it_nexus)
)
ABI_STRUCT(registration, 48,
    AT(8, uint64_t, nexus_id)
    AT(16, long, ctime)
    AT(24, struct list_head, registration_siblings)
    AT(40, uint8_t, pr_scope)
    AT(41, uint8_t, pr_type)
)
ABI_STRUCT(it_nexus_lu_info, 136,
    AT(8, uint64_t, itn_id)
    AT(96, struct list_head, lu_itl_info_siblings)
    AT(112, struct list_head, pending_ua_sense_list)
)
ABI_STRUCT(it_nexus, 88,
    AT(8, long, ctime)
    AT(16, struct list_head, cmd_list)
    AT(32, struct target *, nexus_target)
    AT(40, struct list_head, nexus_siblings)
)
ABI_STRUCT(target, 152,
    AT(8, int, tid)
    AT(12, int, lid)
    AT(40, struct list_head, device_list)
    AT(56, struct list_head, it_nexus_list)
)
ABI_STRUCT(device_type_operations, 24,
    AT(0, typeof(int (*)(int, struct scsi_cmd *)), cmd_perform)
    AT(8, struct service_action *, service_actions)
    AT(16, uint8_t, pr_conflict_bits)
)
ABI_STRUCT(device_type_template, 6216,
    AT(56, typeof(struct device_type_operations[NR_SCSI_OPCODES]), ops)
)
/* What a backing store keeps of its own lies right behind it. */
ABI_STRUCT(scsi_lu, 7608,
    AT(24, uint64_t, lun)
    AT(48, struct list_head, device_siblings)
    AT(64, struct list_head, lu_itl_info_list)
    AT(120, struct device_type_template, dev_type_template)
    AT(6344, struct target *, tgt)
    AT(7552, struct list_head, registration_list)
    AT(7576, struct registration *, pr_holder)
    AT(7592, typeof(int (*)(int, struct scsi_cmd *)), cmd_perform)
)
ABI_STRUCT(backingstore_template, 112,
    AT(0, const char *, bs_name)
    AT(8, int, bs_datasize)
    AT(16, typeof(int (*)(struct scsi_lu *, char *, int *, uint64_t *)), bs_open)
    AT(24, typeof(void (*)(struct scsi_lu *)), bs_close)
    AT(32, typeof(unsigned (*)(struct scsi_lu *, char *)), bs_init)
    AT(40, typeof(void (*)(struct scsi_lu *)), bs_exit)
    AT(48, typeof(int (*)(struct scsi_cmd *)), bs_cmd_submit)
)
ABI_STRUCT(tgt_driver, 152,
    AT(0, const char *, name)
    AT(112, typeof(int (*)(struct mgmt_req *)), mgmt_end_notify)
)

/* ---- iSCSI ---- */

ABI_CONSTANT(ISCSI_PARAM_MAX_RECV_DLENGTH, 0) /* indices of session_param */
ABI_CONSTANT(ISCSI_PARAM_HDRDGST_EN, 1)
ABI_CONSTANT(ISCSI_PARAM_DATADGST_EN, 2)
ABI_CONSTANT(ISCSI_PARAM_MAX_XMIT_DLENGTH, 22)
ABI_CONSTANT(ISCSI_PARAM_MAX, 24)
ABI_CONSTANT(DIGEST_CRC32C, 1 << 1)
ABI_CONSTANT(STATE_CLOSE, 10) /* of a connection; the next is full feature phase */
ABI_CONSTANT(STATE_SCSI, 12)
ABI_CONSTANT(TASK_pending, 0) /* bits of iscsi_task.flags: it waits for its CmdSN; SCSI has it */
ABI_CONSTANT(TASK_in_scsi, 1)

ABI_STRUCT(param, 8,
    AT(4, unsigned, val)
)
/* As it travels: numbers are big-endian. */
ABI_STRUCT(iscsi_hdr, 48,
    AT(0, uint8_t, opcode)
    AT(1, uint8_t, flags)
    AT(8, typeof(uint8_t[8]), lun)
    AT(16, uint32_t, itt)
    AT(20, uint32_t, ttt)
    AT(24, uint32_t, statsn)
)
ABI_STRUCT(iscsi_pdu, 80,
    AT(0, struct iscsi_hdr, bhs)
    AT(48, void *, ahs)
    AT(56, unsigned, ahssize)
)
ABI_STRUCT(iscsi_target, 1352,
    AT(0, struct list_head, tlist)
    AT(16, struct list_head, sessions_list)
    AT(224, int, tid)
)
ABI_STRUCT(iscsi_session, 344,
    AT(8, struct list_head, slist)
    AT(40, char *, initiator)
    AT(56, struct iscsi_target *, target)
    AT(64, typeof(uint8_t[6]), isid)
    AT(70, uint16_t, tsih)
    AT(72, struct list_head, conn_list)
    AT(96, struct list_head, cmd_list)
    AT(128, uint32_t, exp_cmd_sn)
    AT(132, uint32_t, max_queue_cmd)
)
ABI_STRUCT(iscsi_connection, 720,
    AT(0, int, state)
    AT(4, int, closed)
    AT(24, struct list_head, clist)
    AT(40, struct iscsi_session *, session)
    AT(52, typeof(struct param[ISCSI_PARAM_MAX]), session_param)
    AT(304, struct iscsi_pdu, req)
    AT(392, struct iscsi_pdu, rsp)
    AT(528, struct iscsi_task *, rx_task)
    AT(536, struct iscsi_task *, tx_task)
    AT(544, struct list_head, tx_clist)
    AT(560, struct list_head, task_list)
    AT(616, struct iscsi_transport *, tp)
)
ABI_STRUCT(iscsi_task, 688,
    AT(0, struct iscsi_hdr, req)
    AT(96, uint64_t, tag)
    AT(104, struct iscsi_connection *, conn)
    AT(112, struct list_head, c_hlist)
    AT(128, struct list_head, c_list)
    AT(144, struct list_head, c_siblings)
    AT(160, unsigned long, flags)
    AT(168, int, result)
    AT(172, int, len)
    AT(176, int, offset)
    AT(180, int, r2t_count)
    AT(184, int, unsol_count)
    AT(200, void *, data)
    AT(208, struct scsi_cmd, scmd)
)
ABI_STRUCT(iscsi_transport, 192,
    AT(0, struct list_head, iscsi_transport_siblings)
    AT(16, const char *, name)
    AT(32, typeof(int (*)(void)), ep_init)
    AT(40, typeof(void (*)(void)), ep_exit)
    AT(56, typeof(struct iscsi_task *(*)(struct iscsi_connection *, size_t)), alloc_task)
    AT(72, typeof(size_t (*)(struct iscsi_connection *, void *, size_t)), ep_read)
    AT(80, typeof(size_t (*)(struct iscsi_connection *, void *, size_t)), ep_write_begin)
    AT(112, typeof(size_t (*)(struct iscsi_connection *)), ep_close)
    AT(128, typeof(void (*)(struct iscsi_connection *)), ep_release)
    AT(136, typeof(int (*)(struct iscsi_connection *, char *, int)), ep_show)
    AT(144, typeof(void (*)(struct iscsi_connection *, int)), ep_event_modify)
    AT(152, typeof(void *(*)(struct iscsi_connection *, size_t)), alloc_data_buf)
    AT(160, typeof(void (*)(struct iscsi_connection *, void *)), free_data_buf)
    AT(168, typeof(int (*)(struct iscsi_connection *, struct sockaddr *, socklen_t *)), ep_getsockname)
)

/* ---- what it exports ---- */

/* Every one that the module calls: target_preload.c looks for them when it is loaded. */
#define TGT_FUNCTIONS(FUNCTION)                                                                    \
    FUNCTION(char *, acl_get, (int tid, int idx))                                                  \
    FUNCTION(void, conn_close, (struct iscsi_connection *))                                        \
    FUNCTION(int, conn_get, (struct iscsi_connection *))                                           \
    FUNCTION(void, conn_read_pdu, (struct iscsi_connection *))                                     \
    FUNCTION(char *, iqn_acl_get, (int tid, int idx))                                              \
    FUNCTION(void, iscsi_free_task, (struct iscsi_task *))                                         \
    FUNCTION(int, iscsi_transport_register, (struct iscsi_transport *))                            \
    FUNCTION(struct it_nexus *, it_nexus_lookup, (int tid, uint64_t itn_id))                       \
    FUNCTION(int, register_backingstore_template, (struct backingstore_template *))                \
    FUNCTION(uint64_t, scsi_get_devid, (int lid, uint8_t *lun))                                    \
    FUNCTION(void, session_get, (struct iscsi_session *))                                          \
    FUNCTION(void, session_put, (struct iscsi_session *))                                          \
    FUNCTION(void, target_cmd_io_done, (struct scsi_cmd *, int result))                            \
    FUNCTION(int, target_cmd_perform, (int tid, struct scsi_cmd *))                                \
    FUNCTION(int, tgt_event_add, (int fd, int events, void (*)(int, int, void *), void *data))     \
    FUNCTION(void, tgt_event_del, (int fd))                                                        \
    FUNCTION(char *, tgt_targetname, (int tid))                                                    \
    FUNCTION(void, ua_sense_clear, (struct it_nexus_lu_info *, uint16_t asc))                      \
    FUNCTION(int, ua_sense_del, (struct scsi_cmd *, int del))
TGT_FUNCTIONS(ABI_FUNCTION)
/* clang-format on */

/* Likewise its data. What is not ours but tells by its size that a struct or a table is what it was is looked at, too. */
extern struct list_head iscsi_targets_list;
extern struct tgt_driver *tgt_drivers[];
#define TGT_DATA(DATA)                                                                                                 \
    DATA(iscsi_targets_list, sizeof(struct list_head))                                                                 \
    DATA(tgt_drivers, 256)                                                                                             \
    DATA(smc_template, sizeof(struct device_type_template))                                                            \
    DATA(session_keys, (ISCSI_PARAM_MAX + 1) * 32)

#endif
