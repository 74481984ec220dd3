#!/usr/bin/busybox sh
# The first process of a guest: makes a small system, runs what /etc/linecard/run says.
# ttyS0 is the console, ttyS1 takes the results, ttyS2 leads to the host's monitor. A peer has a console
# only, and runs /etc/linecard/peer.
export PATH=/usr/sbin:/usr/bin HOME=/ TERM=vt100 LC_ALL=C
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm /dev/hugepages
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t hugetlbfs hugetlbfs /dev/hugepages
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
chmod 755 /
chmod 1777 /tmp /dev/shm
grep -q linecard=peer /proc/cmdline && peer=yes
if [ -z "$peer" ]; then
    stty -F /dev/ttyS1 raw -echo
    stty -F /dev/ttyS2 raw -echo
fi
ip link set lo up
. /etc/linecard/environment
for module in $(cat /etc/linecard/modules); do
    modprobe "$module" || [ "$peer" ] || echo "##linecard no module $module" >/dev/ttyS1
done
cd /tmp
if [ "$peer" ]; then . /etc/linecard/peer; else . /etc/linecard/run; fi
