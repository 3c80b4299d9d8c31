/** Commands that look into a domain: devices, statistics, jobs, what a guest agent would tell. */
import type { Call, DomainInfo } from '../libvirt/domains.ts';
import type { Disk, Interface } from '../libvirt/xml.ts';
import { attempt, type Command, type Context, type Parsed, table } from './command.ts';

const STOPPED = 'Requested operation is not valid: domain is not running';
const NO_AGENT = 'argument unsupported: QEMU guest agent is not configured';

/** What only an agent in the guest could answer: there is none. */
const agent = (summary: string, more: Partial<Command> = {}, prefix: ((d: DomainInfo) => string) | null = null): Command => ({
  words: ['domain'], summary, ...more,
  *run(c, _p, d) {
    if (prefix) c.error(prefix(d));
    c.error(d.id === null ? STOPPED : NO_AGENT);
    return false;
  },
});

/** Needs a running domain; then `run`. */
const live = (summary: string, run: (c: Context, d: DomainInfo) => boolean, more: Partial<Command> = {}, stopped = STOPPED): Command => ({
  words: ['domain'], summary, ...more,
  *run(c, _p, d) {
    if (d.id !== null) return run(c, d);
    c.error(stopped);
    return false;
  },
});

/** What is absent here but, as in life, is refused first for a domain that does not run. */
const absent = (name: string, summary: string, words: readonly string[], prefix: ((d: DomainInfo, p: Parsed) => string) | null, more: Partial<Command> = {}): Command => ({
  words, summary, ...more,
  *run(c, p, d) {
    if (d.id === null && prefix) c.error(prefix(d, p));
    c.error(d.id === null ? STOPPED : `not modelled: ${name}`);
    return false;
  },
});

const refusing =
  (...lines: string[]) =>
  (c: Context): boolean => {
    for (const line of lines) c.error(line);
    return false;
  };

const saying =
  (text: string) =>
  (c: Context): boolean => {
    c.print(text);
    return true;
  };

interface Devices { disks: Disk[]; interfaces: (Interface & { target: string })[] }

function* devicesOf(c: Context, d: DomainInfo, inactive: boolean): Call<Devices> {
  return (yield* c.call('devices', { domain: d.name, inactive })) as Devices;
}

const STATES: Readonly<Record<string, number>> = { running: 1, paused: 3, 'shut off': 5, crashed: 6 };
const REASONS: Readonly<Record<string, number>> = { booted: 1, unpaused: 5, user: 1, shutdown: 1, destroyed: 2, crashed: 3, failed: 6, unknown: 0, 'starting up': 11 };

export const monitoring: Readonly<Record<string, Command>> = {
  domblklist: {
    words: ['domain'], flags: ['inactive', 'details'], summary: 'list all domain blocks',
    *run(c, p, d) {
      const { disks } = yield* devicesOf(c, d, p.flags.inactive === true);
      const rows = disks.map((disk) => (p.flags.details ? [disk.type, disk.device, disk.target, disk.source || '-'] : [disk.target, disk.source || '-']));
      c.print(table(p.flags.details ? ['Type', 'Device', 'Target', 'Source'] : ['Target', 'Source'], rows, c.quiet));
      return true;
    },
  },
  domiflist: {
    words: ['domain'], flags: ['inactive'], summary: 'list all domain virtual interfaces',
    *run(c, p, d) {
      const { interfaces } = yield* devicesOf(c, d, p.flags.inactive === true);
      c.print(table(['Interface', 'Type', 'Source', 'Model', 'MAC'], interfaces.map((nic) => [p.flags.inactive ? '-' : nic.target || '-', 'network', nic.network, nic.model, nic.mac]), c.quiet));
      return true;
    },
  },
  domstats: {
    words: ['domain*'], flags: ['state', 'cpu-total', 'balloon', 'vcpu', 'interface', 'block', 'perf', 'iothread', 'memory', 'dirtyrate', 'list-active', 'list-inactive', 'list-persistent', 'list-transient', 'list-running', 'list-paused', 'list-shutoff', 'raw', 'enforce', 'backing', 'nowait'],
    summary: 'get statistics about one or multiple domains',
    *run(c, p) {
      const all = (yield* c.call('list')) as DomainInfo[];
      const chosen = p.words.length > 0 ? p.words.map((name) => all.find((d) => d.name === name || d.uuid === name || String(d.id) === name) ?? name) : all;
      const missing = chosen.find((d) => typeof d === 'string');
      if (typeof missing === 'string') {
        c.error(`failed to get domain '${missing}'`);
        return false;
      }
      c.print((chosen as DomainInfo[]).map((d) => statsOf(d, p.flags)).join('\n'));
      return true;
    },
  },
  vcpuinfo: {
    words: ['domain'], flags: ['pretty'], summary: 'detailed domain vcpu information',
    *run(c, p, d) {
      const { cpus } = (yield* c.call('version')) as { cpus: number };
      const line = (name: string, value: string): string => `${`${name}:`.padEnd(15)} ${value}\n`;
      for (let n = 0; n < d.vcpusNow; n++) {
        c.print(line('VCPU', String(n)) + line('CPU', d.id === null ? 'N/A' : String(n % cpus)) + line('State', d.id === null ? 'N/A' : 'running'));
        c.print(d.id === null ? `${'CPU time'.padEnd(15)} N/A\n` : line('CPU time', `${((d.cpuTime ?? 0) / 1e9).toFixed(1)}s`));
        c.print(line('CPU Affinity', p.flags.pretty ? `0-${cpus - 1} (out of ${cpus})` : 'y'.repeat(cpus)) + (n + 1 < d.vcpusNow ? '\n' : ''));
      }
      return true;
    },
  },
  domcontrol: live('domain control interface state', saying('ok\n')),
  domjobinfo: live('domain job information', saying('Job type:         None        \n'), { flags: ['completed', 'keep-completed', 'anystats', 'rawstats'] }),
  domjobabort: live('abort active domain job', refusing('Requested operation is not valid: no job is active on the domain'), { flags: ['postcopy'] }),
  domblkerror: live('Show errors on block devices', saying('No errors found\n')),
  domdisplay: live('domain display connection URI', refusing('No graphical display found'), { flags: ['include-password', 'all'], values: ['type'] }, 'Domain is not running'),
  vncdisplay: live('vnc display', refusing('Failed to get VNC port. Is this domain using VNC?'), {}, 'Domain is not running'),
  screenshot: {
    words: ['domain', 'file?'], values: ['screen'], summary: 'take a screenshot of a current domain console and store it into a file',
    *run(c, _p, d) {
      c.error(`could not take a screenshot of ${d.name}`);
      c.error(d.id === null ? STOPPED : 'Requested operation is not valid: no screens to take screenshot from');
      return false;
    },
  },
  domtime: agent('domain time', { flags: ['now', 'pretty', 'sync'], values: ['time'] }),
  domhostname: agent("print the domain's hostname", { values: ['source'] }, () => 'failed to get hostname'),
  domfsinfo: agent("Get information of domain's mounted filesystems.", {}, () => 'Unable to get filesystem information'),
  guestinfo: agent('query information about the guest (via agent)', { flags: ['user', 'os', 'timezone', 'hostname', 'filesystem', 'disk', 'interface'] }),
  dompmsuspend: agent('suspend a domain gracefully using power management functions', { words: ['domain', 'target'], values: ['duration'] }, (d) => `Domain '${d.name}' could not be suspended`),
  'qemu-agent-command': agent('QEMU Guest Agent Command', { words: ['domain', 'cmd*'], flags: ['async', 'block', 'pretty'], values: ['timeout'] }),
  save: absent('save', 'save a domain state to a file', ['domain', 'file'], (d, p) => `Failed to save domain '${d.name}' to ${p.words[1]}`, { flags: ['bypass-cache', 'running', 'paused', 'verbose'], values: ['xml'] }),
  managedsave: absent('managedsave', 'managed save of a domain state', ['domain'], (d) => `Failed to save domain '${d.name}' state`, { flags: ['bypass-cache', 'running', 'paused', 'verbose'] }),
  dump: absent('dump', 'dump the core of a domain to a file for analysis', ['domain', 'file'], (d, p) => `Failed to core dump domain '${d.name}' to ${p.words[1]}`, { flags: ['live', 'crash', 'bypass-cache', 'reset', 'verbose', 'memory-only'], values: ['format'] }),
  domblkstat: absent('domblkstat', 'get device block stats for a domain', ['domain', 'device?'], null, { flags: ['human'] }),
  domifstat: absent('domifstat', 'get network interface stats for a domain', ['domain', 'interface'], (d, p) => `Failed to get interface stats ${d.name} ${p.words[1]}`),
  domifaddr: absent('domifaddr', "Get network interfaces' addresses for a running domain", ['domain', 'interface?'], () => 'Failed to query for interfaces addresses', { flags: ['full'], values: ['source'] }),
  'managedsave-remove': {
    words: ['domain'], summary: 'Remove managed save of a domain',
    *run(c, _p, d) {
      c.print(`Domain '${d.name}' has no manage save image; removal skipped`);
      return true;
    },
  },
  'inject-nmi': live('Inject NMI to the guest', refusing('not modelled: inject-nmi')),
  'send-key': live('Send keycodes to the guest', refusing('not modelled: a keyboard (use the serial console)'), { words: ['domain', 'keycode*'], values: ['codeset', 'holdtime'] }),
  iothreadinfo: {
    words: ['domain'], flags: ['config', 'live', 'current'], summary: 'view domain IOThreads',
    *run(c) {
      c.print('No IOThreads found for the domain');
      return true;
    },
  },
  metadata: {
    words: ['domain', 'uri'], values: ['key', 'set'], flags: ['edit', 'remove', 'config', 'live', 'current'], summary: "show or set domain's custom XML metadata",
    *run(c) {
      c.error('metadata not found: Requested metadata element is not present');
      return false;
    },
  },
  domrename: {
    words: ['domain', 'new-name'], summary: 'rename an inactive domain',
    *run(c, p, d) {
      if ((yield* attempt(c, '', 'rename', { domain: d.name, name: p.words[1] })) === undefined) return false;
      c.print('Domain successfully renamed\n');
      return true;
    },
  },
};

function statsOf(d: DomainInfo, flags: Readonly<Record<string, string | true>>): string {
  const any = ['state', 'cpu-total', 'balloon', 'vcpu', 'interface', 'block', 'perf', 'iothread', 'memory', 'dirtyrate'].some((name) => flags[name]);
  const want = (name: string): boolean => !any || flags[name] === true;
  const lines = [`Domain: '${d.name}'`];
  if (want('state')) lines.push(`  state.state=${STATES[d.state] ?? 0}`, `  state.reason=${REASONS[d.reason] ?? 0}`);
  if (want('cpu-total') && d.cpuTime !== null) lines.push(`  cpu.time=${d.cpuTime}`);
  if (want('balloon')) lines.push(`  balloon.current=${d.current}`, `  balloon.maximum=${d.memory}`);
  if (want('vcpu')) lines.push(`  vcpu.current=${d.vcpusNow}`, `  vcpu.maximum=${d.vcpus}`);
  return `${lines.join('\n')}\n`;
}
