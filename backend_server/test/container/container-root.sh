#!/bin/sh
# Makes the root of a container inside namespaces of its own and becomes its entrypoint, which is process 1 there.
# Run by container.ts through unshare. Nothing it mounts or writes is seen outside, except in the volume.
set -eu
base=$1 lower=$2 repository=$3 volume=$4 readonly=$5 node=$6 programs=$7
shift 7

mount --make-rprivate /
ip link set lo up
mount -t tmpfs -o size=256m tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$base/upper,workdir=$base/work" "$base/root"
root="$base/root"

if [ "$repository" != - ]; then
  # Without an image: this machine's programs, this checkout, and the users that the Dockerfile makes.
  mkdir -p "$root/app" "$base/app-upper" "$base/app-work"
  mount -t overlay overlay -o "lowerdir=$repository,upperdir=$base/app-upper,workdir=$base/app-work" "$root/app"
  sed -i '/^\(vptuser\|grafana\|postgres\):/d' "$root/etc/passwd"
  printf '%s\n' 'vptuser:x:10000:10000::/app:/usr/sbin/nologin' 'grafana:x:472:472::/app:/usr/sbin/nologin' \
    'postgres:x:10002:10002::/app:/usr/sbin/nologin' >>"$root/etc/passwd"
  mkdir -p "$root/etc/supervisor" "$root/usr/local/bin" "$root/var/log/supervisor" "$root/run/virtualpytest"
  cp "$root"/app/backend_server/config/supervisor/*.conf "$root/etc/supervisor/"
  rm -f "$root/usr/local/bin/node"
  : >"$root/usr/local/bin/node"
  mount --bind "$node" "$root/usr/local/bin/node"
  mkdir -p "$root/app/data" "$root/var/lib/extrausers"
  ln -sf /run/virtualpytest/passwd "$root/var/lib/extrausers/passwd"
  sed -i 's/^passwd:.*/passwd: files extrausers/' "$root/etc/nsswitch.conf"
fi
mkdir -p "$root/opt"
cp -r "$programs" "$root/opt/test-programs"
mount --bind "$volume" "$root/app/data"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=1777 tmpfs "$root/run"
if [ "$readonly" != no ]; then
  mount -t tmpfs -o "mode=1777,size=$readonly" tmpfs "$root/var/log/supervisor"
  mount -o remount,ro "$root"
  [ "$repository" = - ] || mount -o remount,ro "$root/app"
elif [ "$repository" != - ]; then
  chmod 1777 "$root/var/log/supervisor"
fi
cd "$root"
exec chroot "$root" "$@"
