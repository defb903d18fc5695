#!/bin/sh
# Install what popferry needs: contrib/deps.sh [build|demo|test|bench|fuzz|lint|deb]...   (nothing named: all of it)
#
# Debian and its kin: through apt, as root or with sudo, and only if something is missing, so that a complete system
# needs no network. Services that come along are not started. Elsewhere: says what to install.
set -eu

build='gcc make pkg-config libc6-dev libcurl4-openssl-dev libssl-dev libconfuse-dev libsqlite3-dev libjansson-dev libedit-dev'
demo='python3'
test='python3 libcmocka-dev openssl ca-certificates dovecot-pop3d dovecot-lmtpd postfix fetchmail mpop getmail6
      valgrind procps'
bench='python3 openssl dovecot-pop3d postfix curl fetchmail mpop getmail6 fdm msmtp'
fuzz='clang libclang-rt-dev'
lint='clang mandoc shellcheck python3 cppcheck systemd bash zsh fish'
deb='debhelper dpkg-dev fakeroot lintian'

elsewhere() {
    cat >&2 <<'END'
deps: no apt here. Install these with your package manager:
  Fedora  gcc make pkgconf-pkg-config libcurl-devel openssl-devel libconfuse-devel sqlite-devel jansson-devel libedit-devel
          libcmocka-devel python3 dovecot postfix clang compiler-rt valgrind mandoc ShellCheck
  Arch    base-devel curl openssl confuse sqlite jansson libedit cmocka python dovecot postfix clang valgrind mandoc shellcheck
  Alpine  build-base pkgconf curl-dev openssl-dev confuse-dev sqlite-dev jansson-dev libedit-dev
          cmocka-dev python3 dovecot-pop3d dovecot-lmtpd postfix clang compiler-rt mandoc shellcheck
END
}

# The compiler-rt package carries the compiler's version in its name in Debian 12, and not in all later releases.
resolve() {
    case $1 in
    libclang-rt-dev)
        version=$({ dpkg-query -W -f='${Depends}\n' clang || apt-cache show clang; } 2>/dev/null |
            sed -n 's/.*clang-\([0-9][0-9]*\).*/\1/p' | head -n 1)
        echo "libclang-rt-${version:-14}-dev" ;;
    *) echo "$1" ;;
    esac
}

[ $# -gt 0 ] || set -- build demo test bench fuzz lint deb
wanted=
for group; do
    case $group in
    build) wanted="$wanted $build" ;;
    demo)  wanted="$wanted $build $demo" ;;
    test)  wanted="$wanted $build $test" ;;
    bench) wanted="$wanted $build $bench" ;;
    fuzz)  wanted="$wanted $build $fuzz" ;;
    lint)  wanted="$wanted $build $lint" ;;
    deb)   wanted="$wanted $build $deb" ;;
    *) echo "deps: no group '$group': build demo test bench fuzz lint deb" >&2; exit 64 ;;
    esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    elsewhere
    # Whoever has the libraries may go on.
    command -v pkg-config >/dev/null && pkg-config libcurl openssl libconfuse sqlite3 jansson
    exit
fi

missing() {
    have=" $(dpkg-query -W -f='${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | tr '\n' ' ') "
    for package in $wanted; do
        package=$(resolve "$package")
        case $have in *" $package "*) ;; *) echo "$package" ;; esac
    done | sort -u | tr '\n' ' '
}

need=$(missing)
[ -n "$need" ] || exit 0

echo "deps: installing $need"
sudo=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "deps: run as root: apt-get install $need" >&2; exit 77; }
    sudo=sudo
fi

# Keep Dovecot and Postfix from being started by their installation.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
    $sudo chmod 755 $policy
    trap '$sudo rm -f $policy' EXIT
    trap 'exit 75' HUP INT TERM
fi

# Postfix asks how to be configured: not at all, the tests bring their own configuration.
case " $need " in *" postfix "*)
    command -v debconf-set-selections >/dev/null &&
        echo 'postfix postfix/main_mailer_type select No configuration' | $sudo debconf-set-selections ;;
esac

# shellcheck disable=SC2086  # a list of words
apt() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" </dev/null; }
# shellcheck disable=SC2086
if [ -n "$(find /var/lib/apt/lists -name '*Packages*' 2>/dev/null | head -n 1)" ] &&
    apt install --no-install-recommends $need; then
    exit 0
fi
apt update
need=$(missing) # clang's version is known only now on a bare system
# shellcheck disable=SC2086
apt install --no-install-recommends $need
