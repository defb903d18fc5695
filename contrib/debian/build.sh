#!/bin/sh
# make deb: build the package in build/deb, from what git knows or would know, without network.
set -eu
cd "$(dirname "$0")/../.."
version=${VERSION:?}
tree=build/deb/popferry-$version
rm -rf build/deb
mkdir -p "$tree"
list() {
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git ls-files -co --exclude-standard
    else
        find . -path ./build -prune -o -type f -print
    fi
}
list | while read -r file; do [ -f "$file" ] && printf '%s\n' "$file"; done | tar -cf - -T - | tar -xf - -C "$tree"
cp -r contrib/debian "$tree/debian"
rm -f "$tree/debian/build.sh"
cat > "$tree/debian/changelog" <<END
popferry ($version) unstable; urgency=medium

  * Release $version.

 -- The popferry authors <authors@popferry.example>  $(LC_ALL=C date -R ${SOURCE_DATE_EPOCH:+-d @$SOURCE_DATE_EPOCH})
END
(cd "$tree" && dpkg-buildpackage -b -us -uc >../build.log 2>&1) || { tail -n 40 build/deb/build.log; exit 1; }
ls build/deb/*.deb
