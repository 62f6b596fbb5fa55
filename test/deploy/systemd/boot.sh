#!/bin/bash
# A systemd of its own as PID 1, in namespaces of its own, for tests: boot.sh SCRATCH SETUP
#   SCRATCH  an empty directory; a tmpfs for this mount namespace alone
#   SETUP    a shell script that lays out /etc/systemd/system before systemd starts
# Called under `unshare --fork --kill-child --pid --mount --ipc --uts --net --cgroup`. What is written stays in here: the root
# is an overlay over that of the machine, and /tmp, /run, /dev are new; /sys and /proc/sys cannot be written. Not optional: a
# booting systemd empties /tmp, loads modules and sets sysctls.
set -euo pipefail
scratch=$1 setup=$2

mount --make-rprivate /
mount -t tmpfs -o mode=0755 tmpfs "$scratch"
mkdir "$scratch"/upper "$scratch"/work "$scratch"/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
cp "$setup" "$scratch/root/setup.sh"
cd "$scratch/root"
for place in tmp run var/tmp var/log; do
  # Without size: what of the machine is in there is not.
  mount -t tmpfs -o mode=0755 tmpfs "$place"
done
chmod 1777 tmp var/tmp
mount -t proc proc proc
mount --bind proc/sys proc/sys && mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup 2>/dev/null || { mount -t tmpfs tmpfs sys/fs/cgroup; umount sys/fs/cgroup; mount -t cgroup2 cgroup2 sys/fs/cgroup; }
mount -t tmpfs -o mode=0755 tmpfs dev
for device in null:3 zero:5 full:7 random:8 urandom:9; do
  mknod -m 666 "dev/${device%:*}" c 1 "${device#*:}"
done
mkdir dev/pts dev/shm old
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
for link in fd:/proc/self/fd stdin:/proc/self/fd/0 stdout:/proc/self/fd/1 stderr:/proc/self/fd/2; do
  ln -s "${link#*:}" "dev/${link%%:*}"
done
mount -t tmpfs tmpfs dev/shm
pivot_root . old
cd /
umount -l /old
[ "$(stat -f -c %T /)" = overlayfs ] && [ "$(stat -f -c %T /tmp)" = tmpfs ] || { echo 'not isolated: nothing is started' >&2; exit 1; }
ip link set lo up
bash /setup.sh
# As container managers do: no module, no clock, no raw device.
exec env -i container=sallyport-test PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv \
  --bounding-set -sys_module,-sys_time,-sys_rawio,-syslog,-mknod,-wake_alarm,-block_suspend,-audit_control --inh-caps -all \
  /lib/systemd/systemd --system --unit=try.target --log-target=console --log-level=info --show-status=no
