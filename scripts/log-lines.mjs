/**
 * @file Lines as the programs of a small server log them, for trying `blt score`: node scripts/log-lines.mjs LINES SEED [--odd N].
 * Eight programs write (sshd, CRON, systemd, kernel, nginx, postfix, dhclient, sudo), some much more often than others, with addresses,
 * users, numbers and times that vary. `--odd N` puts in N lines of a ninth one, a database, at random places; their numbers go to
 * standard error.
 */
const [lines = '10000', seed = '0', flag, odd = '0'] = process.argv.slice(2);
let state = (Number(seed) * 2654435761 + 88172645) >>> 0 || 1;
/** Marsaglia's xorshift: a whole number below n. */
const below = (n) => {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  state >>>= 0;
  return state % n;
};
const one = (list) => list[below(list.length)];
const hex = (digits) => Array.from({ length: digits }, () => below(16).toString(16)).join('');
const ip = () => `${one([10, 172, 185, 203, 45, 91])}.${below(256)}.${below(256)}.${1 + below(254)}`;
const user = () =>
  one(['root', 'admin', 'deploy', 'anna', 'backup', 'git', 'ubuntu', 'test', 'oracle', 'pi', 'jonas', 'www-data']);
const pid = () => 300 + below(60_000);
const unit = () =>
  one(['apt-daily.service', 'logrotate.service', 'cron.service', 'ssh.service', 'fstrim.service', 'man-db.service']);
const page = () =>
  one(['/', '/index.html', '/login', '/api/v1/items', '/img/logo.png', '/css/site.css', '/robots.txt', '/feed.xml']);
const agent = () =>
  one(['Mozilla/5.0 (X11; Linux x86_64)', 'curl/8.5.0', 'Googlebot/2.1', 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_2)']);

const programs = {
  sshd: () =>
    `sshd[${pid()}]: ${one([
      () => `Failed password for ${one(['', 'invalid user '])}${user()} from ${ip()} port ${1024 + below(64_000)} ssh2`,
      () =>
        `Accepted publickey for ${user()} from ${ip()} port ${1024 + below(64_000)} ssh2: ED25519 SHA256:${hex(43)}`,
      () => `Connection closed by ${ip()} port ${1024 + below(64_000)} [preauth]`,
      () => `pam_unix(sshd:session): session ${one(['opened', 'closed'])} for user ${user()}(uid=${below(2000)})`,
    ])()}`,
  cron: () =>
    `CRON[${pid()}]: (${user()}) CMD (${one(['/usr/lib/sa/debian-sa1 1 1', 'cd / && run-parts --report /etc/cron.hourly', 'test -x /usr/sbin/anacron'])})`,
  systemd: () =>
    `systemd[1]: ${one(['Starting', 'Started', 'Stopping', 'Stopped', 'Finished'])} ${unit()} - ${one(['Daily apt activities', 'Rotate log files', 'Regular background program', 'Discard unused blocks'])}.`,
  kernel: () =>
    `kernel: [${below(900_000)}.${String(below(1e6)).padStart(6, '0')}] ${one([() => `[UFW BLOCK] IN=eth0 OUT= SRC=${ip()} DST=10.0.0.4 LEN=${40 + below(40)} TTL=${30 + below(220)} PROTO=TCP SPT=${below(65_536)} DPT=${below(65_536)}`, () => `eth0: link ${one(['up', 'down'])}, ${one([100, 1000])} Mbps, full-duplex`, () => `usb 1-${1 + below(4)}: new high-speed USB device number ${2 + below(90)} using xhci_hcd`])()}`,
  nginx: () =>
    `nginx: ${ip()} - - "${one(['GET', 'GET', 'GET', 'POST', 'HEAD'])} ${page()} HTTP/1.1" ${one([200, 200, 200, 304, 404, 301, 502])} ${below(60_000)} "-" "${agent()}"`,
  postfix: () =>
    `postfix/${one(['smtpd', 'qmgr', 'cleanup'])}[${pid()}]: ${hex(10).toUpperCase()}: ${one([() => `client=unknown[${ip()}]`, () => `from=<${user()}@example.org>, size=${below(90_000)}, nrcpt=1 (queue active)`, () => 'removed', () => `message-id=<${hex(16)}@mail.example.org>`])()}`,
  dhclient: () =>
    `dhclient[${pid()}]: ${one(['DHCPREQUEST', 'DHCPACK'])} of 10.0.0.4 on eth0 to 10.0.0.1 port 67 (xid=0x${hex(8)})`,
  sudo: () =>
    `sudo: ${user().padStart(8)} : TTY=pts/${below(4)} ; PWD=/home/${user()} ; USER=root ; COMMAND=/usr/bin/${one(['apt update', 'systemctl restart nginx', 'less /var/log/syslog', 'journalctl -xe'])}`,
};
/** Some programs talk much more than others. */
const shares = [
  'nginx',
  'nginx',
  'nginx',
  'nginx',
  'sshd',
  'sshd',
  'sshd',
  'kernel',
  'kernel',
  'postfix',
  'postfix',
  'cron',
  'systemd',
  'dhclient',
  'sudo',
];
const database = () =>
  `postgres[${pid()}]: [${1 + below(9)}-1] ${one([
    () => `LOG:  checkpoint complete: wrote ${below(9000)} buffers (${below(99)}.${below(10)}%); 0 WAL file(s) added`,
    () => `ERROR:  duplicate key value violates unique constraint "${one(['items', 'orders', 'users'])}_pkey"`,
    () => `FATAL:  password authentication failed for user "${user()}"`,
    () =>
      `STATEMENT:  UPDATE ${one(['items', 'orders', 'users'])} SET price = ${below(900)} WHERE id = ${below(90_000)}`,
    () => `WARNING:  out of shared memory; increase max_locks_per_transaction`,
  ])()}`;

let second = 0;
const stamp = () => {
  second += below(9);
  const two = (n) => String(n).padStart(2, '0');
  return `Mar ${String(3 + Math.floor(second / 86_400)).padStart(2)} ${two(Math.floor(second / 3600) % 24)}:${two(Math.floor(second / 60) % 60)}:${two(second % 60)}`;
};
const places = new Set();
while (flag === '--odd' && places.size < Number(odd)) places.add(below(Number(lines)));
const text = Array.from(
  { length: Number(lines) },
  (_, i) => `${stamp()} web1 ${places.has(i) ? database() : programs[one(shares)]()}\n`,
);
process.stdout.write(text.join(''));
if (places.size > 0)
  process.stderr.write(
    `${[...places]
      .sort((a, b) => a - b)
      .map((i) => i + 1)
      .join(' ')}\n`,
  );
