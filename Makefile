# tagalong: the library, the command, and what tests them.
#   make            build/libtagalong.so build/libtagalong-nop.so build/tagalong
#   make unit       the Criterion unit tests          make unit SAN=address,undefined
#   make fuzz       the fuzz targets (clang)          make check   the source checks
#   make bench      what tests/bench/run runs
# V=1 shows commands, -s shows nothing, CC=clang changes the compiler, B=dir the build folder.

CC      ?= gcc
SAN     ?=
B       ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
comma   := ,
VERSION := 0.1.0

ifeq ($(V),1)
Q =
else ifneq ($(findstring s,$(firstword -$(MAKEFLAGS))),)
Q = @
else
Q = @printf '  %-5s %s\n' $(1) $@;
endif

WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
CPPFLAGS += -D_GNU_SOURCE -iquote . -iquote $(B) -DTAGALONG_VERSION='"$(VERSION)"'
CFLAGS   += -std=gnu11 -O2 -g $(WARN) -MMD -MP -fvisibility=hidden -fPIC
# Unwind tables everywhere, so that a cancellation or siglongjmp can pass through a hook; no
# -fexceptions, whose personality routine would want libgcc.
CFLAGS   += -fasynchronous-unwind-tables -fno-exceptions
ifdef SAN
CFLAGS   += -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer -DTAGALONG_SANITIZED
LDFLAGS  += -fsanitize=$(SAN)
endif
CRITERION := -lcriterion
ifeq ($(SAN),thread)
# Criterion does not start under ThreadSanitizer: a stand-in does.
CPPFLAGS  += -Itests/unit/plain
CRITERION :=
endif
# What goes into other people's processes: no libc behind it, loops must not turn into libc calls.
# -fbuiltin: a memcpy() of eight bytes is a move, not a call; what is not folded ends in our mem.c.
LIBFLAGS := -U_FORTIFY_SOURCE -ffreestanding -fbuiltin -fno-stack-protector -fno-plt -fno-semantic-interposition -ftls-model=initial-exec

# GCC clears and copies structs by `rep stos`, which takes longer to start than 500 bytes by vectors.
BLOCKS   := vector_loop:1024:noalign,libcall:-1:noalign
BLOCKS   := -mmemset-strategy=$(BLOCKS) -mmemcpy-strategy=$(BLOCKS)
LIBFLAGS += $(shell $(CC) -Werror $(BLOCKS) -E -x c /dev/null >/dev/null 2>&1 && echo $(BLOCKS))

# A request passes through many small functions of many files: the library is optimised as a whole,
# where the linker understands without being told (gcc's). What compilers call on their own account
# stays outside.
LTO      := $(shell d=$$(mktemp -d) && { echo 'int lto;' | $(CC) -Werror -flto=auto -fPIC -c -o $$d/lto.o -x c - && \
	$(CC) -shared -nostdlib -o $$d/lto.so $$d/lto.o && echo -flto=auto; } 2>/dev/null; rm -rf $$d)
LIBFLAGS += $(LTO)

BASE     := $(sort $(wildcard base/*.c))
FREE     := $(sort $(wildcard base/freestanding/*.c))
EXPORTER := $(sort $(wildcard exporter/*.c))
CURL     := $(sort $(wildcard exporter/curl/*.c)) # of the command: no library of others is in ours
WIRE     := $(sort $(wildcard shim/wire/*.c))
SHIM     := $(sort $(wildcard shim/*.c))
HOOKS    := $(sort $(wildcard hooks/*.c hooks/*.S))
NOP      := $(sort $(wildcard hooks/nop/*.c))
LAUNCHER := $(sort $(wildcard launcher/*.c launcher/supervisor/*.c))
UNIT     := $(sort $(wildcard tests/unit/*.c))
FUZZ     := $(sort $(wildcard tests/fuzz/fuzz_*.c))
PROTO    := $(B)/exporter/otlp.pb-c.c

obj = $(patsubst %,$(B)/$(1)/%.o,$(basename $(2)))

LIB_OBJS  := $(call obj,so,$(BASE) $(FREE) $(EXPORTER) $(WIRE) $(SHIM) $(HOOKS)) $(B)/so/exporter/otlp.pb-c.o
# The same shells over hooks that only forward.
NOP_OBJS  := $(call obj,so,$(BASE) $(FREE) hooks/exports.c hooks/real.c hooks/bare.c $(wildcard hooks/*.S) $(NOP))
CMD_OBJS  := $(call obj,cmd,$(LAUNCHER))
CMD_LIBS  := $(call obj,cmd,$(BASE) $(EXPORTER) $(CURL)) $(B)/cmd/exporter/otlp.pb-c.o
# Hooks without the exported names and the constructor: a unit test calls hook_read() itself.
UNIT_LIBS := $(call obj,cmd,$(BASE) $(EXPORTER) $(CURL) $(WIRE) $(SHIM) $(filter-out launcher/main.c,$(LAUNCHER))) \
	$(call obj,cmd,$(filter-out hooks/exports.c hooks/start.c %.S,$(HOOKS))) \
	$(B)/cmd/exporter/otlp.pb-c.o
UNIT_BINS := $(UNIT:tests/unit/%.c=$(B)/unit/%)

CMD_NEEDS    := -lprotobuf-c -ljansson -lcurl -lz
UNIT_NEEDS   := -lnghttp2 $(CMD_NEEDS)
PROTOBUF_C_A := $(shell $(CC) -print-file-name=libprotobuf-c.a)
NGHTTP2_A    := $(shell $(CC) -print-file-name=libnghttp2.a)

.PHONY: all drivers unit fuzz check clean victims bench
.SECONDARY:
all: $(B)/libtagalong.so $(B)/libtagalong-nop.so $(B)/tagalong $(B)/tagalong-node.cjs

# What programs may be starting with just now is there whole or not at all.
# The freestanding library: nothing DT_NEEDED, no symbol version, only the names of symbols.def seen.
$(B)/libtagalong.so: $(LIB_OBJS) hooks/exports.map
	$(call Q,LD)$(CC) -shared -nostdlib -Wl,--version-script=hooks/exports.map -Wl,--exclude-libs,ALL \
		-Wl,--hash-style=both -Wl,-z,now,-z,relro,-z,noexecstack,-z,nodelete -Wl,--build-id -Wl,-soname,libtagalong.so \
		-o $@.new $(filter %.o,$^) $(PROTOBUF_C_A) $(NGHTTP2_A)
	@mv $@.new $@

$(B)/libtagalong-nop.so: $(NOP_OBJS) hooks/exports.map
	$(call Q,LD)$(CC) -shared -nostdlib -Wl,--version-script=hooks/exports.map -Wl,--hash-style=both -Wl,-z,now,-z,relro,-z,noexecstack,-z,nodelete \
		-o $@.new $(filter %.o,$^)
	@mv $@.new $@

# Of base/ and exporter/ the command takes what it uses.
$(B)/tagalong: $(CMD_OBJS) $(B)/libcommand.a
	$(call Q,LD)$(CC) $(LDFLAGS) -o $@.new $^ $(CMD_NEEDS)
	@mv $@.new $@
$(B)/libcommand.a: $(CMD_LIBS)
	@rm -f $@
	$(call Q,AR)ar rcs $@ $^

$(B)/exporter/otlp.pb-c.c: exporter/otlp.proto
	@mkdir -p $(@D)
	$(call Q,PROTO)protoc-c --proto_path=exporter --c_out=$(@D) $<

# What Node loads: the file beside the library, or the same inside of it.
NODE_SCRIPT := $(B)/hooks/node/script.h
$(B)/tagalong-node.cjs: hooks/node/links.cjs
	@mkdir -p $(@D)
	$(call Q,CP)cp $< $@
$(NODE_SCRIPT): hooks/node/links.cjs scripts/make-node-script
	@mkdir -p $(@D)
	$(call Q,NODE)scripts/make-node-script $< >$@

# Whatever includes a generated header waits for it.
$(LIB_OBJS) $(CMD_OBJS) $(CMD_LIBS) $(UNIT_LIBS): | $(PROTO) $(NODE_SCRIPT)

$(B)/so/base/freestanding/%.o: LIBFLAGS += -fno-lto
$(B)/so/base/freestanding/mem.o: LIBFLAGS += -fno-builtin
$(B)/so/%.o: %.c
	@mkdir -p $(@D)
	$(call Q,CC)$(CC) $(CPPFLAGS) -DTAGALONG_FREESTANDING $(CFLAGS) $(LIBFLAGS) -c -o $@ $<
$(B)/so/%.o: %.S
	@mkdir -p $(@D)
	$(call Q,AS)$(CC) $(CPPFLAGS) -c -o $@ $<
$(B)/so/exporter/otlp.pb-c.o: $(PROTO)
	@mkdir -p $(@D)
	$(call Q,CC)$(CC) $(CPPFLAGS) $(CFLAGS) $(LIBFLAGS) -c -o $@ $<
$(B)/cmd/exporter/otlp.pb-c.o: $(PROTO)
	@mkdir -p $(@D)
	$(call Q,CC)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(B)/cmd/%.o: %.c
	@mkdir -p $(@D)
	$(call Q,CC)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# Unit tests: one program a file; hooks are tested by linking them as ordinary objects.
$(B)/unit/test_tls_%: UNIT_NEEDS += -lssl -lcrypto
$(B)/unit/test_tls_gnutls: UNIT_NEEDS += -lgnutls -lssl -lcrypto
$(B)/libunit.a: $(UNIT_LIBS)
	@rm -f $@
	$(call Q,AR)ar rcs $@ $^
$(B)/unit/%: tests/unit/%.c $(B)/libunit.a
	@mkdir -p $(@D)
	$(call Q,LD)$(CC) $(CPPFLAGS) $(CFLAGS) -iquote tests/unit $(LDFLAGS) -o $@ $< $(B)/libunit.a $(CRITERION) $(UNIT_NEEDS) -lpthread
# Two frames of each allocation: what Criterion itself forgets is told from what its tests do.
unit: export ASAN_OPTIONS ?= malloc_context_size=2
unit: export LSAN_OPTIONS ?= suppressions=tests/unit/lsan.supp:print_suppressions=0
unit: $(UNIT_BINS)
	@fail=0; for t in $(UNIT_BINS); do $$t --jobs 2 || fail=1; done; exit $$fail

# Programs that end-to-end tests lead by hand: parts of the library with an ordinary libc.
DRIVERS := $(patsubst tests/e2e/drivers/%.c,$(B)/drivers/%,$(sort $(wildcard tests/e2e/drivers/*.c)))
$(B)/drivers/%: tests/e2e/drivers/%.c $(B)/libunit.a
	@mkdir -p $(@D)
	$(call Q,LD)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(B)/libunit.a $(UNIT_NEEDS) -lpthread
drivers: $(DRIVERS)

# Fuzz targets: one program a file, built by clang whatever CC is, bounded. What was found, the log
# and the grown corpus stay in the build folder; tests/fuzz/corpus holds seeds.
FUZZ_SECONDS ?= 20
FUZZ_CC      ?= clang
FUZZ_FLAGS   := -fsanitize=address,undefined -fno-sanitize-recover=all -DTAGALONG_SANITIZED
FUZZ_BINS    := $(FUZZ:tests/fuzz/%.c=$(B)/fuzz/%)
FUZZ_MORE    := $(wildcard launcher/spill*.c) launcher/elf_file.c hooks/imports.c hooks/python_tables.c hooks/tls_tables.c
FUZZ_MORE    += exporter/curl/answer.c exporter/curl/grpc.c exporter/curl/gzip.c exporter/curl/reply.c
FUZZ_LIBS    := $(call obj,fuzz/obj,$(BASE) $(EXPORTER) $(WIRE) $(SHIM) $(FUZZ_MORE)) $(B)/fuzz/obj/exporter/otlp.pb-c.o
$(FUZZ_LIBS): | $(PROTO)
$(B)/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call Q,CC)$(FUZZ_CC) $(CPPFLAGS) $(CFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<
$(B)/fuzz/obj/exporter/otlp.pb-c.o: $(PROTO)
	@mkdir -p $(@D)
	$(call Q,CC)$(FUZZ_CC) $(CPPFLAGS) $(CFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<
$(B)/fuzz/libfuzz.a: $(FUZZ_LIBS)
	@rm -f $@
	$(call Q,AR)ar rcs $@ $^
$(B)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(B)/fuzz/libfuzz.a
	$(call Q,LD)$(FUZZ_CC) $(CPPFLAGS) $(CFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $< $(B)/fuzz/libfuzz.a -lprotobuf-c -lnghttp2 -ljansson -lz -lpthread
fuzz: $(FUZZ_BINS)
	@fail=0; for t in $(FUZZ_BINS); do \
		name=$${t##*/}; grown=$(B)/fuzz/corpus/$$name; seeds=tests/fuzz/corpus/$$name; \
		mkdir -p $$grown; [ -d $$seeds ] || seeds=; echo "  FUZZ  $$name"; \
		if $$t -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -artifact_prefix=$(B)/fuzz/$$name- \
			$$grown $$seeds >$$t.log 2>&1; \
		then grep -E '^Done|^stat::(number|average)' $$t.log; else tail -60 $$t.log; fail=1; fi; \
	done; exit $$fail

# Programs that tests/bench/run runs: `door` and `bench_http1` are linked with the library's own
# objects, the others are what a user's program is.
BENCH      := $(sort $(wildcard tests/bench/*.c))
BENCH_BINS := $(BENCH:tests/bench/%.c=$(B)/bench/%)
BENCH_OBJS := $(filter-out $(call obj,so,$(HOOKS)),$(LIB_OBJS))
$(B)/bench/door $(B)/bench/bench_http1: $(BENCH_OBJS)
$(B)/bench/door $(B)/bench/bench_http1: BENCH_LIBS := $(BENCH_OBJS) $(PROTOBUF_C_A) $(NGHTTP2_A)
$(B)/bench/pair_tls: BENCH_LIBS := -lssl -lcrypto
$(B)/bench/%: tests/bench/%.c tests/bench/bench.h
	@mkdir -p $(@D)
	$(call Q,LD)$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ $< $(BENCH_LIBS)
bench: all $(BENCH_BINS)

# The source checks need the libraries built; they say what they look for in their first lines.
check: all
	@fail=0; for c in exports symbols floors twins size words readme format lint; do \
		printf '  %-5s %s\n' CHECK $$c; scripts/check-$$c || fail=1; done; exit $$fail

clean:
	rm -rf build build-*

-include $(shell find $(B) -name '*.d' 2>/dev/null)
