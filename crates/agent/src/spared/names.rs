//! The names by which distributions know what a machine is repaired with. Each list is one text, split at blanks.

/// What for, and the patterns of paths; a name alone is one of a program.
pub(super) const PROGRAMS: &[(&str, &str)] = &[
    (
        "init",
        "init telinit runlevel shutdown reboot halt poweroff systemctl journalctl systemd-* /lib/systemd/systemd* \
         /lib/systemd/system-generators/* /usr/lib/systemd/systemd* /usr/lib/systemd/system-generators/* \
         dbus-daemon dbus-broker* /usr/lib/dbus-1.0/* /usr/libexec/dbus-1/* openrc* rc-service /lib/rc/bin/* \
         /lib/rc/sbin/* runit* runsv* sv s6-* busybox /etc/init /etc/init.d/* /etc/rc /etc/rc.local /etc/rc.d/rc* \
         /etc/rc.d/init.d/* /lib/init/* /lib/lsb/init-functions* /lib/lsb/init-functions.d/* start-stop-daemon \
         service invoke-rc.d update-rc.d",
    ),
    (
        "mounting what the machine starts from",
        "mount umount mount.* swapon losetup findmnt lsblk blkid fsck* e2fsck xfs_repair btrfs kmod modprobe \
         insmod udevadm cryptsetup lvm mdadm dmsetup /lib/udev/* /usr/lib/udev/*",
    ),
    (
        "login",
        "login agetty getty mgetty sulogin su runuser sudo sudoedit visudo doas nologin passwd chpasswd chage \
         unix_chkpwd unix_update pam_* mkhomedir_helper faillock newgrp usermod sssd sssctl /usr/libexec/sssd/* \
         winbindd nscd nslcd /usr/lib/sudo/* /usr/libexec/sudo/* polkitd /usr/lib/polkit-1/* /usr/libexec/polkitd",
    ),
    (
        "ssh",
        "sshd ssh scp sftp ssh-* /usr/lib/openssh/* /usr/libexec/openssh/* /usr/lib/ssh/* dropbear* dbclient",
    ),
    (
        "package manager",
        "dpkg dpkg-* apt apt-* aptitude* /usr/lib/apt/* /usr/lib/apt/*/* /usr/lib/dpkg/**/* /usr/libexec/dpkg/* \
         /usr/share/debconf/* update-alternatives debconf* deb-system* ucf* gpgv* ldconfig* rpm rpm2* rpmdb* \
         rpmkeys* rpmquery* rpmverify* /usr/lib/rpm/* /usr/lib*/rpm-plugins/* dnf dnf-* dnf5* tdnf yum microdnf \
         zypper /usr/lib/zypp/* /usr/lib/zypper/**/* rpm-ostree ostree apk pacman pacman-* snap /usr/lib/snapd/*",
    ),
    (
        "network",
        "ip ifup ifdown ifquery dhclient dhclient-script dhcpcd udhcpc NetworkManager nmcli \
         /usr/lib*/NetworkManager/**/* /usr/lib/*/NetworkManager/**/* /usr/libexec/nm-* wpa_supplicant wicked* \
         /usr/lib/wicked/**/* connmand netplan /usr/libexec/netplan/* resolvconf /usr/lib/resolvconf/*",
    ),
    ("name service", "/lib/*/libnss_*.so* /lib*/libnss_*.so* /usr/lib/*/libnss_*.so* /usr/lib*/libnss_*.so*"),
    (
        "authentication module",
        "/lib/*/security/*.so /lib*/security/*.so /usr/lib/*/security/*.so /usr/lib*/security/*.so \
         /usr/lib*/krb5/plugins/**/*.so /usr/lib/*/krb5/plugins/**/*.so",
    ),
    (
        "cryptography module",
        "/usr/lib/*/ossl-modules/* /usr/lib*/ossl-modules/* /usr/lib/*/engines-*/* /usr/lib*/engines-*/*",
    ),
    (
        "what each login shell reads",
        "/etc/profile /etc/profile.d/* /etc/bash.bashrc /etc/bashrc /etc/bash/* /etc/zsh/* /etc/zshenv \
         /etc/zprofile /etc/zshrc /etc/csh.* /etc/ksh.kshrc",
    ),
    ("Quell", "/usr/bin/quell"),
];

/// Libraries that are loaded by name while a program runs, and not listed in it.
pub(super) const LOADED: &str = "libgcc_s.so.1 libcrypt.so.1 libcrypt.so.2 libidn2.so.0 libkmod.so.2 libmount.so.1 libcryptsetup.so.12 \
    libpcre2-8.so.0 libselinux.so.1 libaudit.so.1 libacl.so.1 libseccomp.so.2 libbpf.so.1 libbpf.so.0 \
    libp11-kit.so.0 libdw.so.1 libelf.so.1 libsoftokn3.so libfreeblpriv3.so libnssckbi.so";

/// Packages of dpkg's machines whose programs are spared as a whole, beside those that call themselves essential.
pub(super) const DPKG: &str = "apt apt-utils libapt-pkg* dpkg debconf debconf-i18n perl-base init-system-helpers libpam-* libnss-* \
    openssh-* sudo* login* passwd systemd* libsystemd* udev dbus* sysvinit-* sysv-rc initscripts insserv \
    startpar kmod ifupdown* gpgv* util-linux* ucf busybox* libc-bin debianutils adduser quell*";

/// The same of rpm's, beside those that are protected.
pub(super) const RPM: &str = "rpm* python3-rpm dnf* python3-dnf* libdnf* python3-libdnf* python3-hawkey libsolv* librepo libcomps \
    python3-libcomps python3-gpg libmodulemd yum* microdnf tdnf* zypper* libzypp* bash coreutils* glibc \
    glibc-common libgcc* sed grep gawk findutils tar gzip xz* bzip2* zstd cpio util-linux* shadow \
    shadow-utils pam* libpwquality sudo* openssh* systemd* udev dbus* kmod* gnupg2 gpg2 crypto-policies* \
    chkconfig initscripts* aaa_base* sssd* filesystem setup python3-subscription-manager-rhsm busybox* \
    quell*";

/// What scripts in Python need of it, of dpkg's packages and of rpm's.
pub(super) const PYTHON: (&str, &str) = (
    "python3 python3*-minimal libpython3*-minimal libpython3*-stdlib python3-apt python3-debconf",
    "python3 python3-libs python3*-base libpython3* platform-python* python3.*-libs",
);
