/** Commands that make, start, end and describe domains. Words, widths and statuses are those of virsh 9.0. */
import type { Call, DomainInfo } from '../libvirt/domains.ts';
import { attempt, type Command, type Context, field, printing, simple, table, yes } from './command.ts';

const MODES = ['acpi', 'agent', 'initctl', 'signal', 'paravirt'];

export const lifecycle: Readonly<Record<string, Command>> = {
  list: {
    words: [], flags: ['all', 'inactive', 'name', 'uuid', 'title', 'autostart', 'no-autostart', 'persistent', 'transient', 'state-running', 'state-paused', 'state-shutoff', 'id', 'table', 'with-managed-save', 'managed-save'],
    summary: 'list domains',
    *run(c, p) {
      const all = (yield* c.call('list')) as DomainInfo[];
      const f = p.flags;
      if (f.table && (f.name || f.uuid || f.id)) {
        c.error(`Options --table and --${f.name ? 'name' : f.uuid ? 'uuid' : 'id'} are mutually exclusive`);
        return false;
      }
      const shown = all.filter((d) => {
        if (f.autostart && !d.autostart) return false;
        if (f['no-autostart'] && d.autostart) return false;
        if (f.persistent && !d.persistent) return false;
        if (f.transient && d.persistent) return false;
        const states = [f['state-running'] && 'running', f['state-paused'] && 'paused', f['state-shutoff'] && 'shut off'].filter(Boolean);
        if (states.length > 0) return states.includes(d.state);
        return f.all ? true : f.inactive ? d.id === null : d.id !== null;
      });
      if (f.name || f.uuid || f.id) {
        for (const d of shown) c.print(`${f.name ? d.name : f.uuid ? d.uuid : (d.id ?? '-')}\n`);
        return true;
      }
      const heads = f.title ? ['Id', 'Name', 'State', 'Title'] : ['Id', 'Name', 'State'];
      c.print(table(heads, shown.map((d) => [d.id === null ? '-' : String(d.id), d.name, d.state, ...(f.title ? [d.title] : [])]), c.quiet));
      return true;
    },
  },
  start: {
    words: ['domain'], flags: ['paused', 'autodestroy', 'bypass-cache', 'force-boot', 'console'], summary: 'start a (previously defined) inactive domain',
    *run(c, p, domain) {
      if (domain.id !== null) {
        c.error('Domain is already active');
        return false;
      }
      if ((yield* attempt(c, `Failed to start domain '${domain.name}'`, 'start', { domain: domain.name, paused: p.flags.paused === true })) === undefined) return false;
      c.print(`Domain '${domain.name}' started\n`);
      if (p.flags.console) return yield* openConsole(c, domain.name);
      return true;
    },
  },
  console: {
    words: ['domain'], flags: ['force', 'resume', 'safe'], values: ['devname'], summary: 'connect to the guest console',
    *run(c, _p, domain) {
      if (domain.id === null) {
        c.error('The domain is not running');
        return false;
      }
      return yield* openConsole(c, domain.name);
    },
  },
  'qemu-monitor-command': {
    words: ['domain', 'cmd*'], flags: ['hmp', 'pretty', 'return-value'], summary: 'QEMU Monitor Command',
    *run(c, p, domain) {
      const line = p.words.slice(1).join(' ');
      if (p.flags.hmp) {
        const answer = (yield* c.call('qmp', { domain: domain.name, message: { execute: 'human-monitor-command', arguments: { 'command-line': line } } })) as { return?: string };
        c.print(`${String(answer.return ?? '')}\n`);
        return true;
      }
      let message: Record<string, unknown>;
      try {
        message = JSON.parse(line) as Record<string, unknown>;
      } catch {
        message = { execute: line };
      }
      const answer = yield* c.call('qmp', { domain: domain.name, message });
      c.print(p.flags.pretty ? JSON.stringify(answer, null, 2) : `${JSON.stringify(answer)}\n`);
      return true;
    },
  },
  create: {
    words: ['file'], flags: ['paused', 'console', 'autodestroy', 'validate'], summary: 'create a domain from an XML file',
    *run(c, p) {
      return yield* fromFile(c, p.words[0]!, 'create', 'create domain', 'created', { paused: p.flags.paused === true });
    },
  },
  define: {
    words: ['file'], flags: ['validate'], summary: 'define (but don\'t start) a domain from an XML file',
    *run(c, p) {
      return yield* fromFile(c, p.words[0]!, 'define', 'define domain', 'defined', {});
    },
  },
  destroy: simple('destroy (stop) a domain', 'destroy', (n) => `Domain '${n}' destroyed\n`, (n) => `Failed to destroy domain '${n}'`, { flags: ['graceful', 'remove-logs'] }),
  shutdown: {
    words: ['domain'], values: ['mode'], summary: 'gracefully shutdown a domain',
    *run(c, p, domain) {
      const modes = typeof p.flags.mode === 'string' ? p.flags.mode.split(',') : [];
      const bad = modes.find((mode) => !MODES.includes(mode));
      if (bad !== undefined) {
        c.error(`Unknown mode ${bad} value, expecting 'acpi', 'agent', 'initctl', 'signal', or 'paravirt'`);
        return false;
      }
      if ((yield* attempt(c, `Failed to shutdown domain '${domain.name}'`, 'shutdown', { domain: domain.name, mode: modes.length === 1 ? modes[0] : '' })) === undefined) return false;
      c.print(`Domain '${domain.name}' is being shutdown\n`);
      return true;
    },
  },
  reboot: simple('reboot a domain', 'reboot', (n) => `Domain '${n}' is being rebooted\n`, (n) => `Failed to reboot domain '${n}'`, { values: ['mode'] }),
  reset: simple('reset a domain', 'reset', (n) => `Domain '${n}' was reset\n`, (n) => `Failed to reset domain '${n}'`),
  suspend: simple('suspend a domain', 'suspend', (n) => `Domain '${n}' suspended\n`, (n) => `Failed to suspend domain '${n}'`),
  resume: simple('resume a domain', 'resume', (n) => `Domain '${n}' resumed\n`, (n) => `Failed to resume domain '${n}'`),
  undefine: simple('undefine a domain', 'undefine', (n) => `Domain '${n}' has been undefined\n`, (n) => `Failed to undefine domain '${n}'`, { flags: ['managed-save', 'nvram', 'snapshots-metadata', 'checkpoints-metadata'] }),
  autostart: {
    words: ['domain'], flags: ['disable'], summary: 'autostart a domain',
    *run(c, p, domain) {
      const off = p.flags.disable === true;
      if ((yield* attempt(c, `Failed to ${off ? 'un' : ''}mark domain '${domain.name}' as autostarted`, 'autostart', { domain: domain.name, on: !off })) === undefined) return false;
      c.print(`Domain '${domain.name}' ${off ? 'un' : ''}marked as autostarted\n`);
      return true;
    },
  },
  dominfo: {
    words: ['domain'], summary: 'domain information',
    *run(c, _p, d) {
      c.print(field('Id', d.id ?? '-') + field('Name', d.name) + field('UUID', d.uuid) + field('OS Type', 'hvm') + field('State', d.state) + field('CPU(s)', d.vcpusNow));
      if (d.cpuTime !== null) c.print(field('CPU time', `${(d.cpuTime / 1e9).toFixed(1)}s`));
      c.print(field('Max memory', `${d.memory} KiB`) + field('Used memory', `${d.current} KiB`) + field('Persistent', yes(d.persistent)));
      c.print(field('Autostart', d.autostart ? 'enable' : 'disable') + field('Managed save', 'no') + field('Security model', 'none') + field('Security DOI', 0));
      if (d.id !== null) c.print(field('Messages', 'tainted: running with undesirable elevated privileges'));
      return true;
    },
  },
  domstate: {
    words: ['domain'], flags: ['reason'], summary: 'domain state',
    *run(c, p, d) {
      c.print(p.flags.reason ? `${d.state} (${d.reason})\n` : `${d.state}\n`);
      return true;
    },
  },
  domid: printing('convert a domain name or UUID to domain id', (d) => `${d.id ?? '-'}\n`),
  domname: printing('convert a domain id or UUID to domain name', (d) => `${d.name}\n`),
  domuuid: printing('convert a domain name or id to domain UUID', (d) => `${d.uuid}\n`),
  dumpxml: {
    words: ['domain'], flags: ['inactive', 'security-info', 'update-cpu', 'migratable'], summary: 'domain information in XML',
    *run(c, p, d) {
      c.print((yield* c.call('dumpxml', { domain: d.name, inactive: p.flags.inactive === true })) as string);
      return true;
    },
  },
  desc: {
    words: ['domain', 'text?'], flags: ['title', 'config', 'live', 'current'], values: ['new-desc'], summary: "show or set domain's description or title",
    *run(c, p, d) {
      const what = p.flags.title ? 'title' : 'description';
      const given = p.words[1] ?? (typeof p.flags['new-desc'] === 'string' ? p.flags['new-desc'] : undefined);
      if (given === undefined) {
        const held = p.flags.title ? d.title : d.description;
        c.print(held === '' ? `No ${what} for domain: ${d.name}` : held);
        return true;
      }
      if ((yield* attempt(c, '', 'describe', { domain: d.name, title: p.flags.title === true, text: given })) === undefined) return false;
      c.print(`Domain ${what} updated successfully`);
      return true;
    },
  },
  vcpucount: {
    words: ['domain'], flags: ['maximum', 'active', 'live', 'config', 'current', 'guest'], summary: 'domain vcpu counts',
    *run(c, p, d) {
      if (p.flags.guest) {
        c.error(d.id === null ? 'Requested operation is not valid: domain is not running' : 'argument unsupported: QEMU guest agent is not configured');
        return false;
      }
      if (p.flags.active || p.flags.maximum) {
        c.print(`${p.flags.maximum ? d.vcpus : d.vcpusNow}\n`);
        return true;
      }
      for (const [name, n] of [['maximum', d.vcpus], ['current', d.vcpusNow]] as const) {
        for (const kind of d.id === null ? ['config'] : ['config', 'live']) c.print(`${name.padEnd(12)} ${kind.padEnd(14)} ${n}\n`);
      }
      return true;
    },
  },
  setvcpus: {
    words: ['domain', 'count'], flags: ['maximum', 'config', 'live', 'current', 'guest', 'hotpluggable'], summary: 'change number of virtual CPUs',
    *run(c, p, d) {
      return (yield* attempt(c, '', 'setvcpus', { domain: d.name, count: p.words[1], config: p.flags.config === true })) !== undefined;
    },
  },
  dommemstat: {
    words: ['domain'], values: ['period'], flags: ['config', 'live', 'current'], summary: 'get memory statistics for a domain',
    *run(c, _p, d) {
      const stats = (yield* attempt(c, `Failed to get memory statistics for domain ${d.name}`, 'memstat', { domain: d.name })) as { actual: number; rss: number } | undefined;
      if (!stats) return false;
      c.print(`actual ${stats.actual}\nrss ${stats.rss}\n`);
      return true;
    },
  },
  ttyconsole: {
    words: ['domain'], summary: 'tty console',
    *run(c, _p, d) {
      if (d.id === null || !d.hasConsole) return false;
      c.print(`${d.pty}\n`);
      return true;
    },
  },
};

function* openConsole(c: Context, name: string): Call<boolean> {
  const now = (yield* c.call('lookup', { domain: name })) as DomainInfo | null;
  if (!now || now.pty === '') {
    c.error('internal error: cannot find character device <null>');
    return false;
  }
  if (!c.console) {
    c.error('Cannot run interactive console without a controlling TTY');
    return false;
  }
  return yield* c.console(name, now.pty);
}

function* fromFile(c: Context, path: string, method: string, verb: string, done: string, args: Record<string, unknown>): Call<boolean> {
  const xml = yield* c.readFile(path);
  if (xml === null) {
    c.error(`Failed to open file '${path}': No such file or directory`);
    return false;
  }
  const made = (yield* attempt(c, `Failed to ${verb} from ${path}`, method, { xml, ...args })) as { name: string } | undefined;
  if (!made) return false;
  c.print(`Domain '${made.name}' ${done} from ${path}\n`);
  return true;
}
