#!/bin/bash
# A systemd of its own as PID 1, in namespaces of its own: boot.sh SCRATCH PAYLOAD
#   SCRATCH  an empty directory; a tmpfs goes there, in this mount namespace alone
#   PAYLOAD  a directory that is /payload in here; its setup.sh lays out /etc before systemd starts
# To be called under `unshare --fork --kill-child --pid --mount --ipc --uts --net --cgroup`. What is written stays in here: the
# root is an overlay over that of the machine; /tmp, /run and /dev are new; /sys and /proc/sys cannot be written. A systemd that
# boots empties /tmp, sets sysctls and loads modules, so where this cannot be, nothing is started.
set -euo pipefail
scratch=$1 payload=$2

mount --make-rprivate /
mount -t tmpfs -o mode=0755 tmpfs "$scratch"
mkdir "$scratch"/upper "$scratch"/work "$scratch"/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
cd "$scratch/root"
for place in tmp run var/tmp var/log; do mount -t tmpfs -o mode=0755 tmpfs "$place"; done
chmod 1777 tmp var/tmp
mkdir -p payload old
mount --bind "$payload" payload
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=0755 tmpfs dev
for device in null:3 zero:5 full:7 random:8 urandom:9; do
  mknod -m 666 "dev/${device%:*}" c 1 "${device#*:}"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
for link in fd:/proc/self/fd stdin:/proc/self/fd/0 stdout:/proc/self/fd/1 stderr:/proc/self/fd/2; do
  ln -s "${link#*:}" "dev/${link%%:*}"
done
mount -t tmpfs -o mode=1777 tmpfs dev/shm
pivot_root . old
cd /
umount -l /old
if [ "$(stat -f -c %T /)/$(stat -f -c %T /tmp)" != overlayfs/tmpfs ]; then
  echo 'this root is not an overlay: nothing is started' >&2
  exit 1
fi
# So that what systemd mounts for one service (credentials) gets to it.
mount --make-rshared /
ip link set lo up
cd /etc/systemd/system
rm -rf -- *.wants
# Of no use in here, or not to be had.
for unit in systemd-{udevd,udev-trigger,modules-load,sysctl,remount-fs,timesyncd,logind,update-utmp,random-seed,binfmt}.service \
  systemd-udevd-{control,kernel}.socket dbus.service dbus.socket kmod-static-nodes.service systemd-tmpfiles-clean.timer \
  systemd-journal-flush.service sys-kernel-{debug,tracing}.mount dev-{hugepages,mqueue}.mount proc-sys-fs-binfmt_misc.automount; do
  ln -sf /dev/null "$unit"
done
bash /payload/setup.sh
# As container managers do: no module, no clock, no raw device.
exec env -i container=sallyport-test PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv \
  --bounding-set -sys_module,-sys_time,-sys_rawio,-syslog,-mknod,-wake_alarm,-block_suspend,-audit_control \
  /lib/systemd/systemd --system --unit=multi-user.target --log-target=console --show-status=no
