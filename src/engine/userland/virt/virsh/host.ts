/** Commands about the host, the hypervisor and its networks. */
import { attempt, type Command, table, yes } from './command.ts';

interface Node { hostname: string; cpus: number; memory: number }

const named = (summary: string, method: string, done: (name: string) => string, failed: (name: string) => string): Command => ({
  words: ['network'], summary,
  *run(c, p) {
    const name = p.words[0]!;
    if ((yield* attempt(c, failed(name), method, { network: name })) === undefined) return false;
    c.print(done(name));
    return true;
  },
});

const refused = (summary: string, ...lines: string[]): Command => ({
  words: [], summary,
  *run(c) {
    for (const line of lines) c.error(line);
    return false;
  },
});

const saying = (summary: string, text: string): Command => ({
  words: [], summary,
  *run(c) {
    c.print(text);
    return true;
  },
});

export const host: Readonly<Record<string, Command>> = {
  'net-list': {
    words: [], flags: ['all', 'inactive', 'persistent', 'transient', 'autostart', 'no-autostart', 'name', 'uuid', 'table'], summary: 'list networks',
    *run(c, p) {
      const nets = (yield* c.call('networks')) as { name: string; active: boolean; autostart: boolean; persistent: boolean }[];
      const shown = nets.filter((n) => p.flags.all || n.active !== (p.flags.inactive === true));
      c.print(table(['Name', 'State', 'Autostart', 'Persistent'], shown.map((n) => [n.name, n.active ? 'active' : 'inactive', yes(n.autostart), yes(n.persistent)])));
      return true;
    },
  },
  version: {
    words: [], flags: ['daemon'], summary: 'show version',
    *run(c, p) {
      c.print('Compiled against library: libvirt 9.0.0\nUsing library: libvirt 9.0.0\nUsing API: QEMU 9.0.0\nRunning hypervisor: QEMU 7.2.22\n');
      if (p.flags.daemon) c.print('Running against daemon: 9.0.0\n');
      return true;
    },
  },
  uri: {
    words: [], summary: 'print the hypervisor canonical URI',
    *run(c) {
      c.print(`${c.uri}\n`);
      return true;
    },
  },
  hostname: {
    words: [], summary: 'print the hypervisor hostname',
    *run(c) {
      c.print(`${((yield* c.call('version')) as { hostname: string }).hostname}\n`);
      return true;
    },
  },
  nodeinfo: {
    words: [], summary: 'node information',
    *run(c) {
      const node = (yield* c.call('version')) as { cpus: number; memory: number };
      const line = (name: string, value: string | number): string => `${`${name}:`.padEnd(20)} ${value}\n`;
      c.print(line('CPU model', 'x86_64') + line('CPU(s)', node.cpus) + line('CPU frequency', '2000 MHz') + line('CPU socket(s)', 1) + line('Core(s) per socket', node.cpus) + line('Thread(s) per core', 1) + line('NUMA cell(s)', 1) + line('Memory size', `${node.memory} KiB`));
      return true;
    },
  },
  'net-start': named('start a (previously defined) inactive network', 'netStart', (n) => `Network ${n} started\n`, (n) => `Failed to start network ${n}`),
  'net-destroy': named('destroy (stop) a network', 'netDestroy', (n) => `Network ${n} destroyed\n`, (n) => `Failed to destroy network ${n}`),
  nodecpumap: {
    words: [], flags: ['pretty'], summary: 'node cpu map',
    *run(c) {
      const { cpus } = (yield* c.call('version')) as Node;
      const line = (name: string, value: string | number): string => `${`${name}:`.padEnd(15)} ${value}\n`;
      c.print(line('CPUs present', cpus) + line('CPUs online', cpus) + line('CPU map', 'y'.repeat(cpus)));
      return true;
    },
  },
  nodememstats: {
    words: [], values: ['cell'], summary: 'Prints memory stats of the node.',
    *run(c) {
      const stats = (yield* c.call('memory')) as Record<string, number>;
      for (const [name, kib] of Object.entries(stats)) c.print(`${name.padEnd(7)}: ${String(kib).padStart(20)} KiB\n`);
      return true;
    },
  },
  nodecpustats: {
    words: [], flags: ['percent'], values: ['cpu'], summary: 'Prints cpu stats of the node.',
    *run(c) {
      const stats = (yield* c.call('processor')) as Record<string, number>;
      for (const [name, ns] of Object.entries(stats)) c.print(`${`${name}:`.padEnd(15)} ${String(ns).padStart(20)}\n`);
      return true;
    },
  },
  maxvcpus: { ...saying('connection vcpu maximum', '255\n'), values: ['type'] },
  sysinfo: refused('print the hypervisor sysinfo', 'failed to get sysinfo', 'unsupported configuration: Host SMBIOS information is not available'),
  'nwfilter-list': saying('list network filters', table(['UUID', 'Name'], [])),
  'secret-list': saying('list secrets', table(['UUID', 'Usage'], [])),
  echo: {
    words: ['string*'], flags: ['shell', 'xml'], summary: 'echo arguments. Used for internal testing.',
    *run(c, p) {
      c.print(`${p.words.map((word) => (p.flags.shell && /[^\w./-]/.test(word) ? `'${word.replace(/'/g, "'\\''")}'` : word)).join(' ')}\n`);
      return true;
    },
  },
};
