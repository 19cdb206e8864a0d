# SPDX-License-Identifier: GPL-2.0-or-later
# Builds build/s3vtl (the command) and build/bs_s3vtl.so (tgtd's backing-store module), and runs the tests.
#   make            build                        make deps     install what building, running and testing need (root)
#   make run        set up and serve on 127.0.0.1:3260 (RUN_ONCE=1: one round trip, then end)
#   make test       every test                   make bench    speed, as ratios within one run
#   make install    below PREFIX                 make deb      the Debian package, in build/deb
# VARIANT=asan|tsan builds below build/asan, build/tsan; CC=clang works too.
VARIANT ?= plain
ifeq ($(origin CC),default)
CC      := $(if $(filter fuzz,$(VARIANT)),clang,gcc)
endif
B       := $(if $(filter plain,$(VARIANT)),build,build/$(VARIANT))

SAN_plain :=
SAN_asan  := -DLOCK_CHECKS -fsanitize=address,undefined -fno-sanitize-recover=undefined
SAN_tsan  := -DLOCK_CHECKS -fsanitize=thread
SAN_fuzz := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
OPT_fuzz := -O1
OPT_plain := -O2
OPT_asan  := -O1
OPT_tsan  := -O1
# A sanitizer's report needs lines, no types: without those it compiles and links in four fifths to nine tenths of the time.
DEBUG_plain := -g
DEBUG_asan  := -g1
DEBUG_tsan  := -g1
DEBUG_fuzz  := -g1

PKGS    := libcurl openssl libisal expat libzstd sqlite3 jansson libsystemd
CFLAGS  ?= $(DEBUG_$(VARIANT))
WARN    := -Wall -Wextra -Wshadow -Wconversion -Werror
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
ALL_CFLAGS = $(CFLAGS) $(OPT_$(VARIANT)) $(SAN_$(VARIANT)) -std=gnu17 -D_GNU_SOURCE -fPIC -pthread -fno-omit-frame-pointer -I. $(WARN) $(PKG_CFLAGS) $(CPPFLAGS)
LIBS     = $(PKG_LIBS) -linih -lIPSec_MB -pthread
# Only the command serves /metrics and reads tapes of others: tgtd has no use for what that takes.
FOREIGN_LIBS := -llzo2 -lz
CMD_LIBS := $(shell pkg-config --libs libmicrohttpd 2>/dev/null) $(FOREIGN_LIBS)

TARGET_SRC := $(addprefix vtl/target/,guard.c order.c port.c target.c target_preload.c)
ROOMS      := base s3backend scsi $(addprefix vtl/,format dedup config escrow state cartridge scrub drive library foreign target web)
LIB_SRC    := $(filter-out $(TARGET_SRC),$(wildcard $(addsuffix /*.c,$(ROOMS))))
CMD_SRC    := $(wildcard vtl/cmd/*.c)
UNIT_SRC   := $(wildcard tests/unit/test_*.c)
UNIT_HELP  := $(filter-out $(UNIT_SRC),$(wildcard tests/unit/*.c))
obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
UNIT_BIN   := $(patsubst tests/unit/%.c,$(B)/tests/%,$(UNIT_SRC))

.PHONY: all deps run test test-faults bench bench-check unit install uninstall clean format format-check tidy rooms
.SECONDARY:
all: $(B)/s3vtl $(B)/bs_s3vtl.so

$(B)/libs3vtl.a: $(call obj,$(LIB_SRC))
	@rm -f $@
	@echo "  AR    $@"; ar rcs $@ $^

$(B)/s3vtl: $(call obj,$(CMD_SRC)) $(B)/libs3vtl.a
	@echo "  LD    $@"; $(CC) $(SAN_$(VARIANT)) $(LDFLAGS) -o $@ $(call obj,$(CMD_SRC)) $(B)/libs3vtl.a $(LIBS) $(CMD_LIBS)

# tgtd's symbols are resolved when it loads the module, all of them then: a tgtd that lacks one does not start.
$(B)/bs_s3vtl.so: $(call obj,$(TARGET_SRC)) $(B)/libs3vtl.a
	@echo "  LD    $@"; $(CC) $(SAN_$(VARIANT)) $(LDFLAGS) -shared -Wl,-Bsymbolic -Wl,-z,lazy -Wl,--exclude-libs,ALL -o $@ $(call obj,$(TARGET_SRC)) $(B)/libs3vtl.a $(LIBS)

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $@"
	$(if $(V),,@)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The page is in the program.
$(call obj,vtl/web/web_page.c): $(wildcard vtl/web/page/* vtl/web/page/uplot/*)

$(B)/tests/%: $(B)/obj/tests/unit/%.o $(call obj,$(UNIT_HELP)) $(B)/libs3vtl.a
	@mkdir -p $(@D)
	@echo "  LD    $@"; $(CC) $(SAN_$(VARIANT)) $(LDFLAGS) -o $@ $(filter %.o,$^) $(B)/libs3vtl.a $(LIBS) -lcmocka

$(B)/tests/test_scsi_bad_input: $(call obj,tests/fuzz/tape.c)
$(B)/tests/test_reader_fetch $(B)/tests/test_lending_apart $(B)/tests/test_failures: $(call obj,tests/lib/chunked.c)
# The made-up datastore of tests/dedup and bench.
$(B)/dedup/pbs_set: $(B)/obj/tests/dedup/pbs_set.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^
$(B)/tests/test_foreign $(B)/fuzz_foreign: LIBS += $(FOREIGN_LIBS)
$(B)/tests/test_web_listen: LIBS += $(CMD_LIBS)
$(B)/tests/test_secret: $(call obj,vtl/cmd/password.c vtl/cmd/escrow_secret.c)
$(B)/tests/test_display: $(call obj,vtl/cmd/progress.c)
$(B)/tests/test_watch: $(call obj,vtl/cmd/watch.c vtl/cmd/unsaved.c vtl/cmd/verify_due.c)
$(B)/tests/test_verify_due: $(call obj,vtl/cmd/verify_due.c)
$(B)/tests/test_verifier: $(call obj,vtl/cmd/verifier.c vtl/cmd/verify_due.c)
$(B)/tests/test_escrow_age: $(call obj,vtl/cmd/escrow_age.c)
# Its service is made up.
$(B)/tests/test_escrow_make: $(call obj,$(addprefix vtl/cmd/escrow_,age.c make.c place.c state.c))
$(B)/tests/test_escrow_make: private LDFLAGS += -Wl,--wrap=objstore_facts -Wl,--wrap=objstore_hurry -Wl,--wrap=objstore_offsite -Wl,--wrap=objstore_backup
$(B)/tests/test_report: $(call obj,vtl/cmd/report_judge.c)
$(B)/tests/test_notify: $(call obj,vtl/cmd/notify.c vtl/cmd/notify_command.c vtl/cmd/notify_post.c vtl/cmd/spawn.c vtl/cmd/mail.c)
# It waits in this one until several are in it; and a directory may not be renamed.
$(B)/tests/test_rebuild: private LDFLAGS += -Wl,--wrap=rebuild_read -Wl,--wrap=rename
# This one begins something behind it.
$(B)/tests/test_beside: private LDFLAGS += -Wl,--wrap=library_close
$(B)/tests/test_tgt_stop: $(call obj,vtl/cmd/tgt.c vtl/cmd/tgt_request.c vtl/cmd/password.c)
# Its answers this one makes up.
$(B)/tests/test_tgt_stop: private LDFLAGS += -Wl,--wrap=recv
# It makes this one fail.
$(B)/tests/test_tapes: private LDFLAGS += -Wl,--wrap=cartridge_new
# And this one.
$(B)/tests/test_quota: private LDFLAGS += -Wl,--wrap=db_meta_get
# This one finds no memory.
$(B)/tests/test_memory: private LDFLAGS += -Wl,--wrap=realloc
# And these.
$(B)/tests/test_segment_crypt: private LDFLAGS += -Wl,--wrap=malloc -Wl,--wrap=ZSTD_decompress
# This one, too.
$(B)/tests/test_behind: private LDFLAGS += -Wl,--wrap=seg_packer_new
# This one it counts.
$(B)/tests/test_spool: private LDFLAGS += -Wl,--wrap=fsync
# And these are a file system's that lacks something.
$(B)/tests/test_objstore_dir: private LDFLAGS += -Wl,--wrap=renameat2 -Wl,--wrap=linkat -Wl,--wrap=readdir -Wl,--wrap=fstatat

# tests/s3/store_conformance is run against one store at a time, told by its environment.
$(B)/tests/s3/%: $(B)/obj/tests/s3/%.o $(B)/libs3vtl.a
	@mkdir -p $(@D)
	@echo "  LD    $@"; $(CC) $(SAN_$(VARIANT)) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka

# The plain build notes which of them start threads: in the others ThreadSanitizer has nothing to see.
build/tests/threads.so: tests/lib/threads.c
	@mkdir -p $(@D)
	@echo "  LD    $@"; $(CC) $(CFLAGS) $(OPT_plain) -std=gnu17 -D_GNU_SOURCE -fPIC -shared $(WARN) -o $@ $< -ldl
unit: $(UNIT_BIN) $(if $(filter plain,$(VARIANT)),build/tests/threads.so)
	$(if $(filter plain,$(VARIANT)),THREADED=build/tests/threaded )scripts/run-tests unit $(UNIT_BIN)
build/tests/threaded:
	$(MAKE) VARIANT=plain unit
.PHONY: unit-threaded
unit-threaded: build/tests/threaded
	$(MAKE) unit UNIT_BIN="$(addprefix $(B)/tests/,$(shell cat $<))"
	@echo "# without a thread: $(filter-out $(shell cat $<),$(notdir $(UNIT_BIN)))"

# The initiator of these tests is always the plain build; VARIANT says which module tgtd loads.
ISCSI_BIN := $(patsubst tests/iscsi/%.c,$(B)/iscsi/%,$(wildcard tests/iscsi/test_*.c))
$(B)/iscsi/%: $(call obj,tests/iscsi/%.c tests/iscsi/initiator.c tests/iscsi/library.c tests/iscsi/raw.c base/crc32c.c)
	@mkdir -p $(@D)
	@echo "  LD    $@"; $(CC) $(SAN_$(VARIANT)) $(LDFLAGS) -o $@ $^ -liscsi -lisal -lcmocka
.PHONY: iscsi-programs iscsi-tests
iscsi-programs: $(ISCSI_BIN)
iscsi-tests: all
	$(MAKE) VARIANT=plain iscsi-programs
	tests/iscsi/run $(VARIANT)

# With TEST_DEDUP the suites that break things have tapes that copy from each other.
DEDUP_HELP := tests/lib/chunked.c tests/lib/leaning.c
# Crashes: a recorded run of operations, and the disks that a power loss at any of its events leaves.
CRASH := $(B)/crash
$(CRASH)/record.so: tests/crash/record.c tests/crash/record.h
	@mkdir -p $(@D)
	@echo "  LD    $@"; $(CC) -O2 -g -std=gnu17 -D_GNU_SOURCE -fPIC -shared -I. $(WARN) -o $@ $< -ldl
$(CRASH)/%: $(call obj,tests/crash/%.c tests/crash/ops.c tests/crash/lib.c tests/crash/disk.c tests/crash/stray.c $(DEDUP_HELP)) $(B)/libs3vtl.a
	@mkdir -p $(@D)
	@echo "  LD    $@"; $(CC) $(SAN_$(VARIANT)) $(LDFLAGS) -o $@ $^ $(LIBS)
.PHONY: crash-programs
crash-programs: $(CRASH)/record.so $(CRASH)/workload $(CRASH)/replay

# The disk's errors: every file operation of a run, each of which fails once. The program's own open, write ... come before
# the libc's.
$(B)/errno/errno: $(call obj,$(wildcard tests/errno/*.c) tests/crash/ops.c tests/crash/lib.c tests/crash/stray.c $(DEDUP_HELP)) $(B)/libs3vtl.a
	@mkdir -p $(@D)
	@echo "  LD    $@"; $(CC) $(SAN_$(VARIANT)) $(LDFLAGS) -rdynamic -o $@ $^ $(LIBS) -ldl

# Faults of the store: a library behind a proxy that breaks requests.
$(B)/faults/%: $(call obj,tests/faults/%.c tests/faults/rig.c tests/crash/ops.c $(DEDUP_HELP)) $(B)/libs3vtl.a
	@mkdir -p $(@D)
	@echo "  LD    $@"; $(CC) $(SAN_$(VARIANT)) $(LDFLAGS) -o $@ $^ $(LIBS)

# Two drives in use while everything around them breaks.
$(B)/soak/soak: $(call obj,$(wildcard tests/soak/*.c) tests/lib/chunked.c)
	@mkdir -p $(@D)
	@echo "  LD    $@"; $(CC) $(SAN_$(VARIANT)) $(LDFLAGS) -o $@ $^ -liscsi -pthread

# Two gateways that take a cartridge over from each other.
$(B)/race/race: $(call obj,tests/race/race.c $(DEDUP_HELP)) $(B)/libs3vtl.a
	@mkdir -p $(@D)
	@echo "  LD    $@"; $(CC) $(SAN_$(VARIANT)) $(LDFLAGS) -o $@ $^ $(LIBS)

# A gateway that exists twice, or went back in time. Every store that it opens is watched.
$(B)/twins/twins: private LDFLAGS += -Wl,--wrap=objstore_open
$(B)/twins/twins: $(call obj,$(wildcard tests/twins/*.c) $(DEDUP_HELP)) $(B)/libs3vtl.a
	@mkdir -p $(@D)
	@echo "  LD    $@"; $(CC) $(SAN_$(VARIANT)) $(LDFLAGS) -o $@ $^ $(LIBS)

# A client that behaves as Proxmox Backup Server does: over iSCSI, and (static, for the guest) over /dev/sg.
PBS_OBJ := $(call obj,$(filter-out tests/pbs/transport_%,$(wildcard tests/pbs/*.c)))
build/pbs/pbs: $(PBS_OBJ) $(call obj,tests/pbs/transport_iscsi.c)
	@mkdir -p $(@D)
	@echo "  LD    $@"; $(CC) $(SAN_$(VARIANT)) $(LDFLAGS) -o $@ $^ -liscsi -pthread
build/pbs/pbs-sg: $(PBS_OBJ) $(call obj,tests/pbs/transport_sg.c)
	@mkdir -p $(@D)
	@echo "  LD    $@"; $(CC) $(LDFLAGS) -static -o $@ $^ -pthread
.PHONY: pbs-programs pbs-tests
pbs-programs: build/pbs/pbs build/pbs/pbs-sg
pbs-tests: all
	$(MAKE) VARIANT=plain pbs-programs
	tests/pbs/run $(VARIANT)

# Fuzzers (clang's libFuzzer), always VARIANT=fuzz; the seeds are made by a program of their own.
FUZZERS  := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BIN := $(patsubst %,$(B)/fuzz_%,$(FUZZERS))
FUZZ_HELP := $(filter-out tests/fuzz/fuzz_%.c tests/fuzz/seeds%.c,$(wildcard tests/fuzz/*.c))
$(B)/fuzz_%: $(call obj,tests/fuzz/fuzz_%.c $(FUZZ_HELP)) $(B)/libs3vtl.a
	@echo "  LD    $@"; $(CC) -fsanitize=fuzzer,address,undefined $(LDFLAGS) -o $@ $^ $(LIBS)
$(B)/seeds: $(call obj,$(wildcard tests/fuzz/seeds*.c) $(FUZZ_HELP)) $(B)/libs3vtl.a
	@echo "  LD    $@"; $(CC) $(SAN_$(VARIANT)) $(LDFLAGS) -o $@ $^ $(LIBS)
.PHONY: fuzz fuzz-programs
fuzz-programs: $(FUZZ_BIN) $(B)/seeds
# FUZZ_SECONDS (600) for each of them.
fuzz:
	$(MAKE) VARIANT=fuzz fuzz-programs
	FUZZ_SECONDS=$${FUZZ_SECONDS:-600} tests/fuzz/run

# The client of shell tests, of "make run" and of whoever wants to try a drive without a kernel.
build/iscsi/tapeio: build/obj/tests/iscsi/tapeio.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -liscsi

run:
	scripts/deps build
	$(MAKE) VARIANT=plain all build/iscsi/tapeio
	scripts/run

test:
	scripts/deps
	scripts/test-all
# What CI does in a short form: thousands of crashes, each file operation with each error, a thousand races, a thousand
# rounds of twins, every fault, an hour without the store, larger models.
# About four hours.
test-faults:
	scripts/deps
	CRASH_SEEDS="1 2 3 4 5 6 7 8" CRASH_OPERATIONS=1000 CRASH_POINTS=500 RACE_ROUNDS=1000 TWINS_ROUNDS=1000 MODEL=full OUTAGE_SECONDS=3600 SUITE_LIMIT=10800 \
		ERRNO_ALL=1 CRASH_DEDUP_SEEDS="1 2 3 4 5 6 7 8" FAULT_DEDUP="0 1" scripts/test-all build crash errno race twins mutants faults model
# One gateway in use for SOAK_SECONDS while its store fails, it is killed, and the operator works on it.
.PHONY: soak
soak:
	scripts/deps
	SOAK_SECONDS=$${SOAK_SECONDS:-3600} SUITE_LIMIT=$$(($${SOAK_SECONDS:-3600} * 2 + 900)) scripts/test-all build soak
test-%:
	scripts/deps
	scripts/test-all build $*

# Speed is measured on the plain build.
build/bench/speed: build/obj/bench/speed.o
	@mkdir -p $(@D)
	@echo "  LD    $@"; $(CC) $(LDFLAGS) -o $@ $^ -liscsi
build/bench/%: build/obj/bench/%.o build/libs3vtl.a
	@mkdir -p $(@D)
	@echo "  LD    $@"; $(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
.PHONY: bench-programs
bench-programs: $(patsubst bench/%.c,build/bench/%,$(wildcard bench/*.c))
bench:
	scripts/deps bench
	$(MAKE) VARIANT=plain all bench-programs build/dedup/pbs_set
	scripts/bench
bench-check:
	scripts/deps bench
	$(MAKE) VARIANT=plain all bench-programs build/dedup/pbs_set
	tests/bench/run

# Manual pages, completions and the example configuration, from the command's own tables and docs/commands/.
build/manual/.made: build/s3vtl packaging/manual scripts/pbs-attach $(wildcard docs/commands/*.md)
	@rm -rf $(@D)
	packaging/manual build/s3vtl make $(@D) && touch $@
.PHONY: manual manual-check
manual: build/manual/.made
manual-check: build/s3vtl
	packaging/manual build/s3vtl check

# The command with its module beside it, the service and its user, the documents.
PREFIX ?= /usr/local
SYSTEMD := $(PREFIX)/lib/systemd/system
install: all manual
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/lib/s3vtl build/s3vtl build/bs_s3vtl.so packaging/tgt-has-targets packaging/at-work packaging/setup
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(SYSTEMD)/tgt.service.d
	ln -sfn ../lib/s3vtl/s3vtl $(DESTDIR)$(PREFIX)/bin/s3vtl
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/sbin scripts/pbs-attach
	sed 's|/usr/local|$(PREFIX)|g' packaging/s3vtl.service >$(DESTDIR)$(SYSTEMD)/s3vtl.service
	sed 's|/usr/local|$(PREFIX)|g' packaging/s3vtl-web.service >$(DESTDIR)$(SYSTEMD)/s3vtl-web.service
	sed 's|/usr/local|$(PREFIX)|g' packaging/tgt.service.conf >$(DESTDIR)$(SYSTEMD)/tgt.service.d/s3vtl.conf
	install -d $(DESTDIR)$(PREFIX)/lib/ocf/resource.d/s3vtl
	sed 's|/usr/bin|$(PREFIX)/bin|g' packaging/pacemaker/library >$(DESTDIR)$(PREFIX)/lib/ocf/resource.d/s3vtl/library
	chmod 0755 $(DESTDIR)$(PREFIX)/lib/ocf/resource.d/s3vtl/library
	install -D -m 0644 packaging/s3vtl.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/s3vtl.conf
	install -D -m 0644 packaging/s3vtl.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/s3vtl.conf
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man1 build/manual/man/*.1
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man5 build/manual/man/*.5
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man8 build/manual/man/*.8
	install -D -m 0644 build/manual/s3vtl.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/s3vtl
	install -D -m 0644 build/manual/_s3vtl $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_s3vtl
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/s3vtl README.md LICENSE docs/*.md vtl/FORMAT.md
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/s3vtl/pictures docs/pictures/*.png
	install -D -m 0644 vtl/web/page/uplot/LICENSE $(DESTDIR)$(PREFIX)/share/doc/s3vtl/LICENSE.uPlot
	install -D -m 0644 build/manual/s3vtl.conf.example $(DESTDIR)$(PREFIX)/share/doc/s3vtl/examples/s3vtl.conf
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/s3vtl/examples packaging/prometheus/s3vtl.rules.yml packaging/prometheus/s3vtl.dashboard.json packaging/pacemaker/standby.conf
uninstall:
	rm -rf $(DESTDIR)$(PREFIX)/lib/s3vtl $(DESTDIR)$(PREFIX)/lib/ocf/resource.d/s3vtl $(DESTDIR)$(PREFIX)/share/doc/s3vtl
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,bin/s3vtl sbin/pbs-attach lib/sysusers.d/s3vtl.conf lib/tmpfiles.d/s3vtl.conf \
		share/bash-completion/completions/s3vtl share/zsh/vendor-completions/_s3vtl share/man/man8/pbs-attach.8 \
		share/man/man1/s3vtl.1 share/man/man1/s3vtl-*.1 share/man/man5/s3vtl.conf.5) \
		$(DESTDIR)$(SYSTEMD)/s3vtl.service $(DESTDIR)$(SYSTEMD)/s3vtl-web.service $(DESTDIR)$(SYSTEMD)/tgt.service.d/s3vtl.conf
	@echo "s3vtl: what is stored stays: the bucket, and each state_dir (/var/lib/s3vtl), which may hold what is in no bucket yet"
	@echo "s3vtl: so do /etc/s3vtl, the users s3vtl and s3vtl-web, and services that run (systemctl disable --now s3vtl s3vtl-web)"

# The Debian package of this release, in build/deb, from a copy of the tree.
.PHONY: deb
deb:
	scripts/deb build/deb

# Two hosts with a real Pacemaker, in containers: not part of "make test", as it downloads a cluster.
.PHONY: pacemaker
pacemaker: all build/iscsi/tapeio
	scripts/deps
	tests/pacemaker/run

# A container template of Debian 13 with that package, in build/image.
.PHONY: image
image:
	scripts/deps image
	scripts/image build/image

deps:
	scripts/deps

# One version on every Debian (scripts/deps): two of them never agree.
CLANG_FORMAT := build/venv/bin/clang-format
$(CLANG_FORMAT):
	scripts/deps
SOURCES = $(shell find $(ROOMS) vtl/cmd tests bench -name '*.[ch]')
format: $(CLANG_FORMAT)
	$(CLANG_FORMAT) -i $(SOURCES)
format-check: $(CLANG_FORMAT)
	@$(CLANG_FORMAT) --dry-run -Werror $(SOURCES)
tidy:
	scripts/tidy
# The sources against ARCHITECTURE.md.
rooms: all
	scripts/rooms

clean:
	rm -rf build/manual build/deb build/obj build/tidy build/asan build/tsan build/fuzz build/clang build/tests build/iscsi build/s3vtl build/bs_s3vtl.so build/libs3vtl.a

-include $(shell find $(B)/obj build/obj -type f -name '*.d' 2>/dev/null)
