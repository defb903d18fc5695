# popferry: build, test, install. `make help` lists the targets.

VERSION  := 1.0.0

CC         ?= cc
PKG_CONFIG ?= pkg-config
PREFIX     ?= /usr/local
DESTDIR    ?=
BUILD      ?= build/release
PROGRAM    ?= popferry
OPT        ?= -O2 -g
SANITIZE   ?=
FUZZ_SECONDS ?= 60
SCENARIOS    ?=

BINDIR     ?= $(PREFIX)/bin
DATADIR    ?= $(PREFIX)/share
MANDIR     ?= $(DATADIR)/man
DOCDIR     ?= $(DATADIR)/doc/popferry
SYSTEMUNITDIR ?= $(PREFIX)/lib/systemd/system
USERUNITDIR   ?= $(PREFIX)/lib/systemd/user
BASHDIR    ?= $(DATADIR)/bash-completion/completions
ZSHDIR     ?= $(DATADIR)/zsh/site-functions
FISHDIR    ?= $(DATADIR)/fish/vendor_completions.d

# What the compiler is asked is asked once, and only when something is compiled: a bare system has no compiler yet.
once = $(eval $(1) := $(2))$($(1))
# $(call accepted,FLAGS): those that this compiler takes without a word.
accepted = $(shell for flag in $(1); do \
    printf '\043include <stdio.h>\nint main(void) { return 0; }\n' | \
    $(CC) -O2 -Werror -U_FORTIFY_SOURCE "$$flag" -x c - -o /dev/null >/dev/null 2>&1 && echo "$$flag"; done)

PACKAGES := libcurl openssl libconfuse sqlite3 jansson
WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wconversion
WERROR   ?=
FORTIFY   = $(call once,FORTIFY,-U_FORTIFY_SOURCE $(lastword $(call accepted,-D_FORTIFY_SOURCE=2 -D_FORTIFY_SOURCE=3)))
GUARD     = $(call once,GUARD,$(call accepted,-fstack-protector-strong -fstack-clash-protection -fcf-protection -mbranch-protection=standard))
HARDEN    = $(FORTIFY) $(GUARD) -fPIE
EDIT_CFLAGS = $(call once,EDIT_CFLAGS,$(shell $(PKG_CONFIG) --exists libedit 2>/dev/null && echo -DHAVE_LIBEDIT `$(PKG_CONFIG) --cflags libedit`))
EDIT_LIBS   = $(call once,EDIT_LIBS,$(shell $(PKG_CONFIG) --libs libedit 2>/dev/null))
PKG_CFLAGS  = $(call once,PKG_CFLAGS,$(shell $(PKG_CONFIG) --cflags $(PACKAGES)))
PKG_LIBS    = $(call once,PKG_LIBS,$(shell $(PKG_CONFIG) --libs $(PACKAGES)))

CPPFLAGS_ALL = -D_GNU_SOURCE -DPOPFERRY_VERSION='"$(VERSION)"' -Isrc -I. $(PKG_CFLAGS) $(EDIT_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL   = -std=c17 $(OPT) $(WARN) $(if $(WERROR),-Werror) -pthread \
               $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer -fPIE,$(HARDEN)) $(CFLAGS)
# The stack of a thread: musl gives 128 KiB to those who do not ask.
LDFLAGS_ALL  = $(if $(SANITIZE),-fsanitize=$(SANITIZE)) -pie -Wl,-z,relro,-z,now,-z,stack-size=1048576 -pthread $(LDFLAGS)
LDLIBS_ALL   = $(PKG_LIBS) $(EDIT_LIBS) $(LDLIBS)

SOURCES  := $(sort $(wildcard src/*.c src/*/*.c config/*.c))
OBJECTS  := $(SOURCES:%.c=$(BUILD)/%.o)
LIBRARY  := $(BUILD)/libpopferry.a
UNIT     := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
TOOLS    := $(patsubst tests/bench/%.c,build/bench/%,$(sort $(wildcard tests/bench/*.c)))
MANPAGES := $(sort $(wildcard contrib/man/*.[15]))

## all          build ./popferry (BUILD=, PROGRAM=, SANITIZE=, CC=, WERROR=1)
all: $(PROGRAM)

$(PROGRAM): $(BUILD)/src/main.o $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

$(LIBRARY): $(filter-out $(BUILD)/src/main.o,$(OBJECTS))
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/unit/%: tests/unit/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) -MMD -MP -MF $@.d -o $@ $< $(LIBRARY) $(LDLIBS_ALL) -lcmocka

# Other flags than last time in the same BUILD: compile again.
$(BUILD)/flags: force
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL))' | cmp -s - $@ || \
	 printf '%s\n' '$(subst ','\'',$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL))' > $@

-include $(OBJECTS:.o=.d) $(UNIT:=.d)

library: $(LIBRARY)
unit: $(UNIT)

## deps         install what building and testing need (Debian: apt; says what is missing elsewhere)
deps:
	@contrib/deps.sh

## demo         two mailboxes on a little POP3 server, ferried to a little SMTP server, all on loopback
demo:
	@contrib/deps.sh build demo
	@echo "Building popferry..." && $(MAKE) -s $(PARALLEL) all
	@python3 contrib/demo/demo.py ./$(PROGRAM)

## test         unit tests, dialogues with scripted servers, real servers, kill -9 at every step
TESTS ?= unit dialog peers crash
test:
	@contrib/deps.sh build test
	@$(MAKE) -s $(PARALLEL) all unit
	@POPFERRY=$(abspath $(PROGRAM)) BUILD=$(abspath $(BUILD)) tests/run $(TESTS)

## test-peers   only the tests against real servers, and those of the installation
test-peers:
	@contrib/deps.sh build test lint deb
	@$(MAKE) -s test TESTS=peers

## asan         the tests with AddressSanitizer and UndefinedBehaviorSanitizer (ASAN_TESTS=)
ASAN_TESTS ?= unit dialog e2e
asan:
	@contrib/deps.sh build test
	@$(MAKE) -s $(PARALLEL) all unit BUILD=build/asan PROGRAM=build/asan/popferry SANITIZE=address,undefined OPT='-O1 -g'
	@ASAN_OPTIONS=abort_on_error=1:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 \
	 POPFERRY=$(CURDIR)/build/asan/popferry BUILD=$(CURDIR)/build/asan tests/run $(ASAN_TESTS)

## tsan         the tests that use many threads, with ThreadSanitizer (TSAN_TESTS=)
TSAN_TESTS ?= --tsan
tsan:
	@contrib/deps.sh build test
	@$(MAKE) -s $(PARALLEL) all unit BUILD=build/tsan PROGRAM=build/tsan/popferry SANITIZE=thread OPT='-O1 -g'
	@TSAN_OPTIONS=halt_on_error=1:exitcode=66 \
	 POPFERRY=$(CURDIR)/build/tsan/popferry BUILD=$(CURDIR)/build/tsan tests/run $(TSAN_TESTS)

## fuzz         every fuzz target for FUZZ_SECONDS (60) each
fuzz:
	@contrib/deps.sh fuzz
	@$(MAKE) -s $(PARALLEL) library CC=clang BUILD=build/fuzz SANITIZE=fuzzer-no-link,address,undefined OPT='-O1 -g'
	@MAKE='$(MAKE)' FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run.sh

build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c build/fuzz/libpopferry.a
	clang $(CPPFLAGS_ALL) -std=c17 -O1 -g $(WARN) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -pthread \
	    -o $@ $< build/fuzz/libpopferry.a $(LDLIBS_ALL)

## bench        popferry beside fetchmail, mpop, getmail and fdm (SCENARIOS=; tests/bench/README)
bench:
	@contrib/deps.sh bench
	@$(MAKE) -s $(PARALLEL) all $(TOOLS)
	@POPFERRY=$(abspath $(PROGRAM)) python3 tests/bench/bench.py $(SCENARIOS)

bench-tools: $(TOOLS)
build/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE -O2 -g $(WARN) -pthread -o $@ $<

## lint         gcc and clang with -Werror, mandoc, shellcheck, cppcheck, the rules of the house
lint:
	@contrib/deps.sh lint
	@MAKE='$(MAKE)' tests/lint/run.sh

## install      program, man pages, completions, systemd units (PREFIX=, DESTDIR=)
INSTALLED = $(BINDIR)/popferry $(patsubst contrib/man/%.1,$(MANDIR)/man1/%.1,$(filter %.1,$(MANPAGES))) \
            $(patsubst contrib/man/%.5,$(MANDIR)/man5/%.5,$(filter %.5,$(MANPAGES))) \
            $(BASHDIR)/popferry $(ZSHDIR)/_popferry $(FISHDIR)/popferry.fish \
            $(DOCDIR)/README $(DOCDIR)/fetchrc.example $(DOCDIR)/popferry.crontab $(DOCDIR)/popferry-job.yaml \
            $(SYSTEMUNITDIR)/popferry.service $(SYSTEMUNITDIR)/popferry.timer \
            $(USERUNITDIR)/popferry.service $(USERUNITDIR)/popferry.timer

install: all
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(BINDIR)/popferry
	$(foreach page,$(MANPAGES),install -D -m 644 $(page) $(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page)) &&) :
	install -D -m 644 contrib/completions/popferry.bash $(DESTDIR)$(BASHDIR)/popferry
	install -D -m 644 contrib/completions/_popferry $(DESTDIR)$(ZSHDIR)/_popferry
	install -D -m 644 contrib/completions/popferry.fish $(DESTDIR)$(FISHDIR)/popferry.fish
	install -d $(DESTDIR)$(DOCDIR) $(DESTDIR)$(SYSTEMUNITDIR) $(DESTDIR)$(USERUNITDIR)
	install -m 644 README fetchrc.example contrib/cron/popferry.crontab contrib/kubernetes/popferry-job.yaml $(DESTDIR)$(DOCDIR)
	install -m 644 contrib/systemd/popferry.timer $(DESTDIR)$(SYSTEMUNITDIR)
	install -m 644 contrib/systemd/user/popferry.timer $(DESTDIR)$(USERUNITDIR)
	sed 's|/usr/bin/popferry|$(BINDIR)/popferry|' contrib/systemd/popferry.service > $(DESTDIR)$(SYSTEMUNITDIR)/popferry.service
	sed 's|/usr/bin/popferry|$(BINDIR)/popferry|' contrib/systemd/user/popferry.service > $(DESTDIR)$(USERUNITDIR)/popferry.service
	chmod 644 $(DESTDIR)$(SYSTEMUNITDIR)/popferry.service $(DESTDIR)$(USERUNITDIR)/popferry.service

## uninstall    remove exactly what install put there
uninstall:
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	-rmdir $(DESTDIR)$(DOCDIR) 2>/dev/null

## deb          a Debian package in build/deb
deb:
	@contrib/deps.sh deb
	@VERSION=$(VERSION) contrib/debian/build.sh

version:
	@echo $(VERSION)

## clean        remove what was built
clean:
	rm -rf build popferry

## help         this list
help:
	@sed -n 's/^## /  make /p' Makefile

PARALLEL = $(if $(findstring j,$(filter-out --%,$(MAKEFLAGS))),,-j$(shell nproc 2>/dev/null || echo 2))

force:
.PHONY: all library unit deps demo test test-peers asan tsan fuzz bench bench-tools lint install uninstall deb version clean help force
.DELETE_ON_ERROR:
