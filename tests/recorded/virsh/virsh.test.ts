/**
 * virsh and libvirtd's rules against a recorded session of libvirt 9.0 with its QEMU driver: the first part, in order, on a
 * host whose processes are imagined. Commands that are not modelled are passed over and counted.
 */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createLibvirt, ended, find, type Host } from '../../../src/engine/userland/virt/libvirt/domains.ts';
import { METHODS } from '../../../src/engine/userland/virt/libvirt/methods.ts';
import { COMMANDS, type Context } from '../../../src/engine/userland/virt/virsh/commands.ts';
import { runCommand } from '../../../src/engine/userland/virt/virsh/run.ts';

interface Recorded { scenario: string; cmd: string; stdout: string; stderr: string; exit: number }
const here = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');
const lines = here('virsh-qemu.jsonl').trim().split('\n').map((line) => JSON.parse(line) as Recorded);

/** CPU time, the host's figures, id of the run. */
const normal = (text: string): string => text.replace(/CPU time: +\d+\.\d+s/g, 'CPU time').replace(/(CPU frequency: +)\d+/, '$1N').replace(/(Memory size: +)\d+/, '$1N').replace(/\b\d+(?= +tiny)/g, 'ID').replace(/Id: +\d+/g, 'Id: N').replace(/^\d+\n/, 'N\n').replace(/Used memory: +\d+/, 'Used memory: N').replace(/^(-+)$/gm, '---').replace(/ Id +/g, ' Id  ').replace(/ (-|ID) +tiny/g, ' $1 tiny');

// biome-ignore lint/suspicious/noExplicitAny: drives a generator that makes no system call
const drive = <T>(body: Generator<any, T, any>): T => {
  const step = body.next();
  if (!step.done) throw new Error('a system call where none is expected');
  return step.value;
};

const words = (line: string): string[] => [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map((m) => m[1] ?? m[2] ?? m[3]!);

function session() {
  const state = createLibvirt('vm', 2, 12150988);
  state.networks[0]!.autostart = false;
  let pids = 100;
  const host: Host = {
    *launch() { return { pid: pids++, pty: '/dev/pts/0' }; },
    *kill() {}, *monitor() {}, *save() {}, *remove() {}, *qmp() { return {}; }, *size(path) { return /^\/nope|nokernel/.test(path) ? null : 1; },
    *knob() { return 'max'; }, *nodeStats(what): Generator<never, Record<string, number>> { return what === 'memory' ? { total: 24684084, free: 20204888, buffers: 6140, cached: 1741480 } : { user: 4501210000000, system: 856910000000, idle: 4103350000000, iowait: 21660000000 }; },
    *cpuTime() { return 4e8; }, *rss() { return 0; },
  };
  return {
    state,
    over: (name: string, reason: string) => drive(ended(state, host, find(state, name)!, reason)),
    type(cmd: string) {
      const out = { stdout: '', stderr: '', exit: 0 };
      const context: Context = {
        *call(method, args = {}) { return yield* METHODS[method]!(state, host, args); },
        print: (text) => { out.stdout += text; },
        error: (text) => { out.stderr += `error: ${text}\n`; },
        *readFile(path) { return path === 'xml/tiny.xml' ? here('tiny.xml') : /^xml\/b\d+\.xml$/.test(path) ? here(path) : null; },
        uri: 'qemu+unix:///system?socket=/root/virt/run/libvirt-sock',
      };
      out.exit = drive(runCommand(context, words(cmd).slice(1)));
      return out;
    },
  };
}

it('prints what virsh printed', () => {
  const s = session();
  const exact: string[] = [];
  const differ: { cmd: string; mine: unknown; theirs: unknown }[] = [];
  for (const line of lines) {
    const plain = /^virsh [^|;&$>]*$/.test(line.cmd);
    const name = words(line.cmd)[1] ?? '';
    if (!plain || !Object.hasOwn(COMMANDS, name)) continue;
    // what the guest did by itself between two lines of the recording
    if (line.stdout.startsWith('shut off (shutdown)') && s.state.domains.get('tiny')?.running) s.over('tiny', 'shutdown');
    if (line.scenario !== 'inactive' && /^virsh start tiny/.test(line.cmd) && (line.exit === 0 || line.scenario === 'net_missing_at_start') && s.state.domains.get('tiny')?.running) s.over('tiny', 'shutdown');
    const mine = s.type(line.cmd);
    const theirs = { stdout: line.stdout, stderr: line.stderr, exit: line.exit };
    const same = mine.exit === line.exit && normal(mine.stdout) === normal(line.stdout) && mine.stderr === line.stderr;
    if (same) exact.push(line.cmd);
    else differ.push({ cmd: line.cmd, mine, theirs });
  }
  console.log(`virsh: ${exact.length} exact, ${differ.length} differ`);
  if (process.env.SHOW_DIFFERENCES) console.log(JSON.stringify(differ, null, 1), exact.length);
  expect(exact.length).toBeGreaterThanOrEqual(150);
  expect(differ.length).toBeLessThanOrEqual(80);
});

it('refuses bad definitions in the words that libvirt has for them', () => {
  const s = session();
  const differ: unknown[] = [];
  let exact = 0;
  for (const line of here('bad-xml.jsonl').trim().split('\n').map((one) => JSON.parse(one) as Recorded)) {
    if (!/^virsh define \S+$|^virsh start tiny/.test(line.cmd)) continue;
    const mine = s.type(line.cmd);
    if (mine.exit === line.exit && mine.stdout === line.stdout && mine.stderr === line.stderr) exact++;
    else differ.push({ cmd: line.cmd, mine, theirs: { stdout: line.stdout, stderr: line.stderr, exit: line.exit } });
  }
  console.log(`bad definitions: ${exact} exact, ${differ.length} differ`);
  if (process.env.SHOW_DIFFERENCES) console.log(JSON.stringify(differ, null, 1));
  expect(exact).toBeGreaterThanOrEqual(38);
});

it.each([
  ['virsh nosuch', "error: unknown command: 'nosuch'\n"],
  ['virsh start', "error: command 'start' requires <domain> option\n"],
  ['virsh start tiny', "error: failed to get domain 'tiny'\n"],
  ['virsh list --bogus', "error: command 'list' doesn't support option --bogus\n"],
  ['virsh define /nope', "error: Failed to open file '/nope': No such file or directory\n"],
])('%s is refused', (cmd, stderr) => {
  const mine = session().type(cmd);
  expect([mine.exit, mine.stderr]).toEqual([1, stderr]);
});

it('forgets a domain that is undefined once it is off, and gives every start a new id', () => {
  const s = session();
  s.type('virsh define xml/tiny.xml');
  s.type('virsh start tiny');
  expect(s.type('virsh domid tiny').stdout).toBe('1\n\n');
  s.type('virsh destroy tiny');
  s.type('virsh start tiny');
  expect(s.type('virsh domid tiny').stdout).toBe('2\n\n');
  s.type('virsh undefine tiny');
  expect(s.type('virsh list').stdout).toContain('tiny');
  s.type('virsh destroy tiny');
  expect(s.type('virsh list --all').stdout).not.toContain('tiny');
});
