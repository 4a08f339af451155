# Run inside, as `sh trial`: what somebody needs who is to repair a machine. Says what works.
set -e
works() { echo "$1"; }
fails() { echo "$1 fails: $2"; exit 1; }

said=$(sh -lc true 2>&1) || fails "sh -lc" "$said"
works "a login shell"
said=$(bash -lc true 2>&1) || fails "bash -lc" "$said"
said=$(su -l root -c true 2>&1) || fails su "$said"
works "su with PAM"
said=$(apt-get -s install busybox 2>&1) || fails "apt-get -s install" "$said"
said=$(apt-cache policy bash 2>&1) || fails "apt-cache" "$said"
said=$(dpkg --audit 2>&1) || fails "dpkg --audit" "$said"
works "apt and dpkg"
said=$(dpkg -i /var/cache/apt/archives/hostname_*.deb 2>&1) || fails "dpkg -i" "$said"
works "a package is installed"
said=$(sshd -t 2>&1) || fails "sshd -t" "$said"
/usr/sbin/sshd -D -E /run/sshd.log -o ListenAddress=127.0.0.1 -o Port=2222 -o PidFile=none &
sshd=$!
trap 'kill $sshd' EXIT
login() {
    ssh -p 2222 -o BatchMode=yes -o ConnectTimeout=20 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o LogLevel=ERROR root@127.0.0.1 "$@" 2>&1
}
tries=0
until said=$(login 'sh -lc true'); do
    tries=$((tries + 1))
    [ $tries -lt 20 ] || fails "ssh login" "$said: $(cat /run/sshd.log)"
    sleep 0.1
done
works "a login by ssh"
said=$(printf 'ls /\n' | sftp -P 2222 -b - -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
    root@127.0.0.1 2>&1) || fails sftp "$said"
works "sftp"
kill $sshd
trap - EXIT
wait $sshd || true
echo "all works"
