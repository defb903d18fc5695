# popferry: build, test, install. `make help` lists the targets.

CC       ?= cc
PKG_CONFIG ?= pkg-config
PREFIX   ?= /usr/local
BUILD    ?= build/release
PROGRAM  ?= popferry
VERSION  := 1.0.0

PACKAGES := libcurl openssl libconfuse sqlite3 jansson
WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wconversion
HARDEN   := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
OPT      ?= -O2 -g
SANITIZE ?=
CPPFLAGS += -D_GNU_SOURCE -DPOPFERRY_VERSION='"$(VERSION)"' -Isrc -I.
CFLAGS_ALL = -std=c17 $(OPT) $(WARN) $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fPIE,$(HARDEN)) \
             -pthread $(shell $(PKG_CONFIG) --cflags $(PACKAGES)) $(CFLAGS)
LDFLAGS_ALL = $(if $(SANITIZE),-fsanitize=$(SANITIZE)) -pie -Wl,-z,relro,-z,now -pthread $(LDFLAGS)
LDLIBS_ALL = $(shell $(PKG_CONFIG) --libs $(PACKAGES)) $(LDLIBS)

SOURCES  := $(sort $(wildcard src/*.c src/*/*.c config/*.c))
OBJECTS  := $(SOURCES:%.c=$(BUILD)/%.o)
LIBRARY  := $(BUILD)/libpopferry.a
UNIT     := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(sort $(wildcard tests/unit/test_*.c)))

all: $(PROGRAM)

$(PROGRAM): $(BUILD)/src/main.o $(LIBRARY)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

$(LIBRARY): $(filter-out $(BUILD)/src/main.o,$(OBJECTS))
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/unit/%: tests/unit/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< $(LIBRARY) $(LDLIBS_ALL) -lcmocka

-include $(OBJECTS:.o=.d)

unit: $(UNIT)

clean:
	rm -rf build popferry

.PHONY: all unit clean
