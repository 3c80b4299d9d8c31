/**
 * Lines that a person might type at docker, and damaged ones: a grammar of its commands with names, flags and values that are
 * right, wrong or missing, then letters cut out, put in, words swapped. Each line must come back by itself or at ^C with a status,
 * an error must say something and show nothing of the program behind it, and docker's tables must agree with the machine after.
 */
import { loadAssets } from '../../src/cli/assets.ts';
import { begin, createTypist, finish, line, TimeUp, type Typed, type Typist, wait, waitForPrompt } from '../../src/engine/world/typist.ts';
import { act, createWorld } from '../../src/engine/world/world.ts';

/** Numbers from a seed: xorshift. */
function dice(seed: number): (below: number) => number {
  let x = seed * 2654435761 || 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

type Roll = (below: number) => number;
const pick = <T>(roll: Roll, list: readonly T[]): T => list[roll(list.length)]!;

const NAMES = ['c1', 'c1', 'c1', 'c2', 'c2', 'web', 'db', 'nosuch', '', 'C-3', 'a'];
const IMAGES = ['busybox', 'busybox', 'alpine', 'nginx', 'redis:8', 'hello-world', 'nosuch', 'Busy:box', 'busybox@sha256:00', 'x/y:z', 'img:1'];
const NETS = ['bridge', 'host', 'none', 'nn', 'nosuch', 'container:c1', 'container:nosuch'];
const VOLUMES = ['v1', 'vol2', 'nosuch', 'a/b', '/tmp', ''];
const SIZES = ['64m', '6m', '1g', '-1', '0', '10', 'abc', '5t', '1.5m', '99999999999999999999'];
const NUMBERS = ['0', '1', '10', '-1', '1.5', '100000', 'x', '', '9999999999999'];
const TEXTS = ['x', 'A=1', '=', 'a=b=c', 'é', '{{.Names}}', '{{', '{{json .}}', '{{.Foo}}', 'name=c1', 'status=exited', 'label=a', '10s', '1h', '2026-01-15', '--', '-', ' ', '/dev/null', '/tmp/f', "it's"];
const COMMANDS = [['true'], ['false'], ['echo', 'hi'], ['sleep', '3'], ['sh', '-c', 'exit 7'], ['nosuch'], ['/etc'], ['cat'], ['sh', '-c', 'echo x > /f; rm /bin/ls'], []];
const FORMATS = ['json', 'table {{.ID}}', '{{.ID}}', '{{json .}}', '{{range .}}{{end}}', '{{.Nope}}', '{{printf "%d" 1}}', '{{if}}', '{{index . 0}}', '{{.State.Status}}', '{{.NetworkSettings.Networks.bridge.IPAddress}}'];

/** Flags with what stands after them; none is a switch. */
const RUN: readonly (readonly [string, readonly string[] | null])[] = [
  ['-d', null], ['-d', null], ['-d', null], ['--rm', null], ['-i', null], ['-t', null], ['--name', NAMES], ['--name', NAMES], ['-e', TEXTS], ['-v', ['v1:/d', '/tmp:/d:ro', 'a:b:c:d', ':', '/x']], ['--mount', ['type=bind,src=/tmp,dst=/m', 'type=tmpfs,dst=/t', 'foo', 'dst=/x']],
  ['-p', ['80', '8080:80', '8080:80/udp', '99999:1', 'x', '127.0.0.1::80', '1-3:4-6']], ['-P', null], ['--network', NETS], ['--network-alias', TEXTS], ['--hostname', TEXTS], ['-m', SIZES], ['--memory-swap', SIZES], ['--memory-reservation', SIZES],
  ['--cpus', NUMBERS], ['--cpu-shares', NUMBERS], ['--cpuset-cpus', ['0', '0-1', '7', 'x']], ['--pids-limit', NUMBERS], ['--read-only', null], ['--tmpfs', ['/t', '/t:size=1m', 't', '/t:foo']], ['--user', ['0', '1000:1000', 'nobody', 'nosuch', ':']],
  ['--group-add', TEXTS], ['--cap-add', ['NET_ADMIN', 'ALL', 'foo']], ['--cap-drop', ['ALL', 'CHOWN', '']], ['--privileged', null], ['--security-opt', ['no-new-privileges', 'seccomp=unconfined', 'foo']], ['--pid', ['host', 'container:c1', 'x']],
  ['--ipc', ['host', 'shareable', 'container:c1', 'x']], ['--uts', ['host', 'x']], ['--restart', ['no', 'always', 'on-failure:2', 'unless-stopped', 'x', 'on-failure:x']], ['--health-cmd', ['true', 'false']], ['--health-interval', TEXTS], ['--init', null],
  ['--entrypoint', ['', 'sh', 'nosuch']], ['-w', ['/', '/new', 'rel']], ['-l', TEXTS], ['--ulimit', ['nofile=10', 'nofile=20:10', 'x']], ['--oom-score-adj', NUMBERS], ['--device', ['/dev/null', '/dev/nosuch', 'x:y:z:w']], ['--device-read-bps', ['/dev/vda:1mb', 'x']],
  ['--sysctl', ['net.core.somaxconn=5', 'x']], ['--shm-size', SIZES], ['--add-host', ['a:1.2.3.4', 'x']], ['--dns', ['8.8.8.8', 'x']], ['--stop-signal', ['TERM', '9', 'x']], ['--stop-timeout', NUMBERS], ['--pull', ['never', 'always', 'x']], ['--bogus', null], ['--ip', ['172.18.0.9', 'x']],
];
const few = (roll: Roll, from: typeof RUN, most: number): string[] => Array.from({ length: from.length === 0 ? 0 : roll(most + 1) }, () => pick(roll, from)).flatMap(([flag, values]) => (values ? [flag, pick(roll, values)] : [flag]));
const some = (roll: Roll, from: readonly string[], most = 2): string[] => Array.from({ length: roll(most + 1) }, () => pick(roll, from));

const LIST: typeof RUN = [['-a', null], ['-q', null], ['--no-trunc', null], ['--filter', TEXTS], ['--format', FORMATS], ['-n', NUMBERS], ['-l', null], ['-s', null]];
const UPDATE = RUN.filter(([flag]) => /^(?:-m|--memory.*|--cpu.*|--pids-limit|--restart)$/.test(flag));

type Rule = (roll: Roll) => string[];
const about = (command: string, flags: typeof RUN = []): Rule => (roll) => [...command.split(' '), ...few(roll, flags, 2), ...some(roll, NAMES)];

const RULES: readonly Rule[] = [
  (roll) => ['run', ...few(roll, RUN, 4), pick(roll, IMAGES), ...pick(roll, COMMANDS)],
  (roll) => ['run', '-d', '--name', pick(roll, NAMES), ...few(roll, RUN, 2), 'busybox', 'sleep', '100'],
  (roll) => ['create', ...few(roll, RUN, 3), pick(roll, IMAGES), ...pick(roll, COMMANDS)],
  (roll) => ['exec', ...few(roll, [['-i', null], ['-t', null], ['-d', null], ['-u', ['0', 'nosuch']], ['-w', ['/tmp', 'rel', '/nosuch']], ['-e', TEXTS], ['--privileged', null]], 2), pick(roll, NAMES), ...pick(roll, COMMANDS)],
  about('ps', LIST), about('stop', [['-t', NUMBERS], ['-s', TEXTS]]), about('start', [['-a', null], ['-i', null]]), about('restart', [['-t', NUMBERS]]), about('kill', [['-s', ['TERM', 'KILL', '0', 'x', '99']]]), about('pause'), about('unpause'),
  about('rm', [['-f', null], ['-v', null], ['-l', null]]), about('wait'), about('rename'), about('top'), about('port'), about('diff'), about('attach', [['--no-stdin', null], ['--detach-keys', TEXTS]]),
  about('logs', [['-f', null], ['--tail', NUMBERS], ['--since', TEXTS], ['--until', TEXTS], ['-t', null], ['--details', null]]), about('stats', [['--no-stream', null], ['--format', FORMATS], ['-a', null]]), about('update', UPDATE),
  about('inspect', [['-f', FORMATS], ['-s', null], ['--type', ['container', 'image', 'x']]]), (roll) => ['inspect', '-f', pick(roll, FORMATS), pick(roll, [...IMAGES, ...NETS, ...VOLUMES])],
  (roll) => ['cp', ...some(roll, [`${pick(roll, NAMES)}:${pick(roll, ['/etc', '/f', '/nosuch', ''])}`, '/tmp/f', '/etc/hostname', '-'], 3)],
  (roll) => ['commit', ...few(roll, [['-m', TEXTS], ['-a', TEXTS], ['-c', ['CMD x', 'FOO', 'ENV a=b']], ['-p', null]], 2), ...some(roll, NAMES, 1), ...some(roll, IMAGES, 1)],
  (roll) => ['images', ...few(roll, [...LIST, ['--digests', null]], 2), ...some(roll, IMAGES, 1)], (roll) => ['history', ...few(roll, LIST, 1), ...some(roll, IMAGES, 1)], (roll) => ['tag', ...some(roll, IMAGES, 3)], (roll) => ['rmi', ...few(roll, [['-f', null]], 1), ...some(roll, ['img:1', 'nosuch', 'x/y:z'])],
  (roll) => ['save', ...few(roll, [['-o', ['/tmp/s.tar', '/nosuch/x']]], 1), ...some(roll, IMAGES)], (roll) => ['load', ...few(roll, [['-i', ['/tmp/s.tar', '/etc/passwd', '/nosuch']], ['-q', null]], 2)], (roll) => ['export', '-o', '/tmp/e.tar', ...some(roll, NAMES, 1)], (roll) => ['import', pick(roll, ['/tmp/e.tar', '/etc/passwd', '/nosuch']), ...some(roll, IMAGES, 1)],
  (roll) => ['network', pick(roll, ['ls', 'create', 'rm', 'inspect', 'connect', 'disconnect', 'prune', 'x']), ...few(roll, [['-f', TEXTS], ['--subnet', ['10.1.0.0/16', 'x', '10.1.2.3/8']], ['--gateway', ['10.1.0.1', 'x']], ['--internal', null], ['--format', FORMATS]], 2), ...some(roll, [...NETS, ...NAMES])],
  (roll) => ['volume', pick(roll, ['ls', 'create', 'rm', 'inspect', 'prune', 'x']), ...few(roll, [['-f', TEXTS], ['--label', TEXTS], ['-q', null], ['--format', FORMATS]], 2), ...some(roll, VOLUMES)],
  (roll) => ['system', pick(roll, ['df', 'info', 'events', 'prune', 'x']), ...few(roll, [['-f', null], ['-v', null], ['--format', FORMATS], ['--since', TEXTS], ['--until', ['0s', '1s', 'x']]], 2)],
  (roll) => ['events', '--since', '1m', '--until', pick(roll, ['0s', '1s', 'x']), ...few(roll, [['--filter', TEXTS], ['--format', FORMATS]], 2)], (roll) => ['info', ...few(roll, [['-f', FORMATS]], 1)], (roll) => ['version', ...few(roll, [['-f', FORMATS]], 1)],
  (roll) => [pick(roll, ['container', 'image', 'container prune', 'image prune -f', 'help', 'psx', '--help', '-v', 'context ls', 'search x', '-H tcp://1.2.3.4:1 ps']), ...some(roll, NAMES, 1)].flatMap((word) => word.split(' ')),
];

/** Letters cut out or put in, a word gone, twice, or elsewhere. */
function damaged(roll: Roll, words: readonly string[]): string[] {
  const out = words.slice();
  const at = roll(out.length);
  const word = out[at] ?? '';
  const place = roll(word.length + 1);
  const how = roll(6);
  if (how === 0) out.splice(at, 1);
  else if (how === 1) out.splice(at, 0, word);
  else if (how === 2) out.push(...out.splice(at, 1));
  else if (how === 3) out[at] = word.slice(0, place) + word.slice(place + 1 + roll(3));
  else out[at] = word.slice(0, place) + pick(roll, [...'-=:/,.{}$"%*?[]\\|~!@#^&()<>; 0aZ', '--', '\u00e9', '::', '{{']) + word.slice(place);
  return out;
}

const quoted = (word: string): string => (/^[\w./:=@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** The n-th line of a seed. */
export function dockerLine(seed: number, n: number): string {
  const roll = dice(seed * 100_003 + n + 1);
  for (let warm = 0; warm < 5; warm++) roll(2);
  let words = pick(roll, RULES)(roll);
  for (let times = roll(5) === 0 ? 1 + roll(3) : 0; times > 0; times--) words = damaged(roll, words);
  return ['docker', ...words].map(quoted).join(' ');
}

/** What no message of docker's may show. */
const INSIDE = /TypeError|RangeError|ReferenceError|\bundefined\b|\[object |\bNaN\b|\n\s+at \w+ \(|Cannot read prop|is not a function|is not iterable/;

export interface Outcome {
  lines: number;
  failed: number;
  interrupted: number;
  faults: string[];
}

/** What the lines find: some of their names are right. */
const AT_FIRST = ['docker run -d --name c1 busybox sleep 10000', 'docker run -d --name c2 -p 8090:80 nginx', 'docker network create nn', 'docker volume create vol2'];

/** Types lines `from` to `to` of a seed into one machine. */
export function typeLines(seed: number, from: number, to: number, expired: () => boolean = () => false): Outcome {
  const typist = createTypist(createWorld(loadAssets(), 'one-host', seed), { until: Number.MAX_SAFE_INTEGER, expired });
  waitForPrompt(typist);
  for (const one of AT_FIRST) line(typist, one);
  const outcome: Outcome = { lines: 0, failed: 0, interrupted: 0, faults: [] };
  for (let n = from; n < to && !expired(); n++) {
    const text = dockerLine(seed, n);
    const typed = typeOne(typist, text, outcome);
    outcome.lines++;
    if (!typed) {
      outcome.faults.push(`${n}: never came back: ${text}`);
      return outcome;
    }
    if (typed.exit !== 0) outcome.failed++;
    const said = typed.stdout + typed.stderr;
    if (typed.exit === null) outcome.faults.push(`${n}: no status: ${text}`);
    if (INSIDE.test(said) && !INSIDE.test(text)) outcome.faults.push(`${n}: shows its inside: ${text}\n${said.slice(Math.max(0, said.search(INSIDE) - 200), said.search(INSIDE) + 100)}`);
    if (n % 20 === 19) outcome.faults.push(...disagreements(typist).map((one) => `${n}: ${one}: after ${text}`));
  }
  return outcome;
}

/** Waits some simulated seconds for a line; then says ^D, ^C, ^\, and detaches, until it ends. */
function typeOne(typist: Typist, text: string, outcome: Outcome): Typed | null {
  const begun = begin(typist, text)!;
  const { deadline } = typist;
  try {
    for (const keys of ['', '\x03', '\x04', '\x10\x11', '\x03\x03\x03', '\x1c', '\x03']) {
      if (keys !== '') {
        outcome.interrupted += keys === '\x03' ? 1 : 0;
        act(typist.world, { do: 'type', tty: typist.tty, data: keys });
      }
      typist.deadline = typist.world.timeline.now + 15e9;
      try {
        return finish(typist, begun);
      } catch (error) {
        if (!(error instanceof TimeUp)) throw error;
      }
    }
    return null;
  } finally {
    typist.deadline = deadline;
  }
}

/** Where docker's tables and the machine differ. Also throws away what has gathered. */
function disagreements(typist: Typist): string[] {
  const ask = (command: string): string[] => line(typist, command)!.stdout.split('\n').filter((one) => one !== '');
  wait(typist, 2e9);
  const out: string[] = [];
  const listed = ask('docker ps -aq --no-trunc').sort();
  const kept = ask('ls /var/lib/docker/containers').flatMap((one) => one.split(/\s+/)).sort();
  if (listed.join() !== kept.join()) out.push(`docker ps lists ${listed.length}, its directory has ${kept.length}`);
  const running = ask("for c in $(docker ps -q --filter status=running); do docker inspect -f '{{.State.Pid}}' $c; done");
  for (const pid of running) if (ask(`test -d /proc/${pid} && echo yes`)[0] !== 'yes') out.push(`pid ${pid} of a running container is gone`);
  if (listed.length > 12) {
    ask('docker rm -f $(docker ps -aq)');
    for (const one of AT_FIRST) ask(one);
  }
  return out;
}
