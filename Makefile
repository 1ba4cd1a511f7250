# STOA: see "make help".  What was found on this machine is in
# $(OBJS)/config.mk, written by ./configure; the rules are here.
#
# Sources are found by folder: a new .c file needs no edit.

MAKEFLAGS += --no-print-directory

OBJS ?= objs

GOALS = $(or $(MAKECMDGOALS),all)

ifneq ($(filter-out help clean,$(GOALS)),)
include $(OBJS)/config.mk
endif

ROOT := $(or $(STOA_ROOT),$(CURDIR))
PROVE ?= prove
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_TIME ?= 60

# V=1 shows whole commands
ifeq ($(V),1)
say = @:
Q =
else
say = @printf '  %-4s %s\n' $(1) "$(2)"
Q = @
endif


# Flags

WARN = -Wall -Wextra -Werror
WARN_MORE = -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith

ifeq ($(SANITIZE),)
HARDEN = -O2 -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
else
# (its instrumentation makes gcc warn of what cannot be)
HARDEN = -O1 -fno-omit-frame-pointer -fsanitize=$(SANITIZE) \
	-Wno-maybe-uninitialized -Wno-format-truncation
endif

BASE = -std=gnu11 -g -pipe $(WARN) $(HARDEN) -fvisibility=hidden \
	-D_GNU_SOURCE -MMD -MP
LINK = -Wl,-z,relro,-z,now -Wl,--as-needed $(if $(SANITIZE), \
	-fsanitize=$(SANITIZE)) $(USER_LDFLAGS)

INC_CORE = -Ingx_stoa_module/core
INC_MODULE = -Ingx_stoa_module $(patsubst %/,-I%,$(wildcard ngx_stoa_module/*/))
INC_CP = -Icontrol-plane -Ingx_stoa_module $(INC_CORE) -I$(OBJS)/gen

CC_CORE = $(CC) $(BASE) -fPIC $(INC_CORE) $(USER_CPPFLAGS) $(USER_CFLAGS)
CC_MODULE = $(CC) $(BASE) -fPIC -fno-strict-aliasing -Wno-unused-parameter \
	$(NGINX_INCS) $(INC_MODULE) \
	$(USER_CPPFLAGS) $(USER_CFLAGS)
CC_CONTROL = $(CC) $(BASE) -fPIE -DCP_HAVE_PG=$(HAVE_PG) $(PQ_CFLAGS) \
	$(INC_CP) $(USER_CPPFLAGS) $(USER_CFLAGS)

LIBS_MODULE = -llmdb -lcurl -lhiredis -lcrypto -lz -lpthread
LIBS_CONTROL = -largon2 -lmicrohttpd -lsqlite3 $(PQ_LIBS) -lyaml -lyajl -lcurl -lcrypto -lz \
	-lpthread -lm
LIBS_CTL = -lyaml -lyajl -lcurl -lcrypto -lz -lpthread -lm


# Sources

CORE_SRC := $(wildcard ngx_stoa_module/core/*.c)
# no nginx in them: tests and fuzzers link them too
PLAIN_SRC := ngx_stoa_module/base/stoa_seal.c
MODULE_SRC := $(filter-out $(CORE_SRC), \
	$(wildcard ngx_stoa_module/*.c ngx_stoa_module/*/*.c))
CTL_SRC := $(wildcard control-plane/stoactl/*.c)
UTIL_SRC := $(filter-out %/cp_conf.c %/cp_metrics.c, \
	$(wildcard control-plane/base/*.c))
CONTROL_SRC := $(filter-out $(CTL_SRC), \
	$(wildcard control-plane/*.c control-plane/*/*.c))
UNIT_SRC := $(wildcard t/unit/*.c)
FUZZ_SRC := $(wildcard t/fuzz/fuzz_*.c)

obj = $(patsubst %.c,$(OBJS)/%.o,$(1))

CORE_OBJ := $(call obj,$(CORE_SRC))
PLAIN_OBJ := $(call obj,$(PLAIN_SRC))
MODULE_OBJ := $(call obj,$(MODULE_SRC)) \
	$(OBJS)/ngx_stoa_module/ngx_http_stoa_module_modules.o
CONTROL_OBJ := $(call obj,$(CONTROL_SRC))
CTL_OBJ := $(call obj,$(CTL_SRC))
UTIL_OBJ := $(call obj,$(UTIL_SRC))

UNIT_BIN := $(patsubst t/unit/%.c,$(OBJS)/t/unit/%,$(UNIT_SRC))
REPLAY_BIN := $(patsubst t/fuzz/fuzz_%.c,$(OBJS)/t/replay/%,$(FUZZ_SRC))
FUZZ_BIN := $(patsubst t/fuzz/fuzz_%.c,$(OBJS)/fuzz/%,$(FUZZ_SRC))

PRODUCTS = $(OBJS)/ngx_http_stoa_module.so $(OBJS)/stoa-control \
	$(OBJS)/stoactl


.PHONY: all module control ctl install run stop test test-programs unit \
	test-asan test-matrix test-keycloak test-leases docs bench bench-streams bench-core \
	fuzz clean help
.DELETE_ON_ERROR:
.SUFFIXES:

all: $(PRODUCTS)

module: $(OBJS)/ngx_http_stoa_module.so
control: $(OBJS)/stoa-control
ctl: $(OBJS)/stoactl

help:
	@echo 'make               the module, stoa-control and stoactl, in $(OBJS)/'
	@echo 'make install       as configured, below DESTDIR'
	@echo 'make run           both planes and a demo on this machine, in var/'
	@echo 'make stop          ends what "make run" left behind'
	@echo 'make test          all tests (TESTS=t/x.t, JOBS=n, PROVE_FLAGS)'
	@echo 'make unit          the unit tests and the fuzzers'"'"' seeds alone'
	@echo 'make test-matrix   clients and servers of MCP, all that there are'
	@echo 'make test-keycloak the way to a token, with a real Keycloak'
	@echo 'make test-leases   limits that gateways share, a minute of load'
	@echo 'make test-asan     all tests with AddressSanitizer and UBSan'
	@echo 'make fuzz          every fuzzer for FUZZ_TIME=60 seconds'
	@echo 'make bench         measurements beside bare nginx'
	@echo 'make docs          writes the pages of docs/ that programs print'
	@echo 'make clean         removes the products of $(OBJS)/'


# config.mk: made when it is missing, made again when configure changed; its
# time changes only with its content, and with that every object

$(OBJS)/config.mk: $(OBJS)/.configured ;

$(OBJS)/.configured: configure ngx_stoa_module/config
	./configure $(or $(CONFIGURE_ARGS),$(if $(filter-out objs,$(OBJS)), \
		--objs=$(OBJS)))


# Compiling.  Objects depend on config.mk: other flags, other objects.

$(OBJS)/ngx_stoa_module/core/%.o: ngx_stoa_module/core/%.c $(OBJS)/config.mk
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC_CORE) $(WARN_MORE) -c -o $@ $<

$(OBJS)/ngx_stoa_module/%.o: ngx_stoa_module/%.c $(OBJS)/config.mk
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC_MODULE) $(WARN_MORE) -c -o $@ $<

# the table that nginx looks up by name: visible
$(OBJS)/ngx_stoa_module/ngx_http_stoa_module_modules.o: $(OBJS)/config.mk
	@mkdir -p $(@D)
	$(Q)$(CC_MODULE) -fvisibility=default -c -o $@ \
		$(NGINX_BUILD)/objs/ngx_http_stoa_module_modules.c

# the migrations and the script are compiled in
$(OBJS)/control-plane/store/cp_migrate.o: \
	$(wildcard control-plane/migrations/*.sql)
$(OBJS)/ngx_stoa_module/limit/ngx_http_stoa_lease_ask.o: \
	ngx_stoa_module/limit/stoa_lease.lua

$(OBJS)/control-plane/%.o: control-plane/%.c $(OBJS)/config.mk
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC_CONTROL) $(WARN_MORE) -c -o $@ $<


# Linking.  A list of objects that changed (a file was removed) links again.

$(OBJS)/ngx_http_stoa_module.so: $(MODULE_OBJ) $(CORE_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -o $@ $^ $(LINK) \
		$(LIBS_MODULE)
	@! nm -D --undefined-only $@ | grep -E ' (ngx_http_)?stoa_'

$(OBJS)/stoa-control: $(CONTROL_OBJ) $(CORE_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) -pie -o $@ $^ $(LINK) $(LIBS_CONTROL)

$(OBJS)/stoactl: $(CTL_OBJ) $(UTIL_OBJ) $(CORE_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) -pie -o $@ $^ $(LINK) $(LIBS_CTL)


# Unit tests print TAP.  t/unit/cp_*.c may call the control plane too.

CP_LIB_OBJ = $(filter-out $(OBJS)/control-plane/main.o,$(CONTROL_OBJ))

$(OBJS)/t/unit/cp_%: t/unit/cp_%.c $(CP_LIB_OBJ) $(CORE_OBJ)
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC_CONTROL) -It/unit -pie -o $@ $(filter %.c %.o,$^) \
		$(LINK) $(LIBS_CONTROL)

# (what they include is no source of theirs, though make knows of it)

$(OBJS)/t/unit/%: t/unit/%.c $(CORE_OBJ) $(PLAIN_OBJ)
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC_CORE) -Ingx_stoa_module -It/unit -o $@ $< $(filter %.o,$^) $(LINK) \
		-lcrypto -lpthread -lm

$(OBJS)/t/replay/%: t/fuzz/fuzz_%.c t/fuzz/replay.c $(CORE_OBJ) $(PLAIN_OBJ)
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC_CORE) -Ingx_stoa_module -It/fuzz -o $@ \
		$(filter t/fuzz/%.c %.o,$^) $(LINK) \
		-lcrypto -lpthread -lm

# The module with another one beside it, through which tests reach what no
# request of a client does.

TEST_MODULE_OBJ := $(call obj,$(wildcard t/module/*.c))

$(OBJS)/t/module/%.o: t/module/%.c $(OBJS)/config.mk
	@mkdir -p $(@D)
	$(call say,TEST,$<)
	$(Q)$(CC_MODULE) $(if $(filter %_modules.c,$<),-fvisibility=default) \
		-c -o $@ $<

$(OBJS)/t/ngx_http_stoa_test_module.so: $(TEST_MODULE_OBJ) \
	$(filter-out %_modules.o,$(MODULE_OBJ)) $(CORE_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -o $@ $^ $(LINK) $(LIBS_MODULE)

test-programs: $(UNIT_BIN) $(REPLAY_BIN) \
	$(OBJS)/t/ngx_http_stoa_test_module.so \
	$(if $(SANITIZE),$(OBJS)/t/nodlclose.so)

$(OBJS)/t/nodlclose.so: t/lib/nodlclose.c
	@mkdir -p $(@D)
	$(Q)$(CC) -O1 -Wall -Wextra -Werror -shared -fPIC -o $@ $<

unit: test-programs
	$(TEST_ENV) $(PROVE) $(PROVE_FLAGS) t/unit.t


# The whole suite.  TESTS picks some of it.

TEST_ENV = PERL5LIB="$(ROOT)/t/lib$${PERL5LIB:+:$$PERL5LIB}" \
	STOA_OBJS="$(OBJS)" \
	STOA_NGINX="$${STOA_NGINX:-$(NGINX_BINARY)}"
TESTS ?= t/

test: all test-programs
	$(TEST_ENV) $(PROVE) -r -j$(JOBS) $(PROVE_FLAGS) $(TESTS)

# a second set of objects, with the arguments of the first

ASAN_OBJS = objs-asan

# unchanged clients times unchanged servers: writes docs/mcp-matrix.md
test-matrix: all
	t/parts/get.sh
	t/parts/get.sh matrix
	$(TEST_ENV) STOA_TEST_FULL=1 $(PROVE) -v t/mcp/matrix.t \
		t/mcp/conformance.t t/mcp/conformance_client.t t/mcp/rows.t

# one budget, four gateways, a minute: never more
test-leases: all
	$(TEST_ENV) STOA_TEST_FULL=1 $(PROVE) -v t/redis_leases.t

# the way to a token, with a real Keycloak
test-keycloak: all
	t/parts/get.sh
	t/parts/get.sh keycloak
	$(TEST_ENV) STOA_TEST_KEYCLOAK=1 $(PROVE) -v t/mcp_keycloak.t

test-asan:
	@test -f $(ASAN_OBJS)/config.mk || ./configure $(filter-out \
		'--objs=%',$(CONFIGURE_ARGS)) --with-asan --objs=$(ASAN_OBJS)
	$(MAKE) OBJS=$(ASAN_OBJS) all test-programs
	$(MAKE) OBJS=$(ASAN_OBJS) test


# Fuzzers need clang; seeds are in t/fuzz/<name>/, finds go to objs/fuzz/.

$(OBJS)/fuzz/%: t/fuzz/fuzz_%.c $(CORE_SRC) $(PLAIN_SRC)
	@test -n "$(CLANG)" || { echo 'make fuzz needs clang with libFuzzer' \
		'(Debian: clang libclang-rt-14-dev), then ./configure' >&2; \
		exit 1; }
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)$(CLANG) -std=gnu11 -g -O1 -D_GNU_SOURCE $(INC_CORE) \
		-Ingx_stoa_module -It/fuzz \
		-fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -o $@ $(filter %.c,$^) \
		-lcrypto -lm

fuzz: $(FUZZ_BIN)
	@set -e; for fuzzer in $(FUZZ_BIN); do \
		name=$${fuzzer##*/}; \
		mkdir -p $(OBJS)/fuzz/corpus/$$name t/fuzz/$$name; \
		echo "== $$name, $(FUZZ_TIME) s"; \
		$$fuzzer -max_total_time=$(FUZZ_TIME) -timeout=10 \
			-rss_limit_mb=2048 -print_final_stats=1 \
			-artifact_prefix=$(OBJS)/fuzz/$$name- \
			$(OBJS)/fuzz/corpus/$$name t/fuzz/$$name; \
	done


# the pages of docs/ that programs print
docs: all
	$(TEST_ENV) perl t/lib/docs.pl


# a report, never a test; BENCH_FLAGS="--only REGEX"
bench: all
	$(TEST_ENV) perl t/bench/bench.pl $(BENCH_FLAGS)

# what the first event of a stream costs, and 10,000 idle ones
bench-streams: all
	$(TEST_ENV) perl t/bench/streams.pl $(BENCH_FLAGS)

# what the hot calls of core/ cost
bench-core: $(OBJS)/t/bench/core
	$<

$(OBJS)/t/bench/core: t/bench/core.c $(CORE_OBJ)
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC_CORE) -o $@ $(filter %.c %.o,$^) $(LINK) -lm


# The demo

run: all
	@OBJS="$(OBJS)" STOA_NGINX="$${STOA_NGINX:-$(NGINX_BINARY)}" exec sh conf/run.sh

stop:
	@sh conf/run.sh stop


install: all
	install -d "$(DESTDIR)$(MODULES_PATH)" "$(DESTDIR)$(PREFIX)/sbin" \
		"$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(ETC)/stoa" \
		"$(DESTDIR)$(PREFIX)/share/man/man1"
	install -m 0644 $(OBJS)/ngx_http_stoa_module.so \
		"$(DESTDIR)$(MODULES_PATH)/"
	install -m 0755 $(OBJS)/stoa-control "$(DESTDIR)$(PREFIX)/sbin/"
	install -m 0755 $(OBJS)/stoactl "$(DESTDIR)$(PREFIX)/bin/"
	$(OBJS)/stoactl help --man \
		>"$(DESTDIR)$(PREFIX)/share/man/man1/stoactl.1"
	for file in $(wildcard conf/*.conf conf/*.yaml); do \
		sh conf/install.sh $$file "$(DESTDIR)$(ETC)/stoa" \
			"$(MODULES_PATH)" || exit 1; \
	done

# /usr has its configuration in /etc
ETC = $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)


clean:
	rm -rf $(OBJS) objs-asan


-include $(shell find $(OBJS) -name '*.d' -not -path '*/nginx-*' 2>/dev/null)
