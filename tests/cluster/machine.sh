#!/bin/sh
# machine.sh ROOT NAME FOLDER... -- COMMAND...: become a machine of its own, and run a command on it.
#
# Called in fresh mount, UTS and PID namespaces. The disk is empty memory at ROOT; of the caller's files it holds only
# the FOLDERs, read-only, as an image would. What the caller writes, elsewhere or later, is not there.
set -eu
root=$1
hostname "$2"
shift 2
mount -t tmpfs -o mode=755 machine "$root"
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    mount -o remount,bind,ro "$root$1"
    [ ! -d "$root$1/.local" ] || mount -t tmpfs hidden "$root$1/.local" # the state of a platform in this checkout
    shift
done
shift
for link in bin sbin lib lib64; do ln -s "usr/$link" "$root/$link"; done
mkdir -p "$root/proc" "$root/dev/shm" "$root/run" "$root/var/tmp" "$root/srv/airflow"
mkdir -p "$root/tmp" # or it is there, with this checkout in it
chmod 1777 "$root/tmp"
mount -t proc proc "$root/proc"
mount -t tmpfs shm "$root/dev/shm"
for device in null zero full random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
cd "$root/srv/airflow"
exec chroot "$root" "$@"
